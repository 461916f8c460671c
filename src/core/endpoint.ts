/** IP address family, written as EPMD extras and `--family` write it. */
export type Family = 4 | 6;

/** An address and port where a node accepts distribution connections, with the SRV data it came from. */
export interface Endpoint {
  /** IP literal: IPv4 dotted, or IPv6 in RFC 5952 form, without zone. */
  readonly address: string;
  /** 1..65535 */
  readonly port: number;
  readonly family: Family;
  /** RFC 2782 priority, lower first; 0 where no SRV record stands behind the endpoint. */
  readonly priority: number;
  /** RFC 2782 weight; 0 where no SRV record stands behind the endpoint. */
  readonly weight: number;
  /** SRV target without trailing dot, or the host or literal that the endpoint was made from. */
  readonly target: string;
}

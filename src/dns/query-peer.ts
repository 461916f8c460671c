import { canonicalIp } from "../net/ip.js";

/** Who asks, and how. */
export interface QueryPeer {
  readonly transport: "udp" | "tcp";
  /** Canonical IP literal. */
  readonly address: string;
  readonly port: number;
}

/** Bytes in, bytes out, fit for the transport; undefined: no response. Never rejects. */
export type Respond = (query: Buffer, peer: QueryPeer) => Promise<Buffer | undefined>;

export function toPeer(transport: QueryPeer["transport"], from: { address: string; port: number }): QueryPeer {
  return { transport, address: canonicalIp(from.address) ?? from.address, port: from.port };
}

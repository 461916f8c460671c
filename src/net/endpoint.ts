/** Ports that are used unless an option says otherwise. */
export const DNS_PORT = 53;
export const EPMD_PORT = 4369;
/** Status page and HTTP API. */
export const ADMIN_PORT = 9369;

/** IP address family, written as EPMD extras and `--family` write it. */
export type Family = 4 | 6;

/** The loopback address of a family. */
export const LOOPBACK: Readonly<Record<Family, string>> = { 4: "127.0.0.1", 6: "::1" };
/** Both of them: a machine may have only one of the families. */
export const LOOPBACKS = [LOOPBACK[4], LOOPBACK[6]] as const;

/** An address and port where a node accepts distribution connections, with the SRV data it came from. */
export interface Endpoint {
  /** IP literal: IPv4 dotted, or IPv6 in RFC 5952 form, without zone. */
  readonly address: string;
  /** 1..65535 */
  readonly port: number;
  readonly family: Family;
  /** RFC 2782 priority, lower first; 0 without an SRV record. */
  readonly priority: number;
  /** RFC 2782 weight; 0 without an SRV record. */
  readonly weight: number;
  /** SRV target without trailing dot, or the host or literal that the endpoint was made from. */
  readonly target: string;
}

/** RFC 8305 section 5: the Connection Attempt Delay, milliseconds. */
export const CONNECTION_ATTEMPT_DELAY = 250;
/** Node's timers count whole milliseconds: a timer may fire this much too early. */
const TIMER_PRECISION = 1;

/** Whether a connection attempt was given the whole delay. */
export function hadItsTime(startedAt: number, now: number, delay = CONNECTION_ATTEMPT_DELAY): boolean {
  return now - startedAt >= delay - TIMER_PRECISION;
}

/** How long a silent address is tried last, milliseconds: longer than a VM waits between two attempts. */
const LIFETIME = 60_000;
const MAX_ADDRESSES = 1024;

/**
 * Addresses that did not answer a connection attempt, such as all of IPv6 where a router drops it. They are tried last,
 * so that not every attempt waits for them first (RFC 8305 section 4: the history of a client).
 */
export class SilentAddresses {
  readonly #until = new Map<string, number>();

  /** @param now milliseconds on a clock that is never set */
  note(address: string, now: number): void {
    this.#until.delete(address);
    this.#until.set(address, now + LIFETIME);
    const [oldest] = this.#until.keys();
    if (this.#until.size > MAX_ADDRESSES && oldest !== undefined) this.#until.delete(oldest);
  }

  answered(address: string): void {
    this.#until.delete(address);
  }

  /** The same endpoints; those at silent addresses last, else in their order. */
  order<T extends { readonly address: string }>(endpoints: readonly T[], now: number): T[] {
    const isSilent = ({ address }: T) => (this.#until.get(address) ?? Number.NEGATIVE_INFINITY) > now;
    return [...endpoints.filter((endpoint) => !isSilent(endpoint)), ...endpoints.filter(isSilent)];
  }
}

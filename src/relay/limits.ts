/** An idle relay takes about 10 KiB and a descriptor. A full mesh of VMs does not grow to so many nodes. */
export const MAX_RELAYS = 4096;
/** Daemons and other clients of the control socket at once. */
export const MAX_CONTROL_CONNECTIONS = 64;
/** Host-address pairs that are remembered. */
export const MAX_PAIRS = 4096;

/** Descriptors of the process itself, without those of listeners, links and daemons. */
const OWN_FILES = 48;

/** How many descriptors listeners, links and their connection attempts may have. @param openFiles limit of open files; undefined: none */
export function relayDescriptors(openFiles: number | undefined): number {
  if (openFiles === undefined) return Number.POSITIVE_INFINITY;
  const reserved = OWN_FILES + MAX_CONTROL_CONNECTIONS;
  return Math.max(Math.floor(openFiles / 2), openFiles - reserved);
}

/** Milliseconds; tests give shorter ones. */
export interface RelayTimings {
  /** For all endpoints of a link together: a VM gives up after 7 s. */
  readonly dial: number;
  /** For the other side of a link, when one side has ended. */
  readonly linger: number;
  /** A link is cut when one side reads nothing for this long, as TCP does when a peer acknowledges nothing. */
  readonly stall: number;
  /** Silence after which TCP sends keep-alive probes. */
  readonly keepAlive: number;
  /** A listener without links is closed when no daemon has asked for it for this long. */
  readonly idleListener: number;
  /** With `--until-idle` the process ends after this time without daemons and links. */
  readonly idleProcess: number;
  /** For the hello of a client of the control socket. */
  readonly hello: number;
}

export const RELAY_TIMINGS: RelayTimings = {
  dial: 5_000,
  linger: 10_000,
  stall: 15 * 60_000,
  keepAlive: 20_000,
  idleListener: 60_000,
  idleProcess: 60_000,
  hello: 5_000,
};

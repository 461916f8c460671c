/** An idle one takes about 10 KiB and a descriptor; a full mesh of VMs does not bear so many nodes. */
export const MAX_RELAYS = 4096;
/** Daemons, and whoever looks at the status, at once. */
export const MAX_CONTROL_CONNECTIONS = 64;
/** Host-address pairs that are remembered. */
export const MAX_PAIRS = 4096;

/** Descriptors of the process itself, beside its listeners, links and daemons. */
const OWN_FILES = 48;

/** How many descriptors listeners and links may take. @param openFiles limit of open files; undefined: none */
export function relayDescriptors(openFiles: number | undefined): number {
  if (openFiles === undefined) return Number.POSITIVE_INFINITY;
  const reserved = OWN_FILES + MAX_CONTROL_CONNECTIONS;
  return Math.max(Math.floor(openFiles / 2), openFiles - reserved);
}

/** Milliseconds, all of them; tests pass shorter ones. */
export interface RelayTimings {
  /** For all endpoints of a connection together: a VM gives up after 7 s. */
  readonly dial: number;
  /** What is left to one side when the other has ended. */
  readonly linger: number;
  /** A side that takes nothing for this long is given up, as TCP gives up one that acknowledges nothing. */
  readonly stall: number;
  /** Silence after which TCP asks whether the other side is still there. */
  readonly keepAlive: number;
  /** After this long a listener goes that has no links and that nobody asked for. */
  readonly idleListener: number;
  /** With `--until-idle`: this long without daemons and links ends the process. */
  readonly idleProcess: number;
  /** For the hello of whoever connects to the control socket. */
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

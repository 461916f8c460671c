/** Exit codes of every command; part of the contract with scripts. */
export const EXIT = {
  done: 0,
  /** Not found, check failed, time over. */
  notFound: 1,
  /** Usage or configuration. */
  usage: 2,
  /** DNS, Consul, EPMD or the port is not available. */
  unavailable: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Of several results the worst counts: unavailable, then not found. */
export function worst(codes: readonly ExitCode[]): ExitCode {
  return Math.max(EXIT.done, ...codes) as ExitCode;
}

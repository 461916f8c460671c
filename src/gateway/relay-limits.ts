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

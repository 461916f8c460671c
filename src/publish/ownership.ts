import { hostname } from "node:os";
import type { ConsulClient } from "../consul/client.js";
import { bootId, networkNamespace } from "../os/machine.js";
import { criticalIds, type HeldService, META_OWNER } from "./core/service-entry.js";

/**
 * Whose an entry of the agent is.
 * - `free`: there is no entry.
 * - `abandoned`: that of a daemon that has ended: another owner's, and its TTL check is critical.
 * - `taken`: that of another live daemon.
 */
export type Ownership = "free" | "ours" | "abandoned" | "taken";

export interface OwnershipDeps {
  readonly client: Pick<ConsulClient, "checks">;
  /** META_OWNER of our entries. */
  readonly owner: string;
}

/** @param held what the agent has just answered for a service id @throws ConsulError */
export async function ownershipOf(
  held: HeldService | undefined,
  { client, owner }: OwnershipDeps,
  signal: AbortSignal,
): Promise<Ownership> {
  if (!held) return "free";
  if (held.meta[META_OWNER] === owner) return "ours";
  const checks = await client.checks(signal);
  return criticalIds(checks).has(held.id) ? "abandoned" : "taken";
}

/**
 * What a daemon has in common with its successor after a restart, and with no other live daemon: boot id, network
 * namespace and EPMD port. On systems other than Linux the host name replaces the first two.
 */
export async function readOwner(port: number): Promise<string> {
  const [boot, namespace] = await Promise.all([bootId(), networkNamespace()]);
  return `${boot ?? hostname()}/${namespace ?? "-"}/${port}`;
}

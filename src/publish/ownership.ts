import { hostname } from "node:os";
import type { ConsulClient } from "../consul/client.js";
import { bootId, networkNamespace } from "../os/machine.js";
import type { Held, Work } from "./core/reconcile.js";
import { type HeldCheck, META_OWNER, type ServiceEntry, ttlCheckId, withDistinctId } from "./core/service-entry.js";

export interface OwnershipDeps {
  readonly client: Pick<ConsulClient, "service" | "checks">;
  readonly owner: string;
}

/**
 * Whose a service id is at the agent.
 * - `abandoned`: another daemon's, and its TTL check is critical: what a daemon left behind that is no more.
 * - `taken`: another live daemon's.
 */
export type Standing = "free" | "ours" | "abandoned" | "taken";

/** Asks the agent. @throws ConsulError */
export async function standingOf(
  id: string,
  { client, owner }: Pick<OwnershipDeps, "client" | "owner">,
  signal: AbortSignal,
): Promise<Standing> {
  const held = await client.service(id, signal);
  if (!held) return "free";
  if (held.meta[META_OWNER] === owner) return "ours";
  const checks = await client.checks(signal);
  return criticalIds(checks).has(id) ? "abandoned" : "taken";
}

/** Services whose TTL check is critical. A TCP check says nothing of the daemon: where that one passes, it is alive. */
export function criticalIds(checks: readonly HeldCheck[]): Set<string> {
  const critical = checks.filter(({ checkId, serviceId, status }) => {
    return checkId === ttlCheckId(serviceId) && status === "critical";
  });
  return new Set(critical.map(({ serviceId }) => serviceId));
}

/** Keeps what one name does in Consul away from other daemons' entries. */
export class Ownership {
  readonly #deps: OwnershipDeps;
  /** Ids that another live daemon was seen to hold. */
  readonly #taken = new Set<string>();

  constructor(deps: OwnershipDeps) {
    this.#deps = deps;
  }

  /**
   * Whether a step may be done: asked before every one that could harm another daemon's entry, for what we believe may be
   * wrong since the last look at the agent. A check that is passed again does no harm, and is what happens all the time.
   * @param believed what we think the agent holds under the step's id
   * @returns whose the id is; undefined when that was not asked
   * @throws ConsulError: it is not known, so the step may not be done
   */
  async judge(
    step: Work,
    believed: Held | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly verdict: "allowed" | "absent" | "foreign"; readonly standing: Standing | undefined }> {
    if (step.action === "pass" && believed?.condition !== "unsure") return { verdict: "allowed", standing: undefined };
    const standing = await standingOf(step.id, this.#deps, signal);
    return { verdict: verdictOf(step, standing), standing };
  }

  /** From now on our entry has another id. @returns whether it had not before */
  evade(id: string): boolean {
    const isNews = !this.#taken.has(id);
    this.#taken.add(id);
    return isNews;
  }

  /** The same entry, unless its id is taken. */
  distinct(entry: ServiceEntry): ServiceEntry {
    return this.#taken.has(entry.id) ? this.distinct(withDistinctId(entry, this.#deps.owner)) : entry;
  }
}

function verdictOf({ action }: Work, standing: Standing): "allowed" | "absent" | "foreign" {
  if (standing === "ours") return "allowed";
  if (standing === "taken") return "foreign";
  if (action === "register") return "allowed";
  return standing === "free" ? "absent" : "foreign";
}

/**
 * What a daemon has in common with the one that stands in its place after a restart, and with no other that is alive:
 * boot id, network namespace and EPMD port. Elsewhere than on Linux the host name stands for the first two.
 */
export async function readOwner(port: number): Promise<string> {
  const [boot, namespace] = await Promise.all([bootId(), networkNamespace()]);
  return `${boot ?? hostname()}/${namespace ?? "-"}/${port}`;
}

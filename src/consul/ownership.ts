import type { Held, Step } from "../core/reconcile.js";
import { META_OWNER, type ServiceEntry, ttlCheckId, withDistinctId } from "../core/service-entry.js";
import type { Logger } from "../logger.js";
import type { ConsulClient } from "./client.js";
import type { HeldCheck } from "./replies.js";

export interface OwnershipDeps {
  readonly client: Pick<ConsulClient, "service" | "checks">;
  readonly owner: string;
  readonly log: Logger;
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
   * @returns `absent`: the agent has no such service; `foreign`: it is another daemon's
   * @throws ConsulError: it is not known, so the step may not be done
   */
  async judge(
    step: Exclude<Step, { action: "wait" }>,
    believed: Held | undefined,
    signal: AbortSignal,
  ): Promise<"allowed" | "absent" | "foreign"> {
    if (step.action === "pass" && believed?.condition !== "unsure") return "allowed";
    const standing = await standingOf(step.id, this.#deps, signal);
    if (standing === "ours") return "allowed";
    if (standing === "taken") return "foreign";
    if (step.action === "register") return "allowed";
    return standing === "free" ? "absent" : "foreign";
  }

  /** From now on our entry has another id. */
  evade(id: string): void {
    if (this.#taken.has(id)) return;
    this.#taken.add(id);
    this.#deps.log.warn(
      { serviceId: id },
      "another live daemon holds this service id; ours gets one of its own (give one of them another --instance)",
    );
  }

  /** The same entry, unless its id is taken. */
  distinct(entry: ServiceEntry): ServiceEntry {
    return this.#taken.has(entry.id) ? this.distinct(withDistinctId(entry, this.#deps.owner)) : entry;
  }
}

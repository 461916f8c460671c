import { hostname } from "node:os";
import type { ConsulClient } from "../consul/client.js";
import type { Whose } from "../consul/core/filters.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError } from "../errors.js";
import { bootId, networkNamespace } from "../os/machine.js";
import type { AgentState } from "./agent-state.js";
import { abandoned, type EntryTimes, lapsed, type Survey } from "./core/reconcile.js";
import {
  criticalIds,
  foundEntry,
  type HeldCheck,
  type HeldService,
  META_OWNER,
  sameEntry,
  serviceId,
} from "./core/service-entry.js";
import type { Timings } from "./timing.js";

/**
 * Whose an entry of the agent is.
 * - `free`: there is no entry.
 * - `abandoned`: that of a daemon that has ended: another owner's, and its TTL check is critical.
 * - `taken`: that of another live daemon.
 */
export type Ownership = "free" | "ours" | "abandoned" | "taken";

export interface OwnershipDeps {
  readonly client: Pick<ConsulClient, "checksOf">;
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
  const checks = await client.checksOf(held.id, signal);
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

interface LeftoversDeps {
  readonly client: Pick<ConsulClient, "service" | "checksOf" | "register" | "deregister">;
  readonly self: Whose;
  readonly times: EntryTimes;
  readonly agent: AgentState;
  readonly log: Logger;
  readonly timings: Pick<Timings, "audit">;
  readonly signal: AbortSignal;
}

/**
 * What became of a dead entry.
 * - `seen`: it was dead in one survey.
 * - `renewed`: it is registered with our token.
 * - `former`: it is, or may be, registered with one that we had before, and is to be registered again.
 * - `left`: the agent refuses its registration, or it is no entry of srv-epmd's.
 */
type Renewal = "seen" | "renewed" | "former" | "left";

interface DeadEntry {
  readonly held: HeldService;
  readonly checks: readonly HeldCheck[];
}

/** Of the time from one audit to the next: the next one may be a little early. */
const MOSTLY = 0.9;

/** Entries at the agent that daemons which have ended left behind. */
export class Leftovers {
  readonly #deps: LeftoversDeps;
  /** Entries of our instance that were dead at the start and are not removed yet. */
  #abandoned: Set<string> | undefined;
  /** Ids that were dead in the last survey. It changes with each call: a token may arrive, or a stop, during a survey. */
  readonly #lapsed = new Map<string, Renewal>();
  /** When the survey was sent after which entries were last registered again. */
  #renewedAt = -Infinity;
  #tokens = 0;

  constructor(deps: LeftoversDeps) {
    this.#deps = deps;
  }

  /** There is another token: what was renewed is to be renewed again with it. */
  anotherToken(): void {
    this.#tokens++;
    for (const [id, renewal] of this.#lapsed) if (renewal === "renewed") this.#lapsed.set(id, "former");
  }

  /** Whether entries are left that were registered with the token in use, or with a former one. */
  hasAny(renewal: "renewed" | "former"): boolean {
    return Array.from(this.#lapsed.values()).includes(renewal);
  }

  /** @param sentAt when the survey began @throws ConsulError only when stopped */
  async see(survey: Survey, sentAt: number): Promise<void> {
    await this.#remove(survey, sentAt);
    for (const id of this.#lapsed.keys()) if (!survey.critical.has(id)) this.#lapsed.delete(id);
    // Surveys follow each other fast while nodes register, and an entry may be late then, not dead.
    if (sentAt - this.#renewedAt < this.#deps.timings.audit * MOSTLY) return;
    this.#renewedAt = sentAt;
    await this.#renew(survey);
  }

  /** Removes what was dead at the start. An entry that is critical later may be that of a VM that has just ended. */
  async #remove(survey: Survey, sentAt: number): Promise<void> {
    const { client, self, agent, log, signal } = this.#deps;
    const abandonedNow = abandoned(survey, self.owner, serviceId(self.instance, ""));
    const left = this.#abandoned ?? new Set(abandonedNow.map(({ id }) => id));
    this.#abandoned = left;
    for (const surveyed of abandonedNow.filter(({ id }) => left.has(id))) {
      const { id, service } = surveyed;
      try {
        left.delete(id);
        const dead = await this.#dead(id);
        // A daemon that takes it over registers it first, and its check stays critical until it is passed.
        if (!dead || !sameEntry(surveyed, dead.held)) continue;
        // With our token: the token of its registration may be deleted, and then the servers would not learn of the removal.
        await this.#register(dead);
        await client.deregister(id, signal);
        this.#lapsed.delete(id);
        log.info({ serviceId: id }, "removed the entry of a daemon that ran here before the machine was restarted");
      } catch (error) {
        if (!(error instanceof ConsulError) || signal.aborted) throw error;
        left.add(id);
        agent.failed(error, { sentAt, service, action: "deregister" });
      }
    }
  }

  /**
   * Registers entries again, of any instance, that were dead in two surveys, an audit's time apart. The agent removes such
   * entries in the end, but tells the servers with the token of the registration, which may be deleted: a Nomad task's
   * token ends with it.
   */
  async #renew(survey: Survey): Promise<void> {
    const { self, log, signal } = this.#deps;
    for (const id of lapsed(survey, self.owner)) {
      const renewal = this.#lapsed.get(id);
      if (renewal === undefined) this.#lapsed.set(id, "seen");
      if (renewal !== "seen" && renewal !== "former") continue;
      try {
        const dead = await this.#dead(id);
        if (!dead) this.#lapsed.delete(id);
        // Another program's, under an id like ours.
        else if (dead.held.meta[META_OWNER] === undefined) this.#lapsed.set(id, "left");
        else await this.#register(dead);
      } catch (error) {
        if (!(error instanceof ConsulError) || signal.aborted) throw error;
        // Usually the token may not write that service, and the daemons of the service renew the entry.
        if (isRefusal(error)) this.#lapsed.set(id, "left");
        log.debug({ err: error, serviceId: id }, "could not register the dead entry of another daemon again");
      }
    }
  }

  /** The entry and its checks; undefined where it is gone, is ours, or its daemon lives. @throws ConsulError */
  async #dead(id: string): Promise<DeadEntry | undefined> {
    const { client, self, signal } = this.#deps;
    const held = await client.service(id, signal);
    if (!held || held.meta[META_OWNER] === self.owner) return undefined;
    const checks = await client.checksOf(id, signal);
    return criticalIds(checks).has(id) ? { held, checks } : undefined;
  }

  /** @throws ConsulError */
  async #register({ held, checks }: DeadEntry): Promise<void> {
    const { client, times, signal } = this.#deps;
    const { id } = held;
    const before = this.#lapsed.get(id);
    const tokens = this.#tokens;
    // Without an answer it is not known with which token the entry is registered.
    this.#lapsed.set(id, "former");
    try {
      await client.register(foundEntry(held, checks, times), signal);
    } catch (error) {
      if (isRefusal(error)) {
        if (before) this.#lapsed.set(id, before);
        else this.#lapsed.delete(id);
      }
      throw error;
    }
    if (tokens === this.#tokens) this.#lapsed.set(id, "renewed");
  }
}

/** Nothing has changed at the agent. */
function isRefusal(error: unknown): boolean {
  return error instanceof ConsulError && (error.code === "CONSUL_FORBIDDEN" || error.code === "CONSUL_REJECTED");
}

import type { ConsulClient } from "../consul/client.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError } from "../errors.js";
import type { AgentState } from "./agent-state.js";
import { abandoned, type EntryTimes, lapsed, type Survey } from "./core/reconcile.js";
import { foundEntry, type HeldService, sameEntry } from "./core/service-entry.js";
import { ownershipOf } from "./ownership.js";

export interface LeftoversDeps {
  readonly client: ConsulClient;
  readonly owner: string;
  /** Of the ids of this instance. */
  readonly prefix: string;
  readonly times: EntryTimes;
  readonly agent: AgentState;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** What daemons that are no more have left with the agent. */
export class Leftovers {
  readonly #deps: LeftoversDeps;
  /** Dead entries of our instance at the start, as far as they are still to be removed. */
  #abandoned: Set<string> | undefined;
  /** Ids that the last survey has found dead, and whether that has been seen to. */
  #lapsed: ReadonlyMap<string, boolean> = new Map();

  constructor(deps: LeftoversDeps) {
    this.#deps = deps;
  }

  /** @param sentAt when the survey was asked for @throws ConsulError only when stopped */
  async see(survey: Survey, sentAt: number): Promise<void> {
    await this.#remove(survey, sentAt);
    await this.#renew(survey);
  }

  /** What was dead at the start: an entry that is critical later may be that of a VM that has just ended. */
  async #remove(survey: Survey, sentAt: number): Promise<void> {
    const { client, owner, prefix, agent, log, signal } = this.#deps;
    const dead = abandoned(survey, owner, prefix);
    const left = this.#abandoned ?? new Set(dead.map(({ id }) => id));
    this.#abandoned = left;
    for (const held of dead.filter(({ id }) => left.has(id))) {
      const { id, service } = held;
      try {
        left.delete(id);
        if (!(await this.#isDead(held))) continue;
        // With our token: its own may be gone, and then the servers would not hear of the removal.
        await this.#register(held, survey);
        await client.deregister(id, signal);
        log.info({ serviceId: id }, "removed what a daemon left here before the machine was started anew");
      } catch (error) {
        if (!(error instanceof ConsulError) || signal.aborted) throw error;
        left.add(id);
        agent.failed(error, { sentAt, service, action: "deregister" });
      }
    }
  }

  /**
   * What has been dead for longer than a live daemon leaves it so, whoever's it was: the agent removes it in the end, but
   * when the token of its registration is gone the servers hear of neither. A Nomad task's token ends with the task.
   */
  async #renew(survey: Survey): Promise<void> {
    const { owner, log, signal } = this.#deps;
    const before = this.#lapsed;
    const now = new Map<string, boolean>();
    for (const held of lapsed(survey, owner)) {
      const { id } = held;
      const isDone = before.get(id);
      now.set(id, isDone ?? false);
      if (isDone !== false) continue;
      now.set(id, true);
      try {
        if (!(await this.#isDead(held))) continue;
        await this.#register(held, survey);
      } catch (error) {
        if (!(error instanceof ConsulError) || signal.aborted) throw error;
        // It is another service's, as a rule: its own daemons see to it.
        log.debug({ err: error, serviceId: id }, "a dead entry of another daemon stays as it is");
      }
    }
    this.#lapsed = now;
  }

  /**
   * Whether the entry is still dead and as it was surveyed. A daemon that takes it over registers it first, and its
   * check stays critical until it is passed.
   */
  async #isDead(surveyed: HeldService): Promise<boolean> {
    const { client, owner, signal } = this.#deps;
    const held = await client.service(surveyed.id, signal);
    if (!held || !sameEntry(surveyed, held)) return false;
    return (await ownershipOf(held, { client, owner }, signal)) === "abandoned";
  }

  async #register(held: HeldService, survey: Survey): Promise<void> {
    const { client, times, signal } = this.#deps;
    await client.register(foundEntry(held, survey.checks, times), signal);
  }
}

import { retryDelay } from "../catalogue/follower.js";
import type { ConsulClient } from "../consul/client.js";
import type { Whose } from "../consul/core/filters.js";
import type { Logger } from "../daemon/logger.js";
import { ConsulError } from "../errors.js";
import type { AgentEntries } from "./agent-entries.js";
import type { AgentState } from "./agent-state.js";
import { ownedKeys, type Survey } from "./core/reconcile.js";
import { criticalIds } from "./core/service-entry.js";
import { partsOf } from "./core/survey-parts.js";
import type { Leftovers } from "./ownership.js";
import type { Publisher } from "./publisher.js";
import { Recurring } from "./recurring.js";
import { restAfter, restAfterFailure, type Timings } from "./timing.js";

interface AuditsDeps {
  readonly client: Pick<ConsulClient, "checks" | "lookForToken">;
  readonly entries: Pick<AgentEntries, "all" | "claim">;
  readonly self: Whose;
  /** By key. */
  readonly publishers: ReadonlyMap<string, Publisher>;
  /** Makes the publisher of an entry that our predecessor has left. */
  readonly adopt: (key: string) => Publisher;
  readonly leftovers: Leftovers;
  readonly agent: AgentState;
  readonly log: Logger;
  /** Milliseconds of the TTL check. */
  readonly ttl: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  readonly timings: Pick<Timings, "audit" | "recheck" | "watch" | "firstRetry">;
  /** Gives up a survey. */
  readonly signal: AbortSignal;
}

/** Names in one line of the log. */
const MOST_NAMED = 8;

/** Compares what the agent holds with what it should hold: at once, then every 30 s or sooner, never twice at a time. */
export class Audits {
  readonly #deps: AuditsDeps;
  readonly #recurring: Recurring;
  #failures = 0;
  /** Surveys in a row in which the agent did not list what it had been given. */
  #doubts = 0;

  constructor(deps: AuditsDeps) {
    this.#deps = deps;
    const { entries, now, timings } = deps;
    const run = () => this.#compare();
    const rest = (took: number) => restAfter(took, timings);
    this.#recurring = new Recurring({ run, rest, wait: () => entries.claim(), recheck: timings.recheck, now }, 0);
  }

  /**
   * Something was published: two daemons that find an id free in the same moment both write it, and Consul tells neither.
   * A survey is to show it soon: one that begins `recheck` after the publication, or later.
   */
  soon(): void {
    this.#recurring.soon();
  }

  /** Resolves with the end of the one that is under way. Never rejects. */
  stop(): Promise<void> {
    return this.#recurring.stop();
  }

  /** @returns milliseconds to the next audit at the latest */
  async #compare(): Promise<number> {
    const { client, agent, signal, now, timings, ttl, random } = this.#deps;
    await client.lookForToken("look", signal);
    const sentAt = now();
    try {
      await this.#survey(sentAt);
    } catch (error) {
      if (error instanceof ConsulError && !signal.aborted) agent.failed(error, { sentAt });
      // The longest pause is a third of the TTL: a healthy agent is called as often.
      const most = ttl / 3;
      const delay = retryDelay(++this.#failures, timings.firstRetry, most, random);
      return Math.max(delay, restAfterFailure(now() - sentAt, most));
    }
    this.#failures = 0;
    return Math.min(timings.audit, this.#patience());
  }

  async #survey(sentAt: number): Promise<void> {
    const { client, entries, self, publishers, adopt, leftovers, agent, log, signal } = this.#deps;
    const { owner } = self;
    const changes = new Map(Array.from(publishers, ([key, publisher]) => [key, publisher.changes]));
    const [services, checks] = await Promise.all([entries.all(signal), client.checks(signal, self)]);
    // They may have arrived just before a stop, which ends the publishers that there are by then.
    signal.throwIfAborted();
    agent.succeeded({ sentAt });
    const survey: Survey = { services, checks, critical: criticalIds(checks) };
    const left = Array.from(ownedKeys(survey, owner)).filter((key) => !publishers.has(key));
    if (left.length > 0) {
      const what = left.length === 1 ? "an entry" : `${left.length} entries`;
      log.info({ nodes: left.slice(0, MOST_NAMED) }, `kept ${what} of our predecessor: waiting for the VM to return`);
    }
    for (const key of left) changes.set(key, adopt(key).changes);
    const partOf = partsOf(survey, owner);
    for (const [key, publisher] of publishers) {
      const part = partOf(key, [...publisher.held.keys(), ...publisher.wanted]);
      publisher.surveyed(part, changes.get(key) ?? -1);
    }
    await leftovers.see(survey, sentAt);
  }

  #patience(): number {
    const { timings, random } = this.#deps;
    const publishers = Array.from(this.#deps.publishers.values());
    // An agent that never lists what it takes must not be given everything again each second.
    if (publishers.some(({ isDoubted }) => isDoubted)) {
      return retryDelay(++this.#doubts, timings.recheck, timings.audit, random);
    }
    this.#doubts = 0;
    return publishers.some(({ obstacle }) => obstacle !== undefined) ? timings.watch : timings.audit;
  }
}

import type { ConsulClient } from "../consul/client.js";
import type { Whose } from "../consul/core/filters.js";
import { ConsulError } from "../errors.js";
import type { HeldService } from "./core/service-entry.js";
import { restAfter, type Timings } from "./timing.js";

interface AgentEntriesDeps {
  readonly client: Pick<ConsulClient, "service" | "services">;
  /** This daemon: an agent may have a thousand entries of others. */
  readonly self: Whose;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly timings: Pick<Timings, "audit" | "recheck">;
  /** Gives up a list that was asked for in place of many ids. */
  readonly signal: AbortSignal;
}

/** Questions for single ids under way from which on a list is asked for in their place. */
const MANY = 8;

/** A list of the entries under our ids, and of all entries of ours, as it was answered. */
interface List {
  readonly byId: ReadonlyMap<string, HeldService>;
  /** Milliseconds of now(): it may miss what has changed since. */
  readonly sentAt: number;
  readonly endedAt: number;
}

/** What the agent holds under an id. In a burst one list answers for many ids, where that is as safe as asking for each. */
export class AgentEntries {
  readonly #deps: AgentEntriesDeps;
  #list: List | undefined;
  /** The list that is under way. */
  #listing: { readonly sentAt: number; readonly answer: Promise<HeldService[]> } | undefined;
  /** The next list is for a survey. */
  #isClaimed = false;
  #asking = 0;
  /** When ids were last written, by us: an earlier list does not count for them. */
  readonly #written = new Map<string, number>();

  constructor(deps: AgentEntriesDeps) {
    this.#deps = deps;
  }

  /**
   * The next list is the caller's: until it asks for that, a burst has none.
   * @returns milliseconds until it may be asked for, if a list that is under way ends now
   */
  claim(): number {
    this.#isClaimed = true;
    return this.#restsUntil - this.#deps.now();
  }

  /** Entries under our ids, whoever has written them, and all that are ours; perhaps others, too. @throws ConsulError */
  all(signal: AbortSignal): Promise<HeldService[]> {
    this.#isClaimed = false;
    const listing = { sentAt: this.#deps.now(), answer: this.#ask(signal) };
    this.#listing = listing;
    const end = () => {
      if (this.#listing === listing) this.#listing = undefined;
    };
    return listing.answer.finally(end);
  }

  async #ask(signal: AbortSignal): Promise<HeldService[]> {
    const { client, self, now } = this.#deps;
    const sentAt = now();
    const services = await client.services(signal, self);
    if (this.#list && this.#list.sentAt > sentAt) return services;
    this.#list = { byId: new Map(services.map((service) => [service.id, service])), sentAt, endedAt: now() };
    for (const [id, at] of this.#written) if (at < sentAt) this.#written.delete(id);
    return services;
  }

  /** When the next list may be asked for, milliseconds of now(). */
  get #restsUntil(): number {
    const { now, timings } = this.#deps;
    if (this.#listing) return now() + restAfter(now() - this.#listing.sentAt, timings);
    if (!this.#list) return -Infinity;
    const { sentAt, endedAt } = this.#list;
    return endedAt + restAfter(endedAt - sentAt, timings);
  }

  /**
   * @param isNew we have never written it, or have removed it: a list that leaves it out is believed, too
   * @throws ConsulError
   */
  async find(id: string, isNew: boolean, signal: AbortSignal): Promise<HeldService | undefined> {
    if (this.#asking >= MANY && !this.#counts(id)) await this.#listOnce();
    if (this.#counts(id)) {
      const listed = this.#list?.byId.get(id);
      // Proxies filter lists: an entry of ours that is left out is asked for.
      if (listed || isNew) return listed;
    }
    this.#asking++;
    try {
      return await this.#deps.client.service(id, signal);
    } finally {
      this.#asking--;
    }
  }

  /** A call that changes the entry has ended, with whatever result. */
  wrote(id: string): void {
    this.#written.set(id, this.#deps.now());
  }

  /**
   * Whether the last list says as much of the id as a question would. Two daemons that find an id free in the same moment
   * both write it. The one that was first finds that by its survey, which begins `recheck` after its publication, or
   * later: a list is believed for half of that time, and the other half is left for the call.
   */
  #counts(id: string): boolean {
    if (!this.#list) return false;
    const { now, timings } = this.#deps;
    const { sentAt } = this.#list;
    const age = now() - sentAt;
    return age < Math.min(timings.recheck, timings.audit) / 2 && (this.#written.get(id) ?? -Infinity) < sentAt;
  }

  /** Lists rest, and then single questions are asked. */
  async #listOnce(): Promise<void> {
    const { now, signal } = this.#deps;
    if (!this.#listing && (this.#isClaimed || now() < this.#restsUntil)) return;
    try {
      await (this.#listing?.answer ?? this.all(signal));
    } catch (error) {
      // The question for the single id has an error of its own, if the agent does not answer.
      if (!(error instanceof ConsulError)) throw error;
    }
  }
}

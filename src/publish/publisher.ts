import type { ConsulError } from "../errors.js";
import {
  afterStep,
  afterSurvey,
  type Held,
  type HeldMap,
  nextRefresh,
  nextStep,
  type StepResult,
  type Survey,
  type Target,
  type Work,
  withAnotherToken,
} from "./core/reconcile.js";
import { type ServiceEntry, sameEntry, withDistinctId } from "./core/service-entry.js";
import type { Ownership } from "./ownership.js";
import { Visible, type VisibleDeps } from "./presence.js";
import { type StepDeps, takeStep } from "./step.js";
import { Retries, type RetryDeps } from "./timing.js";
import type { Caller, Rank, Turns } from "./turns.js";

export interface PublisherDeps extends StepDeps, RetryDeps, VisibleDeps {
  readonly turns: Turns;
  /** Milliseconds. */
  readonly deregisterAfter: number;
  /** Nothing is held any more, and nothing is to be done. */
  readonly emptied: () => void;
}

/** Makes Consul match the target of one name: one call at a time, each in its turn, retried until it is done. */
export class Publisher implements Caller {
  readonly #deps: PublisherDeps;
  readonly #key: string;
  readonly #abort = new AbortController();
  readonly #retries: Retries;
  readonly #visible: Visible;
  /** Ids that another live daemon was seen to hold. */
  readonly #taken = new Set<string>();
  #target: Target;
  /** The EPMD connection that registered the name; see Rank. */
  #share = "";
  #held: HeldMap = new Map();
  #running: Promise<void> | undefined;
  /** The running step passes a check that is passing already. */
  #isRefreshing = false;
  #timer: NodeJS.Timeout | undefined;
  #finishing = false;
  #changes = 0;
  #tokens = 0;

  /** @param key the alive name without case */
  constructor(key: string, target: Target, deps: PublisherDeps) {
    this.#key = key;
    this.#target = target;
    this.#deps = deps;
    this.#retries = new Retries(deps);
    this.#visible = new Visible(key, deps);
  }

  /** Ids in Consul's DNS. */
  get visible(): string[] {
    const now = this.#deps.now();
    return Array.from(this.#held).flatMap(([id, held]) => (this.#visible.has(id, held, now) ? id : []));
  }

  /** Ids that should be there. */
  get wanted(): string[] {
    return this.#target.state === "up" ? this.#target.entries.map(({ id }) => id) : [];
  }

  /** A look-up finds the live node at its current address and port. */
  get isPublished(): boolean {
    if (this.#target.state !== "up") return this.visible.length > 0;
    return this.#target.entries.some((entry) => {
      const held = this.#held.get(entry.id);
      if (!held || !this.#visible.has(entry.id, held, this.#deps.now())) return false;
      return held.entry === entry || (held.found !== undefined && sameEntry(entry, held.found));
    });
  }

  /** Why it is not in DNS although no call has failed. */
  get obstacle(): string | undefined {
    return this.wanted.map((id) => this.#visible.obstacle(id)).find((obstacle) => obstacle !== undefined);
  }

  get lastError(): ConsulError | undefined {
    return this.#retries.lastError;
  }

  /** The agent's list leaves out what it was given: another survey is due soon. */
  get isDoubted(): boolean {
    return this.#visible.isDoubted || Array.from(this.#held.values()).some(({ unlisted }) => unlisted);
  }

  /** How many changes there were. A survey that began before the last one says nothing of this name. */
  get changes(): number {
    return this.#changes;
  }

  /** By service id. */
  get held(): HeldMap {
    return this.#held;
  }

  /** A step is under way that changes an entry. */
  get isChanging(): boolean {
    return this.#running !== undefined && !this.#isRefreshing;
  }

  /** @param share see Rank */
  aim(target: Target, share?: string): void {
    this.#target = this.#withOwnIds(target);
    this.#share = share ?? this.#share;
    this.#changes++;
    this.retry();
  }

  /** Ends the pauses before retries. */
  retry(): void {
    this.#retries.hasten();
    this.#wake();
  }

  /** There is another token: all entries are to be registered again with it. */
  anotherToken(): void {
    this.#tokens++;
    this.#changes++;
    this.#held = withAnotherToken(this.#held);
    this.retry();
  }

  /** @param changes as `changes` was when the survey began */
  surveyed(survey: Survey, changes: number): void {
    this.#visible.surveyed(new Set([...this.#held.keys(), ...this.wanted]), survey.checks);
    // A refresh changes nothing that a survey shows. Refreshes are frequent: without this, every survey might be discarded.
    if (this.isChanging || changes !== this.#changes) return;
    const { now, owner } = this.#deps;
    const { held, taken, listed } = afterSurvey(this.#held, this.#key, survey, owner, now(), this.#deps);
    this.#held = held;
    for (const id of listed) this.#visible.believe(id);
    for (const id of taken) this.#evade(id);
    this.#wake();
  }

  /**
   * Ends the work: entries of a node that has gone are removed without grace, those of a live one are passed once more,
   * or removed. Never throws.
   */
  async finish(removeAlive: boolean): Promise<void> {
    this.#finishing = true;
    clearTimeout(this.#timer);
    this.#deps.turns.leave(this);
    await this.#running;
    const target = this.#target;
    for (const [id, { entry }] of this.#held) {
      const isGone = target.state === "gone" || target.state === "leaving";
      // An entry with a former port of the VM is wrong now.
      const isFormer = target.state === "up" && entry !== undefined && !target.entries.includes(entry);
      if (removeAlive || isGone || isFormer) await this.#perform({ action: "deregister", id });
      else if (target.state === "up" && entry) await this.#perform({ action: "pass", id });
    }
  }

  /** Gives up calls that are under way. */
  close(): void {
    this.#finishing = true;
    clearTimeout(this.#timer);
    this.#deps.turns.leave(this);
    this.#abort.abort(new Error("srv-epmd is stopping"));
  }

  /** Takes one step. The next one waits for its own turn. */
  async go(): Promise<void> {
    const step = this.#due();
    if (step) {
      this.#isRefreshing = this.#isRefresh(step);
      this.#running = this.#perform(step);
      await this.#running;
      // No await between this and #wake: a change of the target from now on wakes the publisher itself.
      this.#running = undefined;
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#running || this.#finishing) return;
    const step = this.#due();
    if (!step) {
      this.#deps.turns.leave(this);
      return;
    }
    // A refresh may become due while the step waits for its turn: the publisher wakes then and asks for an earlier turn.
    const next = nextRefresh(this.#target, this.#held, this.#deps.now());
    if (next !== undefined) this.#sleepUntil(next);
    this.#deps.turns.enter(this, this.#rank(step));
  }

  #rank(step: Work): Rank {
    const now = this.#deps.now();
    const held = this.#held.get(step.id);
    // A registration puts the entry into DNS and its TTL runs: the pass after it may wait behind other registrations, but not for long.
    const isUrgent = this.#isRefresh(step) || (step.action === "pass" && held !== undefined && held.refreshAt <= now);
    const lane = step.action === "fail" || isUrgent ? "keep" : "change";
    return { lane, share: this.#share, by: (isUrgent ? held?.expiresAt : undefined) ?? now };
  }

  #isRefresh({ action, id }: Work): boolean {
    return action === "pass" && this.#held.get(id)?.condition === "passing";
  }

  /** The step to take now, if any. */
  #due(): Work | undefined {
    clearTimeout(this.#timer);
    if (this.#finishing) return undefined;
    const now = this.#deps.now();
    const step = nextStep(this.#target, this.#held, now, (work) => this.#retries.at(work));
    if (step.action !== "wait") return step;
    if (step.until !== undefined) this.#sleepUntil(step.until);
    else if (this.#held.size === 0) this.#deps.emptied();
    return undefined;
  }

  #sleepUntil(at: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wake(), Math.max(1, at - this.#deps.now()));
  }

  async #perform(step: Work): Promise<void> {
    const { signal } = this.#abort;
    const before = this.#held.get(step.id);
    const tokens = this.#tokens;
    const isRefresh = this.#isRefresh(step);
    const held = () => this.#held.get(step.id);
    const { result, ownership, sentAt, error } = await takeStep(step, held, this.#deps, signal);
    if (error && signal.aborted) return;
    if (ownership !== undefined) this.#learn(step.id, ownership);
    if (result === "foreign") return this.#leave(step);
    if (error) this.#failed(step, error, result, tokens);
    if (!isRefresh || result !== "done") this.#changes++;
    this.#held = afterStep(this.#held, step, result, sentAt, this.#deps.ttl);
    // It is not known which of the two tokens was used.
    if (tokens !== this.#tokens) this.#held = withAnotherToken(this.#held);
    // The check is new: it passes, as after a pass.
    if (result === "created") this.#settled({ action: "pass", id: step.id }, "done", undefined);
    else if (result === "done" || result === "unknown") this.#settled(step, result, before);
  }

  #failed(step: Work, error: ConsulError, result: StepResult, tokens: number): void {
    // An entry that the agent has forgotten is registered again at once, unless it was registered a moment ago.
    const justRegistered = step.action === "register" || this.#held.get(step.id)?.condition === "registered";
    if (result === "unknown" && !justRegistered) return;
    this.#retries.failed(step, error);
    // The call failed with the former token: with the new token it need not wait for the retry.
    if (tokens !== this.#tokens) this.#retries.hasten();
  }

  /** The answer for one id is more reliable than the agent's list. */
  #learn(id: string, ownership: Ownership): void {
    if (ownership === "ours") this.#visible.believe(id);
    else if (ownership === "free" && this.#held.get(id)?.unlisted) this.#visible.doubt(id);
  }

  /** The entry under the id is another daemon's. */
  #leave({ id, action }: Work): void {
    this.#changes++;
    this.#held = new Map(Array.from(this.#held).filter(([other]) => other !== id));
    this.#visible.believe(id);
    if (action === "register" || action === "renew") this.#evade(id);
  }

  /** From now on our entry has an id of its own. */
  #evade(id: string): void {
    if (this.#taken.has(id)) return;
    this.#taken.add(id);
    const before = this.#target;
    this.#target = this.#withOwnIds(before);
    if (before.state !== "up" || this.#target.state !== "up") return;
    this.#visible.evaded(id, this.#target.entries[before.entries.findIndex((entry) => entry.id === id)]);
  }

  #withOwnIds(target: Target): Target {
    if (target.state !== "up") return target;
    return { state: "up", entries: target.entries.map((entry) => this.#distinct(entry)) };
  }

  /** The same entry, unless its id is taken. */
  #distinct(entry: ServiceEntry): ServiceEntry {
    return this.#taken.has(entry.id) ? this.#distinct(withDistinctId(entry, this.#deps.owner)) : entry;
  }

  #settled(step: Work, result: "done" | "unknown", before: Held | undefined): void {
    const { action, id } = step;
    if (action === "register") return;
    if (result === "done") this.#retries.succeeded(step);
    // A registration has succeeded only when the pass after it has succeeded.
    if (result === "done" && before?.condition !== "passing") this.#retries.succeeded({ action: "register", id });
    if (action === "fail" || action === "deregister") this.#visible.withdrawn(id, before);
    if (action !== "pass") return;
    const entry = this.#held.get(id)?.entry;
    if (result === "unknown") this.#visible.forgotten(id);
    else if (entry) this.#visible.appeared(entry);
  }
}

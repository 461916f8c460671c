import type { ConsulClient } from "../consul/client.js";
import { ConsulError, describeError } from "../errors.js";
import type { AgentState } from "./agent-state.js";
import {
  afterStep,
  type Held,
  type HeldMap,
  nextRefresh,
  nextStep,
  observe,
  type StepResult,
  type Survey,
  type Target,
  type Work,
  withAnotherToken,
} from "./core/reconcile.js";
import { type ServiceEntry, sameEntry } from "./core/service-entry.js";
import { Ownership, type OwnershipDeps, type Standing } from "./ownership.js";
import { Retry, type RetryDeps } from "./retry.js";
import type { Caller, Rank, Turns } from "./turns.js";
import { Visible, type VisibleDeps } from "./visible.js";

export interface PublisherDeps extends OwnershipDeps, RetryDeps, VisibleDeps {
  readonly client: Pick<
    ConsulClient,
    "register" | "dropTcpCheck" | "pass" | "fail" | "deregister" | "service" | "checks" | "lookForToken"
  >;
  readonly agent: AgentState;
  readonly turns: Turns;
  readonly deregisterAfter: number;
  /** Nothing is held, nothing is to be done. */
  readonly emptied: () => void;
}

/** Makes Consul match the target of one name: one call at a time, when it is its turn, retried until it is done. */
export class Publisher implements Caller {
  readonly #deps: PublisherDeps;
  readonly #key: string;
  readonly #abort = new AbortController();
  readonly #ownership: Ownership;
  /** What fails holds up nothing else: neither another entry, nor that this one's check is passed. */
  readonly #retries = new Map<string, Retry>();
  readonly #visible: Visible;
  #target: Target;
  /** Whose name it is. */
  #share = "";
  #held: HeldMap = new Map();
  #running: Promise<void> | undefined;
  /** What runs is a pass of what passes. */
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
    this.#ownership = new Ownership(deps);
    this.#visible = new Visible(key, deps);
  }

  /** Ids in Consul's DNS. */
  get visible(): string[] {
    const now = this.#deps.now();
    return Array.from(this.#held)
      .filter(([id, held]) => this.#visible.has(id, held, now))
      .map(([id]) => id);
  }

  /** Ids that should be there. */
  get wanted(): string[] {
    return this.#target.state === "up" ? this.#target.entries.map(({ id }) => id) : [];
  }

  /** The node that is alive can be found, where it is. */
  get isPublished(): boolean {
    if (this.#target.state !== "up") return this.visible.length > 0;
    return this.#target.entries.some((entry) => {
      const held = this.#held.get(entry.id);
      if (!held || !this.#visible.has(entry.id, held, this.#deps.now())) return false;
      return held.entry === entry || (held.found !== undefined && sameEntry(entry, held.found));
    });
  }

  /** Why it is not published, as far as that is no failure of a call. */
  get obstacle(): string | undefined {
    const [obstacle] = this.wanted.flatMap((id) => this.#visible.obstacle(id) ?? []);
    return obstacle;
  }

  get lastError(): ConsulError | undefined {
    for (const { lastError } of this.#retries.values()) if (lastError) return lastError;
    return undefined;
  }

  /** The agent's list leaves out what it was given: it is better looked at again soon. */
  get isDoubted(): boolean {
    return this.#visible.isDoubted || Array.from(this.#held.values()).some(({ unlisted }) => unlisted);
  }

  /** Counts what happened: a survey older than the last change says nothing of this name. */
  get changes(): number {
    return this.#changes;
  }

  /** @param share whose name it is, of all calls */
  aim(target: Target, share?: string): void {
    this.#target = this.#withOwnIds(target);
    this.#share = share ?? this.#share;
    this.#changes++;
    this.retry();
  }

  /** Tries again at once what is waiting for a retry. */
  retry(): void {
    for (const retry of this.#retries.values()) retry.hasten();
    this.#wake();
  }

  /** There is another token: what was registered with the former one is to be registered again. */
  anotherToken(): void {
    this.#tokens++;
    this.#changes++;
    this.#held = withAnotherToken(this.#held);
    this.retry();
  }

  observe(survey: Survey, changes: number): void {
    this.#visible.observe(new Set([...this.#held.keys(), ...this.wanted]), survey.checks);
    // A pass changes nothing of what was seen: it happens all the time, and perhaps always with the survey.
    if ((this.#running && !this.#isRefreshing) || changes !== this.#changes) return;
    const { now, owner } = this.#deps;
    const { held, taken, listed } = observe(this.#held, this.#key, survey, owner, now(), this.#deps);
    this.#held = held;
    for (const id of listed) this.#visible.believe(id);
    for (const id of taken) this.#evade(id);
    this.#wake();
  }

  /** Ends the work: what has gone is removed without grace; what is alive is passed once more, or removed. Never throws. */
  async finish(removeAlive: boolean): Promise<void> {
    this.#finishing = true;
    clearTimeout(this.#timer);
    this.#deps.turns.leave(this);
    await this.#running;
    const target = this.#target;
    for (const [id, { entry }] of this.#held) {
      if (removeAlive || target.state === "gone" || target.state === "leaving")
        await this.#perform({ action: "deregister", id });
      else if (target.state === "up" && entry) {
        // What the VM had before it came back with another port is no longer true.
        if (target.entries.includes(entry)) await this.#perform({ action: "pass", id });
        else await this.#perform({ action: "deregister", id });
      }
    }
  }

  /** Gives up calls under way. */
  close(): void {
    this.#finishing = true;
    clearTimeout(this.#timer);
    this.#deps.turns.leave(this);
    this.#abort.abort(new Error("srv-epmd is stopping"));
  }

  /** One step: what comes next waits for its own turn. */
  async go(): Promise<void> {
    const step = this.#due();
    if (step) {
      this.#isRefreshing = this.#isRefresh(step);
      this.#running = this.#perform(step);
      await this.#running;
      // In the same moment as the next look at the target: what changes it from now on is seen by that.
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
    // While it waits for its turn a check may have to be passed again, which is another turn.
    const next = nextRefresh(this.#target, this.#held, this.#deps.now());
    if (next !== undefined) this.#sleepUntil(next);
    this.#deps.turns.enter(this, this.#rank(step));
  }

  #rank(step: Work): Rank {
    const now = this.#deps.now();
    const share = this.#share;
    if (step.action === "fail") return { lane: "keep", share, by: now };
    if (!this.#isRefresh(step)) return { lane: "change", share, by: now };
    return { lane: "keep", share, by: this.#held.get(step.id)?.expiresAt ?? now };
  }

  #isRefresh({ action, id }: Work): boolean {
    return action === "pass" && this.#held.get(id)?.condition === "passing";
  }

  /** What is to be done now; undefined: nothing, or nothing yet. */
  #due(): Work | undefined {
    clearTimeout(this.#timer);
    if (this.#finishing) return undefined;
    const now = this.#deps.now();
    const step = nextStep(this.#target, this.#held, now, (work) => this.#retries.get(keyOf(work))?.at ?? 0);
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
    const { agent, now, ttl } = this.#deps;
    const service = this.#serviceOf(step);
    const before = this.#held.get(step.id);
    const tokens = this.#tokens;
    const isRefresh = this.#isRefresh(step);
    let result: StepResult;
    let sent = false;
    let sentAt = now();
    try {
      const { verdict, standing } = await this.#ownership.judge(step, before, this.#abort.signal);
      if (standing !== undefined) this.#learn(step.id, standing);
      const isConfirmed = step.action === "register" && standing === "ours" && this.#confirm(step);
      sent = verdict === "allowed" && !isConfirmed;
      // An answer to the question alone is no success of the step: the agent may fail the call that follows.
      if (!sent && standing !== undefined) agent.succeeded({ sentAt, service: "" });
      if (verdict === "foreign") return this.#leave(step);
      if (isConfirmed) return;
      sentAt = now();
      if (sent) await this.#send(step, standing);
      if (sent) agent.succeeded({ sentAt, service: service ?? "", action: step.action });
      result = sent ? "done" : "unknown";
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      const error = asConsulError(thrown);
      // A question without answer has changed nothing, and tells nothing of whose the entry is.
      result = sent ? resultOf(error) : "refused";
      agent.failed(error, { sentAt, service: service ?? "", action: step.action });
      this.#failed(step, error, result, tokens);
    }
    if (!isRefresh || result !== "done") this.#changes++;
    this.#held = afterStep(this.#held, step, result, sentAt, ttl);
    // Which of both tokens was used is not known.
    if (tokens !== this.#tokens) this.#held = withAnotherToken(this.#held);
    if (result === "done" || result === "unknown") this.#settled(step, result, before);
  }

  #failed(step: Work, error: ConsulError, result: StepResult, tokens: number): void {
    // What the agent has forgotten is registered anew at once, unless that is what was done just now.
    const justRegistered = step.action === "register" || this.#held.get(step.id)?.condition === "registered";
    if (result === "unknown" && !justRegistered) return;
    const retry = this.#retries.get(keyOf(step)) ?? new Retry(this.#deps);
    this.#retries.set(keyOf(step), retry);
    retry.failed(error, step.action === "pass");
    // It was refused with the former token: what is right now is another step.
    if (tokens !== this.#tokens) retry.hasten();
  }

  /** A look at one id tells more than a list. */
  #learn(id: string, standing: Standing): void {
    if (standing === "ours") this.#visible.believe(id);
    else if (standing === "free" && this.#held.get(id)?.unlisted) this.#visible.doubt(id);
  }

  /** @returns whether the entry is there after all, and only the list has left it out */
  #confirm({ id, entry }: { readonly id: string; readonly entry: ServiceEntry }): boolean {
    const held = this.#held.get(id);
    if (!held?.unlisted || held.entry !== entry || held.condition !== "passing") return false;
    const { unlisted: _, ...confirmed } = held;
    this.#held = new Map(this.#held).set(id, confirmed);
    this.#changes++;
    return true;
  }

  /** What stands there is another daemon's. */
  #leave({ id, action }: Work): void {
    this.#changes++;
    this.#forget(id);
    if (action === "register" || action === "renew") this.#evade(id);
  }

  #forget(id: string): void {
    const held = new Map(this.#held);
    held.delete(id);
    this.#held = held;
    this.#visible.believe(id);
  }

  #evade(id: string): void {
    const before = this.#target;
    if (!this.#ownership.evade(id) || before.state !== "up") return;
    const index = before.entries.findIndex((entry) => entry.id === id);
    const own = before.entries.map((entry) => this.#ownership.distinct(entry));
    this.#target = { state: "up", entries: own };
    this.#visible.evaded(id, own[index]);
  }

  #withOwnIds(target: Target): Target {
    if (target.state !== "up") return target;
    return { state: "up", entries: target.entries.map((entry) => this.#ownership.distinct(entry)) };
  }

  async #send(step: Work, standing: Standing | undefined): Promise<void> {
    const { client } = this.#deps;
    const { signal } = this.#abort;
    switch (step.action) {
      case "register": {
        await client.register(step.entry, signal);
        const before = this.#held.get(step.id);
        const isOthers = before?.entry === undefined && standing !== "free";
        const mayHaveTcpCheck = before?.found ? before.found.tcpCheck !== undefined : isOthers;
        if (mayHaveTcpCheck && step.entry.tcpCheck === undefined) await client.dropTcpCheck(step.id, signal);
        return;
      }
      case "renew":
        return client.register(step.entry, signal);
      case "deregister": {
        // The former token is deleted once the file has the next one, and the agent tells the servers of the removal
        // with the token of the registration: an entry that is removed with a deleted token stays in the catalogue.
        await client.lookForToken();
        const held = this.#held.get(step.id);
        const entry = held?.entry ?? held?.found;
        if (held?.stale && entry) await client.register(entry, signal);
        return client.deregister(step.id, signal);
      }
      default:
        return client[step.action](step.id, signal);
    }
  }

  #settled(step: Work, result: "done" | "unknown", before: Held | undefined): void {
    const { action, id } = step;
    if (action === "register") return;
    if (result === "done") this.#retries.delete(keyOf(step));
    // A registration has succeeded when the pass that follows it has.
    if (result === "done" && before?.condition !== "passing") this.#retries.delete(keyOf({ action: "register", id }));
    const entry = this.#held.get(id)?.entry;
    if (action === "pass" && result === "unknown") this.#visible.forgotten(id);
    else if (action === "pass") {
      if (entry) this.#visible.appeared(entry);
    } else if (action !== "renew") this.#visible.withdrawn(id, before);
  }

  #serviceOf(step: Work): string | undefined {
    if ("entry" in step) return step.entry.service;
    const held = this.#held.get(step.id);
    return (held?.entry ?? held?.found)?.service;
  }
}

function keyOf({ action, id }: Pick<Work, "action" | "id">): string {
  return `${action === "pass" ? "pass" : "change"} ${id}`;
}

function asConsulError(thrown: unknown): ConsulError {
  if (thrown instanceof ConsulError) return thrown;
  return new ConsulError("CONSUL_UNAVAILABLE", describeError(thrown), { cause: thrown });
}

function resultOf({ code }: ConsulError): StepResult {
  if (code === "CONSUL_UNKNOWN") return "unknown";
  return code === "CONSUL_UNAVAILABLE" ? "unsure" : "refused";
}

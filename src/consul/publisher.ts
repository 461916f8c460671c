import { ConsulError, describeError } from "../core/errors.js";
import {
  afterStep,
  type HeldMap,
  nextStep,
  observe,
  type Step,
  type StepResult,
  type Survey,
  type Target,
} from "../core/reconcile.js";
import type { ServiceEntry } from "../core/service-entry.js";
import type { Logger } from "../logger.js";
import type { AgentState } from "./agent-state.js";
import type { ConsulClient } from "./client.js";
import { Ownership, type OwnershipDeps } from "./ownership.js";
import { Retry, type RetryDeps } from "./retry.js";
import { Visible } from "./visible.js";

export interface PublisherDeps extends OwnershipDeps, RetryDeps {
  readonly client: ConsulClient;
  readonly agent: AgentState;
  readonly log: Logger;
  /** An entry has come into Consul's DNS. */
  readonly published: (entry: ServiceEntry) => void;
  /** Nothing is held, nothing is to be done. */
  readonly emptied: () => void;
}

type Work = Exclude<Step, { action: "wait" }>;

/** Makes Consul match the target of one name: one call at a time, retried until it is done. */
export class Publisher {
  readonly #deps: PublisherDeps;
  readonly #key: string;
  readonly #abort = new AbortController();
  readonly #ownership: Ownership;
  readonly #retry: Retry;
  readonly #visible: Visible;
  #target: Target;
  #held: HeldMap = new Map();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #finishing = false;
  #changes = 0;

  /** @param key the alive name without case */
  constructor(key: string, target: Target, deps: PublisherDeps) {
    this.#key = key;
    this.#target = target;
    this.#deps = deps;
    this.#ownership = new Ownership(deps);
    this.#retry = new Retry(deps);
    this.#visible = new Visible(key, deps.log);
  }

  /** Ids in Consul's DNS. */
  get visible(): string[] {
    return this.#visible.ids;
  }

  get lastError(): ConsulError | undefined {
    return this.#retry.lastError;
  }

  /** Counts what happened: a survey older than the last change says nothing of this name. */
  get changes(): number {
    return this.#changes;
  }

  aim(target: Target): void {
    this.#target = this.#withOwnIds(target);
    this.#changes++;
    this.retry();
  }

  /** Tries again at once what is waiting for a retry. */
  retry(): void {
    this.#retry.hasten();
    this.#wake();
  }

  observe(survey: Survey, changes: number): void {
    if (this.#running || changes !== this.#changes) return;
    const { held, taken } = observe(this.#held, this.#key, survey, this.#deps.owner, this.#deps.now());
    this.#held = held;
    for (const id of taken) {
      this.#visible.withdraw(id);
      this.#evade(id);
    }
    this.#visible.observe(held);
    this.#wake();
  }

  /** Ends the work: what has gone is removed without grace; what is alive is passed once more, or removed. Never throws. */
  async finish(removeAlive: boolean): Promise<void> {
    this.#finishing = true;
    clearTimeout(this.#timer);
    await this.#running;
    const target = this.#target;
    for (const [id, { entry }] of this.#held) {
      if (removeAlive || target.state === "gone" || target.state === "leaving") {
        await this.#perform({ action: "deregister", id });
      } else if (target.state === "up" && entry) {
        // What the VM had before it came back with another port is no longer true.
        await this.#perform({ action: target.entries.includes(entry) ? "pass" : "deregister", id });
      }
    }
  }

  /** Gives up calls under way. */
  close(): void {
    this.#finishing = true;
    clearTimeout(this.#timer);
    this.#abort.abort(new Error("srv-epmd is stopping"));
  }

  #wake(): void {
    if (this.#running || this.#finishing) return;
    clearTimeout(this.#timer);
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    // Events of one moment (a VM that leaves and returns) become one run.
    await Promise.resolve();
    let step = this.#due();
    while (step !== undefined) {
      await this.#perform(step);
      step = this.#due();
    }
    // In the same moment as the last look at the target: what changes it from now on must start a run of its own.
    this.#running = undefined;
  }

  /** What is to be done now; undefined: nothing, or nothing yet. */
  #due(): Work | undefined {
    if (this.#finishing) return undefined;
    const now = this.#deps.now();
    const step = nextStep(this.#target, this.#held, now);
    if (step.action === "wait") {
      if (step.until !== undefined) this.#sleep(step.until - now);
      else if (this.#held.size === 0) this.#deps.emptied();
      return undefined;
    }
    if (this.#retry.at <= now) return step;
    this.#sleep(this.#retry.at - now);
    return undefined;
  }

  #sleep(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#wake(), Math.max(1, milliseconds));
  }

  async #perform(step: Work): Promise<void> {
    const { agent, now, ttl } = this.#deps;
    const service = this.#serviceOf(step);
    let result: StepResult;
    let sent = false;
    try {
      const verdict = await this.#ownership.judge(step, this.#held.get(step.id), this.#abort.signal);
      if (verdict === "foreign") return this.#leave(step);
      sent = verdict === "allowed";
      if (sent) await this.#send(step);
      agent.succeeded(sent ? service : undefined, step.action);
      result = sent ? "done" : "unknown";
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      const error = asConsulError(thrown);
      // A question without answer has changed nothing, and tells nothing of whose the entry is.
      result = sent ? resultOf(error) : "refused";
      agent.failed(error, service);
      // What the agent has forgotten is registered anew at once, unless that is what was done just now.
      const justRegistered = step.action === "register" || this.#held.get(step.id)?.condition === "registered";
      if (result !== "unknown" || justRegistered) this.#delay(error, step);
    }
    this.#changes++;
    this.#held = afterStep(this.#held, step, result, now(), ttl / 3);
    if (result === "done" || result === "unknown") this.#settled(step, result);
  }

  /** What stands there is another daemon's. */
  #leave({ id, action }: Work): void {
    this.#deps.agent.succeeded(undefined);
    this.#changes++;
    const held = new Map(this.#held);
    held.delete(id);
    this.#held = held;
    this.#visible.withdraw(id);
    if (action === "register") this.#evade(id);
  }

  #evade(id: string): void {
    this.#ownership.evade(id);
    this.#target = this.#withOwnIds(this.#target);
  }

  #withOwnIds(target: Target): Target {
    if (target.state !== "up") return target;
    return { state: "up", entries: target.entries.map((entry) => this.#ownership.distinct(entry)) };
  }

  #send(step: Work): Promise<void> {
    const { client } = this.#deps;
    if (step.action === "register") return client.register(step.entry, this.#abort.signal);
    return client[step.action](step.id, this.#abort.signal);
  }

  #delay(error: ConsulError, step: Work): void {
    if (error.code === "CONSUL_REJECTED" && this.lastError?.message !== error.message) {
      this.#deps.log.error({ err: error, name: this.#key, serviceId: step.id }, "Consul rejects what it was asked");
    }
    this.#retry.failed(error);
  }

  #settled(step: Work, result: "done" | "unknown"): void {
    if (step.action === "register") return;
    if (result === "done") this.#retry.succeeded();
    const entry = this.#held.get(step.id)?.entry;
    if (step.action === "pass" && result === "unknown") this.#visible.forgotten(step.id);
    else if (step.action === "pass") {
      if (this.#visible.appear(step.id, entry) && entry) this.#deps.published(entry);
    } else this.#visible.withdraw(step.id);
  }

  #serviceOf(step: Work): string | undefined {
    const entry = step.action === "register" ? step.entry : this.#held.get(step.id)?.entry;
    return entry?.service;
  }
}

function asConsulError(thrown: unknown): ConsulError {
  if (thrown instanceof ConsulError) return thrown;
  return new ConsulError("CONSUL_UNAVAILABLE", describeError(thrown), { cause: thrown });
}

function resultOf({ code }: ConsulError): StepResult {
  if (code === "CONSUL_UNKNOWN") return "unknown";
  return code === "CONSUL_UNAVAILABLE" ? "unsure" : "refused";
}

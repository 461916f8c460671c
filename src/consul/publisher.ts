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
import { META_OWNER, type ServiceEntry, withDistinctId } from "../core/service-entry.js";
import type { Logger } from "../logger.js";
import type { AgentState } from "./agent-state.js";
import type { ConsulClient } from "./client.js";
import { retryDelay, type Timings } from "./timings.js";
import { Visible } from "./visible.js";

export interface PublisherDeps {
  readonly client: ConsulClient;
  readonly owner: string;
  /** Milliseconds of the TTL check. */
  readonly ttl: number;
  readonly agent: AgentState;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
  readonly timings: Timings;
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
  /** Ids that another live daemon holds. */
  readonly #taken = new Set<string>();
  readonly #visible: Visible;
  #target: Target;
  #held: HeldMap = new Map();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #finishing = false;
  #failures = 0;
  #retryAt = 0;
  #lastError: ConsulError | undefined;
  #changes = 0;

  /** @param key the alive name without case */
  constructor(key: string, target: Target, deps: PublisherDeps) {
    this.#key = key;
    this.#target = target;
    this.#deps = deps;
    this.#visible = new Visible(key, deps.log);
  }

  /** Ids in Consul's DNS. */
  get visible(): string[] {
    return this.#visible.ids;
  }

  get lastError(): ConsulError | undefined {
    return this.#lastError;
  }

  /** Counts what happened: a survey older than the last change says nothing of this name. */
  get changes(): number {
    return this.#changes;
  }

  aim(target: Target): void {
    this.#target =
      target.state === "up" ? { state: "up", entries: target.entries.map((e) => this.#distinct(e)) } : target;
    this.#changes++;
    this.#retryAt = 0;
    this.#wake();
  }

  /** Tries again at once what is waiting for a retry. */
  retry(): void {
    this.#retryAt = 0;
    this.#wake();
  }

  observe(survey: Survey, changes: number): void {
    if (this.#running || changes !== this.#changes) return;
    const { held, taken } = observe(this.#held, this.#key, survey, this.#deps.owner, this.#deps.now());
    this.#held = held;
    this.#visible.observe(held);
    for (const id of taken) this.#evade(id);
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
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    // Events of one moment (a VM that leaves and returns) become one run.
    await Promise.resolve();
    while (!this.#finishing) {
      const now = this.#deps.now();
      const step = nextStep(this.#target, this.#held, now);
      if (step.action === "wait") {
        if (step.until !== undefined) this.#sleep(step.until - now);
        else if (this.#held.size === 0) this.#deps.emptied();
        return;
      }
      if (this.#retryAt > now) return this.#sleep(this.#retryAt - now);
      await this.#perform(step);
    }
  }

  #sleep(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#wake(), Math.max(1, milliseconds));
  }

  async #perform(step: Work): Promise<void> {
    const { agent, now, ttl } = this.#deps;
    const service = this.#serviceOf(step);
    let result: StepResult;
    try {
      if (step.action === "register" && !(await this.#mayRegister(step.entry))) return;
      await this.#send(step);
      agent.succeeded(service, step.action);
      result = "done";
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      const error = asConsulError(thrown);
      result = resultOf(error);
      agent.failed(error, service);
      // What the agent has forgotten is registered anew at once, unless that is what was done just now.
      const justRegistered = step.action === "register" || this.#held.get(step.id)?.condition === "registered";
      if (result !== "unknown" || justRegistered) this.#delay(error, step);
    }
    this.#changes++;
    this.#held = afterStep(this.#held, step, result, now(), ttl / 3);
    if (result === "done" || result === "unknown") this.#settled(step, result);
  }

  /** Another live daemon's entry is never overwritten. */
  async #mayRegister(entry: ServiceEntry): Promise<boolean> {
    const { client, owner } = this.#deps;
    if (this.#held.has(entry.id)) return true;
    const holder = await client.service(entry.id, this.#abort.signal);
    if (!holder || holder.meta[META_OWNER] === owner) return true;
    const checks = await client.checks(this.#abort.signal);
    // Critical: what a daemon left behind that is no more.
    if (checks.some((check) => check.serviceId === entry.id && check.status === "critical")) return true;
    this.#evade(entry.id);
    return false;
  }

  #evade(id: string): void {
    if (this.#taken.has(id)) return;
    this.#taken.add(id);
    this.#deps.log.warn(
      { serviceId: id },
      "another live daemon holds this service id; ours gets one of its own (give one of them another --instance)",
    );
    if (this.#target.state === "up") {
      this.#target = { state: "up", entries: this.#target.entries.map((entry) => this.#distinct(entry)) };
    }
  }

  #distinct(entry: ServiceEntry): ServiceEntry {
    return this.#taken.has(entry.id) ? this.#distinct(withDistinctId(entry, this.#deps.owner)) : entry;
  }

  #send(step: Work): Promise<void> {
    const { client } = this.#deps;
    if (step.action === "register") return client.register(step.entry, this.#abort.signal);
    return client[step.action](step.id, this.#abort.signal);
  }

  #delay(error: ConsulError, step: Work): void {
    const { timings, random, ttl, log, now } = this.#deps;
    this.#failures++;
    // An agent that answers is asked every third of the TTL: one that does not may be asked as often.
    const most = error.code === "CONSUL_UNAVAILABLE" ? Math.min(timings.maxRetry, ttl / 3) : timings.maxRetry;
    this.#retryAt =
      now() +
      (error.code === "CONSUL_FORBIDDEN"
        ? timings.refusalRetry
        : retryDelay(this.#failures, timings.firstRetry, most, random));
    if (error.code === "CONSUL_REJECTED" && this.#lastError?.message !== error.message) {
      log.error({ err: error, name: this.#key, serviceId: step.id }, "Consul rejects what it was asked");
    }
    this.#lastError = error;
  }

  #settled(step: Work, result: "done" | "unknown"): void {
    if (step.action === "register") return;
    if (result === "done") {
      this.#failures = 0;
      this.#lastError = undefined;
    }
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

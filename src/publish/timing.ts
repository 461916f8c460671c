import { retryDelay } from "../catalogue/follower.js";
import type { ConsulError } from "../errors.js";
import type { Work } from "./core/reconcile.js";

/** How long the publication waits for what, milliseconds. */
export interface Timings {
  /** From the end of a VM until its entry is removed. */
  readonly grace: number;
  /** How long the VMs of our predecessor may take to return. */
  readonly adoption: number;
  readonly audit: number;
  /** From a publication to the next audit, at least: another daemon may have written the same id in the same moment. */
  readonly recheck: number;
  /** From one look to the next while another check keeps an entry out of DNS, or while Consul's servers do not answer. */
  readonly watch: number;
  /** From one look at the state of the names, for the log, to the next. */
  readonly look: number;
  /** How long a new node may be absent from Consul before that is logged. */
  readonly patience: number;
  /** Nodes fall out of DNS one by one, as their TTLs run out: those within this time share a line in the log. */
  readonly gather: number;
  readonly firstRetry: number;
  readonly maxRetry: number;
  /** After a refusal. */
  readonly refusalRetry: number;
  /** For all of stop(). */
  readonly stop: number;
}

export const TIMINGS: Timings = {
  grace: 5_000,
  adoption: 10_000,
  audit: 30_000,
  recheck: 1_000,
  watch: 5_000,
  look: 1_000,
  patience: 1_000,
  gather: 5_000,
  firstRetry: 250,
  maxRetry: 30_000,
  refusalRetry: 30_000,
  stop: 800,
};

/** Of the time that a list took, how many times that must pass before the next one, and before it is tried again. */
const REST = 29;
const REST_AFTER_FAILURE = 9;

/**
 * The pause after a list, which is asked for again since something was published. Consul looks at a thousand entries for it, and
 * each daemon of a cluster that starts asks for it. Where it is slow it fills at most a thirtieth of the time: twenty daemons at
 * one agent must leave it time for registrations, and for the calls that keep nodes in DNS.
 * @param took milliseconds of the last list
 */
export function restAfter(took: number, { audit, recheck }: Pick<Timings, "audit" | "recheck">): number {
  return Math.min(audit, Math.max(recheck, took * REST));
}

/**
 * The pause after a list that failed: an agent that did not answer in time has worked on it as long. One that is not there
 * refuses at once. @param took milliseconds @param most milliseconds
 */
export function restAfterFailure(took: number, most: number): number {
  return Math.min(most, took * REST_AFTER_FAILURE);
}

export interface RetryDeps {
  readonly timings: Pick<Timings, "firstRetry" | "maxRetry" | "refusalRetry">;
  /** Milliseconds of the TTL check. */
  readonly ttl: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
}

/** How a kind of step has failed, and when it may be tried again. */
interface Retry {
  readonly failures: number;
  /** Milliseconds of now(). */
  readonly at: number;
  readonly error: ConsulError;
}

/** The failed steps of one name. Passes and other steps of each entry are apart: neither waits for the other's retry. */
export class Retries {
  readonly #deps: RetryDeps;
  readonly #retries = new Map<string, Retry>();

  constructor(deps: RetryDeps) {
    this.#deps = deps;
  }

  get lastError(): ConsulError | undefined {
    for (const { error } of this.#retries.values()) return error;
    return undefined;
  }

  /** The step may not be tried before; 0: now. */
  at(step: StepKind): number {
    return this.#retries.get(stepKey(step))?.at ?? 0;
  }

  failed(step: StepKind, error: ConsulError): void {
    const { timings, ttl, now, random } = this.#deps;
    const key = stepKey(step);
    const failures = (this.#retries.get(key)?.failures ?? 0) + 1;
    // The longest pause of a pass, or while the agent does not answer, is a third of the TTL, as for a healthy agent.
    const isPass = step.action === "pass";
    const isOften = isPass || error.code === "CONSUL_UNAVAILABLE";
    const most = isOften ? Math.min(timings.maxRetry, ttl / 3) : timings.maxRetry;
    const delay =
      error.code === "CONSUL_FORBIDDEN"
        ? Math.min(timings.refusalRetry, isPass ? most : Infinity)
        : retryDelay(failures, timings.firstRetry, most, random);
    this.#retries.set(key, { failures, at: now() + delay, error });
  }

  succeeded(step: StepKind): void {
    this.#retries.delete(stepKey(step));
  }

  /** All may be tried again now. */
  hasten(): void {
    for (const [key, retry] of this.#retries) this.#retries.set(key, { ...retry, at: 0 });
  }
}

type StepKind = Pick<Work, "action" | "id">;

function stepKey({ action, id }: StepKind): string {
  return `${action === "pass" ? "pass" : "change"} ${id}`;
}

/** Makes a call at most once per interval: the first request at once, later ones together at the end of the interval. */
export class Throttle {
  readonly #call: () => void;
  readonly #interval: number;
  #timer: NodeJS.Timeout | undefined;
  #isRequested = false;
  #isStopped = false;

  /** @param interval milliseconds */
  constructor(call: () => void, interval: number) {
    this.#call = call;
    this.#interval = interval;
  }

  request(): void {
    if (this.#isStopped) return;
    if (this.#timer) {
      this.#isRequested = true;
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isRequested) this.request();
    }, this.#interval);
    this.#isRequested = false;
    this.#call();
  }

  /** A request that waits is dropped, and so are later ones. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}

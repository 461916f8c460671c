import { longestHold } from "../api/connection.js";
import { atMost } from "../each-of.js";
import { SrvEpmdError } from "../errors.js";
import { canonicalIp } from "../net/ip.js";
import type { CatalogueBackend, CatalogueQuery, FollowedStatus, FollowState } from "./core/backend.js";
import { nextIndex, type ServiceInstance } from "./core/instances.js";
import { FOLLOW_TIMINGS, Follower, type FollowTimings } from "./follower.js";
import { type Waited, waitForAnswer } from "./late-answer.js";

/** Milliseconds. */
export interface CatalogueTimings extends FollowTimings {
  /** A service for which nobody has asked for this long is no longer followed. */
  readonly idle: number;
  /** After so long without the first answer, or the one after a pause, the back end is late: it is asked another question. */
  readonly firstAnswer: number;
  /** How long a late back end may take to answer the other question; the next one is asked as long after that answer. */
  readonly otherAnswer: number;
  /**
   * The least time from an answer to the end of a pause, and longer where the list is long: look-ups must not have a service
   * asked for without a rest.
   */
  readonly rest: number;
  /** How late an answer may be before the follow counts as broken, and look-ups wait for it no longer. */
  readonly margin: number;
  /** A list must be empty for this long, while DNS has nodes, before it counts as unreadable. */
  readonly settle: number;
  /** How long the agent may hold a query while the list is empty: at first, and at most. It grows with the time since it is empty. */
  readonly firstEmptyWait: number;
  readonly maxEmptyWait: number;
  /** For how long an instance that refused a connection is left out, unless it changes before: without a check its entry never does. */
  readonly refusal: number;
}

export const TIMINGS: CatalogueTimings = {
  ...FOLLOW_TIMINGS,
  idle: 600_000,
  firstAnswer: 300,
  otherAnswer: 500,
  rest: 25,
  margin: 2_000,
  settle: 2_000,
  firstEmptyWait: 1_000,
  maxEmptyWait: 10_000,
  refusal: 10_000,
};

/** What is known of a service at one moment. */
export interface ServiceView {
  readonly instances: readonly ServiceInstance[];
  /** Of these: they refused a connection a moment ago, and have not changed since. */
  readonly refused: ReadonlySet<ServiceInstance>;
  /** Milliseconds since the last answer of the back end. */
  readonly age: number;
  readonly state: FollowState;
  /** Milliseconds for which it has been broken or behind; 0 while current. */
  readonly broken: number;
  /** The service changes so fast that it is asked for once in a while: this list may lack what changed since. */
  readonly isPaused: boolean;
}

interface FollowedDeps {
  readonly backend: CatalogueBackend;
  /** False: one query. */
  readonly follow: boolean;
  readonly timings: CatalogueTimings;
  readonly now: () => number;
  readonly random: () => number;
  /** @param elapsed milliseconds of the query */
  readonly answered: (isFirst: boolean, elapsed: number) => void;
  readonly failed: (error: unknown) => void;
}

/** A query: when it was sent, and for how long it may be held, milliseconds. */
interface Asked {
  readonly at: number;
  /** 0: it is answered at once. */
  readonly index: number;
  readonly wait: number;
  /** The wait for its answer, one for all look-ups; undefined before the first of them. */
  ended?: Promise<Waited>;
  /** The back end was found silent during that wait. */
  isGivenUp?: boolean;
}

/** The instances of one service, followed from the construction until the end. */
export class FollowedService {
  readonly #query: CatalogueQuery;
  readonly #deps: FollowedDeps;
  readonly #follower: Follower<readonly ServiceInstance[], number>;
  /** Those who wait for the next answer or failure. */
  readonly #waiting = new Set<() => void>();
  #instances: readonly ServiceInstance[] | undefined;
  /** Instances that refused a connection, and when. */
  #refused: ReadonlyMap<ServiceInstance, number> = new Map();
  /** The query under way. */
  #asked: Asked | undefined;
  /** The last answer; before the first one the construction. */
  #answeredAt: number;
  /** Of the first answer. */
  #firstAt = Number.POSITIVE_INFINITY;
  #failingSince: number | undefined;
  #everHeld = false;
  /** Undefined: it is not empty, or nothing is known. */
  #emptySince: number | undefined;
  /** The end of a pause, for which look-ups wait. */
  #resuming: Promise<void> | undefined;
  /** When an answer came for which a look-up waited. */
  #caughtUpAt = Number.NEGATIVE_INFINITY;
  #failure: unknown;

  constructor(query: CatalogueQuery, deps: FollowedDeps) {
    const { backend, now, random, timings } = deps;
    this.#query = query;
    this.#deps = deps;
    this.#answeredAt = now();
    this.#follower = new Follower<readonly ServiceInstance[], number>({
      ...{ now, random, timings },
      query: async (index = 0, longest, signal) => {
        const wait = Math.min(longest, this.#longestEmptyWait);
        this.#asked = { at: now(), index, wait };
        const answer = await backend.follow(query, index, wait, signal);
        if (!answer.hasLeader) this.#refuseUnlessNew(answer.instances);
        const next = nextIndex(index, answer.index);
        // What the token may read was looked at when the query began, and a change of that ends no query.
        const mayBeReadable = next === index && this.#mayBeUnreadable(answer.instances);
        // 0: the next query must not wait.
        return { value: answer.instances, position: mayBeReadable ? undefined : next || undefined };
      },
      cost: (instances) => Math.max(1, instances.length / FEW),
      answered: (instances) => this.#answered(instances),
      failed: (error) => this.#failed(error),
    });
  }

  /** Undefined before the first answer. */
  get view(): ServiceView | undefined {
    if (this.#instances === undefined) return undefined;
    const since = this.#brokenSince();
    const now = this.#deps.now();
    const broken = since === undefined ? 0 : now - since;
    const state = since === undefined ? "current" : broken <= this.#deps.timings.wait ? "broken" : "behind";
    const refused = this.#refusedSince(now - this.#deps.timings.refusal);
    const age = now - this.#answeredAt;
    const isPaused = this.#mayLackChanges && now - this.#caughtUpAt > this.#rest;
    return { instances: this.#instances, refused, age, state, broken, isPaused };
  }

  get isBroken(): boolean {
    return this.#brokenSince() !== undefined;
  }

  /** Why the last query failed; undefined when it did not. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The list has been empty from the beginning, for longer than DNS and the catalogue differ while a node registers. */
  get seemsUnreadable(): boolean {
    const { now, timings } = this.#deps;
    return !this.#everHeld && !this.isBroken && now() - this.#firstAt >= timings.settle;
  }

  status(): FollowedStatus {
    const { view } = this;
    const { state = "unknown", broken = 0 } = view ?? {};
    return {
      ...{ catalogue: this.#deps.backend.name, ...this.#query, state, instances: view?.instances.length },
      ...((state === "broken" || state === "behind") && { brokenSeconds: Math.floor(broken / 1000) }),
    };
  }

  /** The back end is silent: look-ups do not wait for the answer that is due, unless no other source answers. */
  get isGivenUp(): boolean {
    return this.#asked?.isGivenUp === true;
  }

  /**
   * Ends a pause. Resolves when the list has what changed until now, or when it is waited for no longer. Undefined: there is
   * no pause, or the back end is silent. @param limit milliseconds at most
   */
  catchUp(limit: number): Promise<void> | undefined {
    return this.#mayLackChanges && !this.isGivenUp ? this.#caughtUp(limit) : undefined;
  }

  #caughtUp(limit: number): Promise<void> {
    const { now } = this.#deps;
    const end = now() + limit;
    return this.#whileWaiting(async (before) => {
      if (this.#follower.isPaused) {
        this.#resuming ??= this.#resume().finally(() => {
          this.#resuming = undefined;
        });
        await atMost(limit, this.#resuming);
      }
      if (this.#answeredAt === before && this.#mayLackChanges) await atMost(end - now(), this.#dueAnswer());
    });
  }

  async #resume(): Promise<void> {
    const rest = this.#answeredAt + this.#rest - this.#deps.now();
    // The pause may end by itself meanwhile, and the query after it be answered.
    if (rest <= 0 || (await this.outcome(rest))) this.#follower.resume();
  }

  /** Waits for the first answer. @param limit milliseconds at most @returns whether the back end is silent */
  async firstAnswer(limit: number): Promise<boolean> {
    return (await this.#whileWaiting(() => atMost(limit, this.#dueAnswer()))) === "silent";
  }

  /** Waits for the next answer or failure, however late it is. @param limit milliseconds at most */
  async lateAnswer(limit: number): Promise<void> {
    await this.#whileWaiting(() => this.outcome(limit));
  }

  /**
   * Waits for a look-up. An answer that comes meanwhile has all changes from before the look-up, also where a pause follows at once.
   * @param wait gets the time of the answer before it
   */
  async #whileWaiting<T>(wait: (before: number) => Promise<T>): Promise<T> {
    const before = this.#answeredAt;
    const result = await wait(before);
    if (this.#answeredAt !== before) this.#caughtUpAt = this.#answeredAt;
    return result;
  }

  /** Waits for the answer to the query under way, which the back end does not hold. */
  async #dueAnswer(): Promise<Waited | undefined> {
    const asked = this.#asked;
    if (!asked) return undefined;
    asked.ended ??= this.#waitFor(asked);
    return asked.ended;
  }

  async #waitFor(asked: Asked): Promise<Waited> {
    const { backend, now, timings } = this.#deps;
    // What is near says nothing about another datacenter.
    const ask = this.#query.datacenter === undefined ? backend.answers : undefined;
    const deps = { now, outcome: (limit: number) => this.outcome(limit), ask, limit: timings.otherAnswer };
    const due = asked.at + timings.firstAnswer + this.#listing;
    const waited = await waitForAnswer(deps, due, asked.at + timings.margin);
    asked.isGivenUp = waited === "silent";
    return waited;
  }

  /** No query is under way, or one that is answered at once. */
  get #mayLackChanges(): boolean {
    if (this.#follower.isPaused) return true;
    return this.#asked?.index === 0 && this.#instances !== undefined && !this.isBroken;
  }

  /** Milliseconds. */
  get #rest(): number {
    return this.#deps.timings.rest + this.#listing;
  }

  /** Milliseconds in which a busy agent makes the list. */
  get #listing(): number {
    return (this.#instances?.length ?? 0) * 0.2;
  }

  /** Ends the pause before a retry. */
  hasten(): void {
    this.#follower.hasten();
  }

  refused({ address, port }: { readonly address: string; readonly port: number }): void {
    const isThere = (instance: ServiceInstance) =>
      instance.port === port && canonicalIp(instance.address) === canonicalIp(address);
    const at = this.#deps.now();
    const refused = (this.#instances ?? []).filter(isThere).map((instance) => [instance, at] as const);
    this.#refused = new Map([...this.#refused, ...refused]);
  }

  #refusedSince(since: number): ReadonlySet<ServiceInstance> {
    if (this.#refused.size === 0) return NONE;
    return new Set(Array.from(this.#refused).flatMap(([instance, at]) => (at >= since ? instance : [])));
  }

  /** Resolves with the next answer or failure, or when the time is over. @returns whether the time is over */
  outcome(limit: number): Promise<boolean> {
    if (this.#follower.isClosed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (isOver: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve(isOver);
      };
      const done = () => end(false);
      const timer = setTimeout(end, Math.max(0, limit), true);
      this.#waiting.add(done);
    });
  }

  /** Never rejects. */
  async close(): Promise<void> {
    const closed = this.#follower.close();
    this.#settle();
    await closed;
  }

  /** A list from a server that knows no leader is used only while nothing else is known. @throws where it is not used */
  #refuseUnlessNew(instances: readonly ServiceInstance[]): void {
    if (this.#instances === undefined && instances.length > 0) return;
    const { title } = this.#deps.backend;
    throw new SrvEpmdError("CATALOGUE_NO_LEADER", `${title}'s server knows no leader, so its list may lack nodes`);
  }

  #answered(instances: readonly ServiceInstance[]): void {
    const { now, follow, answered } = this.#deps;
    const at = this.#asked?.at ?? this.#answeredAt;
    const isFirst = this.#instances === undefined;
    this.#asked = undefined;
    this.#answeredAt = now();
    this.#firstAt = Math.min(this.#firstAt, this.#answeredAt);
    this.#refused = unchanged(this.#refused, instances);
    this.#instances = instances;
    this.#everHeld ||= instances.length > 0;
    this.#emptySince = this.#mayBeUnreadable(instances) ? (this.#emptySince ?? this.#answeredAt) : undefined;
    this.#failingSince = undefined;
    this.#failure = undefined;
    answered(isFirst, this.#answeredAt - at);
    if (!follow) void this.#follower.close();
    this.#settle();
  }

  #failed(error: unknown): void {
    const { now, follow, failed } = this.#deps;
    this.#failingSince ??= this.#brokenSince() ?? now();
    this.#asked = undefined;
    this.#failure = error;
    failed(error);
    if (!follow) void this.#follower.close();
    this.#settle();
  }

  /** When the back end failed, or should have answered. */
  #brokenSince(): number | undefined {
    if (this.#failingSince !== undefined) return this.#failingSince;
    if (this.#asked === undefined) return undefined;
    const { at, index, wait } = this.#asked;
    const due = at + (index === 0 ? 0 : longestHold(wait)) + this.#deps.timings.margin;
    return this.#deps.now() > due ? due : undefined;
  }

  #mayBeUnreadable(instances: readonly ServiceInstance[]): boolean {
    return instances.length === 0 && this.#deps.backend.emptyMeans !== undefined;
  }

  /** Milliseconds for which the next query may be held, because the token may get the right to read meanwhile. */
  get #longestEmptyWait(): number {
    const { now, timings } = this.#deps;
    if (this.#emptySince === undefined) return Number.POSITIVE_INFINITY;
    return Math.min(timings.maxEmptyWait, Math.max(timings.firstEmptyWait, Math.round(now() - this.#emptySince)));
  }

  #settle(): void {
    for (const done of Array.from(this.#waiting)) done();
  }
}

/** Instances that may be listed with each change. A list of a thousand costs the agent a tenth of a second. */
const FEW = 50;
const NONE: ReadonlySet<ServiceInstance> = new Set();

/** Those of the instances that are as they were when they refused a connection. */
function unchanged(
  refused: ReadonlyMap<ServiceInstance, number>,
  instances: readonly ServiceInstance[],
): ReadonlyMap<ServiceInstance, number> {
  if (refused.size === 0) return refused;
  const known = new Map(Array.from(refused, ([instance, at]) => [JSON.stringify(instance), at]));
  return new Map(
    instances.flatMap((instance) => {
      const at = known.get(JSON.stringify(instance));
      return at === undefined ? [] : [[instance, at] as const];
    }),
  );
}

import {
  aliveNameOf,
  foundEntry,
  type HeldCheck,
  type HeldService,
  META_OWNER,
  type ServiceEntry,
  sameEntry,
} from "./service-entry.js";

/**
 * What Consul shall hold for one name. Times are milliseconds since the epoch.
 * - `up`: the node is alive.
 * - `awaited`: a daemon that stood here before us published it; its VM has until then to return.
 * - `leaving`: its VM has gone; out of DNS now, removed then, for a VM re-registers 2 s after it lost its EPMD.
 * - `gone`: nothing.
 */
export type Target =
  | { readonly state: "up"; readonly entries: readonly ServiceEntry[] }
  | { readonly state: "awaited"; readonly until: number }
  | { readonly state: "leaving"; readonly until: number }
  | { readonly state: "gone" };

/**
 * - `unsure`: a registration got no answer; it may have arrived.
 * - `registered`: not yet passed; a critical check stays critical over a re-registration.
 */
export type Condition = "unsure" | "registered" | "passing" | "critical";

/** What we believe the agent holds under one id. */
export interface Held {
  /** What was registered; undefined for an entry that was found there. */
  readonly entry: ServiceEntry | undefined;
  /** What a daemon before us registered, as the agent tells it. */
  readonly found?: ServiceEntry;
  readonly condition: Condition;
  /** When its TTL check is to be passed again. */
  readonly refreshAt: number;
  /** When its TTL runs out, unless it is passed before: Consul's DNS leaves it out from then on. */
  readonly expiresAt: number;
  /**
   * It was registered with another token than ours of today, or that is not known. The agent tells the servers of an
   * entry with the token of its registration: when that one is gone, they hear of nothing any more.
   */
  readonly stale: boolean;
  /** The agent's list has left it out: to be looked for by its id, for lists are filtered and cached on their way. */
  readonly unlisted?: boolean;
}

export type HeldMap = ReadonlyMap<string, Held>;

/** `renew`: the same registration once more, with the token of today. */
export type Work =
  | { readonly action: "register" | "renew"; readonly id: string; readonly entry: ServiceEntry }
  | { readonly action: "pass" | "fail" | "deregister"; readonly id: string };

export type Step =
  | Work
  /** Nothing to do before then; undefined: ever. */
  | { readonly action: "wait"; readonly until: number | undefined };

/** `unknown`: the agent has no such service or check. `unsure`: no answer. `refused`: the agent said no. */
export type StepResult = "done" | "unknown" | "unsure" | "refused";

/**
 * The one next thing that brings Consul closer to the target.
 * @param notBefore when something may be tried again that has failed; what else is to be done does not wait for it
 */
export function nextStep(
  target: Target,
  held: HeldMap,
  now: number,
  notBefore: (work: Work) => number = () => 0,
): Step {
  let until = "until" in target && held.size > 0 && target.until > now ? target.until : Infinity;
  for (const step of stepsTo(target, held, now)) {
    const at = notBefore(step);
    if (at <= now) return step;
    until = Math.min(until, at);
  }
  until = Math.min(until, nextRefresh(target, held, now) ?? Infinity);
  return { action: "wait", until: until === Infinity ? undefined : until };
}

/** When the next check is to be passed again that need not be now. */
export function nextRefresh(target: Target, held: HeldMap, now: number): number | undefined {
  if (target.state === "leaving" || target.state === "gone") return undefined;
  const times = Array.from(held.values(), ({ condition, refreshAt }) => (condition === "passing" ? refreshAt : 0));
  const next = Math.min(...times.filter((at) => at > now));
  return next === Infinity ? undefined : next;
}

/** All that is to be done, what comes first at the front. */
function* stepsTo(target: Target, held: HeldMap, now: number): Generator<Work> {
  switch (target.state) {
    case "up":
      return yield* stepsUp(target.entries, held, now);
    case "awaited":
      if (now >= target.until) return yield* removals(held);
      yield* refreshes(held, now, () => true);
      return yield* renewals(held);
    case "leaving":
      for (const [id, { condition }] of held) if (condition !== "critical") yield { action: "fail", id };
      yield* renewals(held);
      if (now >= target.until) yield* removals(held);
      return;
    case "gone":
      return yield* removals(held);
    default:
      return target satisfies never;
  }
}

function* stepsUp(entries: readonly ServiceEntry[], held: HeldMap, now: number): Generator<Work> {
  const wanted = new Set(entries.map((entry) => entry.id));
  const isWanted = ({ entry }: Held) => entry === undefined || entries.includes(entry);
  // Before all else: what is in DNS stays there.
  yield* refreshes(held, now, isWanted);
  // Ids that differ only in case overwrite each other in the catalogue: the old one goes first, or it takes ours with it.
  const folded = new Set(entries.map((entry) => entry.id.toLowerCase()));
  const twins = new Map(Array.from(held).filter(([id]) => !wanted.has(id) && folded.has(id.toLowerCase())));
  if (twins.size > 0) return yield* removals(twins);
  let settled = true;
  for (const entry of entries) {
    const { id } = entry;
    const there = held.get(id);
    const step = stepFor(entry, there);
    if (step) yield step;
    settled &&= there?.entry === entry && there.condition === "passing";
  }
  const others = new Map(Array.from(held).filter(([id]) => !wanted.has(id)));
  if (settled) yield* removals(others);
  yield* refreshes(others, now, (one) => !isWanted(one));
}

function stepFor(entry: ServiceEntry, there: Held | undefined): Work | undefined {
  const { id } = entry;
  if (there?.entry !== entry || there.condition === "unsure" || there.unlisted)
    return { action: "register", id, entry };
  if (there.condition !== "passing") return { action: "pass", id };
  return there.stale ? { action: "renew", id, entry } : undefined;
}

/** A critical entry is not revived: what is out of DNS stays out until its VM is back. */
function* refreshes(held: HeldMap, now: number, which: (one: Held) => boolean): Generator<Work> {
  for (const [id, one] of held) {
    if (one.condition === "passing" && one.refreshAt <= now && which(one)) yield { action: "pass", id };
  }
}

function* renewals(held: HeldMap): Generator<Work> {
  for (const [id, one] of held) {
    const entry = one.entry ?? one.found;
    if (one.stale && entry) yield { action: "renew", id, entry };
  }
}

/** The servers are told of a removal with the token of the registration, too: one that is stale is renewed before it goes. */
function* removals(held: HeldMap): Generator<Work> {
  for (const [id, one] of held) {
    const entry = one.entry ?? one.found;
    yield one.stale && entry ? { action: "renew", id, entry } : { action: "deregister", id };
  }
}

/**
 * What is held after a step.
 * @param sentAt when its call was sent: what the agent has done with it since counts against us
 * @param ttl milliseconds of the TTL check; it is passed again after a third of it
 */
export function afterStep(held: HeldMap, step: Work, result: StepResult, sentAt: number, ttl: number): HeldMap {
  const next = new Map(held);
  const before = held.get(step.id);
  const times = { refreshAt: sentAt + ttl / 3, expiresAt: sentAt + ttl };
  if (step.action === "register") {
    const { entry } = step;
    if (result === "done") next.set(step.id, { entry, condition: "registered", ...times, stale: false });
    // A registration that got no answer may have arrived: it is ours to remove.
    else if (result !== "refused") next.set(step.id, { ...before, entry, condition: "unsure", ...times, stale: true });
    return next;
  }
  if (result === "unknown" || (result === "done" && step.action === "deregister")) next.delete(step.id);
  else if (result === "done" && before) {
    // The agent keeps the status of a check that is registered again.
    if (step.action === "renew") next.set(step.id, { ...before, stale: false });
    else if (step.action === "pass") {
      // What is unsure stays so: it was seen while the check was being passed.
      const condition = before.condition === "unsure" ? "unsure" : "passing";
      next.set(step.id, { ...before, condition, ...times });
    } else next.set(step.id, { ...before, condition: "critical" });
  }
  return next;
}

/** From now on everything is to be registered once more: there is another token. */
export function withAnotherToken(held: HeldMap): HeldMap {
  return new Map(Array.from(held, ([id, one]) => [id, { ...one, stale: true }]));
}

/** What the agent was seen to hold. */
export interface Survey {
  readonly services: readonly HeldService[];
  /** All of the checks of those services, and of the machine. */
  readonly checks: readonly HeldCheck[];
  /** Ids of services whose TTL check is critical. */
  readonly critical: ReadonlySet<string>;
}

export interface Observed {
  readonly held: HeldMap;
  /** Ids that we thought ours and that another owner has overwritten. */
  readonly taken: readonly string[];
  /** Ids that are there and ours. */
  readonly listed: readonly string[];
}

/** Names in Consul are told apart without case, as in DNS. */
export function keyOf(aliveName: string): string {
  return aliveName.toLowerCase();
}

/** What the daemon gives every entry alike. */
export type EntryTimes = Pick<ServiceEntry, "ttl" | "deregisterAfter">;

/** Corrects what we believe of one name by what the agent was seen to hold. */
export function observe(
  held: HeldMap,
  key: string,
  survey: Survey,
  owner: string,
  now: number,
  times: EntryTimes,
): Observed {
  const next = new Map<string, Held>();
  const taken: string[] = [];
  const listed: string[] = [];
  for (const [id, believed] of held) {
    const service = survey.services.find((candidate) => candidate.id === id);
    // Absent: the agent has lost its state, somebody removed it, or the list does not tell all.
    if (!service) {
      if (believed.entry) next.set(id, { ...believed, unlisted: true });
      continue;
    }
    if (service.meta[META_OWNER] !== owner) {
      taken.push(id);
      continue;
    }
    listed.push(id);
    const { unlisted: _, ...known } = believed;
    if (known.entry && !sameEntry(known.entry, service)) next.set(id, { ...known, condition: "unsure" });
    else if (known.condition === "passing" && survey.critical.has(id)) {
      next.set(id, { ...known, condition: known.entry ? "registered" : "critical" });
    } else next.set(id, known);
  }
  for (const service of ownedBy(survey, owner)) {
    const { id } = service;
    if (held.has(id) || keyOf(aliveNameOf(service) ?? "") !== key) continue;
    const condition = survey.critical.has(id) ? "critical" : "passing";
    const found = foundEntry(service, survey.checks, times);
    // Nobody knows when it was passed, nor with which token it was registered.
    next.set(id, { entry: undefined, found, condition, refreshAt: now, expiresAt: now + times.ttl / 3, stale: true });
    listed.push(id);
  }
  return { held: next, taken, listed };
}

/** Names of which entries with our own owner value are there. */
export function ownedKeys(survey: Survey, owner: string): Set<string> {
  return new Set(ownedBy(survey, owner).map((service) => keyOf(aliveNameOf(service) ?? "")));
}

function ownedBy(survey: Survey, owner: string): HeldService[] {
  return survey.services.filter((service) => service.meta[META_OWNER] === owner);
}

/**
 * Entries that a daemon of our instance left behind before the machine was started anew: another owner's, and dead.
 * Whatever of another owner is not critical belongs to somebody alive.
 * @param prefix `srv-epmd:<instance>:`
 */
export function abandoned(survey: Survey, owner: string, prefix: string): HeldService[] {
  return survey.services.filter(
    ({ id, meta }) => id.startsWith(prefix) && meta[META_OWNER] !== owner && survey.critical.has(id),
  );
}

/** Dead entries of other owners, whatever their instance. */
export function lapsed(survey: Survey, owner: string): HeldService[] {
  return survey.services.filter(({ id, meta }) => {
    return meta[META_OWNER] !== undefined && meta[META_OWNER] !== owner && survey.critical.has(id);
  });
}

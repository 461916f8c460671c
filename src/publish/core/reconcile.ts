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
 * What Consul shall hold for one name. Times are monotonic milliseconds.
 * - `up`: the node is alive.
 * - `awaited`: the daemon that ran before us published it. Its entry is kept until the time `until`, because its VM may register again.
 * - `leaving`: its VM has gone, or is not to be published any more. The entry leaves DNS now and is removed then: a VM that
 *   lost its EPMD registers again after 2 s.
 * - `gone`: nothing.
 */
export type Target =
  | { readonly state: "up"; readonly entries: readonly ServiceEntry[] }
  | { readonly state: "awaited"; readonly until: number }
  | { readonly state: "leaving"; readonly until: number }
  | { readonly state: "gone" };

/**
 * - `unsure`: a registration got no answer, and may have arrived.
 * - `registered`: the check is not passed yet. A critical check stays critical when it is registered again.
 */
type Condition = "unsure" | "registered" | "passing" | "critical";

/** What we believe the agent holds under one id. */
export interface Held {
  /** What was registered; undefined for an entry that was found there. */
  readonly entry: ServiceEntry | undefined;
  /** What our predecessor registered, as the agent lists it. */
  readonly found?: ServiceEntry;
  readonly condition: Condition;
  /** When its TTL check is to be passed again. */
  readonly refreshAt: number;
  /** When its TTL runs out: from then on Consul's DNS leaves it out. */
  readonly expiresAt: number;
  /**
   * It was registered with another token than the one in use, or perhaps so. The agent tells the servers of an entry
   * with the token of its registration: without a valid one they learn nothing more of the entry.
   */
  readonly stale: boolean;
  /** The agent's list has left it out. It is asked for by id before it is registered again: proxies filter and cache lists. */
  readonly unlisted?: boolean;
}

export type HeldMap = ReadonlyMap<string, Held>;

/** `renew`: the same registration again, with the token in use. */
export type Work =
  | { readonly action: "register" | "renew"; readonly id: string; readonly entry: ServiceEntry }
  | { readonly action: "pass" | "fail" | "deregister"; readonly id: string };

type Step =
  | Work
  /** Nothing is to be done before then, or at all (undefined). */
  | { readonly action: "wait"; readonly until: number | undefined };

/**
 * `unknown`: the agent has no such service or check. `unsure`: no answer. `refused`: the agent refused the call.
 * `created`: it was registered, and the agent had no such entry before: its check is new, and passes. `confirmed`: nothing
 * was sent, since the agent has the entry that its list had left out.
 */
export type StepResult = "done" | "created" | "unknown" | "unsure" | "refused" | "confirmed";

/**
 * The next step that brings Consul closer to the target.
 * @param notBefore when a step that has failed may be tried again; other steps do not wait for it
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

/** When the next refresh is due that is not due yet, the first pass after a registration included. */
export function nextRefresh(target: Target, held: HeldMap, now: number): number | undefined {
  if (target.state === "leaving" || target.state === "gone") return undefined;
  const isTimed = ({ condition }: Held) => condition === "passing" || condition === "registered";
  const times = Array.from(held.values(), (one) => (isTimed(one) ? one.refreshAt : 0));
  const next = Math.min(...times.filter((at) => at > now));
  return next === Infinity ? undefined : next;
}

/** All steps to the target, the first one first. */
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
  // First of all: what is in DNS stays there.
  yield* refreshes(held, now, isWanted);
  // Ids that differ only in case overwrite each other in the catalogue. The former one goes first: its removal would remove ours too.
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

/** Passes that are due. A critical entry is not passed: it stays out of DNS until its VM is back. */
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

/** The agent tells the servers of a removal with the token of the registration: a stale entry is renewed first. */
function* removals(held: HeldMap): Generator<Work> {
  for (const [id, one] of held) {
    const entry = one.entry ?? one.found;
    yield one.stale && entry ? { action: "renew", id, entry } : { action: "deregister", id };
  }
}

/**
 * What is held after a step.
 * @param sentAt when its call was sent: the TTL may run from then
 * @param ttl milliseconds of the TTL check, which is passed every third of it
 */
export function afterStep(held: HeldMap, step: Work, result: StepResult, sentAt: number, ttl: number): HeldMap {
  const next = new Map(held);
  const before = held.get(step.id);
  if (result === "confirmed") {
    if (!before) return held;
    const { unlisted: _, ...listed } = before;
    return next.set(step.id, listed);
  }
  const times = { refreshAt: sentAt + ttl / 3, expiresAt: sentAt + ttl };
  if (step.action === "register") {
    const { entry } = step;
    if (result === "created") next.set(step.id, { entry, condition: "passing", ...times, stale: false });
    else if (result === "done") next.set(step.id, { entry, condition: "registered", ...times, stale: false });
    // A registration without an answer may have arrived: then we have to remove it.
    else if (result !== "refused") next.set(step.id, { ...before, entry, condition: "unsure", ...times, stale: true });
    return next;
  }
  if (result === "unknown" || (result === "done" && step.action === "deregister")) next.delete(step.id);
  else if (result === "done" && before) {
    // The agent keeps the status of a check that is registered again.
    if (step.action === "renew") next.set(step.id, { ...before, stale: false });
    else if (step.action === "pass") {
      // An entry that a survey found different during the pass stays unsure.
      const condition = before.condition === "unsure" ? "unsure" : "passing";
      // While its check was critical, another daemon may have registered it with its own token: see Leftovers.
      const stale = before.stale || sentAt > before.expiresAt;
      next.set(step.id, { ...before, condition, ...times, stale });
    } else next.set(step.id, { ...before, condition: "critical" });
  }
  return next;
}

/** There is another token: all entries are to be registered again with it. */
export function withAnotherToken(held: HeldMap): HeldMap {
  return new Map(Array.from(held, ([id, one]) => [id, { ...one, stale: true }]));
}

/** What the agent holds under our ids and of ours, and perhaps more. */
export interface Survey {
  readonly services: readonly HeldService[];
  /** The checks of those services, and those of others and of the machine that are critical. */
  readonly checks: readonly HeldCheck[];
  /** Ids of services, of any daemon, whose TTL check is critical. */
  readonly critical: ReadonlySet<string>;
}

interface Surveyed {
  readonly held: HeldMap;
  /** Ids of ours that another owner has overwritten. */
  readonly taken: readonly string[];
  /** Ids of our entries in the survey. */
  readonly listed: readonly string[];
}

/** Consul compares names without case, as DNS does. */
export function nameKey(aliveName: string): string {
  return aliveName.toLowerCase();
}

/** What all entries of a daemon have in common. */
export type EntryTimes = Pick<ServiceEntry, "ttl" | "deregisterAfter">;

/** Corrects what we believe of one name by a survey. */
export function afterSurvey(
  held: HeldMap,
  key: string,
  survey: Survey,
  owner: string,
  now: number,
  times: EntryTimes,
): Surveyed {
  const next = new Map<string, Held>();
  const taken: string[] = [];
  const listed: string[] = [];
  for (const [id, believed] of held) {
    const service = survey.services.find((candidate) => candidate.id === id);
    // Absent: the agent has lost its state, somebody has removed the entry, or the list is incomplete.
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
    if (held.has(id) || nameKey(aliveNameOf(service) ?? "") !== key) continue;
    const condition = survey.critical.has(id) ? "critical" : "passing";
    const found = foundEntry(service, survey.checks, times);
    // It is not known when the check was passed, nor with which token the entry was registered.
    next.set(id, { entry: undefined, found, condition, refreshAt: now, expiresAt: now + times.ttl / 3, stale: true });
    listed.push(id);
  }
  return { held: next, taken, listed };
}

/** Keys of the names that have entries of ours in a survey. */
export function ownedKeys(survey: Survey, owner: string): Set<string> {
  return new Set(ownedBy(survey, owner).map((service) => nameKey(aliveNameOf(service) ?? "")));
}

function ownedBy(survey: Survey, owner: string): HeldService[] {
  return survey.services.filter((service) => service.meta[META_OWNER] === owner);
}

/**
 * Entries that a daemon of our instance has left before the machine was restarted: they have another owner (boot id) and
 * their TTL check is critical. An entry of another owner that is not critical is that of a live daemon.
 * @param prefix `srv-epmd:<instance>:`
 */
export function abandoned(survey: Survey, owner: string, prefix: string): HeldService[] {
  return survey.services.filter(
    ({ id, meta }) => id.startsWith(prefix) && meta[META_OWNER] !== owner && survey.critical.has(id),
  );
}

/** Ids of entries of other owners, of any instance, whose TTL check is critical. */
export function lapsed(survey: Survey, owner: string): string[] {
  const ours = new Set(ownedBy(survey, owner).map(({ id }) => id));
  return Array.from(survey.critical).filter((id) => !ours.has(id));
}

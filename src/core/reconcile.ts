import { aliveNameOf, type HeldService, META_OWNER, type ServiceEntry, sameEntry } from "./service-entry.js";

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
  readonly condition: Condition;
  /** When its TTL check is to be passed again. */
  readonly refreshAt: number;
}

export type HeldMap = ReadonlyMap<string, Held>;

export type Step =
  | { readonly action: "register"; readonly id: string; readonly entry: ServiceEntry }
  | { readonly action: "pass" | "fail" | "deregister"; readonly id: string }
  /** Nothing to do before then; undefined: ever. */
  | { readonly action: "wait"; readonly until: number | undefined };

/** `unknown`: the agent has no such service or check. `unsure`: no answer. `refused`: the agent said no. */
export type StepResult = "done" | "unknown" | "unsure" | "refused";

/** The one next thing that brings Consul closer to the target. */
export function nextStep(target: Target, held: HeldMap, now: number): Step {
  switch (target.state) {
    case "up":
      return stepUp(target.entries, held, now);
    case "awaited":
      return now >= target.until ? stepDown(held) : (stepRefresh(held, now) ?? waitFor(held, target.until));
    case "leaving": {
      for (const [id, { condition }] of held) if (condition !== "critical") return { action: "fail", id };
      return now >= target.until ? stepDown(held) : { action: "wait", until: held.size > 0 ? target.until : undefined };
    }
    case "gone":
      return stepDown(held);
    default:
      return target satisfies never;
  }
}

function stepUp(entries: readonly ServiceEntry[], held: HeldMap, now: number): Step {
  const wanted = new Set(entries.map((entry) => entry.id));
  const folded = new Set(entries.map((entry) => entry.id.toLowerCase()));
  // Ids that differ only in case overwrite each other in the catalogue: the old one goes first, or it takes ours with it.
  for (const id of held.keys()) {
    if (!wanted.has(id) && folded.has(id.toLowerCase())) return { action: "deregister", id };
  }
  for (const entry of entries) {
    const { id } = entry;
    const there = held.get(id);
    if (there?.entry !== entry || there.condition === "unsure") return { action: "register", id, entry };
    if (there.condition !== "passing") return { action: "pass", id };
  }
  for (const id of held.keys()) if (!wanted.has(id)) return { action: "deregister", id };
  return stepRefresh(held, now) ?? waitFor(held, undefined);
}

/** A critical entry is not revived: what is out of DNS stays out until its VM is back. */
function stepRefresh(held: HeldMap, now: number): Step | undefined {
  for (const [id, { condition, refreshAt }] of held) {
    if (condition === "passing" && refreshAt <= now) return { action: "pass", id };
  }
  return undefined;
}

function stepDown(held: HeldMap): Step {
  for (const id of held.keys()) return { action: "deregister", id };
  return { action: "wait", until: undefined };
}

function waitFor(held: HeldMap, until: number | undefined): Step {
  const times = Array.from(held.values(), ({ condition, refreshAt }) =>
    condition === "passing" ? refreshAt : Infinity,
  );
  const next = Math.min(until ?? Infinity, ...times);
  return { action: "wait", until: next === Infinity ? undefined : next };
}

/**
 * What is held after a step.
 * @param refreshAfter milliseconds from one pass to the next
 */
export function afterStep(
  held: HeldMap,
  step: Exclude<Step, { action: "wait" }>,
  result: StepResult,
  now: number,
  refreshAfter: number,
): HeldMap {
  const next = new Map(held);
  const before = held.get(step.id);
  const set = (condition: Condition, entry = before?.entry) =>
    next.set(step.id, { entry, condition, refreshAt: now + refreshAfter });
  if (step.action === "register") {
    if (result === "done") set("registered", step.entry);
    // A registration that got no answer may have arrived: it is ours to remove.
    else if (result !== "refused") set("unsure", step.entry);
  } else if (result === "unknown" || (result === "done" && step.action === "deregister")) {
    next.delete(step.id);
  } else if (result === "done") {
    set(step.action === "pass" ? "passing" : "critical");
  }
  return next;
}

/** What the agent was seen to hold. */
export interface Survey {
  readonly services: readonly HeldService[];
  /** Ids of services whose TTL check is critical. */
  readonly critical: ReadonlySet<string>;
}

export interface Observed {
  readonly held: HeldMap;
  /** Ids that we thought ours and that another owner has overwritten. */
  readonly taken: readonly string[];
}

/** Names in Consul are told apart without case, as in DNS. */
export function keyOf(aliveName: string): string {
  return aliveName.toLowerCase();
}

/** Corrects what we believe of one name by what the agent was seen to hold. */
export function observe(held: HeldMap, key: string, survey: Survey, owner: string, now: number): Observed {
  const next = new Map<string, Held>();
  const taken: string[] = [];
  for (const [id, believed] of held) {
    const service = survey.services.find((candidate) => candidate.id === id);
    // Absent: the agent has lost its state, or somebody removed it.
    if (!service) continue;
    if (service.meta[META_OWNER] !== owner) taken.push(id);
    else if (believed.entry && !sameEntry(believed.entry, service)) next.set(id, { ...believed, condition: "unsure" });
    else if (believed.condition === "passing" && survey.critical.has(id)) {
      next.set(id, { ...believed, condition: believed.entry ? "registered" : "critical" });
    } else next.set(id, believed);
  }
  for (const service of ownedBy(survey, owner)) {
    if (held.has(service.id) || keyOf(aliveNameOf(service) ?? "") !== key) continue;
    const condition = survey.critical.has(service.id) ? "critical" : "passing";
    next.set(service.id, { entry: undefined, condition, refreshAt: now });
  }
  return { held: next, taken };
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
export function abandoned(survey: Survey, owner: string, prefix: string): string[] {
  return survey.services
    .filter(({ id, meta }) => id.startsWith(prefix) && meta[META_OWNER] !== owner && survey.critical.has(id))
    .map(({ id }) => id);
}

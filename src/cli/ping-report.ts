import { leftBehind, probeNames } from "../distribution/core/probe-names.js";
import { isFailure, type Probe, probeWords, wasJoined } from "../distribution/core/words.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import type { ShownResolution } from "../resolve/core/resolution.js";
import { listed } from "../text.js";
import type { Line } from "./io.js";

/** One try to reach a node. Times are milliseconds. */
export interface Try {
  /** From 1. */
  readonly seq: number;
  readonly at: Date;
  /** With its host expanded. */
  readonly node: string;
  readonly answer: ShownResolution;
  readonly lookUpMs: number;
  /** The endpoint at which the node answers, else the first one; undefined where none is known. */
  readonly reached?: { readonly endpoint: Endpoint; readonly probe: Probe };
}

/** What all tries have shown. */
export interface Tally {
  readonly tries: number;
  readonly answered: number;
  /** Tries for which nobody who could know the node answered: no name server, no Consul. */
  readonly unavailable: number;
  readonly least: number;
  readonly most: number;
  readonly sum: number;
  /** Creation of the VM that answered last. */
  readonly creation: number | undefined;
  /** Where the last few VMs answered, `ip:port`, by their creations. */
  readonly vms: ReadonlyMap<number, string>;
  /** How often a VM with a new creation has answered where the one before did. */
  readonly restarts: number;
  /** How often one has answered elsewhere. */
  readonly moves: number;
  /** A VM answered after another one of its name: they run at once. */
  readonly isTwice: boolean;
  /** A VM was joined with the cookie. */
  readonly isJoined: boolean;
}

export const NO_TRIES: Tally = {
  ...{ tries: 0, answered: 0, unavailable: 0, least: Number.POSITIVE_INFINITY, most: 0, sum: 0 },
  ...{ creation: undefined, vms: new Map(), restarts: 0, moves: 0, isTwice: false, isJoined: false },
};

function isAnswer({ reached }: Try): boolean {
  return reached !== undefined && !isFailure(reached.probe);
}

function creationOf({ reached }: Try): number | undefined {
  return reached && "creation" in reached.probe ? reached.probe.creation : undefined;
}

/** Of the VM that answers, and of the one before; undefined: it is the same, or not known. */
function change(one: Try, { creation, vms }: Tally): "restarted" | "moved" | "back" | undefined {
  const now = creationOf(one);
  if (!isAnswer(one) || creation === undefined || now === undefined || now === creation) return undefined;
  if (vms.has(now)) return "back";
  return one.reached && hostPort(one.reached.endpoint) === vms.get(creation) ? "restarted" : "moved";
}

export function tally(before: Tally, one: Try): Tally {
  const tries = before.tries + 1;
  const unavailable = before.unavailable + (one.answer.outcome === "unavailable" ? 1 : 0);
  if (!isAnswer(one) || !one.reached) return { ...before, tries, unavailable };
  const { endpoint, probe } = one.reached;
  const time = probe.elapsedMs;
  const creation = creationOf(one);
  const changed = change(one, before);
  return {
    ...{ tries, unavailable, answered: before.answered + 1 },
    ...{ least: Math.min(before.least, time), most: Math.max(before.most, time), sum: before.sum + time },
    creation: creation ?? before.creation,
    vms: creation === undefined ? before.vms : withLast(before.vms, creation, hostPort(endpoint)),
    restarts: before.restarts + (changed === "restarted" ? 1 : 0),
    moves: before.moves + (changed === "moved" ? 1 : 0),
    isTwice: before.isTwice || changed === "back",
    isJoined: before.isJoined || wasJoined(probe),
  };
}

/** VMs that are remembered. */
const LAST = 8;

function withLast(vms: Tally["vms"], creation: number, place: string): Tally["vms"] {
  const others = Array.from(vms).filter(([other]) => other !== creation);
  return new Map([...others, [creation, place] as const].slice(-LAST));
}

/** `1: 10.1.2.4:20002 by srv, IPv4, 1.9 ms: is node_b@svc.service.consul (...)` */
export function tryLine(one: Try, before: Tally): Line {
  const { seq, node, answer, reached } = one;
  if (answer.outcome === "not-found") return { text: `${seq}: not found: ${answer.reason}`, tone: "bad" };
  if (answer.outcome === "unavailable") return { text: `${seq}: cannot be looked up: ${answer.cause}`, tone: "bad" };
  if (!reached) return { text: `${seq}: found by ${answer.source}, without an endpoint`, tone: "bad" };
  const { endpoint, probe } = reached;
  const changed = change(one, before);
  const news = changed === undefined ? "" : CHANGES[changed];
  const text = `${seq}: ${hostPort(endpoint)} by ${answer.source}, ${probeWords(probe, node, endpoint)}${news}`;
  return { text, tone: isAnswer(one) ? (news || answer.stale ? "doubtful" : "good") : "bad" };
}

const CHANGES = {
  restarted: "; it has been restarted",
  moved: "; another VM than before, at another place: it has moved, or two have the name",
  back: "; a VM that answered before the last one: two VMs have the name",
};

export function tryObject({ seq, at, node, answer, lookUpMs, reached }: Try): object {
  const found = answer.outcome === "found" ? { source: answer.source, stale: answer.stale } : answer;
  const { address, port } = reached?.endpoint ?? {};
  return {
    ...{ seq, at: at.toISOString(), node, outcome: answer.outcome, ...found },
    ...(reached && { address, port, probe: reached.probe }),
    lookUpMs: tenths(lookUpMs),
  };
}

/** @param from name of this machine */
export function summaryLines(node: string, all: Tally, from: string): Line[] {
  const { tries, answered, isTwice, isJoined } = all;
  const lost = tries === 0 ? 0 : Math.round((100 * (tries - answered)) / tries);
  const head: Line = { text: `--- ${node} ---`, tone: "quiet" };
  const restarts = restartsOf(all);
  const again = restarts === 0 ? "" : `, restarted ${timesWords(restarts)}`;
  const elsewhere = all.moves === 0 || isTwice ? "" : `, another VM elsewhere ${timesWords(all.moves)}`;
  const count: Line = {
    text: `${tries} ${tries === 1 ? "try" : "tries"}, ${answered} answered, ${lost}% lost${again}${elsewhere}`,
    tone: answered === 0 ? "bad" : answered < tries ? "doubtful" : "good",
  };
  const { least, average, most } = times(all);
  if (answered === 0) return [head, count];
  const time: Line = { text: `min/avg/max ${least?.toFixed(1)}/${average?.toFixed(1)}/${most?.toFixed(1)} ms` };
  const places = Array.from(new Set(all.vms.values())).sort();
  const twice: Line = {
    text: `two VMs have the name: answers came from ${listed(places)}; srv-epmd doctor ${node} says what to do`,
    tone: "bad",
  };
  return [
    head,
    count,
    time,
    ...(isTwice ? [twice] : []),
    ...(isJoined ? [{ text: leftBehind(from), tone: "quiet" } as const] : []),
  ];
}

export function summaryObject(node: string, all: Tally, from: string): object {
  const { tries, answered, isTwice, isJoined } = all;
  const { least, average, most } = times(all);
  return {
    ...{ node, tries, answered, restarts: restartsOf(all), moves: all.moves, twice: isTwice },
    ...(answered > 0 && { leastMs: least, averageMs: average, mostMs: most }),
    ...(isJoined && { joinedAs: probeNames(from) }),
  };
}

const timesWords = (count: number) => (count === 1 ? "once" : `${count} times`);

/** Which VM has come in the place of another one is not known where two run at once. */
const restartsOf = ({ restarts, isTwice }: Tally): number => (isTwice ? 0 : restarts);

function times({ answered, least, most, sum }: Tally) {
  return answered === 0 ? {} : { least: tenths(least), average: tenths(sum / answered), most: tenths(most) };
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

import { leftBehind, probeNames } from "../distribution/core/probe-names.js";
import { probeReason } from "../distribution/core/words.js";
import type { ClusterExamination } from "../doctor/cluster.js";
import { isExpected, type Member, type Pair } from "../doctor/core/cluster-links.js";
import { worstFirst, worstPart } from "../doctor/core/cluster-part.js";
import { type ClusterProblem, isNoVm, releaseWords } from "../doctor/core/cluster-problems.js";
import { grouped } from "../grouped.js";
import { hostPort } from "../net/ip.js";
import { listed, printable } from "../text.js";
import type { Line } from "./io.js";

/** Nodes of the matrix: a wider one is not read. */
const WIDEST = 32;

const INDENT = " ".repeat(6);

const LEGEND =
  "+ linked   - not linked   ! one of the two lists the other   . not linked, not expected   x not there   ? not known";

/** Problems of one code, and nodes in a list of names. */
const MOST_TOLD = 8;

/** The summary, the matrix with the worst nodes first, then problems and notes. */
export function clusterLines(examination: ClusterExamination): Line[] {
  const { members, verdict, from } = examination;
  const problems = toldProblems(verdict.problems);
  const notes = verdict.notes.flatMap((problem) => problemLines("note", problem));
  const rows = table(examination);
  const left: Line[] = isJoined(members) ? [{ text: "" }, { text: leftBehind(from), tone: "quiet" }] : [];
  return [
    { text: verdict.summary, tone: verdict.isWell ? "good" : "bad" },
    ...(rows.length > 0 ? [{ text: "" }, ...rows] : []),
    ...(problems.length + notes.length > 0 ? [{ text: "" }, ...problems, ...notes] : []),
    ...left,
  ];
}

/** Of one code the first are told; of the others the names. */
function toldProblems(problems: readonly ClusterProblem[]): Line[] {
  return Array.from(grouped(problems, ({ code }) => code)).flatMap(([code, all]) => {
    const rest = all.slice(MOST_TOLD);
    const nodes = Array.from(new Set(rest.flatMap((problem) => problem.nodes)));
    const more: Line[] =
      rest.length > 0
        ? [{ text: `fail  ${rest.length} more are ${code}: ${listed(nodes, MOST_TOLD)}`, tone: "bad" }]
        : [];
    return [...all.slice(0, MOST_TOLD).flatMap((problem) => problemLines("fail", problem)), ...more];
  });
}

function problemLines(word: "fail" | "note", { text, advice, effects = [] }: ClusterProblem): Line[] {
  return [
    { text: `${word}  ${text}`, tone: word === "fail" ? "bad" : "doubtful" },
    { text: `${INDENT}${word === "fail" ? "do:  " : ""}${advice}` },
    ...effects.map((effect, index): Line => {
      return { text: `${INDENT}${index === 0 ? "so:" : "   "}  ${effect.text}`, tone: "quiet" };
    }),
  ];
}

const isJoined = (members: readonly Member[]) => members.some(({ answer }) => answer?.joined);

/** The nodes and how they are linked; of a cluster that is wider than the matrix those with which something is wrong. */
function table({ members, verdict }: ClusterExamination): Line[] {
  const sorted = worstFirst(members, verdict);
  const shown = members.length > WIDEST ? worstPart(sorted, verdict, WIDEST) : sorted;
  const isDrawn = verdict.links !== undefined && shown.length > 0;
  const width = String(shown.length).length;
  // Wide ones are to fit a terminal beside the names.
  const gap = width === 1 ? " " : "";
  const sign = signs(verdict.pairs);
  const cells = shown.map((member, index) => [
    String(index + 1).padStart(width),
    ...(isDrawn ? [shown.map((other) => sign(member, other)).join(gap)] : []),
    ...factsOf(member).map(printable),
  ]);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const wrong = new Set(verdict.problems.flatMap(({ nodes }) => nodes));
  const rows = cells.map(
    (row, index): Line => ({
      text: `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
      tone: wrong.has(shown[index]?.node ?? "") ? "bad" : "good",
    }),
  );
  const left = members.filter((member) => !shown.includes(member));
  return [
    ...(isDrawn
      ? heads(shown.length, gap).map((text) => ({ text: `${" ".repeat(width + 4)}${text}`, tone: "quiet" as const }))
      : []),
    ...rows,
    ...(left.length > 0 ? [{ text: leftOut(left, wrong, shown.length === 0), tone: "quiet" } as const] : []),
    ...(isDrawn ? [{ text: LEGEND, tone: "quiet" } as const] : []),
  ];
}

/** The numbers of the columns: their last digits, above those the tens where there are. */
function heads(count: number, gap: string): string[] {
  const numbers = Array.from({ length: count }, (_, at) => at + 1);
  const tens = numbers.map((number) => (number % 10 === 0 ? String(number / 10) : " ")).join(gap);
  const units = numbers.map((number) => String(number % 10)).join(gap);
  return count > 9 ? [tens.trimEnd(), units] : [units];
}

/** `  168 more nodes, 8 of them with something wrong (--json lists all)` */
function leftOut(left: readonly Member[], wrong: ReadonlySet<string>, areAll: boolean): string {
  if (areAll) return "  --json lists the nodes";
  const bad = left.filter(({ node }) => wrong.has(node)).length;
  const how = bad === 0 ? "nothing is wrong with them" : `${bad} of them with something wrong`;
  return `  ${left.length} more ${left.length === 1 ? "node" : "nodes"}, ${how} (--json lists all)`;
}

/** What stands in the row of one node and the column of another. */
function signs(pairs: readonly Pair[]): (row: Member, column: Member) => string {
  const found = new Map(pairs.map((pair) => [`${pair.one.node} ${pair.other.node}`, pair]));
  return (row, column) => {
    if (row === column) return " ";
    const pair = found.get(`${row.node} ${column.node}`) ?? found.get(`${column.node} ${row.node}`);
    // One of the two is not seen; the other may still be linked with it.
    if (!pair) return row.linked.has(column.node) || column.linked.has(row.node) ? "+" : unseenSign(row, column);
    if (pair.link === "unknown") return "?";
    if (pair.link === "linked") return "+";
    return pair.link === "one-sided" ? "!" : isExpected(pair) ? "-" : ".";
  };
}

function unseenSign(row: Member, column: Member): string {
  return isUnknown(row) || isUnknown(column) ? "?" : "x";
}

/** It could not be looked up: it may be there. */
function isUnknown({ unavailable, isUnread }: Member): boolean {
  return unavailable !== undefined || isUnread === true;
}

/** Name, place, release, and what is special. */
function factsOf(member: Member): string[] {
  const { node, places, missing, health } = member;
  const answer = member.answer;
  const at = places.find(({ probe }) => probe === answer) ?? places[0];
  const state = member.state;
  const special = [
    ...(missing === undefined ? [] : [isUnknown(member) ? "not looked up" : "not found"]),
    ...(answer || !at ? [] : [probeReason(at.probe)]),
    ...(answer?.tls ? ["TLS"] : []),
    ...(answer?.hidden ? [isNoVm(answer.joined) ? "hidden, a C node" : "hidden"] : []),
    ...(answer?.joined?.cookie === "refused" || answer?.joined?.cookie === "other" ? ["other cookie"] : []),
    ...(state && !state.connectAll ? ["connect_all false"] : []),
    ...(state?.autoConnect ? [`dist_auto_connect ${state.autoConnect}`] : []),
    ...(health === undefined || health === "passing" ? [] : [health]),
  ];
  return [node, at ? hostPort(at.endpoint) : "-", releaseWords(member) || "-", special.join(", ")];
}

/** For programs; the shape is part of the contract. */
export function clusterObject({ members, verdict, from }: ClusterExamination): object {
  const { summary, isWell, links, problems, notes, pairs } = verdict;
  const unlinked = pairs.filter(({ link }) => link !== "linked" && link !== "unknown");
  return {
    ...{ summary, well: isWell },
    links: links ?? null,
    nodes: members.map((member) => nodeObject(member)),
    unlinked: unlinked.map((pair) => ({
      nodes: [pair.one.node, pair.other.node],
      link: pair.link,
      expected: isExpected(pair),
    })),
    ...{ problems, notes },
    joinedAs: isJoined(members) ? probeNames(from) : null,
  };
}

function nodeObject(member: Member): object {
  const { node, health, missing, places } = member;
  const answer = member.answer;
  const state = member.state;
  return {
    node,
    ...(health !== undefined && { health }),
    ...(missing !== undefined && { missing }),
    places: places.map(({ endpoint, probe }) => {
      return { place: hostPort(endpoint), result: probe.result, elapsedMs: probe.elapsedMs };
    }),
    ...(answer && {
      ...{ release: state?.release ?? null, hidden: answer.hidden, tls: answer.tls !== undefined },
      ...{ creation: answer.creation ?? null, cookie: answer.joined?.cookie ?? null },
    }),
    ...(state && {
      ...{ connectAll: state.connectAll, autoConnect: state.autoConnect ?? null },
      preventsPartitions: state.preventsPartitions ?? null,
      linked: { visible: state.visible, hidden: state.hidden, connecting: state.connecting },
      ends: Object.fromEntries(state.ends.map((end) => [end.node, hostPort(end)])),
    }),
  };
}

import { probeReason } from "../distribution/core/words.js";
import type { ClusterExamination } from "../doctor/cluster.js";
import { isExpected, type Member, type Pair } from "../doctor/core/cluster-links.js";
import { type ClusterProblem, releaseWords } from "../doctor/core/cluster-problems.js";
import type { ClusterVerdict } from "../doctor/core/cluster-verdict.js";
import { hostPort } from "../net/ip.js";
import { printable } from "../text.js";
import type { Line } from "./io.js";

/** Nodes up to which the matrix is drawn: a wider one is not read. */
const WIDEST = 32;

const LEGEND =
  "+ linked   - not linked   ! one of the two lists the other   . not linked, not expected   x not there   ? not known";

/** The summary, the matrix with the worst nodes first, then problems and notes. */
export function clusterLines({ members, verdict }: ClusterExamination): Line[] {
  const sorted = sortedMembers(members, verdict);
  const problems = verdict.problems.flatMap((problem) => problemLines("fail", problem));
  const notes = verdict.notes.flatMap((problem) => problemLines("note", problem));
  const rows = table(sorted, verdict);
  const legend: Line[] = rows.length > 0 && hasMatrix(members, verdict) ? [{ text: LEGEND, tone: "quiet" }] : [];
  return [
    { text: verdict.summary, tone: verdict.isWell ? "good" : "bad" },
    ...(rows.length > 0 ? [{ text: "" }, ...rows, ...legend] : []),
    ...(problems.length + notes.length > 0 ? [{ text: "" }, ...problems, ...notes] : []),
  ];
}

/** The nodes with the gravest problems first, then by name. */
function sortedMembers(members: readonly Member[], { problems }: ClusterVerdict): Member[] {
  const rank = ({ node }: Member) => {
    const at = problems.findIndex(({ nodes }) => nodes.includes(node));
    return at < 0 ? problems.length : at;
  };
  return [...members].sort((a, b) => rank(a) - rank(b));
}

function problemLines(word: "fail" | "note", { text, advice }: ClusterProblem): Line[] {
  return [{ text: `${word}  ${text}`, tone: word === "fail" ? "bad" : "doubtful" }, { text: `      ${advice}` }];
}

const hasMatrix = (members: readonly Member[], { links }: ClusterVerdict) =>
  links !== undefined && members.length <= WIDEST;

function table(members: readonly Member[], verdict: ClusterVerdict): Line[] {
  const isDrawn = hasMatrix(members, verdict);
  const width = String(members.length).length;
  const sign = signs(verdict.pairs);
  const cells = members.map((member, index) => [
    String(index + 1).padStart(width),
    ...(isDrawn ? [members.map((other) => sign(member, other).padStart(width)).join(" ")] : []),
    ...factsOf(member).map(printable),
  ]);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const wrong = new Set(verdict.problems.flatMap(({ nodes }) => nodes));
  const head: Line[] =
    isDrawn && cells.length > 0
      ? [
          {
            text: `${" ".repeat(width + 4)}${members.map((_, at) => String(at + 1).padStart(width)).join(" ")}`,
            tone: "quiet",
          },
        ]
      : [];
  const rows = cells.map(
    (row, index): Line => ({
      text: `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
      tone: wrong.has(members[index]?.node ?? "") ? "bad" : "good",
    }),
  );
  return [...head, ...rows];
}

/** What stands in the row of one node and the column of another. */
function signs(pairs: readonly Pair[]): (row: Member, column: Member) => string {
  const found = new Map(pairs.map((pair) => [`${pair.one.node} ${pair.other.node}`, pair]));
  return (row, column) => {
    if (row === column) return " ";
    const pair = found.get(`${row.node} ${column.node}`) ?? found.get(`${column.node} ${row.node}`);
    // One of the two is not there; the other may still be linked with it.
    if (!pair) return row.linked.has(column.node) || column.linked.has(row.node) ? "+" : "x";
    if (pair.link === "unknown") return "?";
    if (pair.link === "linked") return "+";
    return pair.link === "one-sided" ? "!" : isExpected(pair) ? "-" : ".";
  };
}

/** Name, place, release, and what is special. */
function factsOf(member: Member): string[] {
  const { node, places, missing, health } = member;
  const answer = member.answer;
  const at = places.find(({ probe }) => probe === answer) ?? places[0];
  const state = member.state;
  const special = [
    ...(missing === undefined ? [] : ["not found"]),
    ...(answer || !at ? [] : [probeReason(at.probe)]),
    ...(answer?.tls ? ["TLS"] : []),
    ...(answer?.hidden ? ["hidden"] : []),
    ...(answer?.joined?.cookie === "refused" || answer?.joined?.cookie === "other" ? ["other cookie"] : []),
    ...(state && !state.connectAll ? ["connect_all false"] : []),
    ...(state?.autoConnect ? [`dist_auto_connect ${state.autoConnect}`] : []),
    ...(health === undefined || health === "passing" ? [] : [health]),
  ];
  return [node, at ? hostPort(at.endpoint) : "-", releaseWords(member) || "-", special.join(", ")];
}

/** For programs; the shape is part of the contract. */
export function clusterObject({ members, verdict }: ClusterExamination): object {
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
    }),
  };
}

import { CHECKS } from "../doctor/checks.js";
import { type FindingResult, problemsOf } from "../doctor/core/finding.js";
import { headlineOf, type WayKnown } from "../doctor/core/headline.js";
import {
  causeOf,
  type FoundProblem,
  foundProblems,
  type RootProblem,
  type Told,
  verdictOf,
} from "../doctor/core/verdict.js";
import { PEER_COOKIE } from "../doctor/peer-cookie.js";
import { type DaemonFacts, PEER_DAEMON } from "../doctor/peer-daemon.js";
import { PEER_HANDSHAKE } from "../doctor/peer-handshake.js";
import { type LinkFacts, PEER_LINK } from "../doctor/peer-link.js";
import { type Io, type Line, painted, type Tone, writeJson } from "./io.js";

export interface DoctorReport {
  /** In the order of the checks, as each is done. */
  readonly tell: (told: Told) => void;
  readonly sumUp: (all: readonly Told[], about: Examined) => void;
}

/** What was examined. */
export interface Examined {
  readonly asked: AskedFor | undefined;
  /** A srv-epmd answers here, and no node is registered with it. */
  readonly isEmpty: boolean;
}

/** The node that was asked for. */
export interface AskedFor extends Pick<WayKnown, "asked" | "vms"> {
  /** A cookie was given. */
  readonly hasCookie: boolean;
}

const WIDTH = Math.max(...CHECKS.map(({ id }) => id.length));
const TONES: Record<FindingResult, Tone> = { ok: "good", warn: "doubtful", fail: "bad", skip: "quiet" };
const INDENT = " ".repeat(6);

const textOf = (parts: readonly string[]) => parts.join("; ");

/** A line for each check. A problem may follow from one of a later check, so all lines are written at the end. */
export function jsonReport(io: Io): DoctorReport {
  return {
    tell: () => {},
    sumUp: (told) => {
      const all = foundProblems(told);
      for (const one of told) writeJson(io, jsonOf(one, all));
    },
  };
}

function jsonOf(told: Told, all: readonly FoundProblem[]): object {
  const { id, result, evidence, facts } = told;
  const own = problemsOf(told).map((problem) => ({ ...problem, check: id }));
  const [first] = own;
  const problem = (found: FoundProblem) => {
    const cause = causeOf(found, all);
    return { code: found.code, ...(cause && { follows: cause.code }) };
  };
  return {
    ...{ check: id, result },
    ...(first && problem(first)),
    evidence: textOf(evidence),
    ...("advice" in told && { advice: textOf(told.advice) }),
    ...(own.length > 1 && {
      problems: own.map((one) => {
        const { about, result: its, evidence: seen, advice } = one;
        return { ...problem(one), result: its, about, evidence: textOf(seen), advice: textOf(advice) };
      }),
    }),
    ...(facts && { facts }),
  };
}

/** The verdict. @param all a line for each check before it; neighbours that are skipped for the same reason share one */
export function plainReport(io: Io, all: boolean): DoctorReport {
  const write = (lines: readonly Line[]) => {
    if (lines.length > 0) io.stdout(`${painted(lines, io).join("\n")}\n`);
  };
  let skipped: Told[] = [];
  const writeSkipped = () => {
    const [first, ...others] = skipped;
    const also = others.length > 0 ? ` (also ${others.map(({ id }) => id).join(", ")})` : "";
    if (first) {
      const last = `${first.evidence.at(-1)}${also}`;
      write(findingLines({ ...first, evidence: [...first.evidence.slice(0, -1), last] }));
    }
    skipped = [];
  };
  return {
    tell: (told) => {
      if (!all) return;
      if (told.result !== "skip" || textOf(skipped[0]?.evidence ?? []) !== textOf(told.evidence)) writeSkipped();
      if (told.result === "skip") skipped.push(told);
      else write(findingLines(told));
    },
    sumUp: (told, about) => {
      writeSkipped();
      if (all) io.stdout("\n");
      write(verdictLines(told, about, all));
    },
  };
}

function findingLines({ id, ...finding }: Told): Line[] {
  const tone = TONES[finding.result];
  // Findings about several nodes or places stand below each other.
  const evidence = finding.evidence.map((text, index): Line => {
    const head = index === 0 ? `${finding.result.padEnd(5)} ${id.padEnd(WIDTH)}` : " ".repeat(6 + WIDTH);
    return { text: `${head}  ${text}`, tone };
  });
  const advice = "advice" in finding ? finding.advice : [];
  return [...evidence, ...advice.map((text): Line => ({ text: `${INDENT}${text}` }))];
}

function verdictLines(told: readonly Told[], { asked, isEmpty }: Examined, all: boolean): Line[] {
  const { problems, counts } = verdictOf(told);
  const { ok, skip } = counts;
  const doubts = problems.length > 0 ? `${problems.length} ${problems.length === 1 ? "problem" : "problems"}; ` : "";
  const tone: Tone = counts.fail > 0 ? "bad" : problems.length > 0 ? "doubtful" : "good";
  return [
    ...problems.flatMap(problemLines),
    ...(asked === undefined ? [] : [headline(asked, told), ...knownLines(told)]),
    ...(asked === undefined && isEmpty ? [NO_NODE_HERE] : []),
    { text: `${doubts}${ok} ok, ${skip} skipped${all ? "" : " (--all)"}`, tone },
  ];
}

/** Else a machine whose VM has ended would be found well. */
const NO_NODE_HERE: Line = {
  text: "no node is registered here: a VM that should be has ended, or was not started, or registers with another EPMD",
  tone: "doubtful",
};

function problemLines(problem: RootProblem): Line[] {
  const { result, check, evidence, advice } = problem;
  // What is known of links stands below the line on the way to the node.
  const effects = problem.effects.filter((effect) => effect.check !== PEER_LINK);
  const isFailure = [problem, ...effects].some((one) => one.result === "fail");
  const tone = TONES[isFailure ? "fail" : result];
  const [first = "", ...others] = evidence;
  return [
    { text: `${(isFailure ? "fail" : result).padEnd(5)} ${first} (${check})`, tone },
    ...others.map((text): Line => ({ text: `${INDENT}${text}`, tone })),
    { text: `${INDENT}do:  ${advice[0] ?? ""}` },
    ...effects.map(({ check: its, evidence: seen }, index): Line => {
      return { text: `${INDENT}${index === 0 ? "so:" : "   "}  ${its}: ${textOf(seen)}`, tone: "quiet" };
    }),
  ];
}

/** Of the node that was asked for: links that stand, and who asked for it. */
function knownLines(told: readonly Told[]): Line[] {
  const known = told.find(({ id, result }) => id === PEER_LINK && result !== "skip");
  return (known?.evidence ?? []).map((text): Line => ({ text: `${INDENT}${text}`, tone: "quiet" }));
}

/** What is known of the way to the node as a whole. */
function headline({ hasCookie, ...asked }: AskedFor, told: readonly Told[]): Line {
  const of = (check: string) => told.find(({ id }) => id === check);
  const { links, linked = [], lookUp } = (of(PEER_LINK)?.facts ?? {}) as Partial<LinkFacts>;
  return headlineOf({
    ...asked,
    problems: foundProblems(told),
    handshake: of(PEER_HANDSHAKE)?.result,
    cookie: hasCookie ? of(PEER_COOKIE)?.result : "not-given",
    isStillFound: ((of(PEER_DAEMON)?.facts ?? {}) as Partial<DaemonFacts>).stillFound ?? false,
    isDoubtful: told.some(({ id, result }) => id.startsWith("peer-") && result === "fail"),
    ...{ links, linked, lookUp },
  });
}

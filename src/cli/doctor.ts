import { readCookie } from "../distribution/cookie.js";
import { CHECKS } from "../doctor/checks.js";
import { type Finding, type FindingResult, fail } from "../doctor/core/finding.js";
import { type Check, type Examination, examine } from "../doctor/examination.js";
import { ConfigError, describeError } from "../errors.js";
import { printable } from "../text.js";
import {
  type CommandContext,
  EXIT,
  type ExitCode,
  type Io,
  type Line,
  painter,
  type Tone,
  wrap,
  writeJson,
} from "./io.js";
import { nodeOperands } from "./operands.js";

/** Milliseconds: no check takes so long; one that hangs must not hold back the others. */
const CHECK_LIMIT = 12_000;
const WIDTH = Math.max(...CHECKS.map(({ id }) => id.length));
/** Hint when every check passes. */
const UNSEEN = "still pang? Compare the cookies, which no check sees, and run doctor on the machine of the node too";
const TONES: Record<FindingResult, Tone> = { ok: "good", warn: "doubtful", fail: "bad", skip: "quiet" };

/** Makes all checks at once, and prints their findings in order. It changes nothing. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { config, operands, io, log } = context;
  if (config.cluster) return (await import("./doctor-cluster.js")).doctorCluster(context);
  const [name, another] = nodeOperands(operands);
  if (another) throw new ConfigError("CONFIG_VALUE", "doctor looks at one node; with --cluster at several");
  const cookie = await readCookie(config, io.env);
  const examination = examine(config, name, operands[0] ?? "", log, cookie);
  const report = config.json ? jsonLines(io) : plainLines(io);
  const pending = CHECKS.map((check) => ({ id: check.id, finding: runCheck(check, examination) }));
  const told: Told[] = [];
  try {
    for (const { id, finding } of pending) {
      const one = { id, ...(await finding) };
      told.push(one);
      report.tell(one);
    }
  } finally {
    await examination.close();
  }
  report.sumUp(told, name !== undefined);
  return told.some(({ result }) => result === "fail") ? EXIT.notFound : EXIT.done;
}

type Told = Finding & { readonly id: string };

interface Report {
  readonly tell: (told: Told) => void;
  readonly sumUp: (all: readonly Told[], nodeNamed: boolean) => void;
}

const textOf = (parts: readonly string[]) => parts.join("; ");

function jsonLines(io: Io): Report {
  return {
    tell: ({ id, result, evidence, facts, ...rest }) => {
      const advice = "advice" in rest ? { advice: textOf(rest.advice) } : {};
      writeJson(io, { check: id, result, evidence: textOf(evidence), ...advice, ...(facts && { facts }) });
    },
    sumUp: () => {},
  };
}

/** Neighbouring checks that are skipped for the same reason share a line. */
function plainLines(io: Io): Report {
  const paint = painter(io);
  const width = io.stdoutIsTerminal ? io.columns : Number.POSITIVE_INFINITY;
  const write = (lines: readonly Line[]) => {
    const wrapped = lines.flatMap(({ text, tone }) =>
      wrap(printable(text), width).map((part) => paint({ text: part, tone })),
    );
    if (wrapped.length > 0) io.stdout(`${wrapped.join("\n")}\n`);
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
      if (told.result !== "skip" || textOf(skipped[0]?.evidence ?? []) !== textOf(told.evidence)) writeSkipped();
      if (told.result === "skip") skipped.push(told);
      else write(findingLines(told));
    },
    sumUp: (all, nodeNamed) => {
      writeSkipped();
      write(summary(all, nodeNamed));
    },
  };
}

/** Never rejects, and ends within CHECK_LIMIT. */
async function runCheck(check: Check, examination: Examination): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Finding>((resolve) => {
    const finding = fail(`not done within ${CHECK_LIMIT / 1000} s`, "see what else is slow here: name servers, Consul");
    timer = setTimeout(resolve, CHECK_LIMIT, finding);
  });
  const broken = (error: unknown) =>
    fail(`it could not be examined: ${describeError(error)}`, "this is a bug: please report it");
  const finding = await Promise.race([check.run(examination).catch(broken), late]);
  clearTimeout(timer);
  return finding;
}

function findingLines({ id, ...finding }: Told): Line[] {
  const tone = TONES[finding.result];
  // Findings about several nodes or places stand below each other.
  const evidence = finding.evidence.map((text, index): Line => {
    const head = index === 0 ? `${finding.result.padEnd(5)} ${id.padEnd(WIDTH)}` : " ".repeat(6 + WIDTH);
    return { text: `${head}  ${text}`, tone };
  });
  const advice = "advice" in finding ? finding.advice : [];
  return [...evidence, ...advice.map((text): Line => ({ text: `      ${text}` }))];
}

function summary(all: readonly Told[], nodeNamed: boolean): Line[] {
  const having = (wanted: FindingResult) => all.filter(({ result }) => result === wanted).map(({ id }) => id);
  const [failed, warned, skipped] = [having("fail"), having("warn"), having("skip")];
  const doubts = warned.length > 0 ? `; ${warned.length} to look at: ${warned.join(", ")}` : "";
  if (failed.length > 0) {
    return [{ text: `${failed.length} of ${all.length} checks failed: ${failed.join(", ")}${doubts}`, tone: "bad" }];
  }
  const done = `none of ${all.length - skipped.length} checks failed, ${skipped.length} did not apply${doubts}`;
  const line: Line = { text: done, tone: warned.length > 0 ? "doubtful" : "good" };
  return nodeNamed ? [line, { text: UNSEEN }] : [line];
}

import type { Finding, FindingResult } from "../core/doctor/finding.js";
import { fail } from "../core/doctor/finding.js";
import { describeError } from "../core/errors.js";
import type { Check } from "../doctor/check.js";
import { CHECKS } from "../doctor/checks.js";
import { type Examination, examine } from "../doctor/examination.js";
import type { CommandContext } from "./commands.js";
import { EXIT, type ExitCode } from "./exit-code.js";
import { type Line, painter, type Tone } from "./paint.js";
import { nodeOperands } from "./resolving.js";

/** No check takes so long; one that does must not keep the others from being told. Milliseconds. */
const CHECK_LIMIT = 12_000;
const WIDTH = Math.max(...CHECKS.map(({ id }) => id.length));
const TONES: Record<FindingResult, Tone> = { ok: "good", warn: "doubtful", fail: "bad", skip: "quiet" };

/** Examines the whole chain, all checks at once, and tells their findings in order as they come. It changes nothing. */
export async function doctor({ config, operands, io, log }: CommandContext): Promise<ExitCode> {
  const [name] = nodeOperands(operands);
  const examination = examine(config, name, operands[0] ?? "", log);
  const paint = painter(io);
  const pending = CHECKS.map((check) => ({ id: check.id, finding: runCheck(check, examination) }));
  const results: { readonly id: string; readonly result: FindingResult }[] = [];
  try {
    for (const { id, finding } of pending) {
      const found = await finding;
      results.push({ id, result: found.result });
      const lines = config.json ? [JSON.stringify({ check: id, ...found })] : findingLines(id, found).map(paint);
      io.stdout(`${lines.join("\n")}\n`);
    }
  } finally {
    await examination.close();
  }
  const failed = results.filter(({ result }) => result === "fail").map(({ id }) => id);
  if (!config.json) io.stdout(`${paint(summary(results, failed))}\n`);
  return failed.length > 0 ? EXIT.notFound : EXIT.done;
}

/** Never rejects, and never takes longer than its time. */
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

function findingLines(id: string, finding: Finding): Line[] {
  const tone = TONES[finding.result];
  // What was found of several nodes, or at several places, is easier to read below each other.
  const evidence = finding.evidence.split("; ").map((text, index): Line => {
    const head = index === 0 ? `${finding.result.padEnd(5)} ${id.padEnd(WIDTH)}` : " ".repeat(6 + WIDTH);
    return { text: `${head}  ${text}`, tone };
  });
  const advice = "advice" in finding ? finding.advice.split("; ") : [];
  return [...evidence, ...advice.map((text): Line => ({ text: `      ${text}` }))];
}

function summary(
  results: readonly { readonly id: string; readonly result: FindingResult }[],
  failed: readonly string[],
): Line {
  const warned = results.filter(({ result }) => result === "warn").map(({ id }) => id);
  const doubts = warned.length > 0 ? `; ${warned.length} to look at: ${warned.join(", ")}` : "";
  if (failed.length > 0) {
    return { text: `${failed.length} of ${results.length} checks failed: ${failed.join(", ")}${doubts}`, tone: "bad" };
  }
  const skipped = results.filter(({ result }) => result === "skip").length;
  const done = `none of ${results.length - skipped} checks failed, ${skipped} did not apply`;
  return { text: `${done}${doubts}`, tone: warned.length > 0 ? "doubtful" : "good" };
}

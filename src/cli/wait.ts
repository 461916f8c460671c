import { setTimeout as sleep } from "node:timers/promises";
import { describeError } from "../errors.js";
import { composeForLookUps } from "../resolve/compose.js";
import { printable } from "../text.js";
import { type CommandContext, complain, EXIT, type ExitCode, writeJson } from "./io.js";
import { firstAnswer } from "./names.js";
import { epmdCandidates, nodeOperands } from "./operands.js";

/** One attempt: undefined when it is there, else the reason why not. */
type Attempt = (timeLeft: number) => Promise<string | undefined>;

/** First pause between two attempts and the longest, milliseconds. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1000;
/** Milliseconds: an EPMD that works answers at once. */
const EPMD_TIMEOUT = 1000;
/** Milliseconds: one look-up asks a silent name server at growing intervals; a new look-up finds sooner that it has started. */
const LOOK_UP_TIMEOUT = 4000;
const SHORTEST_ATTEMPT = 100;
/** Milliseconds until the first line that says what is missing, and the longest time between two. */
const FIRST_PROGRESS = 2_000;
const LONGEST_SILENCE = 30_000;

/** Waits until this machine's EPMD answers, or until a node resolves. */
export async function wait(context: CommandContext): Promise<ExitCode> {
  const { operands, io, log } = context;
  let { config } = context;
  const [node] = nodeOperands(operands);
  let resolving = node && composeForLookUps(config, log, { follow: true });
  const what = () => (node ? operands[0] : `the EPMD on port ${config.port}`);
  const attempt: Attempt = async (timeLeft) => {
    // The daemon may start after us: its settings are known then.
    const told = await context.askAgain();
    if (told) {
      config = told;
      await resolving?.close();
      resolving = node && composeForLookUps(config, log, { follow: true });
    }
    if (!node || !resolving) return askEpmd(config.port, Math.min(EPMD_TIMEOUT, timeLeft));
    const timeout = Math.min(LOOK_UP_TIMEOUT, timeLeft);
    const resolution = await resolving.nodes.resolve(node, { sameHost: true, timeout });
    if (resolution.outcome === "found") return undefined;
    return resolution.outcome === "not-found" ? resolution.reason : resolution.cause;
  };
  try {
    const progress = createProgress((seconds, reason) => {
      complain(io, `waiting for ${what()} (${seconds} s): ${reason}`);
    });
    const { reason, elapsedMs } = await attemptUntil(attempt, config.timeout, progress);
    const waitedMs = Math.round(elapsedMs);
    if (config.json) writeJson(io, { for: what(), there: reason === undefined, reason, waitedMs });
    else if (reason === undefined) io.stdout(`${printable(`${what()} is there (${waitedMs} ms)`)}\n`);
    else complain(io, `gave up after ${(elapsedMs / 1000).toFixed(1)} s: ${what()}: ${reason}`);
    return reason === undefined ? EXIT.done : EXIT.notFound;
  } finally {
    await resolving?.close();
  }
}

async function attemptUntil(
  attempt: Attempt,
  timeout: number,
  progress: (elapsedMs: number, reason: string) => void,
): Promise<{ reason: string | undefined; elapsedMs: number }> {
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  let reason = await attempt(timeout);
  for (let pause = FIRST_PAUSE; reason !== undefined; pause = Math.min(LONGEST_PAUSE, pause * 2)) {
    const left = timeout - elapsed();
    if (left <= SHORTEST_ATTEMPT) break;
    progress(elapsed(), reason);
    // The last attempt begins when there is just time for it.
    await sleep(Math.max(0, Math.min(pause, left - SHORTEST_ATTEMPT)));
    // A busy machine wakes late: an attempt that has no time would only say so, in place of the reason that is known.
    if (timeout - elapsed() < SHORTEST_ATTEMPT / 2) break;
    reason = await attempt(timeout - elapsed());
  }
  return { reason, elapsedMs: elapsed() };
}

/** Tells what is still missing, at growing intervals. */
function createProgress(tell: (seconds: number, reason: string) => void) {
  let pause = FIRST_PROGRESS;
  let next = FIRST_PROGRESS;
  return (elapsedMs: number, reason: string): void => {
    if (elapsedMs < next) return;
    tell(Math.round(elapsedMs / 1000), reason);
    next = elapsedMs + pause;
    pause = Math.min(pause * 2, LONGEST_SILENCE);
  };
}

async function askEpmd(port: number, timeout: number): Promise<string | undefined> {
  try {
    await firstAnswer(epmdCandidates(undefined, port), { timeout });
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

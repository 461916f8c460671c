import { isAskedNode, isFailure } from "../distribution/core/words.js";
import { createProbe, type ProbeEndpoint } from "../distribution/prober.js";
import type { NodeName } from "../names/node-name.js";
import { thisMachine } from "../os/machine.js";
import { composeForLookUps, type Resolving } from "../resolve/compose.js";
import { type CommandContext, EXIT, type ExitCode, painter, writeJson } from "./io.js";
import { nodeOperands } from "./operands.js";
import {
  NO_TRIES,
  summaryLines,
  summaryObject,
  type Tally,
  type Try,
  tally,
  tryLine,
  tryObject,
} from "./ping-report.js";
import { untilStopped } from "./supervisor.js";

/** Milliseconds from the beginning of one try to that of the next. */
const INTERVAL = 1000;

/** Looks a node up and shakes hands with it, again and again, until a signal or `--count`. */
export async function ping(context: CommandContext): Promise<ExitCode> {
  const { config, operands, io, log } = context;
  const [node] = nodeOperands(operands);
  // The command line has one operand.
  if (!node) return EXIT.usage;
  const resolving = composeForLookUps(config, log, { follow: true });
  const full = resolving.nodes.fullName(node);
  const stop = new AbortController();
  const probe = await createProbe(config, { env: io.env, connect: resolving.connect }, stop.signal);
  const { unlessStopped, pause, settle } = untilStopped(stop, io, log);
  const paint = painter(io);
  let all: Tally = NO_TRIES;
  try {
    for (let seq = 1; !stop.signal.aborted && seq <= (config.count ?? Number.POSITIVE_INFINITY); seq++) {
      const startedAt = performance.now();
      const one = await unlessStopped(tryOnce(seq, { node, full, operand: operands[0] ?? "" }, resolving, probe));
      if (!one) break;
      if (config.json) writeJson(io, tryObject(one));
      else io.stdout(`${paint(tryLine(one, all))}\n`);
      all = tally(all, one);
      if (seq === config.count) break;
      await pause(startedAt + INTERVAL);
    }
    const from = thisMachine().hostName;
    if (config.json) writeJson(io, summaryObject(full, all, from));
    else io.stdout(`${summaryLines(full, all, from).map(paint).join("\n")}\n`);
    if (stop.signal.aborted) await settle();
    return exitCodeOf(all);
  } finally {
    await resolving.close();
  }
}

/** As ping(8): 0 when there was an answer. */
function exitCodeOf({ tries, answered, unavailable }: Tally): ExitCode {
  if (answered > 0) return EXIT.done;
  return tries > 0 && unavailable === tries ? EXIT.unavailable : EXIT.notFound;
}

interface Pinged {
  readonly node: NodeName;
  readonly full: string;
  /** As written. */
  readonly operand: string;
}

/** Tries the endpoints in their order, as a VM does, up to the one where the node is. Never rejects. */
async function tryOnce(
  seq: number,
  { node, full, operand }: Pinged,
  { nodes }: Resolving,
  probe: ProbeEndpoint,
): Promise<Try> {
  const at = new Date();
  const startedAt = performance.now();
  const answer = await nodes.resolve(node, { sameHost: true });
  const one = { seq, at, node: full, answer, lookUpMs: performance.now() - startedAt };
  if (answer.outcome !== "found") return one;
  const isAsked = isAskedNode(node, operand, full);
  let first: Try["reached"];
  for (const endpoint of answer.endpoints) {
    const reached = { endpoint, probe: await probe(endpoint, isAsked, full) };
    if (!isFailure(reached.probe)) return { ...one, reached };
    first ??= reached;
  }
  return { ...one, ...(first && { reached: first }) };
}

import type { NodeName } from "../names/node-name.js";
import { hostPort } from "../net/ip.js";
import { printable } from "../text.js";
import { type CommandContext, EXIT, type ExitCode, type Line, painter, worst, writeJson } from "./io.js";
import { exitCodeOf, jsonReport, outcomeWords, plainReport, type Report } from "./resolve-report.js";
import { untilStopped } from "./supervisor.js";

/** Milliseconds from the beginning of one look-up to that of the next. */
const INTERVAL = 1000;
/** How long a change is marked, milliseconds. */
const FRESH = 5000;

interface Watched {
  readonly report: Report;
  readonly changedAt: Date;
  /** In words, before the last change; undefined: there was none. */
  readonly before: string | undefined;
}

/** Looks each node up every second and shows changes, until a signal; the last state decides the exit code. */
export async function watchNodes(
  nodes: readonly NodeName[],
  lookUp: (node: NodeName, index: number) => Promise<Report>,
  { config, io, log }: CommandContext,
): Promise<ExitCode> {
  const stop = new AbortController();
  const { unlessStopped, pause, settle } = untilStopped(stop, io, log);

  const states: (Watched | undefined)[] = nodes.map(() => undefined);
  const show = config.json || !io.stdoutIsTerminal ? oneByOne(io, config.json) : repainted(io, states);
  const follow = async (node: NodeName, index: number) => {
    while (!stop.signal.aborted) {
      const startedAt = performance.now();
      const report = await unlessStopped(lookUp(node, index));
      if (!report || stop.signal.aborted) return;
      const last = states[index];
      const isChange = !last || essence(last.report) !== essence(report);
      const before = isChange ? last && summary(last.report) : last.before;
      const state = { report, before, changedAt: isChange ? new Date() : last.changedAt };
      states[index] = state;
      show(state, isChange);
      await pause(startedAt + INTERVAL);
    }
  };
  await Promise.all(nodes.map(follow));
  await settle();
  return worst(states.map((state) => (state ? exitCodeOf(state.report) : EXIT.unavailable)));
}

type Show = (state: Watched, isChange: boolean) => void;

/** For a file or a pipe: one line a change. */
function oneByOne(io: CommandContext["io"], json: boolean): Show {
  const paint = painter(io);
  return ({ report, changedAt }, isChange) => {
    if (!isChange) return;
    const at = changedAt.toISOString();
    if (json) writeJson(io, { at, ...jsonReport(report) });
    else io.stdout(`${paint({ text: `${at} ${summary(report)}` })}\n`);
  };
}

/** For a terminal: all nodes, in place. */
function repainted(io: CommandContext["io"], states: readonly (Watched | undefined)[]): Show {
  const paint = painter(io);
  let height = 0;
  return () => {
    const lines = states.flatMap((state) => (state ? [...plainReport(state.report), changeLine(state)] : []));
    // A line that the terminal wraps would be more than one to go back over.
    const shown = lines.map(({ text, ...line }) =>
      paint({ ...line, text: printable(text).slice(0, Math.max(1, io.columns - 1)) }),
    );
    // ECMA-48: CUU and ED, back to our first line and erase from there.
    const back = height > 0 ? `\x1b[${height}A\x1b[J` : "";
    height = shown.length;
    io.stdout(`${back}${shown.join("\n")}\n`);
  };
}

function changeLine({ changedAt, before }: Watched): Line {
  const since = `  since ${changedAt.toLocaleTimeString("en-GB")}`;
  if (before === undefined) return { text: since, tone: "quiet" };
  const isFresh = Date.now() - changedAt.getTime() < FRESH;
  return {
    text: `${isFresh ? "* " : "  "}${since.trimStart()}, before: ${before}`,
    tone: isFresh ? "doubtful" : "quiet",
  };
}

/** One line: `node_b@svc.service.consul: found by srv: 10.1.2.4:20002` */
function summary(report: Report): string {
  const { node, answer, probes } = report;
  const head = `${node}: ${outcomeWords(report)}`;
  if (answer.outcome === "not-found") return `${head}: ${answer.reason}`;
  if (answer.outcome === "unavailable") return `${head}: ${answer.cause}`;
  const places = answer.endpoints.map((endpoint, index) => {
    const probe = probes?.[index];
    const name = probe && "name" in probe && probe.result === "other-node" ? ` ${probe.name}` : "";
    return `${hostPort(endpoint)}${probe ? ` (${probe.result}${name})` : ""}`;
  });
  return `${head}: ${places.join(", ")}`;
}

/** Text that differs when something has changed: codes, nodes and places, without their order by weight and without times. */
function essence({ answer, probes, via }: Report): string {
  if (answer.outcome === "unavailable") return answer.outcome;
  // Another EPMD tells a reason without a code.
  if (answer.outcome === "not-found") return JSON.stringify([answer.code, via && [via, answer.reason]]);
  const places = answer.endpoints.map(({ address, port, target, priority }, index) => {
    const probe = { ...probes?.[index], elapsedMs: undefined, connectMs: undefined };
    return JSON.stringify([address, port, target, priority, probe]);
  });
  return JSON.stringify([answer.source, answer.stale, places.sort(), via]);
}

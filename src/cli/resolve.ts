import { printable } from "../core/printable.js";
import type { Resolution } from "../core/resolution.js";
import type { Trace } from "../core/trace.js";
import { formatPeer } from "../epmd/peer.js";
import { composeForLookUps } from "../resolve.js";
import type { CommandContext } from "./commands.js";
import { type ExitCode, worst } from "./exit-code.js";
import { exitCodeOf, nodeOperands } from "./resolving.js";
import { traceLines } from "./trace-lines.js";

interface Report {
  /** With its host expanded. */
  readonly node: string;
  readonly resolution: Resolution;
  readonly elapsedMs: number;
}

/** Looks nodes up as the daemon would, all at once, and prints them in the order in which they were named. */
export async function resolve(context: CommandContext): Promise<ExitCode> {
  const { config, io, operands } = context;
  const nodes = nodeOperands(operands);
  const resolving = composeForLookUps(context.config, context.log);
  try {
    const reports = nodes.map(async (node): Promise<Report> => {
      const startedAt = performance.now();
      const resolution = await resolving.nodes.resolve(node, { sameHost: true, ...traceTo(context) });
      return { node: resolving.nodes.fullName(node), resolution, elapsedMs: performance.now() - startedAt };
    });
    const codes: ExitCode[] = [];
    for (const pending of reports) {
      const report = await pending;
      io.stdout(`${config.json ? jsonLine(report) : plainLines(report).map(printable).join("\n")}\n`);
      codes.push(exitCodeOf(report.resolution));
    }
    return worst(codes);
  } finally {
    await resolving.close();
  }
}

/** Steps go to stdout with the results; with `--json`, where every line is a result, to stderr. */
function traceTo({ config, io }: CommandContext): { trace?: Trace } {
  const write = config.json ? io.stderr : io.stdout;
  return config.trace ? { trace: (event) => write(`${traceLines(event).map(printable).join("\n")}\n`) } : {};
}

/** One object a line; the shape is part of the contract. */
function jsonLine({ node, resolution, elapsedMs }: Report): string {
  const elapsed = Math.round(elapsedMs * 10) / 10;
  if (resolution.outcome !== "found") return JSON.stringify({ node, ...resolution, elapsedMs: elapsed });
  const { outcome, source, stale, ttl, endpoints } = resolution;
  return JSON.stringify({ node, outcome, source, stale, ttl, endpoints, elapsedMs: elapsed });
}

function plainLines({ node, resolution, elapsedMs }: Report): string[] {
  const time = `(${elapsedMs.toFixed(1)} ms)`;
  switch (resolution.outcome) {
    case "found": {
      const { endpoints, source, stale } = resolution;
      const places = endpoints.map((endpoint) => formatPeer(endpoint));
      const width = Math.max(...places.map((place) => place.length));
      const lines = endpoints.map(({ priority, weight, target }, index) => {
        const record = source === "srv" ? `priority ${priority}  weight ${weight}  ${target}` : target;
        return `  ${(places[index] ?? "").padEnd(width)}  ${record}`;
      });
      return [`${node}: found by ${source}${stale ? ", stale: no name server answers" : ""} ${time}`, ...lines];
    }
    case "not-found":
      return [`${node}: not found ${time}`, `  ${resolution.reason}`];
    case "unavailable":
      return [`${node}: cannot be looked up ${time}`, `  ${resolution.cause}`];
    default:
      return resolution satisfies never;
  }
}

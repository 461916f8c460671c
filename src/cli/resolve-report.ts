import { isFailure, type Probe, probeWords } from "../distribution/words.js";
import { hostPort } from "../net/ip.js";
import { type Answer, resolutionObject } from "../resolve/core/resolution.js";
import { type Way, wayWords } from "../resolve/core/ways-in.js";
import { EXIT, type ExitCode } from "./exit-code.js";
import type { Line, Tone } from "./paint.js";
import type { ViaSeen } from "./resolve-via.js";

export interface Report {
  /** With its host expanded. */
  readonly node: string;
  readonly answer: Answer;
  readonly elapsedMs: number;
  /** Of each endpoint, in their order: `--probe`. */
  readonly probes?: readonly Probe[];
  /** `--trace` */
  readonly ways?: readonly Way[];
  /** `--via` */
  readonly via?: ViaSeen;
}

export function exitCodeOf({ answer, probes }: Pick<Report, "answer" | "probes">): ExitCode {
  if (answer.outcome === "unavailable") return EXIT.unavailable;
  if (answer.outcome === "not-found") return EXIT.notFound;
  // Who asks for the probe wants to know whether the node is there.
  return probes?.every(isFailure) ? EXIT.notFound : EXIT.done;
}

/** The object of a node; the shape is part of the contract. */
export function jsonReport({ node, answer, elapsedMs, probes, ways, via }: Report): object {
  const added = { ...(via && { via }), ...(ways && { ways }) };
  return resolutionObject(node, answer, elapsedMs, {
    added,
    ofEndpoint: (index) => probes && { probe: probes[index] },
  });
}

const TONES: Record<Answer["outcome"], Tone> = { found: "good", "not-found": "doubtful", unavailable: "bad" };

export function plainReport(report: Report): Line[] {
  const { node, answer, elapsedMs } = report;
  const heading = {
    text: `${node}: ${outcomeWords(report)} (${elapsedMs.toFixed(1)} ms)`,
    tone: TONES[answer.outcome],
  };
  const ways = (report.ways ?? []).map((way): Line => ({ text: `- ${wayWords(way)}`, tone: "quiet" }));
  const via = viaLines(report);
  const next: Line[] =
    report.ways && exitCodeOf(report) !== EXIT.done
      ? [{ text: `- srv-epmd doctor ${node} looks for the reason`, tone: "quiet" }]
      : [];
  switch (answer.outcome) {
    case "found":
      return [heading, ...endpointLines(report, answer), ...via, ...ways, ...next];
    // Nobody dials what is not found.
    case "not-found":
      return [heading, { text: `  ${answer.reason}` }, ...via, ...next];
    case "unavailable":
      return [heading, { text: `  ${answer.cause}` }, ...via, ...next];
    default:
      return answer satisfies never;
  }
}

/** `found by srv`, `not found`, `cannot be looked up` */
export function outcomeWords({ answer, via }: Report): string {
  if (answer.outcome === "not-found") return `not found${via ? ` by ${epmdWords(via)}` : ""}`;
  if (answer.outcome === "unavailable") return "cannot be looked up";
  const by = via ? epmdWords(via) : answer.source;
  return `found by ${by}${answer.stale ? ", stale: no name server answers" : ""}`;
}

function endpointLines({ node, probes }: Report, { endpoints, source }: Extract<Answer, { outcome: "found" }>): Line[] {
  const places = endpoints.map((endpoint) => hostPort(endpoint));
  const width = Math.max(...places.map((place) => place.length));
  return endpoints.flatMap((endpoint, index): Line[] => {
    const { priority, weight, target } = endpoint;
    const record = source === "srv" ? `priority ${priority}  weight ${weight}  ${target}` : target;
    const line = { text: `  ${(places[index] ?? "").padEnd(width)}  ${record}` };
    const probe = probes?.[index];
    return probe ? [line, { text: `    ${probeWords(probe, node, endpoint)}`, tone: probeTone(probe) }] : [line];
  });
}

function epmdWords({ epmd, kind }: ViaSeen): string {
  return `the ${kind === "srv-epmd" ? "srv-epmd" : "EPMD"} at ${epmd}`;
}

function viaLines({ via }: Report): Line[] {
  if (!via?.kind) return [];
  const lines: Line[] = [];
  if (via.kind === "stock") {
    lines.push({
      text: "  it knows no full names: a stock EPMD, or a srv-epmd to which this machine is a stranger",
      tone: "quiet",
    });
  }
  const stock = via.stockVm === null ? "is told no port" : `dials ${via.stockVm}`;
  lines.push({ text: `  a stock VM that asks it for ${via.aliveName} ${stock}`, tone: "quiet" });
  return lines;
}

function probeTone(probe: Probe): Tone {
  if (probe.result === "node") return "good";
  return isFailure(probe) ? "bad" : "doubtful";
}

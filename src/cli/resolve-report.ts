import type { probeNames } from "../distribution/core/probe-names.js";
import { isFailure, type Probe, probeWords } from "../distribution/core/words.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import {
  resolutionObject,
  type ShownResolution,
  type SourceName,
  type TraceEvent,
} from "../resolve/core/resolution.js";
import { type Way, wayWords } from "../resolve/core/ways-in.js";
import type { NamedVm } from "../resolve/twins.js";
import { EXIT, type ExitCode, type Line, type Tone } from "./io.js";

/** Which EPMD was asked, and what a stock VM is told there. */
export interface ViaSeen {
  /** `127.0.0.1:4369` */
  readonly epmd: string;
  /** Undefined when only a bare name was asked for, or the EPMD did not answer. */
  readonly kind?: "srv-epmd" | "stock";
  readonly aliveName: string;
  /** Where a stock VM dials that has asked there, with the alive name alone; null: it is told no port. */
  readonly stockVm: string | null;
}

export interface Report {
  /** With its host expanded. */
  readonly node: string;
  readonly answer: ShownResolution;
  readonly elapsedMs: number;
  /** Of each endpoint, in their order: `--probe`. */
  readonly probes?: readonly Probe[];
  /** The VMs that have its name: `--probe`. */
  readonly vms?: readonly NamedVm[];
  /** The names under which its VM was joined, and how many there are at most: `--probe` with a cookie. */
  readonly joinedAs?: ReturnType<typeof probeNames>;
  /** `--trace` */
  readonly ways?: readonly Way[];
  /** `--via` */
  readonly via?: ViaSeen;
}

export function exitCodeOf({ answer, probes }: Pick<Report, "answer" | "probes">): ExitCode {
  if (answer.outcome === "unavailable") return EXIT.unavailable;
  if (answer.outcome === "not-found") return EXIT.notFound;
  // With --probe the exit code says whether the node is there.
  return probes?.every(isFailure) ? EXIT.notFound : EXIT.done;
}

/** The object of a node; the shape is part of the contract. */
export function jsonReport({ node, answer, elapsedMs, probes, vms = [], joinedAs, ways, via }: Report): object {
  const elsewhere = vms.filter(({ origin }) => origin === "elsewhere");
  const twins = elsewhere.map(({ endpoint, probe }) => ({ ...endpoint, probe }));
  const isTwice = elsewhere.length > 0 && elsewhere.length < vms.length;
  const ofProbe = { ...(isTwice && { twins }), ...(joinedAs && { joinedAs }) };
  const added = { ...(via && { via }), ...ofProbe, ...(ways && { ways }) };
  return resolutionObject(node, answer, elapsedMs, {
    added,
    ofEndpoint: (index) => probes && { probe: probes[index] },
  });
}

const TONES: Record<ShownResolution["outcome"], Tone> = { found: "good", "not-found": "doubtful", unavailable: "bad" };

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
      return [heading, ...endpointLines(report, answer), ...twinLines(report), ...via, ...ways, ...next];
    // A node that is not found is not dialled: no ways.
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
  return `found by ${by}${answer.stale ? `, stale: ${STALE[answer.source] ?? STALE.srv}` : ""}`;
}

/** Instances of a catalogue that `--trace` shows. */
const MAX_HELD = 32;

/** Why the last good answer of a source is used. */
const STALE = { srv: "no name server answers", catalogue: "the catalogue does not answer" } as Record<string, string>;

function endpointLines(
  { node, probes }: Report,
  { endpoints, source }: Extract<ShownResolution, { outcome: "found" }>,
): Line[] {
  const places = endpoints.map((endpoint) => hostPort(endpoint));
  const width = Math.max(...places.map((place) => place.length));
  return endpoints.flatMap((endpoint, index): Line[] => {
    const { priority, weight, target } = endpoint;
    const order = `priority ${priority}  weight ${weight}`;
    const record = source === "srv" ? `${order}  ${target}` : source === "catalogue" ? order : target;
    const line = { text: `  ${(places[index] ?? "").padEnd(width)}  ${record}` };
    const probe = probes?.[index];
    return probe ? [line, { text: `    ${probeWords(probe, node, endpoint)}`, tone: probeTone(probe) }] : [line];
  });
}

/** Several VMs of the name that is asked for. */
function twinLines({ node, vms = [] }: Report): Line[] {
  if (vms.length < 2) return [];
  const places = vms
    .map(({ endpoint, origin }) => `${hostPort(endpoint)}${origin === "here" ? " (here)" : ""}`)
    .join(" and ");
  const isOneHere = vms.some(({ origin }) => origin === "here");
  const leads = isOneHere ? "a look-up elsewhere leads to either" : "a look-up leads to either";
  const text = `  ${vms.length} VMs are called ${node}, at ${places}: ${leads}, and one cluster cannot have both`;
  return [{ text, tone: "bad" }];
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

/** A step of a resolution for people to read; lines of one step belong together. */
export function traceLines(event: TraceEvent): string[] {
  switch (event.step) {
    case "name":
      return [`- ${event.asked} is alive name ${event.aliveName} at host ${event.host}`];
    case "source":
      return [`- ${event.source}: ${event.result}`];
    case "query": {
      const { server, transport, qname, qtype, result, elapsedMs, flags, records, additionals } = event;
      const via = transport === "cache" ? "from cache" : `to ${server} over ${transport}`;
      const said = [result, ...(flags.length > 0 ? [`[${flags.join(" ")}]`] : []), `(${elapsedMs.toFixed(1)} ms)`];
      const why = event.because === undefined ? "" : `, because: ${event.because}`;
      return [
        `- query ${qname} ${qtype} ${via}: ${said.join(" ")}${why}`,
        ...records.map((record) => `    ${record}`),
        ...additionals.map((record) => `    additional: ${record}`),
      ];
    }
    case "partial": {
      const { server, qname, qtype, records } = event;
      const some = records === 1 ? "1 record" : `${records} records`;
      return [
        `- query ${qname} ${qtype}: the truncated answer of ${server} is used, ${some}; TCP gave no complete answer`,
      ];
    }
    case "catalogue":
      return catalogueLines(event);
    case "hosts-file":
      return [`- /etc/hosts: ${event.name} is ${event.addresses.join(", ")}`];
    case "left-out":
      return [`- left out: ${event.count} of ${event.of} ${event.what}; a look-up takes ${event.of - event.count}`];
    case "not-awaited":
      return [`- no address yet, and not waited for: ${event.targets.join(", ")}`];
    case "probe":
      return [`- probe ${event.result} (${event.elapsedMs.toFixed(1)} ms)`];
    case "order":
      return orderLines(event.source, event.endpoints);
    case "preferred":
      return [`- order: ${hostPort(event.endpoint)} goes first, for it accepts connections`];
    default:
      return event satisfies never;
  }
}

function catalogueLines(event: Extract<TraceEvent, { step: "catalogue" }>): string[] {
  const { title, service, datacenter, namespace, tag, state, ageMs, instances = 0, held } = event;
  const place = [datacenter, namespace].filter((one) => one !== undefined).map((one) => ` in ${one}`);
  const what = `- catalogue of ${title}, service ${service}${place.join("")}`;
  if (ageMs === undefined) return [`${what}: no answer yet`];
  const all = `${instances} ${instances === 1 ? "instance" : "instances"}`;
  const tagged = tag === undefined ? "" : `, ${held.length} not critical with the tag ${tag}`;
  const since = `told ${(ageMs / 1000).toFixed(1)} s ago${state === "current" ? "" : `, and does not answer now (${state})`}`;
  const shown = held
    .slice(0, MAX_HELD)
    .map(({ address, port, weight }) => `    ${hostPort(address, port)} weight ${weight}`);
  const rest = held.length > MAX_HELD ? [`    and ${held.length - MAX_HELD} more`] : [];
  return [`${what}: ${all}${tagged}, ${since}`, ...shown, ...rest];
}

function orderLines(source: SourceName, endpoints: readonly Endpoint[]): string[] {
  const order = `- order: ${endpoints.map((endpoint) => hostPort(endpoint)).join(", then ")}`;
  if ((source !== "srv" && source !== "catalogue") || endpoints.length < 2) return [order];
  return [
    order,
    "    RFC 2782: the lowest priority first, within one by weight at random; addresses of one target as RFC 6724 prefers them",
    ...endpoints.map((endpoint) => `    ${hostPort(endpoint)}: ${place(endpoint, endpoints)}`),
  ];
}

/** Priority of an endpoint's record, and how often its weight puts it first. */
function place(endpoint: Endpoint, endpoints: readonly Endpoint[]): string {
  const { priority, weight, target } = endpoint;
  const equals = endpoints.filter((other) => other.priority === priority);
  // A record whose target has several addresses counts once.
  const weights = new Map(equals.map((other) => [`${other.target} ${other.port}`, other.weight]));
  const sum = Array.from(weights.values()).reduce((total, one) => total + one, 0);
  if (weights.size === 1) return `priority ${priority}, target ${target}`;
  const share =
    sum === 0 ? "each as likely as the others" : `first of its priority in ${percent(weight / sum)} of look-ups`;
  return `priority ${priority}, weight ${weight}, target ${target}: ${share}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

import type { IpPort } from "../config/network-values.js";
import { leftBehind, probeNames } from "../distribution/core/probe-names.js";
import { isAskedNode, wasJoined } from "../distribution/core/words.js";
import { createProbe, type ProbeEndpoint } from "../distribution/prober.js";
import { portPleaseWhy, type WhyAnswer } from "../epmd/client.js";
import { decodeEndpoints, type Port2Answer } from "../epmd/wire/responses.js";
import { describeError } from "../errors.js";
import { formatNodeName, hostPartOf, type NodeName } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { familyOf, hostPort } from "../net/ip.js";
import { hostsEntriesIn } from "../os/core/hosts-file.js";
import { readHostsFile } from "../os/hosts-file.js";
import { thisMachine } from "../os/machine.js";
import { composeForLookUps, type LookUps } from "../resolve/compose.js";
import { epmdErrorCode, notFound, type ShownResolution, type Trace, unavailable } from "../resolve/core/resolution.js";
import { type Way, waysIn } from "../resolve/core/ways-in.js";
import type { AskPlace } from "../resolve/twins.js";
import { printable } from "../text.js";
import { type CommandContext, type ExitCode, painter, worst, writeJson } from "./io.js";
import { epmdCandidates, nodeOperands } from "./operands.js";
import { exitCodeOf, jsonReport, plainReport, type Report, traceLines, type ViaSeen } from "./resolve-report.js";

/** Looks nodes up as the daemon would, and prints them in the order in which they were named. */
export async function resolve(context: CommandContext): Promise<ExitCode> {
  const { config, io } = context;
  const nodes = nodeOperands(context.operands);
  const resolving = composeForLookUps(context.config, context.log);
  const { connect } = resolving;
  const probe = config.probe ? await createProbe(config, { env: io.env, connect }) : undefined;
  const lookUp = createLookUp(context, resolving, probe);
  try {
    if (config.watch) return await (await import("./resolve-watch.js")).watchNodes(nodes, lookUp, context);
    const paint = painter(io);
    // With --trace one after the other, so that the steps of each stay together.
    const pending = config.trace ? [] : nodes.map((node, index) => lookUp(node, index));
    const codes: ExitCode[] = [];
    let isAnyJoined = false;
    for (const [index, node] of nodes.entries()) {
      const report = await (pending[index] ?? lookUp(node, index));
      if (config.json) writeJson(io, jsonReport(report));
      else io.stdout(`${plainReport(report).map(paint).join("\n")}\n`);
      codes.push(exitCodeOf(report));
      isAnyJoined ||= report.joinedAs !== undefined;
    }
    if (isAnyJoined && !config.json)
      io.stdout(`${paint({ text: leftBehind(thisMachine().hostName), tone: "quiet" })}\n`);
    return worst(codes);
  } finally {
    await resolving.close();
  }
}

/** Makes a look-up with its probes, ways and trace, as the flags say. */
function createLookUp(context: CommandContext, { nodes, vmsNamed }: LookUps, probe: ProbeEndpoint | undefined) {
  const { config, operands } = context;
  const [via] = config.via === undefined ? [] : epmdCandidates(config.via, config.port);
  const trace = traceTo(context);

  return async (node: NodeName, index: number): Promise<Report> => {
    const startedAt = performance.now();
    const full = nodes.fullName(node);
    const answered = via
      ? await resolveVia(via, node, {
          timeout: config.timeout,
          ...(trace && { trace: (step) => trace([step]) }),
        })
      : { answer: await nodes.resolve(node, { sameHost: true, ...(trace && { trace: steps(trace) }) }) };
    const elapsedMs = performance.now() - startedAt;
    const { answer } = answered;
    const isAsked = isAskedNode(node, operands[index] ?? "", full);
    const dialled =
      probe && answer.outcome === "found"
        ? await dialNode(
            { name: node, full, answer },
            (endpoint, again) => probe(endpoint, isAsked, full, again),
            vmsNamed,
          )
        : {};
    const ways = trace && !via ? await waysOf(full, node.aliveName, answer, context) : undefined;
    return { node: full, ...answered, elapsedMs, ...dialled, ...(ways && { ways }) };
  };
}

interface AnsweredNode {
  readonly name: NodeName;
  readonly full: string;
  readonly answer: Extract<Report["answer"], { outcome: "found" }>;
}

/** Asks at each endpoint who is there, and which VMs have the name. Never rejects. */
async function dialNode(
  { name, full, answer }: AnsweredNode,
  ask: AskPlace,
  vmsNamed: LookUps["vmsNamed"],
): Promise<Pick<Report, "probes" | "vms" | "joinedAs">> {
  const places = await Promise.all(
    answer.endpoints.map(async (endpoint) => ({ endpoint, probe: await ask(endpoint) })),
  );
  const vms = await vmsNamed({ name, full, source: answer.source, places }, ask);
  const probes = places.map(({ probe }) => probe);
  return { probes, vms, ...(probes.some(wasJoined) && { joinedAs: probeNames(thisMachine().hostName) }) };
}

async function waysOf(
  full: string,
  aliveName: string,
  answer: Report["answer"],
  { config }: CommandContext,
): Promise<Way[]> {
  const { askedWays, hostAddresses } = await import("../resolve/asked-ways.js");
  const hostsText = await readHostsFile();
  const host = hostPartOf(full);
  const ways = waysIn({
    settings: config,
    host,
    endpoints: answer.outcome === "found" ? answer.endpoints : [],
    isLocal: answer.outcome === "found" && answer.source === "registry",
    ownAddresses: thisMachine().addresses(),
    hostAddresses: await hostAddresses(host, hostsText, config.timeout),
    hostsEntries: hostsEntriesIn(hostsText, config.gatewayRange),
  });
  return config.probe ? askedWays(ways, aliveName, config) : ways;
}

/** Steps go to stdout with the results; with `--json`, where every line is a result, to stderr. */
function traceTo({ config, io }: CommandContext): ((lines: readonly string[]) => void) | undefined {
  if (!config.trace) return undefined;
  if (config.json) return (lines) => io.stderr(`${lines.map(printable).join("\n")}\n`);
  const paint = painter(io);
  return (lines) => io.stdout(`${lines.map((text) => paint({ text, tone: "quiet" })).join("\n")}\n`);
}

function steps(write: (lines: readonly string[]) => void): Trace {
  return (event) => write(traceLines(event));
}

interface ViaOptions {
  /** Milliseconds for each of the two requests. */
  readonly timeout: number;
  readonly trace?: (step: string) => void;
}

/** Asks a running EPMD: with the full name, as the module does, and with the alive name alone, as a stock VM does. Never rejects. */
async function resolveVia(
  epmd: IpPort,
  node: NodeName,
  options: ViaOptions,
): Promise<{ answer: ShownResolution; via: ViaSeen }> {
  const { aliveName } = node;
  const where = hostPort(epmd.address, epmd.port);
  try {
    const bare = await ask(epmd, aliveName, options);
    const full = node.host === undefined ? undefined : await ask(epmd, fullName(node), options);
    const stockVm = bare.node ? hostPort(epmd.address, bare.node.port) : null;
    const endpoints = full?.node ? endpointsOf(full.node) : undefined;
    const isOurs = endpoints !== undefined || full?.reason !== undefined;
    const kind = isOurs ? "srv-epmd" : "stock";
    const via: ViaSeen = { epmd: where, ...(full && { kind }), aliveName, stockVm };
    if (endpoints) return { via, answer: found(endpoints) };
    if (full?.reason !== undefined) return { via, answer: notFound("EPMD_NO_NODE", full.reason) };
    // An EPMD that knows no full names has only nodes of its own address.
    if (bare.node) return { via, answer: found([{ ...epmd, port: bare.node.port }]) };
    return { via, answer: notFound("EPMD_NO_NODE", `${where} has no port for ${aliveName}`) };
  } catch (error) {
    const answer = unavailable(epmdErrorCode(error), describeError(error));
    return { answer, via: { epmd: where, aliveName, stockVm: null } };
  }
}

function fullName(node: NodeName): string {
  return `${formatNodeName(node)}${node.family === undefined ? "" : `/${node.family}`}`;
}

async function ask(epmd: IpPort, name: string, { timeout, trace }: ViaOptions): Promise<WhyAnswer> {
  const startedAt = performance.now();
  const answer = await portPleaseWhy(epmd, name, { timeout });
  const said = answer.node ? `port ${answer.node.port}` : (answer.reason ?? "no such node");
  const elapsed = (performance.now() - startedAt).toFixed(1);
  trace?.(`- PORT_PLEASE2 ${name} to ${hostPort(epmd.address, epmd.port)}: ${said} (${elapsed} ms)`);
  return answer;
}

/** Undefined when Extra holds none: the EPMD has a node that was registered under that very name. */
function endpointsOf({ extra }: Port2Answer): readonly IpPort[] | undefined {
  try {
    const endpoints = decodeEndpoints(extra);
    return endpoints.length > 0 ? endpoints : undefined;
  } catch {
    return undefined;
  }
}

function found(places: readonly IpPort[]): ShownResolution {
  const endpoints = places.map(({ address, port }): Endpoint => {
    return { address, port, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: address };
  });
  return { outcome: "found", source: "epmd", stale: false, ttl: 0, endpoints };
}

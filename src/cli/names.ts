import { type ClusterNode, criticalBecause } from "../catalogue/core/instances.js";
import { type AskedService, readPattern, serviceOfPattern, servicesOfDomains } from "../catalogue/core/matching.js";
import { type TwiceNamed, twiceNamed, twiceWords } from "../catalogue/core/twice.js";
import type { Config } from "../config/config.js";
import type { IpPort } from "../config/network-values.js";
import type { Unread } from "../doctor/unread.js";
import { type AskNamesOptions, names as askNames, knowsFullNames } from "../epmd/client.js";
import type { NamesAnswer } from "../epmd/wire/responses.js";
import { ConfigError, EpmdError } from "../errors.js";
import { isUnder, qualifiedDomain } from "../names/domains.js";
import { isNomadHost } from "../names/nomad-domain.js";
import { familyOf, hostPort } from "../net/ip.js";
import { nomadUrl } from "../nomad/side.js";
import { thisMachine } from "../os/machine.js";
import { ageWords, listed, printable } from "../text.js";
import { listInCatalogues, openCatalogues, unreadOf } from "./catalogues.js";
import { type CommandContext, EXIT, type ExitCode, type Line, painter, type Tone, writeJson } from "./io.js";
import { listingError } from "./listing-fault.js";
import { epmdCandidates } from "./operands.js";
import { nodesInZones, type ZoneDomain } from "./zone-nodes.js";

/** Lists the nodes registered with an EPMD, or those of a whole service that match a pattern. */
export async function names(context: CommandContext): Promise<ExitCode> {
  const { config, operands, io } = context;
  if (config.cluster) return clusterNames(context);
  const { match: pattern, timeout } = config;
  const candidates = epmdCandidates(operands[0], config.port);
  const { epmd, answer } =
    pattern === undefined
      ? await firstAnswer(candidates, { timeout })
      : await matchingNames(candidates, pattern, timeout);
  if (config.json) {
    writeJson(io, { epmd: hostPort(epmd), port: answer.epmdPort, names: answer.names });
    return EXIT.done;
  }
  const count = answer.names.length === 1 ? "1 name" : `${answer.names.length} names`;
  io.stdout(`EPMD at ${hostPort(epmd)}: ${count}\n`);
  const rows = answer.names.map(({ name, port }) => ({ name: printable(name), port }));
  const width = Math.max(0, ...rows.map(({ name }) => name.length));
  for (const { name, port } of rows) io.stdout(`  ${name.padEnd(width)}  port ${port}\n`);
  return EXIT.done;
}

/** The nodes on all machines that match a pattern, as a srv-epmd knows them. @throws EpmdError also for an EPMD that knows no patterns */
export async function matchingNames(
  candidates: readonly IpPort[],
  pattern: string,
  timeout: number,
): Promise<Answered> {
  const answered = await firstAnswer(candidates, { timeout, pattern });
  if (await isMatch(answered.epmd, answered.answer, timeout)) return answered;
  const where = hostPort(answered.epmd);
  const message = `the EPMD at ${where} does not know patterns: it is no srv-epmd, or this machine is no local peer of it`;
  throw new EpmdError("EPMD_ANSWER", message);
}

interface Answered {
  readonly epmd: IpPort;
  readonly answer: NamesAnswer;
}

/** An EPMD that knows patterns lists full names; another lists its own names, or nothing. */
async function isMatch(epmd: IpPort, { names: listed }: NamesAnswer, timeout: number): Promise<boolean> {
  return listed.length > 0 ? listed.every(({ name }) => name.includes("@")) : knowsFullNames(epmd, { timeout });
}

/** @throws EpmdError of the first candidate when none answers */
export async function firstAnswer(candidates: readonly IpPort[], options: AskNamesOptions): Promise<Answered> {
  let first: unknown;
  for (const epmd of candidates) {
    try {
      return { epmd, answer: await askNames(epmd, options) };
    } catch (error) {
      first ??= error;
      if (!(error instanceof EpmdError) || error.code !== "EPMD_UNREACHABLE") break;
    }
  }
  throw first;
}

/**
 * The nodes of services as Consul or Nomad has them, whatever their health; of a domain that is in neither those that the
 * srv-epmd of this machine has. @throws ConfigError, ConsulError, NomadError, EpmdError
 */
async function clusterNames({ config, operands, io, log }: CommandContext): Promise<ExitCode> {
  if (operands[0] !== undefined) {
    throw new ConfigError(
      "CONFIG_CONFLICT",
      `--cluster asks Consul or Nomad, not the EPMD at ${operands[0]}: give one of them`,
    );
  }
  const { timeout } = config;
  const { services, zones } = askedOf(config);
  const candidates = epmdCandidates(undefined, config.port);
  const zoneDeps = {
    list: (pattern: string) => matchingNames(candidates, pattern, timeout),
    ...{ timeout, machine: thisMachine().hostName },
  };
  const [{ found, unread }, own] = await Promise.all([
    inCatalogues(services, { config, log }),
    nodesInZones(zones, zoneDeps),
  ]);
  const nodes = [...found, ...own];
  const twice = twiceNamed(nodes);
  if (config.json) {
    const named = twice.length > 0 && { twice: twice.map(nameOf) };
    writeJson(io, { ...askedUrls(services, config), nodes, ...named, ...(unread && { unread: unread.why }) });
  } else {
    const lines = [
      heading(nodes, services, zones),
      ...(unread ? unreadLines(unread) : []),
      ...table(nodes),
      ...twiceLines(twice),
    ];
    io.stdout(`${lines.map(painter(io)).join("\n")}\n`);
  }
  return EXIT.done;
}

/** What catalogues list, and why Consul may have more. @throws ConsulError, NomadError */
async function inCatalogues(services: readonly AskedService[], context: Pick<CommandContext, "config" | "log">) {
  const catalogues = openCatalogues(context);
  try {
    const [found, unread] = await Promise.all([listInCatalogues(services, catalogues), unreadOf(services, catalogues)]);
    return { found, unread };
  } catch (error) {
    throw listingError(error, context.config);
  } finally {
    await catalogues.close();
  }
}

const isIn = (asked: readonly AskedService[], wanted: AskedService["catalogue"]) =>
  asked.some(({ catalogue }) => catalogue === wanted);

/** What is asked of catalogues, and what of the srv-epmd here. @throws ConfigError for a service that neither has */
function askedOf(config: Config): { readonly services: AskedService[]; readonly zones: ZoneDomain[] } {
  const { domain, consulDomain, match } = config;
  const isZone = (host: string) => !isUnder(host, consulDomain) && !isNomadHost(host, consulDomain) && !familyOf(host);
  const served = domain.map((rule) => ({ ...rule, domain: qualifiedDomain(rule.domain, consulDomain) }));
  if (match === undefined) {
    return {
      services: servicesOfDomains({ ...config, domain: served.filter((rule) => !isZone(rule.domain)) }),
      zones: served.flatMap(({ glob, domain: host }) => (isZone(host) ? [{ glob, host }] : [])),
    };
  }
  const { names: ownNames } = thisMachine();
  const asked = readPattern(match, config, ownNames);
  const isOwnZone = isZone(asked.host) && served.some((rule) => rule.domain === asked.host);
  return isOwnZone
    ? { services: [], zones: [asked] }
    : { services: [serviceOfPattern(match, config, ownNames)], zones: [] };
}

function askedUrls(asked: readonly AskedService[], config: Config): object {
  return {
    ...(isIn(asked, "consul") && { consul: config.consul }),
    ...(isIn(asked, "nomad") && { nomad: nomadUrl(config) }),
  };
}

function heading(nodes: readonly ClusterNode[], asked: readonly AskedService[], zones: readonly ZoneDomain[]): Line {
  const count = nodes.length === 1 ? "1 node" : `${nodes.length} nodes`;
  const patterns = [...asked, ...zones].map(({ glob, host }) => `${glob.pattern}@${host}`).join(", ");
  const places = [
    ...(isIn(asked, "consul") ? ["Consul"] : []),
    ...(isIn(asked, "nomad") ? ["Nomad"] : []),
    ...(zones.length > 0 ? ["the srv-epmd here"] : []),
  ];
  return { text: `${patterns}: ${count} in ${places.join(" and ")}` };
}

function unreadLines({ services, why, advice }: Unread): Line[] {
  return [
    { text: `${why}: Consul may have more nodes of ${listed(services)} than it shows`, tone: "doubtful" },
    { text: advice },
  ];
}

const nameOf = ({ node }: TwiceNamed) => node;

function twiceLines(twice: readonly TwiceNamed[]): Line[] {
  if (twice.length === 0) return [];
  const why =
    "two nodes of one name cannot be in one cluster, and a look-up leads to either: srv-epmd doctor tells more";
  return [...twice.map((one): Line => ({ text: twiceWords(one), tone: "bad" })), { text: why, tone: "quiet" }];
}

const TONES: Record<ClusterNode["health"], Tone> = {
  passing: "good",
  warning: "doubtful",
  critical: "bad",
  unknown: "quiet",
};

function table(nodes: readonly ClusterNode[]): Line[] {
  const cells = nodes.map((one) => {
    const { node, address, port, age, instance, machine } = one;
    const since = age === undefined ? "-" : ageWords(age);
    const because = criticalBecause(one);
    const health = because === undefined ? one.health : `${one.health} (${because})`;
    // Columns are as wide as what is shown.
    return [node, health, hostPort(address, port), since, instance, machine].map(printable);
  });
  const head = ["node", "health", "address", "age", "instance", "machine"];
  const rows = nodes.length === 0 ? [] : [head, ...cells];
  const widths = head.map((_, column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row, index) => ({
    text: `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
    tone: index === 0 ? "quiet" : TONES[nodes[index - 1]?.health ?? "passing"],
  }));
}

import { type AskedService, isPublishedUnder, serviceOfPattern } from "../catalogue/core/matching.js";
import type { NamedCluster, NamedMember } from "../doctor/cluster.js";
import type { ListingFault } from "../doctor/core/cluster-absent.js";
import { daemonStatus } from "../doctor/local-epmd.js";
import type { Unread } from "../doctor/unread.js";
import { ConfigError, ConsulError, EpmdError, NomadError } from "../errors.js";
import { qualifiedDomain } from "../names/domains.js";
import { hostPartOf, isNamePattern } from "../names/node-name.js";
import { thisMachine } from "../os/machine.js";
import type { Resolving } from "../resolve/compose.js";
import { hasWildcard } from "../text.js";
import { type Catalogues, listInCatalogues, unreadOf } from "./catalogues.js";
import type { CommandContext } from "./io.js";
import { elsewhere, listingFault } from "./listing-fault.js";
import { matchingNames } from "./names.js";
import { epmdCandidates, nodeOperands } from "./operands.js";

/** Nodes that are looked at: each has its connections and a row of the matrix. */
const MOST_NODES = 200;

type Context = Pick<CommandContext, "config" | "operands">;

interface ClusterSources extends Pick<Resolving, "nodes"> {
  readonly catalogues: Catalogues;
  /** Tells what is no part of the verdict. */
  readonly tell: (text: string) => void;
}

/**
 * The nodes of a cluster: those that are named, and those that match a pattern in a catalogue or in the zone of the
 * srv-epmd here. Without operands those of `--domain`. Sorted by name.
 * @throws ConfigError
 */
export async function namedCluster(context: Context, sources: ClusterSources): Promise<NamedCluster> {
  const { nodes, catalogues, tell } = sources;
  const asked = askedFor(context);
  if (asked.length === 0) {
    const message = "--cluster needs to know which nodes: give '*@svc', names of nodes, or --domain svc";
    throw new ConfigError("CONFIG_VALUE", message);
  }
  const patterns = asked.filter(hasWildcard);
  const wrong = patterns.find((pattern) => !isNamePattern(pattern));
  if (wrong !== undefined) {
    throw new ConfigError("CONFIG_VALUE", `${JSON.stringify(wrong)} must be a pattern such as '*@svc', or a node name`);
  }
  const named = nodeOperands(asked.filter((operand) => !patterns.includes(operand)));
  const services = asked.flatMap((one) => serviceIn(one, context.config) ?? []);
  const [lists, unread, unpublished] = await Promise.all([
    Promise.all(patterns.map((pattern) => matching(pattern, context, catalogues))),
    unreadOf(services, catalogues),
    unpublishedHere(context.config),
  ]);
  const catalogueOf = (node: string) => lists.find(({ complete }) => complete?.has(node))?.complete?.name;
  const all = new Map<string, NamedMember>();
  for (const member of [
    ...named.map((name): NamedMember => ({ node: nodes.fullName(name), isBare: name.form === "bare" })),
    ...lists.flatMap(({ members }) => members),
    ...unpublished.flatMap((node): NamedMember[] => {
      const unlistedIn = catalogueOf(node);
      return unlistedIn === undefined ? [] : [{ node, unlistedIn }];
    }),
  ]) {
    const before = all.get(member.node);
    // Of two entries the better one: the other is that of a VM that has ended.
    if (!before || member.entry?.health === "passing") all.set(member.node, member);
  }
  if (all.size > MOST_NODES) {
    tell(`${all.size} nodes match, and the first ${MOST_NODES} are looked at: give a narrower pattern`);
  }
  const members = Array.from(all.values())
    .sort((a, b) => (a.node < b.node ? -1 : 1))
    .slice(0, MOST_NODES);
  const fault = lists.find((list) => list.fault !== undefined)?.fault;
  const untold = [
    ...services.filter((one) => isOneOf(one, unread)),
    ...lists.flatMap((list) => (list.fault === undefined ? [] : (list.service ?? []))),
  ];
  const untoldHosts = new Set(untold.map(({ host }) => host));
  const isBlank = lists.some(({ members: shown, service }) => shown.length === 0 && isOneOf(service, unread));
  return {
    ...{ members, fault, unread: unread && { ...unread, isBlank } },
    elsewhere: services
      .map(({ catalogue }) => elsewhere(catalogue, context.config))
      .find((advice) => advice !== undefined),
    mayHide: (node) => untoldHosts.has(hostPartOf(node).toLowerCase()),
    catalogueOf: all.size > MOST_NODES ? () => undefined : catalogueOf,
  };
}

/** Full names of the nodes that the srv-epmd here should have published, and has not, as it says. */
async function unpublishedHere(config: Context["config"]): Promise<string[]> {
  const status = await daemonStatus(config);
  const [domain, other] = status?.domains ?? [];
  // Of several domains it does not say which one a node is in.
  if (!status || domain === undefined || other !== undefined) return [];
  return status.nodes.flatMap(({ name, publication }) =>
    publication === "not-in-consul" || publication === "not-in-nomad" ? [`${name}@${domain}`] : [],
  );
}

function isOneOf(asked: AskedService | undefined, unread: Unread | undefined): boolean {
  return asked?.catalogue === "consul" && unread?.services.includes(asked.domain.service) === true;
}

/** The nodes that match a pattern. */
interface Matching {
  /** Undefined: the srv-epmd here was asked, for it is its zone. */
  readonly service?: AskedService;
  readonly members: NamedMember[];
  readonly fault?: ListingFault;
  /** The catalogue that has told all of them, and which nodes it should have. */
  readonly complete?: { readonly name: string; readonly has: (node: string) => boolean };
}

function askedFor({ config, operands }: Context): readonly string[] {
  if (operands.length > 0) return operands;
  return config.domain.map(({ glob, domain }) => `${glob.pattern}@${qualifiedDomain(domain, config.consulDomain)}`);
}

/** In the catalogue of the service; the srv-epmd here knows the nodes of its own zone, and what it last had of a catalogue. */
async function matching(pattern: string, { config }: Context, catalogues: Catalogues): Promise<Matching> {
  const service = serviceIn(pattern, config);
  if (!service) return inEpmd(pattern, config);
  const name = service.catalogue === "consul" ? "Consul" : "Nomad";
  try {
    const listed = await listInCatalogues([service], catalogues);
    const members = listed.map((entry): NamedMember => ({ node: entry.node, entry }));
    return { members, service, complete: { name, has: (node) => isPublishedUnder(node, service, config) } };
  } catch (error) {
    if (!(error instanceof ConsulError || error instanceof NomadError)) throw error;
    const { members, fault } = await inEpmd(pattern, config);
    return { members, service, fault: listingFault(service.catalogue, error, config, fault === undefined) };
  }
}

/** @throws ConfigError */
async function inEpmd(pattern: string, { port, timeout }: Context["config"]): Promise<Matching> {
  try {
    const { answer } = await matchingNames(epmdCandidates(undefined, port), pattern, timeout);
    return { members: answer.names.map(({ name }) => ({ node: name })) };
  } catch (error) {
    if (!(error instanceof EpmdError)) throw error;
    return { members: [], fault: { text: error.message, brief: "no srv-epmd answers here", code: error.code } };
  }
}

/** Undefined for a host that is no service of a catalogue, or whose zone the daemon here has. */
function serviceIn(pattern: string, config: Context["config"]) {
  if (config.dnsListen) return undefined;
  try {
    return serviceOfPattern(pattern, config, thisMachine().names);
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

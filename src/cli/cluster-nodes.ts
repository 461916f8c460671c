import { isPublishedUnder, serviceOfPattern } from "../catalogue/core/matching.js";
import type { NamedCluster, NamedMember } from "../doctor/cluster.js";
import { ConfigError, ConsulError, NomadError } from "../errors.js";
import { qualifiedDomain } from "../names/domains.js";
import { isNamePattern } from "../names/node-name.js";
import { thisMachine } from "../os/machine.js";
import type { Resolving } from "../resolve/compose.js";
import { hasWildcard } from "../text.js";
import { type CommandContext, complain } from "./io.js";
import { listInCatalogues, matchingNames } from "./names.js";
import { epmdCandidates, nodeOperands } from "./operands.js";
import { whyUnlisted } from "./unlisted.js";

/** Nodes that are looked at: each has its connections and a row of the matrix. */
const MOST_NODES = 200;

type Context = Pick<CommandContext, "config" | "operands" | "io" | "log">;

/**
 * The nodes of a cluster: those that are named, and those that match a pattern in a catalogue or in the zone of the
 * srv-epmd here. Without operands those of `--domain`. Sorted by name.
 * @throws ConfigError, ConsulError, NomadError, EpmdError
 */
export async function namedCluster(context: Context, { nodes }: Resolving): Promise<NamedCluster> {
  const { io } = context;
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
  const lists = await Promise.all(patterns.map((pattern) => matching(pattern, context)));
  const all = new Map<string, NamedMember>();
  for (const member of [
    ...named.map((name): NamedMember => ({ node: nodes.fullName(name), isBare: name.form === "bare" })),
    ...lists.flatMap(({ members }) => members),
  ]) {
    const before = all.get(member.node);
    // Of two entries the better one: the other is that of a VM that has ended.
    if (!before || member.entry?.health === "passing") all.set(member.node, member);
  }
  if (all.size > MOST_NODES) {
    complain(io, `${all.size} nodes match, and the first ${MOST_NODES} are looked at: give a narrower pattern`);
  }
  const members = Array.from(all.values())
    .sort((a, b) => (a.node < b.node ? -1 : 1))
    .slice(0, MOST_NODES);
  const catalogueOf = (node: string) => lists.find(({ complete }) => complete?.has(node))?.complete?.name;
  const fault = lists.find((list) => list.fault !== undefined)?.fault;
  return { members, fault, catalogueOf: all.size > MOST_NODES ? () => undefined : catalogueOf };
}

/** The nodes that match a pattern. */
interface Matching {
  readonly members: NamedMember[];
  /** Why the catalogue has not told its nodes: these are those that the srv-epmd here knows. */
  readonly fault?: string;
  /** The catalogue that has told all of them, and which nodes it should have. */
  readonly complete?: { readonly name: string; readonly has: (node: string) => boolean };
}

/** Why Consul may have nodes that match though it lists none; undefined: it shows all. Never rejects. */
export function whyNobody(context: Context): Promise<string | undefined> {
  const patterns = askedFor(context).filter(hasWildcard);
  const services = patterns.flatMap((pattern) => serviceIn(pattern, context.config) ?? []);
  return whyUnlisted(services, context);
}

function askedFor({ config, operands }: Context): readonly string[] {
  if (operands.length > 0) return operands;
  return config.domain.map(({ glob, domain }) => `${glob.pattern}@${qualifiedDomain(domain, config.consulDomain)}`);
}

/** In the catalogue of the service; the srv-epmd here knows the nodes of its own zone, and what it last had of a catalogue. */
async function matching(pattern: string, { config, io, log }: Context): Promise<Matching> {
  const inEpmd = async (): Promise<Matching> => {
    const { answer } = await matchingNames(epmdCandidates(undefined, config.port), pattern, config.timeout);
    return { members: answer.names.map(({ name }) => ({ node: name })) };
  };
  const service = serviceIn(pattern, config);
  if (!service) return inEpmd();
  try {
    const listed = await listInCatalogues([service], { config, log });
    const name = service.catalogue === "consul" ? "Consul" : "Nomad";
    const members = listed.map((entry): NamedMember => ({ node: entry.node, entry }));
    return { members, complete: { name, has: (node) => isPublishedUnder(node, service, config) } };
  } catch (error) {
    if (!(error instanceof ConsulError || error instanceof NomadError)) throw error;
    const names = await inEpmd().catch(() => undefined);
    if (!names) throw error;
    complain(io, `${error.message}: the nodes are those that the srv-epmd here knows`);
    return { ...names, fault: error.message };
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

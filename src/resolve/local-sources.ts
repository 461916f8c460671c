import { type Stats, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { type StaticNode, staticNode } from "../config/network-values.js";
import { ValueError } from "../config/values.js";
import type { Logger } from "../daemon/logger.js";
import { portPlease } from "../epmd/client.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { ConfigError, describeError } from "../errors.js";
import type { Domains } from "../names/domains.js";
import { type Endpoint, type Family, LOOPBACK } from "../net/endpoint.js";
import { familyOf, isLoopback } from "../net/ip.js";
import { fileVersion, MEBIBYTE, readBounded, readBoundedSync } from "../os/files.js";
import type { Advertised } from "../publish/core/advertised.js";
import { epmdErrorCode, type NodeQuestion, notFound, type Resolution } from "./core/resolution.js";
import { type LookupContext, type Source, TRAITS } from "./source.js";

export interface RegistrySourceDeps {
  readonly registry: Registry;
  readonly domains: Pick<Domains, "isOurs">;
  /** Where others reach a node that lives here; no addresses: at the address at which they asked; undefined: nowhere. */
  readonly advertised: (node: RegisteredNode) => Advertised | undefined;
}

/** The nodes alive here. `web@other.service.consul` is never answered by a local `web`. */
export function registrySource({ registry, domains, advertised }: RegistrySourceDeps): Source {
  return {
    name: "registry",
    ...TRAITS.registry,
    lookUp: ({ node: { aliveName, host }, family }: NodeQuestion, context: LookupContext): Resolution => {
      const node = registry.get(aliveName);
      if (!node) return notFound("NODE_NOT_REGISTERED", `${aliveName} is not registered here`);
      if (!domains.isOurs(aliveName, host)) {
        return notFound("NODE_OTHER_HOST", `${aliveName} is registered here, but ${host} is not served here`);
      }
      const endpoints = (context.sameHost ? loopbackEndpoints(node) : advertisedEndpoints(node, context)).filter(
        (endpoint) => family === "any" || endpoint.family === family,
      );
      if (endpoints.length === 0) {
        const address = family === "any" ? "an address" : `an IPv${family} address`;
        return notFound("NODE_NO_ADDRESS", `${aliveName} is registered here, without ${address} for others`);
      }
      return { outcome: "found", source: "registry", endpoints, ttl: 0, stale: false, description: node };
    },
  };

  function loopbackEndpoints(node: RegisteredNode): Endpoint[] {
    if (node.address !== undefined) return [endpointAt(node.address, node.family, node.port, node.address)];
    // A VM that registered over IPv6 (inet6_tcp) listens on `::`, which on most systems accepts IPv4 too.
    const families: Family[] = node.family === 6 ? [6, 4] : [4];
    return families.map((family) => endpointAt(LOOPBACK[family], family, node.port, "localhost"));
  }

  function advertisedEndpoints(node: RegisteredNode, { dialled }: LookupContext): Endpoint[] {
    const reached = advertised(node);
    if (!reached) return [];
    const { port, addresses } = reached;
    const known = addresses.filter((address) => familyOf(address) !== undefined);
    if (known.length === 0 && dialled !== undefined && !isLoopback(dialled)) known.push(dialled);
    return known.map((address) => endpointAt(address, familyOf(address) ?? 4, port, address));
  }
}

function endpointAt(address: string, family: Family, port: number, target: string): Endpoint {
  return { address, port, family, priority: 0, weight: 0, target };
}

/** An EPMD on this machine answers at once. Milliseconds. */
const ASK_TIMEOUT = 500;

/** The nodes alive here, for commands: they ask the EPMD of this machine, a srv-epmd or a stock one. */
export function epmdSource(port: number, domains: Pick<Domains, "isOurs">): Source {
  return {
    name: "registry",
    ...TRAITS.registry,
    lookUp: async ({ node: { aliveName, host }, family }): Promise<Resolution> => {
      if (!domains.isOurs(aliveName, host)) return notFound("NODE_OTHER_HOST", `${host} is not this machine`);
      const kind: Family = family === 6 ? 6 : 4;
      const address = LOOPBACK[kind];
      try {
        const answer = await portPlease({ address, port }, aliveName, { timeout: ASK_TIMEOUT, forwarded: true });
        if (!answer) {
          return notFound("NODE_NOT_REGISTERED", `${aliveName} is not registered with the EPMD of this machine`);
        }
        const endpoints = [endpointAt(address, kind, answer.port, "localhost")];
        return { outcome: "found", source: "registry", endpoints, ttl: 0, stale: false, description: answer };
      } catch (error) {
        return notFound(epmdErrorCode(error), describeError(error));
      }
    },
  };
}

/** How often the nodes file is checked for changes, milliseconds; a poll also sees a file that was renamed over it. */
const FILE_POLL_INTERVAL = 1000;
/** About 70,000 entries. Bytes. */
const MAX_FILE_SIZE = 4 * MEBIBYTE;

export interface StaticSourceOptions {
  /** Entries of `--node`. */
  readonly nodes: readonly StaticNode[];
  readonly nodesFile: string | undefined;
  /** `localhost` and the machine's own names. */
  readonly ownNames: ReadonlySet<string>;
  readonly domains: Pick<Domains, "of" | "expand">;
  readonly log: Logger;
}

export interface StaticSource extends Source {
  /** Reads the nodes file again; when it cannot be used, the entries stay as they were. */
  readonly reload: () => Promise<void>;
  readonly close: () => void;
}

/** Nodes from configuration. @throws ConfigError CONFIG_FILE when the nodes file cannot be used at the start */
export function staticSource(
  { nodes, nodesFile, ownNames, domains, log }: StaticSourceOptions,
  watch: boolean,
): StaticSource {
  // Taken before the file is read: a change that comes meanwhile is seen at the first check.
  const firstVersion = nodesFile === undefined ? undefined : versionAtStart(nodesFile);
  let entries = byAliveName([...nodes, ...(nodesFile === undefined ? [] : readAtStart(nodesFile))]);
  let reading: Promise<void> = Promise.resolve();

  const readAgain = async (path: string) => {
    try {
      const fromFile = parseNodesFile(await readBounded(path, { limit: MAX_FILE_SIZE }));
      entries = byAliveName([...nodes, ...fromFile]);
      log.info({ file: path, nodes: fromFile.length }, "nodes file read");
    } catch (error) {
      log.error({ file: path, err: unusable(path, error) }, "nodes file cannot be used: its earlier entries stay");
    }
  };
  const reload = () => {
    // One after the other, so that the last reading wins.
    if (nodesFile !== undefined) reading = reading.then(() => readAgain(nodesFile));
    return reading;
  };
  let timer: NodeJS.Timeout | undefined;
  const follow = (path: string, version: string | undefined) => {
    const look = async () => {
      const now = versionOf(await stat(path).catch(() => undefined));
      if (now !== version) await reload();
      if (timer) follow(path, now);
    };
    timer = setTimeout(look, FILE_POLL_INTERVAL).unref();
  };
  if (nodesFile !== undefined && watch) follow(nodesFile, firstVersion);

  /** Whether an entry is for the node in the question. */
  const isMeant = (entry: StaticNode, node: NodeQuestion["node"], dialled: string | undefined): boolean => {
    const host = domains.expand(entry.host);
    // An address as host part means the entries under the domain of the alive name that have the address.
    if (host === node.host || (entry.address === node.host && host === domains.of(node.aliveName))) return true;
    // A stock client sends the alive name alone, to the address that the host of the node resolves to.
    if (node.form !== "bare" || entry.address !== dialled) return false;
    return entry.host === dialled || ownNames.has(entry.host);
  };

  return {
    name: "static",
    ...TRAITS.static,
    reload,
    close: () => {
      clearTimeout(timer);
      timer = undefined;
    },
    lookUp: ({ node, family }, { dialled }) => {
      const endpoints = (entries.get(node.aliveName) ?? [])
        .filter((entry) => isMeant(entry, node, dialled))
        .map(({ address, port }) => endpointAt(address, familyOf(address) ?? 4, port, address))
        .filter((endpoint) => family === "any" || endpoint.family === family);
      if (endpoints.length === 0) return notFound("STATIC_NO_ENTRY", `no static entry for ${node.aliveName}`);
      return { outcome: "found", source: "static", endpoints, ttl: 0, stale: false };
    },
  };
}

/** Another one after each change of the file; undefined for a file that is missing or cannot be looked at. */
function versionOf(stats: Stats | undefined): string | undefined {
  return stats && fileVersion(stats);
}

function versionAtStart(path: string): string | undefined {
  try {
    return versionOf(statSync(path));
  } catch {
    return undefined;
  }
}

function byAliveName(nodes: readonly StaticNode[]): ReadonlyMap<string, readonly StaticNode[]> {
  const found = new Map<string, StaticNode[]>();
  for (const node of nodes) {
    const same = found.get(node.aliveName);
    if (same) same.push(node);
    else found.set(node.aliveName, [node]);
  }
  return found;
}

/**
 * Entries of a nodes file: one `name@host=address:port` a line; blank lines and text after `#` are ignored.
 * @throws ValueError that names the line
 */
export function parseNodesFile(text: string): StaticNode[] {
  const entries: StaticNode[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const entry = line.replace(/#.*$/, "").trim();
    if (entry === "") continue;
    try {
      entries.push(staticNode(entry));
    } catch (error) {
      throw new ValueError(`line ${index + 1}: ${JSON.stringify(entry)} ${(error as Error).message}`, { cause: error });
    }
  }
  return entries;
}

function readAtStart(path: string): StaticNode[] {
  try {
    return parseNodesFile(readBoundedSync(path, MAX_FILE_SIZE));
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, error: unknown): ConfigError {
  return new ConfigError("CONFIG_FILE", `--nodes-file: cannot use ${path}: ${describeError(error)}`, { cause: error });
}

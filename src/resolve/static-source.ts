import { unwatchFile, watchFile } from "node:fs";
import { type StaticNode, staticNode } from "../config/network-values.js";
import { ValueError } from "../config/values.js";
import type { Logger } from "../daemon/logger.js";
import { ConfigError, describeError } from "../errors.js";
import type { Domains } from "../names/domains.js";
import type { Endpoint } from "../net/endpoint.js";
import { familyOf } from "../net/ip.js";
import { MEBIBYTE, readBounded, readBoundedSync } from "../os/files.js";
import { type NodeQuestion, notFound } from "./core/resolution.js";
import { type Source, TRAITS } from "./source.js";

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
  if (nodesFile !== undefined && watch)
    watchFile(nodesFile, { interval: FILE_POLL_INTERVAL, persistent: false }, reload);

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
    close: () => nodesFile !== undefined && unwatchFile(nodesFile, reload),
    lookUp: ({ node, family }, { dialled }) => {
      const endpoints = (entries.get(node.aliveName) ?? [])
        .filter((entry) => isMeant(entry, node, dialled))
        .map(toEndpoint)
        .filter((endpoint) => family === "any" || endpoint.family === family);
      if (endpoints.length === 0) return notFound("STATIC_NO_ENTRY", `no static entry for ${node.aliveName}`);
      return { outcome: "found", source: "static", endpoints, ttl: 0, stale: false };
    },
  };
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

function toEndpoint({ address, port }: StaticNode): Endpoint {
  return { address, port, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: address };
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

import { readFileSync, unwatchFile, watchFile } from "node:fs";
import type { Endpoint } from "../core/endpoint.js";
import { ConfigError, describeError } from "../core/errors.js";
import { familyOf } from "../core/ip.js";
import type { StaticNode } from "../core/network-values.js";
import type { Question } from "../core/resolution.js";
import { parseNodesFile } from "../core/static-nodes.js";
import type { Logger } from "../logger.js";
import type { Source } from "./source.js";

/** How often the nodes file is looked at; a poll also sees files that are replaced by a rename. */
const FILE_POLL_INTERVAL = 1000;

export interface StaticSourceOptions {
  /** Entries of `--node`. */
  readonly nodes: readonly StaticNode[];
  readonly nodesFile: string | undefined;
  /** Expands a host as it is written to the one that is looked up. */
  readonly expand: (host: string) => string;
  /** The domain of an alive name: an address as host part means the entries under it with that address. */
  readonly domainOf: (aliveName: string) => string | undefined;
  readonly log: Logger;
}

export interface StaticSource extends Source {
  /** Reads the nodes file again; one that is broken now leaves the entries as they were. */
  readonly reload: () => void;
  readonly close: () => void;
}

/** Nodes from configuration. @throws ConfigError CONFIG_FILE when the nodes file cannot be used at the start */
export function staticSource(
  { nodes, nodesFile, expand, domainOf, log }: StaticSourceOptions,
  watch: boolean,
): StaticSource {
  let fromFile = nodesFile === undefined ? [] : readNodesFile(nodesFile);

  const reload = () => {
    if (nodesFile === undefined) return;
    try {
      fromFile = readNodesFile(nodesFile);
      log.info({ file: nodesFile, nodes: fromFile.length }, "nodes file read");
    } catch (error) {
      log.error({ err: error }, "nodes file cannot be used: its former entries stay");
    }
  };
  if (nodesFile !== undefined && watch)
    watchFile(nodesFile, { interval: FILE_POLL_INTERVAL, persistent: false }, reload);

  const isUnder = (host: string, address: string, node: Question["node"]) =>
    host === node.host || (address === node.host && host === domainOf(node.aliveName));

  return {
    name: "static",
    reload,
    close: () => nodesFile !== undefined && unwatchFile(nodesFile, reload),
    lookUp: ({ node, family }) => {
      const endpoints = [...nodes, ...fromFile]
        .filter((entry) => entry.aliveName === node.aliveName && isUnder(expand(entry.host), entry.address, node))
        .map(toEndpoint)
        .filter((endpoint) => family === "any" || endpoint.family === family);
      if (endpoints.length === 0) return { outcome: "not-found", reason: `no static entry for ${node.aliveName}` };
      return { outcome: "found", source: "static", endpoints, ttl: 0, stale: false };
    },
  };
}

function toEndpoint({ address, port }: StaticNode): Endpoint {
  return { address, port, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: address };
}

function readNodesFile(path: string): StaticNode[] {
  try {
    return parseNodesFile(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ConfigError("CONFIG_FILE", `--nodes-file: cannot use ${path}: ${describeError(error)}`, { cause: error });
  }
}

import { type Config, loadConfig } from "../../src/config/config.js";
import type { Environment } from "../../src/config/nomad.js";
import type { OptionKey } from "../../src/config/options.js";
import type { RegisteredNode, Registration } from "../../src/epmd/core/registry.js";

/** What a VM says in ALIVE2_REQ, over IPv4. */
export function registration(aliveName: string, port: number, over: Partial<Registration> = {}): Registration {
  return {
    aliveName,
    port,
    nodeType: 77,
    protocol: 0,
    highestVersion: 6,
    lowestVersion: 5,
    extra: Buffer.alloc(0),
    family: 4,
    origin: "alive2",
    ...over,
  };
}

export function registeredNode(aliveName: string, port: number, over: Partial<Registration> = {}): RegisteredNode {
  return { ...registration(aliveName, port, over), creation: 4, since: 0 };
}

/** The configuration of `serve` with these flags. */
export function serveConfig(
  flags: Partial<Record<OptionKey, string | readonly string[]>> = {},
  env: Environment = {},
): Config {
  return loadConfig({ command: "serve", flags, env }).config;
}

/**
 * srv-epmd as a library: the daemon, resolution, an EPMD client, and the codec.
 *
 * ```ts
 * const { config } = loadConfig({ command: "serve", flags: { port: "0", domain: ["svc"] }, env: {} });
 * const daemon = await start(config, { log: createLogger({ level: "info", format: "json", write: console.error }) });
 * ```
 */
import { type Config, loadConfig } from "./config/config.js";
import { createLogger } from "./daemon/logger.js";
import { parseNodeName } from "./names/node-name.js";
import { composeForLookUps } from "./resolve/compose.js";
import type { Resolution } from "./resolve/core/resolution.js";

export { type Config, type ConfigInput, loadConfig } from "./config/config.js";
export { ValueError } from "./config/values.js";
export { type Daemon, type DaemonOptions, start } from "./daemon/daemon.js";
export { createLogger } from "./daemon/logger.js";
export { names, portPlease } from "./epmd/client.js";
export { decodeRequest, encodeRequest, encodeResponse, readFrame } from "./epmd/wire/codec.js";
export type { EpmdRequest, EpmdResponse } from "./epmd/wire/messages.js";
export {
  decodeAlive2Response,
  decodeEndpoints,
  decodeNamesResponse,
  decodePort2Response,
  encodeEndpoints,
} from "./epmd/wire/responses.js";
export { ConfigError, EpmdError, ListenError, ProtocolError, SrvEpmdError } from "./errors.js";
export { parseNodeName } from "./names/node-name.js";
export type { Endpoint, Family } from "./net/endpoint.js";
export type { NotFoundCode, Resolution, UnavailableCode } from "./resolve/core/resolution.js";

/**
 * Looks one node up as the daemon would.
 * @param node `name@host`, or a bare name when the configuration has a domain
 * @throws ValueError when it is not a node name
 */
export async function resolve(
  node: string,
  config: Config = loadConfig({ command: "resolve", flags: {}, env: {} }).config,
): Promise<Resolution> {
  const name = parseNodeName(node);
  const log = createLogger({ level: "silent", format: "json", write: () => {} });
  const resolving = composeForLookUps(config, log);
  try {
    return await resolving.nodes.resolve(name, { sameHost: true });
  } finally {
    await resolving.close();
  }
}

/**
 * srv-epmd as a library: the daemon, resolution, an EPMD client, and the codec.
 *
 * ```ts
 * const { config } = loadConfig({ command: "serve", flags: { port: "0", domain: ["svc"] }, env: {} });
 * const daemon = await start(config, { log: createLogger({ level: "info", format: "json", write: console.error }) });
 * ```
 */
export { type Config, type ConfigInput, loadConfig } from "./config/config.js";
export { ValueError } from "./config/values.js";
export { type Daemon, type DaemonOptions, start } from "./daemon/daemon.js";
export { createLogger } from "./daemon/logger.js";
export { names, portPlease } from "./epmd/client.js";
export { readFrame } from "./epmd/wire/bytes.js";
export { decodeRequest, encodeRequest, encodeResponse } from "./epmd/wire/codec.js";
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
export { resolve } from "./resolve/look-ups.js";

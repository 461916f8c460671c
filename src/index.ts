/**
 * srv-epmd as a library: the daemon, resolution, an EPMD client, and the codec.
 *
 * ```ts
 * const { config } = loadConfig({ command: "serve", flags: { port: "0", domain: ["svc"] }, env: {} });
 * const daemon = await start(config, { log: createLogger({ level: "info", format: "json", write: console.error }) });
 * ```
 */
export { type Config, type ConfigInput, loadConfig } from "./core/config.js";
export type { Endpoint, Family } from "./core/endpoint.js";
export { decodeRequest, encodeRequest, encodeResponse } from "./core/epmd/codec.js";
export { decodeEndpoints, encodeEndpoints } from "./core/epmd/endpoints.js";
export { readFrame } from "./core/epmd/framing.js";
export type { EpmdRequest, EpmdResponse } from "./core/epmd/messages.js";
export { decodeAlive2Response, decodeNamesResponse, decodePort2Response } from "./core/epmd/responses.js";
export { ConfigError, EpmdError, ListenError, ProtocolError, SrvEpmdError } from "./core/errors.js";
export { parseNodeName } from "./core/node-name.js";
export type { Resolution } from "./core/resolution.js";
export { ValueError } from "./core/values.js";
export { type Daemon, type DaemonOptions, start } from "./daemon.js";
export { names, portPlease } from "./epmd/client.js";
export { createLogger } from "./logger.js";
export { resolve } from "./resolve.js";

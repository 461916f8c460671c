import { Buffer } from "node:buffer";
import type { IpPort } from "../../config/network-values.js";
import type { Refusal, ServedNode } from "../../connect/core/inbound.js";
import { ProtocolError } from "../../errors.js";
import type { HostAddress } from "../../gateway/core/addresses.js";
import {
  address,
  endpoint,
  type Fields,
  invalid,
  list,
  natural,
  object,
  optional,
  parseObject,
  port,
  text,
} from "./fields.js";
import { type RelayStatus, relayStatus } from "./status.js";
import { type RelayTarget, target } from "./target.js";

/**
 * The protocol between daemons and the relay process: each line is a JSON object. Both send `hello` first. Then the daemon
 * sends requests with an id; the relay process sends replies with the same id, and events. Unknown fields are ignored and
 * unknown requests are refused, so that the two may be of different releases.
 */
export const RELAY_PROTOCOL_VERSION = 1;

/** Longest line of a daemon, bytes. */
export const MAX_REQUEST_LINE = 64 * 1024;
/** Longest line of the relay process, bytes: the status of the most relays. */
export const MAX_REPLY_LINE = 16 * 1024 * 1024;

/** How the relay process speaks to the Consul agent. Files are named, not sent; a token is sent where no file has it. */
export interface RelayAgent {
  readonly url: string;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly sslVerify?: boolean;
  readonly tlsServerName?: string | undefined;
}

/** What makes the relay process a native end of Consul Connect. */
export interface NativeSettings {
  /** Service of Consul of all nodes here, which is in our certificate. */
  readonly service: string;
  readonly agent: RelayAgent;
  /** Where callers connect. Port 0: any free one, the same for the life of the process. */
  readonly listen: IpPort;
  /** With port 0: the port of an earlier relay process, at which the nodes are published. It is taken if it is free. */
  readonly formerPort?: number | undefined;
  /** Milliseconds after which standing links are asked about again; 0: never. */
  readonly recheck: number;
}

/** The result of a request for a relay, with the port on its address. */
export type Relayed =
  | { readonly outcome: "relayed"; readonly port: number }
  | { readonly outcome: "failed"; readonly reason: string };

export type RelayRequest =
  | ({ readonly type: "ensure"; readonly id: number } & RelayTarget)
  | ({ readonly type: "pair"; readonly id: number } & HostAddress)
  | ({ readonly type: "native"; readonly id: number } & NativeSettings)
  /** Callers of this node are joined with its VM from now on. */
  | ({ readonly type: "serve"; readonly id: number } & ServedNode)
  | { readonly type: "drop"; readonly id: number; readonly node: string }
  | { readonly type: "status"; readonly id: number };

/** A line of a daemon. `unknown`: a request that a later release may have. */
type DaemonLine = Hello | RelayRequest | { readonly type: "unknown"; readonly id: number; readonly name: string };

export interface Hello {
  readonly type: "hello";
  readonly version: number;
  readonly pid: number;
}

export type RelayReply =
  | { readonly type: "ensured"; readonly id: number; readonly port: number }
  | { readonly type: "kept"; readonly id: number }
  | { readonly type: "native"; readonly id: number; readonly port: number }
  | { readonly type: "status"; readonly id: number; readonly status: RelayStatus }
  | { readonly type: "refused"; readonly id: number; readonly reason: string };

/** Why an endpoint was not reached. */
export interface DialFailure {
  /** Code of the system such as `ECONNREFUSED`; `ETIMEDOUT` without an answer. Undefined: an older release sent the event. */
  readonly code?: string;
  /** Text. */
  readonly reason: string;
}

/** Codes of failures that are not those of the place: it took the connection, or was not tried. */
const OF_CONNECT: ReadonlySet<string | undefined> = new Set(["NO_CERTIFICATE", "TLS"]);

/** Whether a failure shows that nobody takes connections there. */
export function isUnanswered({ code }: DialFailure): boolean {
  return !OF_CONNECT.has(code);
}

/** Of many of one kind only some are told. */
export type CallerRefused = {
  readonly type: "caller-refused" /** Since the last that was told. */;
  readonly leftOut: number;
} & Refusal;

export type RelayEvent =
  /** An endpoint refused a connection or did not answer. */
  | ({ readonly type: "dial-failed"; readonly node: string; readonly endpoint: IpPort } & DialFailure)
  /** A caller was not let in by the native end, or its link was cut. */
  | CallerRefused
  /** A warning for the log of the daemon: the output of a relay process that a daemon started is discarded. */
  | { readonly type: "notice"; readonly message: string }
  /** The daemon broke the protocol; the connection ends. */
  | { readonly type: "error"; readonly message: string };

/** A line of the relay process. */
export type RelayLine = (Hello & { readonly pairs: readonly HostAddress[] }) | RelayReply | RelayEvent;

type LineRead =
  | { readonly kind: "line"; readonly line: string; readonly rest: Buffer }
  | { readonly kind: "more" }
  | { readonly kind: "invalid"; readonly reason: string };

const NEWLINE = 0x0a;

/** Takes the first line off the bytes. @param limit longest line, bytes */
export function readLine(bytes: Buffer, limit: number): LineRead {
  const end = bytes.indexOf(NEWLINE);
  if (end > limit || (end < 0 && bytes.length > limit)) {
    return { kind: "invalid", reason: `a line is longer than ${limit} bytes` };
  }
  if (end < 0) return { kind: "more" };
  return { kind: "line", line: bytes.toString("utf8", 0, end), rest: bytes.subarray(end + 1) };
}

interface LineReaderOptions {
  /** Longest line, bytes. */
  readonly limit: number;
  /** False: no further line is wanted. May throw a ProtocolError. */
  readonly onLine: (line: string) => boolean;
  /** No further line is read. */
  readonly onInvalid: (reason: string) => void;
}

/** A function that takes bytes as they arrive and cuts them into lines. */
export function lineReader({ limit, onLine, onInvalid }: LineReaderOptions): (chunk: Buffer) => void {
  let bytes: Buffer = Buffer.alloc(0);
  let done = false;
  const finish = (reason: string) => {
    done = true;
    onInvalid(reason);
  };
  return (chunk) => {
    if (done) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    while (!done) {
      const read = readLine(bytes, limit);
      if (read.kind === "more") return;
      if (read.kind === "invalid") return finish(read.reason);
      bytes = read.rest;
      try {
        done = !onLine(read.line);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        finish(error.message);
      }
    }
  };
}

export function encodeLine(line: Hello | RelayRequest | RelayLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** @throws ProtocolError RELAY_LINE */
export function parseDaemonLine(line: string): DaemonLine {
  const fields = parseObject(line);
  if (fields.type === "hello") return hello(fields);
  const id = natural(fields, "id");
  switch (fields.type) {
    case "ensure":
      return { type: "ensure", id, ...target(fields) };
    case "pair":
      return { type: "pair", id, ...pair(fields) };
    case "status":
      return { type: "status", id };
    case "native":
      return { type: "native", id, ...nativeSettings(fields) };
    case "serve": {
      const place = endpoint(object(fields.place, "place"));
      return {
        type: "serve",
        id,
        node: text(fields, "node"),
        place,
        ...(fields.isHelper === true && { isHelper: true }),
      };
    }
    case "drop":
      return { type: "drop", id, node: text(fields, "node") };
    default:
      return { type: "unknown", id, name: text(fields, "type") };
  }
}

/** Undefined: an event or reply of a later release. @throws ProtocolError RELAY_LINE */
export function parseRelayLine(line: string): RelayLine | undefined {
  const fields = parseObject(line);
  switch (fields.type) {
    case "hello":
      return { ...hello(fields), pairs: list(fields, "pairs").map((item) => pair(object(item, "pairs"))) };
    case "ensured":
      return { type: "ensured", id: natural(fields, "id"), port: port(fields) };
    case "kept":
      return { type: "kept", id: natural(fields, "id") };
    case "native":
      return { type: "native", id: natural(fields, "id"), port: port(fields) };
    case "caller-refused":
      // Not checked: it comes from a process of our own user, and is only logged.
      return { reason: "", from: "", leftOut: 0, ...fields, type: fields.type } as CallerRefused;
    case "status":
      return statusReply(natural(fields, "id"), fields);
    case "refused":
      return { type: "refused", id: natural(fields, "id"), reason: text(fields, "reason") };
    case "dial-failed":
      return {
        type: "dial-failed",
        node: text(fields, "node"),
        endpoint: endpoint(object(fields.endpoint, "endpoint")),
        ...(fields.code !== undefined && { code: text(fields, "code") }),
        reason: text(fields, "reason"),
      };
    case "notice":
    case "error":
      return { type: fields.type, message: text(fields, "message") };
    default:
      return undefined;
  }
}

/** The rest of the protocol goes on where only the status is of another release. */
function statusReply(id: number, fields: Fields): RelayReply {
  try {
    return { type: "status", id, status: relayStatus(object(fields.status, "status")) };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { type: "refused", id, reason: `its status is not understood, it is of another release: ${error.message}` };
  }
}

/** Keys of RelayAgent that are texts. */
const AGENT_TEXTS = ["token", "tokenFile", "ca", "cert", "key", "tlsServerName"] as const;

function nativeSettings(fields: Fields): NativeSettings {
  const agent = object(fields.agent, "agent");
  const listen = object(fields.listen, "listen");
  const listenPort = natural(listen, "port");
  if (listenPort > 65535) throw invalid("port is not 0..65535");
  return {
    service: text(fields, "service"),
    agent: {
      url: text(agent, "url"),
      ...Object.assign({}, ...AGENT_TEXTS.map((key) => optional(agent, key))),
      ...(typeof agent.sslVerify === "boolean" && { sslVerify: agent.sslVerify }),
    },
    listen: { address: address(listen), port: listenPort },
    ...(fields.formerPort !== undefined && { formerPort: natural(fields, "formerPort") }),
    recheck: natural(fields, "recheck"),
  };
}

function hello(fields: Fields): Hello {
  return { type: "hello", version: natural(fields, "version"), pid: natural(fields, "pid") };
}

function pair(fields: Fields): HostAddress {
  return { host: text(fields, "host"), address: address(fields) };
}

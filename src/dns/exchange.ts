import dgram from "node:dgram";
import net from "node:net";
import { isAnswerTo } from "../core/dns/answer.js";
import { decodeMessage, encodeQuery, type Message } from "../core/dns/message.js";
import type { QueryType } from "../core/dns/record.js";
import { ProtocolError } from "../core/errors.js";

/** Where a name server listens. */
export interface NameServer {
  /** IP literal, with a zone id where it needs one. */
  readonly address: string;
  readonly port: number;
}

export interface ExchangeRequest {
  readonly server: NameServer;
  readonly transport: "udp" | "tcp";
  readonly qname: string;
  readonly qtype: QueryType;
  readonly edns: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

export type ExchangeResult =
  | {
      readonly kind: "message";
      readonly message: Message;
      /** Octets. */
      readonly size: number;
    }
  /** `timeout`, `aborted`, `malformed answer`, `connection closed`, or the system's code: ECONNREFUSED, EHOSTUNREACH, ... */
  | { readonly kind: "failed"; readonly reason: string };

/** Ends an exchange, once. */
type Settle = (result: ExchangeResult) => void;

const failed = (reason: string): ExchangeResult => ({ kind: "failed", reason });
const codeOf = (error: Error) => (error as NodeJS.ErrnoException).code ?? error.message;

/** One query to one server. Never rejects. @throws ProtocolError for a name that DNS cannot carry */
export async function exchange(request: ExchangeRequest): Promise<ExchangeResult> {
  const { qname, qtype, edns, signal, timeout } = request;
  // Loaded with the first query: an idle daemon does without its 2 MiB.
  const { randomInt } = await import("node:crypto");
  // RFC 5452: an id that cannot be guessed, and with UDP a port that the system draws.
  const id = randomInt(0x10000);
  const query = encodeQuery({ id, qname, qtype, edns });
  if (signal.aborted) return failed("aborted");
  return new Promise((resolve) => {
    const settle: Settle = (result) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      close();
      resolve(result);
    };
    const abort = () => settle(failed("aborted"));
    const timer = setTimeout(() => settle(failed("timeout")), timeout);
    signal.addEventListener("abort", abort, { once: true });
    const accepts = (message: Message) => isAnswerTo(message, { id, qname, qtype });
    const start = request.transport === "udp" ? startUdp : startTcp;
    const close = start(request.server, query, accepts, settle);
  });
}

/** @returns a function that closes the socket */
function startUdp(
  server: NameServer,
  query: Buffer,
  accepts: (message: Message) => boolean,
  settle: Settle,
): () => void {
  const socket = dgram.createSocket(net.isIPv6(server.address) ? "udp6" : "udp4");
  let open = true;
  // A connected socket takes datagrams from this server only, and learns of ICMP "port unreachable" at once.
  socket.on("error", (error) => settle(failed(codeOf(error))));
  socket.on("message", (bytes) => {
    const message = decode(bytes);
    // What is not the answer to this query may come from anybody: wait on (RFC 5452 section 9.1).
    if (message && accepts(message)) settle({ kind: "message", message, size: bytes.length });
  });
  socket.on("connect", () => {
    socket.send(query, (error) => error && settle(failed(codeOf(error))));
  });
  // Without a callback: then a failure comes as an "error" event.
  socket.connect(server.port, server.address);
  return () => {
    if (!open) return;
    open = false;
    socket.close();
  };
}

function startTcp(
  server: NameServer,
  query: Buffer,
  accepts: (message: Message) => boolean,
  settle: Settle,
): () => void {
  const socket = net.connect({ host: server.address, port: server.port });
  let received: Buffer = Buffer.alloc(0);
  socket.on("error", (error) => settle(failed(codeOf(error))));
  socket.on("close", () => settle(failed("connection closed")));
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    // RFC 1035 section 4.2.2: two octets of length before the message.
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const size = received.readUInt16BE(0);
    const message = decode(received.subarray(2, 2 + size));
    settle(message && accepts(message) ? { kind: "message", message, size } : failed("malformed answer"));
  });
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(query.length);
  // RFC 7766 section 8: length and message in one segment.
  socket.write(Buffer.concat([prefix, query]));
  return () => socket.destroy();
}

function decode(bytes: Buffer): Message | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

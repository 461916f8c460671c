import net from "node:net";
import { ProtocolError } from "../errors.js";
import { lazily } from "../lazily.js";
import { hostPort } from "../net/ip.js";
import { UdpSockets } from "./udp-sockets.js";
import { type Answer, answersQuery, readAnswer, whyNoAnswer } from "./wire/answer.js";
import { decodeMessage, encodeQuery, framed, type Message } from "./wire/message.js";
import type { QueryType } from "./wire/record.js";

/** Where a name server listens. */
export interface NameServer {
  /** IP literal, with a zone id where it needs one. */
  readonly address: string;
  readonly port: number;
}

export type Transport = "udp" | "tcp";

export interface BytesRequest {
  readonly server: NameServer;
  readonly transport: Transport;
  /** Kept for further queries over UDP; default: none is kept. */
  readonly sockets?: UdpSockets | undefined;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

export interface Failed {
  readonly kind: "failed";
  /** `timeout`, `aborted`, `malformed answer`, `connection closed`, or the system's code: ECONNREFUSED, EHOSTUNREACH, ... */
  readonly reason: string;
  /** The name in a message that does not answer this query. */
  readonly detail?: string | undefined;
}

export type BytesResult<T> = { readonly kind: "answered"; readonly answer: T } | Failed;

/** Reads the answer from a message; undefined: the message does not answer the query. */
type Accept<T> = (bytes: Buffer) => T | undefined;

/** Ends an exchange, once. */
type Settle<T> = (result: BytesResult<T>) => void;

export const failed = (reason: string): Failed => ({ kind: "failed", reason });
const codeOf = (error: Error) => (error as NodeJS.ErrnoException).code ?? error.message;

/** Loaded with the first query, because it takes 2 MiB; kept, because to find it again would take longer than to draw. */
const crypto = lazily(() => import("node:crypto"));

/** RFC 5452: an id that cannot be guessed, and with UDP a port that the system draws. */
export async function randomId(): Promise<number> {
  return (await crypto()).randomInt(0x10000);
}

/** One message to one server, from a port of its own. Never rejects. */
export function exchangeBytes<T>(request: BytesRequest, query: Buffer, accept: Accept<T>): Promise<BytesResult<T>> {
  const { server, signal, timeout } = request;
  if (signal.aborted) return Promise.resolve(failed("aborted"));
  return new Promise((resolve) => {
    const settle: Settle<T> = (result) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      close(result.kind === "answered");
      resolve(result);
    };
    const abort = () => settle(failed("aborted"));
    const timer = setTimeout(() => settle(failed("timeout")), timeout);
    signal.addEventListener("abort", abort, { once: true });
    const close =
      request.transport === "udp"
        ? startUdp(server, request.sockets ?? KEEPING_NONE, query, accept, settle)
        : startTcp(server, query, accept, settle);
  });
}

/** For queries that are made alone. */
const KEEPING_NONE = new UdpSockets();
KEEPING_NONE.close();

/** @returns what ends the query */
function startUdp<T>(
  server: NameServer,
  sockets: UdpSockets,
  query: Buffer,
  accept: Accept<T>,
  settle: Settle<T>,
): (isAnswered: boolean) => void {
  const failedWith = (error: Error) => settle(failed(codeOf(error)));
  const received = (bytes: Buffer) => {
    const answer = accept(bytes);
    // RFC 5452 section 9.1: any other message may be forged, and the exchange goes on.
    if (answer !== undefined) settle({ kind: "answered", answer });
  };
  return sockets.send({ server, bytes: query, received, failed: failedWith });
}

/** The reason for a message over TCP that does not answer the query. */
const MALFORMED = "malformed answer";

function startTcp<T>(server: NameServer, query: Buffer, accept: Accept<T>, settle: Settle<T>): () => void {
  const socket = net.connect({ host: server.address, port: server.port });
  const chunks: Buffer[] = [];
  let octets = 0;
  let expected: number | undefined;
  socket.on("error", (error) => settle(failed(codeOf(error))));
  socket.on("close", () => settle(failed("connection closed")));
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    octets += chunk.length;
    // RFC 1035 section 4.2.2: two octets of length before the message, which has at most 65,535.
    if (expected === undefined && octets >= 2) expected = 2 + Buffer.concat(chunks).readUInt16BE(0);
    if (expected === undefined || octets < expected) return;
    const received = Buffer.concat(chunks);
    const size = expected - 2;
    const answer = accept(received.subarray(2, 2 + size));
    settle(answer !== undefined ? { kind: "answered", answer } : failed(MALFORMED));
  });
  socket.write(framed(query));
  return () => socket.destroy();
}

export interface ExchangeRequest extends BytesRequest {
  readonly qname: string;
  readonly qtype: QueryType;
  readonly edns: boolean;
}

export type ExchangeResult =
  | {
      readonly kind: "message";
      readonly message: Message;
      /** What the message means. */
      readonly answer: Answer;
      /** Octets. */
      readonly size: number;
    }
  | Failed;

/** One query to one server. Never rejects. @throws ProtocolError for a name that DNS cannot carry */
export async function exchange(request: ExchangeRequest): Promise<ExchangeResult> {
  const { qname, qtype, edns } = request;
  const id = await randomId();
  const query = encodeQuery({ id, qname, qtype, edns });
  const asked = { id, qname, qtype };
  let why: ReturnType<typeof whyNoAnswer>;
  const result = await exchangeBytes(request, query, (bytes) => {
    // A message with another id is not from the server: it is not decoded.
    if (bytes.length < 2 || bytes.readUInt16BE(0) !== id) return undefined;
    const message = decode(bytes);
    if (message && answersQuery(bytes, query))
      return { message, answer: readAnswer(message, asked), size: bytes.length };
    // The server, or a program between us, sent this: the failure says so.
    why = message ? (whyNoAnswer(message, asked) ?? why) : { reason: MALFORMED };
    return undefined;
  });
  if (result.kind === "answered") return { kind: "message", ...result.answer };
  const isNoAnswer = result.reason === "timeout" || result.reason === MALFORMED;
  return isNoAnswer && why ? { kind: "failed", ...why } : result;
}

function decode(bytes: Buffer): Message | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** A name server gets no more queries than this at once. */
const MOST_EXCHANGES = 128;
const FEWEST_EXCHANGES = 8;

/**
 * How many queries may be under way at once. Each needs a file descriptor, and most of those are for connections.
 * @param openFiles limit of open files; undefined: none
 */
export function exchangeLimit(openFiles: number | undefined): number {
  return Math.min(MOST_EXCHANGES, Math.max(FEWEST_EXCHANGES, Math.floor((openFiles ?? Number.POSITIVE_INFINITY) / 8)));
}

interface Waiting {
  readonly proceed: () => void;
  readonly isForStranger: () => boolean;
}

/** The query of a holder that comes next. */
interface Turn extends Pick<Waiting, "proceed"> {
  readonly holder: string;
  readonly isLocal: boolean;
}

/** Whose slots a query takes: a name server may be silent for all names, or for those of one domain that it forwards. */
export function slotHolder({ address, port }: NameServer, qname: string): string {
  const domain = qname.split(".").slice(1).slice(-2).join(".");
  return `${hostPort(address, port)} ${domain}`;
}

/**
 * Slots for queries. A holder gets a slot while more slots are free than it has: a silent server leaves slots for the
 * others; a holder that is alone has half of all. A free slot goes to a waiting query: for local peers before strangers,
 * then of the holder with the fewest slots, then the oldest.
 */
export class ExchangeSlots {
  #free: number;
  readonly #held = new Map<string, number>();
  readonly #waiting = new Map<string, Set<Waiting>>();

  constructor(limit: number) {
    this.#free = limit;
  }

  /**
   * False when the time is over before there is a slot.
   * @param left milliseconds; read again, because a deadline may move
   * @param isForStranger read again: a local peer may join a query that a stranger has begun
   */
  async take(
    holder: string,
    left: () => number,
    signal: AbortSignal,
    isForStranger: () => boolean = () => false,
  ): Promise<boolean> {
    while (left() > 0) {
      if (this.#mayTake(holder)) {
        this.#hold(holder);
        return true;
      }
      if (await this.#turn(holder, left(), signal, isForStranger)) return true;
    }
    return false;
  }

  give(holder: string): void {
    const held = this.#heldBy(holder) - 1;
    if (held > 0) this.#held.set(holder, held);
    else this.#held.delete(holder);
    this.#free += 1;
    for (let next = this.#next(); next; next = this.#next()) {
      this.#hold(next.holder);
      next.proceed();
    }
  }

  #next(): Turn | undefined {
    let best: Turn | undefined;
    for (const [holder, waiting] of this.#waiting) {
      const turn = this.#mayTake(holder) ? turnOf(holder, waiting) : undefined;
      if (turn && (!best || this.#goesBefore(turn, best))) best = turn;
    }
    return best;
  }

  #goesBefore(a: Turn, b: Turn): boolean {
    return a.isLocal === b.isLocal ? this.#heldBy(a.holder) < this.#heldBy(b.holder) : a.isLocal;
  }

  #mayTake(holder: string): boolean {
    return this.#heldBy(holder) < this.#free;
  }

  #heldBy(holder: string): number {
    return this.#held.get(holder) ?? 0;
  }

  #hold(holder: string): void {
    this.#held.set(holder, this.#heldBy(holder) + 1);
    this.#free -= 1;
  }

  #turn(holder: string, milliseconds: number, signal: AbortSignal, isForStranger: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(holder) ?? new Set<Waiting>();
      this.#waiting.set(holder, waiting);
      const settle = (taken: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        waiting.delete(mine);
        if (waiting.size === 0) this.#waiting.delete(holder);
        resolve(taken);
      };
      const proceed = () => settle(true);
      const giveUp = () => settle(false);
      const timer = setTimeout(giveUp, milliseconds);
      signal.addEventListener("abort", giveUp, { once: true });
      const mine: Waiting = { proceed, isForStranger };
      waiting.add(mine);
    });
  }
}

/** The oldest of a holder's queries, those for local peers before others. A thousand may wait: they are not copied. */
function turnOf(holder: string, waiting: ReadonlySet<Waiting>): Turn | undefined {
  let oldest: Waiting | undefined;
  for (const query of waiting) {
    if (!query.isForStranger()) return { holder, isLocal: true, proceed: query.proceed };
    oldest ??= query;
  }
  return oldest && { holder, isLocal: false, proceed: oldest.proceed };
}

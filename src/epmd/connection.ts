import type { Duplex } from "node:stream";
import type { Observe } from "../daemon/core/observations.js";
import { ProtocolError } from "../errors.js";
import {
  type AnswerDeps,
  answer,
  describeRequest,
  describeResult,
  type RequestResult,
  requestEvent,
} from "./answer.js";
import type { RegisteredNode } from "./core/registry.js";
import type { Peer, PeerLog } from "./peer.js";
import { decodeRequest, encodeResponse, readFrame } from "./wire/codec.js";
import type { EpmdRequest } from "./wire/messages.js";

export interface ConnectionDeps {
  readonly peer: Peer;
  /** For the answers: shared by all connections. */
  readonly answering: AnswerDeps;
  /** The connection is this node's registration from now on; `release` ends it. */
  readonly hold: (node: RegisteredNode, release: () => void) => void;
  /** The connection that held this node has ended. */
  readonly unregister: (node: RegisteredNode) => void;
  /** From now on the VM of this node says on the connection with whom it is linked. */
  readonly tell: (node: RegisteredNode) => void;
  /** The answer to a KILL that is obeyed has been sent. */
  readonly exit: () => void;
  /** A connection whose request is incomplete is closed after this many milliseconds without a byte. */
  readonly packetTimeout: number;
  /** Shared by all connections. */
  readonly unread: Pick<UnreadAnswers, "isFull" | "keep">;
  readonly observe: Observe;
  readonly log: PeerLog;
}

/**
 * One EPMD connection: a request, its answer in one write, and the close; after a successful ALIVE2 the connection
 * stays and *is* the registration.
 * - `request`: waiting for (the rest of) the first request
 * - `held`: nodes are registered on it; further well-formed requests are answered in order
 * - `telling`: what arrives is no request: see LinkTellers
 * - `closing`: the last bytes are on their way
 */
type State = "request" | "held" | "telling" | "closing";

/** The longest time that a timer of Node takes, milliseconds: a longer one fires at once. */
const LONGEST_TIMER = 0x7fffffff;
const NOTHING = Buffer.alloc(0);
/** Why a connection is closed without an answer, as the debug log has it. */
type CloseReason =
  | Extract<RequestResult, { action: "close" }>["reason"]
  | "packet-timeout"
  | "invalid-request"
  | "answers-unread"
  | "too-many-requests"
  | "name-released"
  | "internal-error";

/** What a client that holds a node may send ahead of its answers, and leave unread of them, bytes. */
const MAX_AHEAD = 64 * 1024;
const MAX_UNREAD = 1024 * 1024;

export function handleConnection(duplex: Duplex, deps: ConnectionDeps): void {
  const { log } = deps;
  const nodes: RegisteredNode[] = [];
  let state: State = "request";
  let pending: Buffer = NOTHING;
  /** The request whose answer is awaited. */
  let answering: EpmdRequest["type"] | undefined;
  /** Set while a request waits for a later turn of the event loop, because there is no room for its answer. */
  let nextTurn: NodeJS.Immediate | undefined;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const restartTimer = () => {
    if (timer) return void timer.refresh();
    // epmd_srv.c compares whole seconds, so a client has up to a second more than the time-out: a request that
    // comes a byte a second with -packet_timeout 1 is answered (epmd_SUITE, slow_get_port_nr).
    timer = setTimeout(drop, Math.min(deps.packetTimeout + 1000, LONGEST_TIMER), "packet-timeout");
  };

  const stopTimer = () => {
    clearTimeout(timer);
    timer = undefined;
  };

  const unregister = () => {
    if (nodes.length === 0) return;
    for (const node of nodes.splice(0)) deps.unregister(node);
  };

  /** Ends the connection without an answer. */
  const drop = (reason: CloseReason, error?: string) => {
    if (!duplex.destroyed) log.debug({ reason, error }, "connection closed");
    state = "closing";
    unregister();
    duplex.destroy();
  };

  const dropInvalid = (error: string) => {
    deps.observe({ type: "request", request: "invalid", result: "closed" });
    drop("invalid-request", error);
  };

  /** Sends the last bytes; a peer that does not take them is dropped by the timer. */
  const finish = (bytes: Buffer | undefined, done?: () => void) => {
    state = "closing";
    unregister();
    if (duplex.destroyed) return;
    restartTimer();
    const destroy = () => {
      duplex.destroy();
      done?.();
    };
    if (!bytes) return void duplex.end(destroy);
    duplex.end(bytes, destroy);
    deps.unread.keep(duplex);
  };

  const carryOut = (request: EpmdRequest, result: RequestResult, startedAt: number) => {
    answering = undefined;
    deps.observe(requestEvent(request, result));
    if (log.isLevelEnabled("debug")) {
      const elapsedMs = Math.round((performance.now() - startedAt) * 100) / 100;
      log.debug({ request: describeRequest(request), result: describeResult(result), elapsedMs }, "request");
    }
    switch (result.action) {
      case "close":
        return drop(result.reason);
      case "tell":
        // On a connection that is a registration the VM may send further requests.
        if (state === "held") return dropInvalid("LINKS_REQ on the connection of a node");
        if (ended) return finish(undefined);
        state = "telling";
        stopTimer();
        return deps.tell(result.node);
      case "exit":
        return finish(encodeResponse(result.response), deps.exit);
      case "hold":
        nodes.push(result.node);
        state = "held";
        deps.hold(result.node, () => drop("name-released"));
        duplex.write(encodeResponse(result.response));
        return;
      case "reply":
        // A refused ALIVE2 ends its connection too: a VM that retries every 2 s would leave a socket behind each time.
        if (state !== "held") return finish(encodeResponse(result.response));
        duplex.write(encodeResponse(result.response));
        deps.unread.keep(duplex);
        return;
      default:
        return result satisfies never;
    }
  };

  const take = (frame: Buffer) => {
    const startedAt = performance.now();
    const request = decodeRequest(frame);
    if (state === "request" && pending.length > 0 && request.type !== "ALIVE2_REQ") {
      throw new ProtocolError("EPMD_FRAME", "more bytes than one request");
    }
    const result = answer(request, deps.peer, { names: nodes.length, isOpen: () => !duplex.destroyed }, deps.answering);
    if (!(result instanceof Promise)) return carryOut(request, result, startedAt);
    answering = request.type;
    stopTimer();
    result
      .then((settled) => {
        if (duplex.destroyed) return;
        carryOut(request, settled, startedAt);
        advance();
      })
      .catch((error: unknown) => {
        log.error({ err: error, request: describeRequest(request) }, "request failed");
        drop("internal-error");
      });
  };

  /** Handles what has arrived, one request at a time; in a loop, because a registered client may send thousands at once. */
  const advance = () => {
    while (!answering && !nextTurn && state !== "closing" && state !== "telling") {
      const read = readFrame(pending);
      if (read.kind === "invalid") return dropInvalid(read.reason);
      if (read.kind === "more") {
        // A connection that holds a node may be silent for ever between requests, not within one.
        if (state === "request" || pending.length > 0) restartTimer();
        else stopTimer();
        if (ended) finish(undefined);
        return;
      }
      if (duplex.writableLength > MAX_UNREAD) return drop("answers-unread");
      if (deps.unread.isFull) {
        // Answers of closed connections stay in memory until this turn of the event loop ends: wait for its end.
        nextTurn = setImmediate(() => {
          nextTurn = undefined;
          advance();
        });
        return;
      }
      pending = read.rest;
      try {
        take(read.frame);
      } catch (error) {
        if (error instanceof ProtocolError) return dropInvalid(error.message);
        log.error({ err: error }, "connection failed");
        return drop("internal-error");
      }
    }
  };

  duplex.on("data", (chunk: Buffer) => {
    if (state === "closing" || state === "telling") return;
    // Only a registration may be followed by further requests: its connection stays.
    if (state === "request" && answering && answering !== "ALIVE2_REQ") return;
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    if ((answering || nextTurn) && pending.length > MAX_AHEAD) return drop("too-many-requests");
    advance();
  });
  duplex.on("end", () => {
    ended = true;
    // A request is answered although its client has half-closed; a registration ends with the half-close.
    if (!answering && !nextTurn && state !== "closing") finish(undefined);
  });
  duplex.on("error", (error) => log.debug({ err: error }, "connection failed"));
  duplex.on("close", () => {
    stopTimer();
    clearImmediate(nextTurn);
    state = "closing";
    unregister();
  });
  restartTimer();
}

/** Unread answers of all connections, bytes. */
const MAX_UNREAD_OF_ALL = 32 * 1024 * 1024;
/** Bytes; shorter answers are not counted: one for each connection needs little memory. */
const SMALL = 4 * 1024;

/**
 * Answers that clients have not read yet: the last answer of a connection, which may wait until the packet time-out, and
 * the answers to a registered client. There may be thousands: above a limit the connection that waits longest is closed.
 */
export class UnreadAnswers {
  readonly #limit: number;
  /** Bytes by connection, the oldest first. */
  readonly #waiting = new Map<Duplex, number>();
  /** Closed ones: their bytes are in memory until `close` is emitted, a turn of the event loop later. */
  readonly #dropped = new Map<Duplex, number>();
  readonly #known = new WeakSet<Duplex>();
  #bytes = 0;
  #droppedBytes = 0;

  constructor(limit = MAX_UNREAD_OF_ALL) {
    this.#limit = limit;
  }

  /** The bytes of closed connections have reached the limit: no answer should be added before they are freed. */
  get isFull(): boolean {
    return this.#droppedBytes > this.#limit;
  }

  /** To be called when an answer has been written to this connection. */
  keep(duplex: Duplex): void {
    if (duplex.closed) return;
    this.#count(duplex);
    while (this.#bytes > this.#limit) {
      const [oldest] = this.#waiting.keys();
      if (!oldest) return;
      // Its client may have read some of it meanwhile.
      if (!this.#count(oldest)) this.#drop(oldest);
    }
  }

  /** @returns whether fewer bytes wait than before */
  #count(duplex: Duplex): boolean {
    const before = this.#waiting.get(duplex) ?? 0;
    const now = duplex.writableLength > SMALL ? duplex.writableLength : 0;
    this.#bytes += now - before;
    if (now > 0) this.#waiting.set(duplex, now);
    else this.#waiting.delete(duplex);
    if (now > 0 && !this.#known.has(duplex)) {
      this.#known.add(duplex);
      duplex.once("close", () => this.#forget(duplex));
    }
    return now < before;
  }

  #drop(duplex: Duplex): void {
    const bytes = this.#waiting.get(duplex) ?? 0;
    this.#forget(duplex);
    this.#dropped.set(duplex, bytes);
    this.#droppedBytes += bytes;
    duplex.destroy();
  }

  #forget(duplex: Duplex): void {
    this.#bytes -= this.#waiting.get(duplex) ?? 0;
    this.#waiting.delete(duplex);
    this.#droppedBytes -= this.#dropped.get(duplex) ?? 0;
    this.#dropped.delete(duplex);
  }
}

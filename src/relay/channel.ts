import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { describeError } from "../errors.js";
import type { HostAddress } from "../gateway/core/addresses.js";
import { type FolderFault, privateFolderFault } from "../os/files.js";
import {
  encodeLine,
  lineReader,
  MAX_REPLY_LINE,
  parseRelayLine,
  RELAY_PROTOCOL_VERSION,
  type RelayEvent,
  type RelayReply,
  type RelayRequest,
} from "./wire/protocol.js";

export interface RelayChannel {
  readonly pid: number;
  /** The pairs that the relay process remembers. */
  readonly pairs: readonly HostAddress[];
  /** The reply; undefined when the connection ends or the limit passes before it. @param limit milliseconds */
  readonly request: (body: RequestBody, limit: number) => Promise<RelayReply | undefined>;
  readonly isOpen: () => boolean;
  /** Resolves at the end of the connection. */
  readonly closed: Promise<ChannelEnd>;
  readonly close: () => void;
}

interface ChannelEnd {
  /** For people. */
  readonly error: string;
  /** The relay process is there, and did not answer. */
  readonly isHanging: boolean;
}

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;
export type RequestBody = WithoutId<RelayRequest>;

/** No process listens at the control socket. Other errors mean a process that we cannot talk to. */
export class NoRelayProcess extends Error {}

/** A process listens at the control socket and says nothing. */
export class HangingRelayProcess extends Error {}

/** The folder of the control socket is not private: a user who can write there could pose as the relay process. */
export class UnusableFolder extends Error {
  readonly fault: FolderFault;

  constructor(fault: FolderFault) {
    super(fault.message);
    this.fault = fault;
  }
}

/** Milliseconds after which a silent relay process is given up. */
const ANSWER_LIMIT = 3_000;
/** For the hello of the relay process, milliseconds. */
const HELLO_LIMIT = 2_000;

/**
 * Connects to the relay process and exchanges hellos.
 * @param signal ends the wait for its hello
 * @throws NoRelayProcess; HangingRelayProcess; UnusableFolder; Error, with what is wrong there
 */
export async function openChannel(
  path: string,
  onEvent: (event: RelayEvent) => void,
  signal: AbortSignal,
): Promise<RelayChannel> {
  const fault = await privateFolderFault(dirname(path));
  if (fault) throw fault.kind === "missing" ? new NoRelayProcess(fault.message) : new UnusableFolder(fault);
  return new Promise((resolve, reject) => {
    new Channel(path, onEvent, signal, resolve, reject);
  });
}

class Channel {
  readonly #socket: Socket;
  readonly #onEvent: (event: RelayEvent) => void;
  readonly #waiting = new Map<number, (reply: RelayReply | undefined) => void>();
  readonly #timer: NodeJS.Timeout;
  readonly #open: (channel: RelayChannel) => void;
  #nextId = 1;
  /** When the oldest request without any line after it was sent; infinity: there is none. */
  #unansweredSince = Number.POSITIVE_INFINITY;
  #greeted = false;
  #error = "it closed the connection";
  #isAbsent = false;
  #isHanging = false;

  constructor(
    path: string,
    onEvent: (event: RelayEvent) => void,
    signal: AbortSignal,
    open: (channel: RelayChannel) => void,
    reject: (error: Error) => void,
  ) {
    this.#onEvent = onEvent;
    this.#open = open;
    this.#socket = connect(path);
    this.#timer = setTimeout(() => {
      this.#isHanging = true;
      this.#end(`no hello within ${HELLO_LIMIT / 1_000} s`);
    }, HELLO_LIMIT);
    const giveUp = () => this.#end("stopped waiting for it");
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
    const read = lineReader({
      limit: MAX_REPLY_LINE,
      onLine: (line) => this.#take(line),
      onInvalid: (reason) => this.#end(reason),
    });
    this.#socket.on("data", read);
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#isAbsent = error.code === "ECONNREFUSED" || error.code === "ENOENT";
      // Its backlog is full.
      this.#isHanging = error.code === "EAGAIN";
      this.#error = describeError(error);
    });
    this.#socket.on("close", () => {
      signal.removeEventListener("abort", giveUp);
      clearTimeout(this.#timer);
      for (const settle of Array.from(this.#waiting.values())) settle(undefined);
      if (!this.#greeted) reject(this.#failure());
    });
    this.#socket.write(encodeLine({ type: "hello", version: RELAY_PROTOCOL_VERSION, pid: process.pid }));
  }

  /** Why there was no hello. */
  #failure(): Error {
    if (this.#isAbsent) return new NoRelayProcess(this.#error);
    return this.#isHanging ? new HangingRelayProcess(this.#error) : new Error(this.#error);
  }

  /** @returns whether to read on. @throws ProtocolError */
  #take(text: string): boolean {
    this.#unansweredSince = Number.POSITIVE_INFINITY;
    const line = parseRelayLine(text);
    if (line === undefined) return true;
    if (line.type === "error") this.#end(line.message);
    else if (line.type === "hello") this.#greet(line.version, line.pid, line.pairs);
    else if ("id" in line) this.#waiting.get(line.id)?.(line);
    else this.#onEvent(line);
    return !this.#socket.destroyed;
  }

  #greet(version: number, pid: number, pairs: readonly HostAddress[]): void {
    if (version !== RELAY_PROTOCOL_VERSION) {
      this.#end(`process ${pid} there speaks version ${version} of the protocol, not ${RELAY_PROTOCOL_VERSION}`);
      return;
    }
    if (this.#greeted) return;
    this.#greeted = true;
    clearTimeout(this.#timer);
    const closed = new Promise<ChannelEnd>((resolve) =>
      this.#socket.once("close", () => resolve({ error: this.#error, isHanging: this.#isHanging })),
    );
    this.#open({
      pid,
      pairs,
      isOpen: () => !this.#socket.destroyed,
      closed,
      request: (body, limit) => this.#request(body, limit),
      close: () => void this.#socket.destroy(),
    });
  }

  #request(body: RequestBody, limit: number): Promise<RelayReply | undefined> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed || limit <= 0) return resolve(undefined);
      const id = this.#nextId++;
      const settle = (reply: RelayReply | undefined) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(reply);
      };
      const timer = setTimeout(() => {
        settle(undefined);
        // Requests must not pile up for a process that does not read.
        if (performance.now() - this.#unansweredSince <= ANSWER_LIMIT) return;
        this.#isHanging = true;
        this.#end("it does not answer");
      }, limit);
      this.#unansweredSince = Math.min(this.#unansweredSince, performance.now());
      this.#waiting.set(id, settle);
      this.#socket.write(encodeLine({ ...body, id }));
    });
  }

  #end(error: string): void {
    this.#error = error;
    this.#socket.destroy();
  }
}

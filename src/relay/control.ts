import type { Duplex } from "node:stream";
import type { Logger } from "../daemon/logger.js";
import { describeError } from "../errors.js";
import type { HostAddress } from "../gateway/core/addresses.js";
import {
  encodeLine,
  type Hello,
  lineReader,
  MAX_REQUEST_LINE,
  parseDaemonLine,
  RELAY_PROTOCOL_VERSION,
  type RelayEvent,
  type RelayReply,
  type RelayRequest,
} from "./wire/protocol.js";

interface ControlOptions {
  readonly pairs: () => readonly HostAddress[];
  readonly handle: (request: RelayRequest) => Promise<RelayReply>;
  /** A daemon has said hello. */
  readonly onDaemon: (pid: number) => void;
  /** For its hello, milliseconds. */
  readonly helloLimit: number;
  readonly log: Logger;
}

/** Bytes that a daemon may leave unread: one that does not read must not use up our memory. */
const MAX_UNREAD = 32 * 1024 * 1024;

/** The connection of one daemon to the control socket. */
export class ControlConnection {
  readonly #stream: Duplex;
  readonly #options: ControlOptions;
  readonly #timer: NodeJS.Timeout;
  #state: "new" | "ready" | "ending" = "new";

  constructor(stream: Duplex, options: ControlOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#timer = setTimeout(() => this.fail(`no hello within ${options.helloLimit} ms`), options.helloLimit);
    const read = lineReader({
      limit: MAX_REQUEST_LINE,
      onLine: (line) => this.#take(line),
      onInvalid: (reason) => this.fail(reason),
    });
    stream.on("data", read);
    // A daemon that was killed resets the connection; `close` follows.
    stream.on("error", () => {});
    stream.on("end", () => stream.end());
    stream.on("close", () => clearTimeout(this.#timer));
    stream.write(
      encodeLine({ type: "hello", version: RELAY_PROTOCOL_VERSION, pid: process.pid, pairs: options.pairs() }),
    );
  }

  send(line: RelayReply | RelayEvent): void {
    if (this.#state !== "ready" || this.#stream.destroyed) return;
    if (this.#stream.writableLength > MAX_UNREAD) {
      this.#options.log.warn("connection to a daemon closed: it does not read");
      this.#stream.destroy();
      return;
    }
    this.#stream.write(encodeLine(line));
  }

  /** Sends the daemon the reason, and closes. */
  fail(message: string): void {
    if (this.#state === "ending") return;
    this.#state = "ending";
    clearTimeout(this.#timer);
    this.#options.log.warn({ error: message }, "control connection closed");
    this.#stream.end(encodeLine({ type: "error", message }));
    // The daemon gets time to read it: a close with bytes unread here would be a reset.
    const timer = setTimeout(() => this.#stream.destroy(), this.#options.helloLimit);
    this.#stream.on("close", () => clearTimeout(timer));
  }

  /** @returns whether to read on. @throws ProtocolError */
  #take(text: string): boolean {
    const line = parseDaemonLine(text);
    if (line.type === "hello") this.#greet(line);
    else if (this.#state === "new") this.fail("the first line is not a hello");
    else if (line.type === "unknown") {
      this.send({ type: "refused", id: line.id, reason: `this relay process does not know ${line.name}` });
    } else {
      this.#options
        .handle(line)
        .catch((error: unknown) => ({ type: "refused", id: line.id, reason: describeError(error) }) as const)
        .then((reply) => this.send(reply));
    }
    return this.#state === "ready";
  }

  #greet({ version, pid }: Hello): void {
    if (version !== RELAY_PROTOCOL_VERSION) {
      this.fail(`the relay process speaks version ${RELAY_PROTOCOL_VERSION} of its protocol, not ${version}`);
    } else if (this.#state === "new") {
      clearTimeout(this.#timer);
      this.#state = "ready";
      this.#options.onDaemon(pid);
    }
  }
}

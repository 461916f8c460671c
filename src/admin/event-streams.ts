import type { ServerResponse } from "node:http";
import type { DaemonEvent, Observations } from "../daemon/core/observations.js";
import type { Logger } from "../daemon/logger.js";
import type { Peer } from "../epmd/peer.js";
import { Places, takePlaces } from "../os/sockets.js";
import { printableJson } from "../text.js";

/** Comments keep proxies from closing an idle stream. Milliseconds. */
const KEEP_ALIVE = 15_000;
/** How often the status is compared with the last one, milliseconds. */
const LOOK = 1_000;
/**
 * A stream stays open as long as its reader wants, so streams get half of the connections. Strangers may use half of these.
 */
const MAX_STREAMS = 32;
/** What a reader may leave unread, bytes: it can connect again. */
const MAX_UNREAD = 256 * 1024;

/** Readers of /v1/events: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export class EventStreams {
  /** With whether its reader is local. */
  readonly #streams = new Map<ServerResponse, boolean>();
  readonly #places = new Places(MAX_STREAMS);
  readonly #strangerPlaces = new Places(MAX_STREAMS / 2);
  readonly #observations: Observations;
  readonly #standing: (isLocal: boolean) => Promise<string>;
  readonly #log: Logger;
  #unsubscribe: (() => void) | undefined;
  #timers: NodeJS.Timeout[] = [];
  #last: string | undefined;
  #looking = false;

  /** @param standing text that changes with everything on the page for which there is no event; strangers see less */
  constructor(observations: Observations, standing: (isLocal: boolean) => Promise<string>, log: Logger) {
    this.#observations = observations;
    this.#standing = standing;
    this.#log = log;
  }

  /** @returns false when too many are open */
  add(
    response: ServerResponse,
    { local }: Pick<Peer, "local">,
    headers: Readonly<Record<string, string>> = {},
  ): boolean {
    if (takePlaces(local ? [this.#places] : [this.#places, this.#strangerPlaces], response)) return false;
    response.writeHead(200, { ...headers, "content-type": "text/event-stream; charset=utf-8" });
    response.write("retry: 1000\n\n");
    if (this.#streams.size === 0) this.#start();
    this.#streams.set(response, local);
    response.once("close", () => {
      this.#streams.delete(response);
      if (this.#streams.size === 0) this.#stop();
    });
    return true;
  }

  close(): void {
    for (const stream of this.#streams.keys()) stream.destroy();
    this.#stop();
  }

  #start(): void {
    this.#unsubscribe = this.#observations.subscribe((event) => this.#tell(event));
    this.#timers = [
      setInterval(() => this.#write(": still here\n\n"), KEEP_ALIVE),
      setInterval(() => void this.#look(), LOOK),
    ];
    void this.#look();
  }

  #stop(): void {
    this.#unsubscribe?.();
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#last = undefined;
  }

  #tell(event: DaemonEvent): void {
    if (event.type === "look-up" || event.type === "node") {
      const { type, ...data } = event;
      this.#send(type, data);
    }
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const standing = await this.#standing(Array.from(this.#streams.values()).some((isLocal) => isLocal));
      if (this.#last !== undefined && this.#last !== standing && this.#streams.size > 0) this.#send("status", {});
      this.#last = standing;
    } catch (error) {
      this.#log.error({ err: error }, "the status for the event streams cannot be read");
    } finally {
      this.#looking = false;
    }
  }

  #send(type: string, data: object): void {
    this.#write(`event: ${type}\ndata: ${printableJson(data)}\n\n`);
  }

  #write(text: string): void {
    for (const stream of this.#streams.keys()) {
      if (stream.writableLength > MAX_UNREAD) stream.destroy();
      else stream.write(text);
    }
  }
}

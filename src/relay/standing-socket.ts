import { lstat } from "node:fs/promises";
import type { Socket } from "node:net";
import type { Logger } from "../daemon/logger.js";
import { describeError, ListenError } from "../errors.js";
import { type ControlSocket, openControlSocket } from "./socket.js";

export interface StandingSocketOptions {
  /** Another process answers at the path. */
  readonly onTaken: () => void;
  readonly log: Logger;
}

/**
 * The control socket for as long as the process runs: when its file is removed, by whatever cleans up a folder, the
 * process listens there again. Connections that stand are not touched.
 */
export class StandingSocket {
  readonly #path: string;
  readonly #accept: (socket: Socket) => void;
  readonly #options: StandingSocketOptions;
  #control: ControlSocket | undefined;
  #keeping: Promise<void> | undefined;
  #taken = false;
  #complaint: string | undefined;

  constructor(path: string, accept: (socket: Socket) => void, options: StandingSocketOptions) {
    this.#path = path;
    this.#accept = accept;
    this.#options = options;
  }

  /** Another process has the path: no daemon finds this one. */
  get isTaken(): boolean {
    return this.#taken;
  }

  /** @throws ListenError */
  async open(): Promise<void> {
    this.#control = await openControlSocket(this.#path, this.#accept);
  }

  /** To be called now and then. Never rejects. */
  keep(): Promise<void> {
    this.#keeping ??= this.#keep().finally(() => {
      this.#keeping = undefined;
    });
    return this.#keeping;
  }

  async close(): Promise<void> {
    await this.#keeping;
    await this.#control?.close();
  }

  async #keep(): Promise<void> {
    const { log } = this.#options;
    if (this.#control) {
      if (await this.#control.isOurs()) return this.#control.freshen();
      log.warn({ socket: this.#path }, "the file of the control socket was removed or replaced");
      // Not waited for: it closes when the connections that stand have ended.
      void this.#control.close();
      this.#control = undefined;
    }
    if (this.#taken && (await lstat(this.#path).catch(() => undefined))) return;
    await this.#openAgain();
  }

  async #openAgain(): Promise<void> {
    const { log, onTaken } = this.#options;
    try {
      await this.open();
      this.#taken = false;
      this.#complaint = undefined;
      log.info({ socket: this.#path }, "listening on the control socket again");
    } catch (error) {
      const reason = describeError(error);
      if (this.#complaint !== reason)
        log.error({ reason }, "no daemon finds this process: it cannot have its control socket again");
      this.#complaint = reason;
      if (this.#taken || !(error instanceof ListenError) || error.code !== "LISTEN_IN_USE") return;
      this.#taken = true;
      onTaken();
    }
  }
}

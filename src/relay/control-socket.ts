import { chmod, link, lstat, rename, unlink, utimes } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../daemon/logger.js";
import { describeError, ListenError } from "../errors.js";
import { makePrivateFolder, ownFolderIn } from "../os/files.js";
import { networkNamespace } from "../os/machine.js";
import { lineReader, MAX_REPLY_LINE, parseRelayLine } from "./wire/protocol.js";

/**
 * Path of the control socket, at which the relay process of this network namespace and EPMD port listens. For root it is
 * under /run, so that a login shell, which has XDG_RUNTIME_DIR, and a unit, which does not, find the same.
 * @param port bound EPMD port
 */
export async function relaySocketPath(
  settings: { readonly relaySocket: string | undefined; readonly runtimeDir: string | undefined },
  port: number,
  log: Logger,
): Promise<string> {
  if (settings.relaySocket !== undefined) return settings.relaySocket;
  const namespace = (await networkNamespace()) ?? "0";
  return join(await runtimeFolder(settings.runtimeDir, log), `relay-${namespace}-${port}.sock`);
}

async function runtimeFolder(runtimeDir: string | undefined, log: Logger): Promise<string> {
  const user = process.getuid?.() ?? 0;
  if (user === 0) return "/run/srv-epmd";
  return runtimeDir === undefined ? ownFolderIn(tmpdir(), `srv-epmd-${user}`, log) : join(runtimeDir, "srv-epmd");
}

interface StandingSocketOptions {
  /** Another process listens at the path now. */
  readonly onTaken: () => void;
  readonly log: Logger;
}

/**
 * The control socket for as long as the process runs: when its file is removed, for example by a job that cleans the
 * folder, the process listens there again. Open connections stay.
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

  /** Another process has the path: no daemon finds this process. */
  get isTaken(): boolean {
    return this.#taken;
  }

  /** @throws ListenError */
  async open(): Promise<void> {
    this.#control = await openControlSocket(this.#path, this.#accept);
  }

  /** Checks the file; to be called regularly. Never rejects. */
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
      // Not awaited: a server closes when its open connections have ended.
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
      const complaint = describeError(error);
      if (this.#complaint !== complaint) {
        log.error(
          { error: complaint },
          "cannot listen on the control socket again: no daemon can connect to this relay process",
        );
      }
      this.#complaint = complaint;
      if (this.#taken || !(error instanceof ListenError) || error.code !== "LISTEN_IN_USE") return;
      this.#taken = true;
      onTaken();
    }
  }
}

interface ControlSocket {
  /** False: the file was removed or replaced, and no daemon finds us. */
  readonly isOurs: () => Promise<boolean>;
  /** Sets the time of the file: systemd-tmpfiles removes old files from /tmp, and does not see that this socket is in use. */
  readonly freshen: () => Promise<void>;
  /** Stops accepting; open connections stay. */
  readonly close: () => Promise<void>;
}

/** unix(7): bytes of the path of a socket, with the zero byte at its end. */
const MAX_PATH = 108;
/** How long the process that has the socket may take for its hello, milliseconds. */
const ASK_LIMIT = 1_000;
/** Milliseconds. Two processes may replace a stale file at the same time; after this time both see who was last. */
const SETTLE = 100;

/**
 * Listens on a unix socket of mode 0600 in a folder of mode 0700. A file at which no process listens is replaced.
 * @throws ListenError LISTEN_IN_USE, with the process that has it; LISTEN_FAILED
 */
async function openControlSocket(path: string, onConnection: (socket: Socket) => void): Promise<ControlSocket> {
  const fault = await makePrivateFolder(dirname(path));
  if (fault !== undefined) throw new ListenError("LISTEN_FAILED", `--relay-socket ${path}: ${fault.message}`);
  // First under a name of its own. Of two processes that link their socket to the path only one succeeds; and Node removes
  // the name under which a server began to listen, while the path may be another process's by then.
  const own = join(dirname(path), `.${process.pid.toString(36)}${Math.random().toString(36).slice(2, 6)}`);
  if (Buffer.byteLength(path) >= MAX_PATH || Buffer.byteLength(own) >= MAX_PATH) {
    throw new ListenError(
      "LISTEN_FAILED",
      `--relay-socket ${path}: the path is too long for a socket; give a shorter one`,
    );
  }
  const server = createServer(onConnection);
  await listen(server, own);
  try {
    await chmod(own, 0o600);
    const { ino } = await lstat(own);
    const isOurs = async () => (await lstat(path).catch(() => undefined))?.ino === ino;
    if (!(await claim(own, path))) {
      await sleep(SETTLE);
      if (!(await isOurs())) throw inUse(path, "another one that started at the same time");
    }
    return {
      isOurs,
      freshen: async () => {
        const now = new Date();
        await utimes(path, now, now).catch(() => {});
      },
      close: async () => {
        if (await isOurs()) await unlink(path).catch(() => {});
        await closed(server);
      },
    };
  } catch (error) {
    await unlink(own).catch(() => {});
    await closed(server);
    throw error;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(new ListenError("LISTEN_FAILED", `cannot listen on ${path}: ${describeError(error)}`, { cause: error })),
    );
    server.listen(path, () => resolve());
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Gives the socket its path. False: a stale file was replaced, and another process may do the same at this time. */
async function claim(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    await unlink(own);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw new ListenError("LISTEN_FAILED", `cannot listen on ${path}: ${describeError(error)}`, { cause: error });
    }
  }
  const there = await lstat(path).catch(() => undefined);
  if (there && !there.isSocket()) throw new ListenError("LISTEN_FAILED", `${path} exists and is not a socket`);
  const holder = await askHolder(path);
  if (holder !== undefined) throw inUse(path, holder);
  await rename(own, path);
  return false;
}

function inUse(path: string, holder: string): ListenError {
  const message = `a relay process has the control socket ${path}: ${holder}; stop it, or choose another --relay-socket`;
  return new ListenError("LISTEN_IN_USE", message);
}

/** Which process listens there; undefined when none does. */
function askHolder(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (holder: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(holder);
    };
    const timer = setTimeout(settle, ASK_LIMIT, "it sends no hello");
    const onLine = (line: string) => {
      const parsed = parseRelayLine(line);
      settle(parsed?.type === "hello" ? `process ${parsed.pid}` : "another program");
      return false;
    };
    socket.on("data", lineReader({ limit: MAX_REPLY_LINE, onLine, onInvalid: () => settle("another program") }));
    socket.on("end", () => settle("it closes connections"));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      settle(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? undefined : describeError(error)),
    );
  });
}

import { chmod, link, lstat, rename, unlink, utimes } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describeError, ListenError } from "../errors.js";
import { makePrivateFolder } from "../os/private-folder.js";
import { readLines } from "./read-lines.js";
import { MAX_REPLY_LINE, parseRelayLine } from "./wire/protocol.js";

export interface ControlSocket {
  /** False when somebody has removed or replaced the file: then no daemon finds us any more. */
  readonly isOurs: () => Promise<boolean>;
  /** systemd-tmpfiles removes old files from /tmp, and does not know this one for a socket in use: its name is another. */
  readonly freshen: () => Promise<void>;
  /** Stops accepting; connections go on. */
  readonly close: () => Promise<void>;
}

/** unix(7): the path of a socket, with its final zero byte. */
const MAX_PATH = 108;
/** Milliseconds that whoever has the socket gets to say who it is. */
const ASK_LIMIT = 1_000;
/** Milliseconds after which two that replaced a stale file in the same moment see which of them came last. */
const SETTLE = 100;

/**
 * Listens on a unix socket of mode 0600 in a folder of mode 0700. A file that nobody answers on is replaced.
 * @throws ListenError LISTEN_IN_USE, with the process that has it; LISTEN_FAILED
 */
export async function openControlSocket(path: string, onConnection: (socket: Socket) => void): Promise<ControlSocket> {
  const fault = await makePrivateFolder(dirname(path));
  if (fault !== undefined) throw new ListenError("LISTEN_FAILED", `--relay-socket ${path}: ${fault}`);
  // Under a name of its own first: linking it to the path is the one step in which two cannot both succeed, and the
  // name that Node removes when the server closes is not the path, which may be another process's by then.
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
      if (!(await isOurs())) throw inUse(path, "another one that started in the same moment");
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

/** Gives the socket its path. False: a stale file was replaced, which another may be doing too. */
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
  if (there && !there.isSocket()) throw new ListenError("LISTEN_FAILED", `${path} is there and no socket`);
  const holder = await askHolder(path);
  if (holder !== undefined) throw inUse(path, holder);
  await rename(own, path);
  return false;
}

function inUse(path: string, holder: string): ListenError {
  const message = `a relay process has the control socket ${path}: ${holder}; end it, or choose another --relay-socket`;
  return new ListenError("LISTEN_IN_USE", message);
}

/** Who answers there; undefined when nobody does. */
function askHolder(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (holder: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(holder);
    };
    const timer = setTimeout(settle, ASK_LIMIT, "it does not say which");
    const onLine = (line: string) => {
      const said = parseRelayLine(line);
      settle(said?.type === "hello" ? `process ${said.pid}` : "something else");
      return false;
    };
    readLines(socket, { limit: MAX_REPLY_LINE, onLine, onInvalid: () => settle("something else") });
    socket.on("end", () => settle("it closes connections"));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      settle(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? undefined : describeError(error)),
    );
  });
}

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { type FileHandle, lstat, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../daemon/logger.js";

/**
 * O_NONBLOCK (open(2)): opening a FIFO without a writer does not block, and its type is checked afterwards. It has no
 * effect on regular files.
 */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;
/** Bytes. A file is read in parts until it ends or is too long: sizes in /proc are 0, and a file may grow. */
const PART = 64 * 1024;

/** Differs after each change of a file or its rights. By ctime too: chmod(1) leaves the time of modification, `cp -p` sets it back. */
export function fileVersion({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(" ");
}

/** Bytes. */
export const MEBIBYTE = 1024 * 1024;

/** How long a pipe is read, milliseconds: a program that decrypts a secret needs some time. */
const PIPE_PATIENCE = 10_000;
const PIPE_POLL = 10;

interface ReadOptions {
  /** Bytes. */
  readonly limit: number;
  /** A pipe is read too, such as a shell's `<(command)`, for 10 s at most. For files that are read once. */
  readonly orPipe?: boolean;
}

/**
 * The text of a regular file.
 * @throws the system's error, or an error that says why the file is not read
 */
export async function readBounded(path: string, { limit, orPipe = false }: ReadOptions): Promise<string> {
  const file = await open(path, FLAGS);
  try {
    const stats = await file.stat();
    if (!orPipe || !stats.isFIFO()) assertRegular(stats);
    const parts = new Parts(limit);
    const end = performance.now() + PIPE_PATIENCE;
    for (;;) {
      const part = stats.isFIFO() ? await partOfPipe(file, end) : await partOf(file);
      if (part.length === 0) return parts.text();
      parts.add(part);
    }
  } finally {
    await file.close();
  }
}

/** The same, synchronous: for files that are needed at the start. */
export function readBoundedSync(path: string, limit: number): string {
  const fd = openSync(path, FLAGS);
  try {
    assertRegular(fstatSync(fd));
    const parts = new Parts(limit);
    for (;;) {
      const buffer = Buffer.allocUnsafe(PART);
      const length = readSync(fd, buffer, 0, PART, null);
      if (length === 0) return parts.text();
      parts.add(buffer.subarray(0, length));
    }
  } finally {
    closeSync(fd);
  }
}

class Parts {
  readonly #limit: number;
  readonly #parts: Buffer[] = [];
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > this.#limit) throw new Error(`is longer than ${this.#limit / MEBIBYTE} MiB`);
    this.#parts.push(part);
  }

  text(): string {
    return Buffer.concat(this.#parts).toString("utf8");
  }
}

async function partOf(file: FileHandle): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(PART) });
  return buffer.subarray(0, bytesRead);
}

/** pipe(7): EAGAIN while a writer has the pipe open and has written nothing. */
async function partOfPipe(file: FileHandle, end: number): Promise<Buffer> {
  for (;;) {
    try {
      return await partOf(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      if (performance.now() > end) throw new Error(`is a pipe that did not end within ${PIPE_PATIENCE / 1000} s`);
    }
    await sleep(PIPE_POLL);
  }
}

function assertRegular(stats: Stats): void {
  if (!stats.isFile()) throw new Error("is not a regular file");
}

/**
 * Makes a folder and those above it, as `mkdir -p`. Node's own `recursive` tries for ever, and takes a processor, where the
 * working directory or the root has been deleted under the process, as a scheduler does with an allocation that it has lost.
 * @throws the error of the system
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  const make = () =>
    mkdir(path, { mode }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      // What is there may be a file: using it then fails with ENOTDIR.
    });
  try {
    await make();
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || parent === path) throw error;
    await makeFolder(parent, mode);
    await make();
  }
}

/** Group and others: no right of any kind. */
const OTHERS = 0o077;

/**
 * Why a folder is not private: another user who can write there could pose as the relay process. Undefined: it is
 * private.
 * A missing folder is made, with those above it.
 */
export async function makePrivateFolder(path: string): Promise<FolderFault | undefined> {
  try {
    await makeFolder(path, 0o700);
  } catch (error) {
    return { path, kind: "unusable", message: `the folder ${path} cannot be made: ${(error as Error).message}` };
  }
  return privateFolderFault(path);
}

/** What is wrong with a folder that must be private. */
export interface FolderFault {
  readonly path: string;
  /** `open`: it is ours, and other users have rights in it. `unusable`: another's, or no folder. */
  readonly kind: "missing" | "open" | "unusable";
  readonly message: string;
}

/** Names that are tried beside the usual one. */
const MORE_NAMES = 99;

/**
 * Our folder in a parent where every user may make folders. When another user has taken its name, it is the first numbered
 * name that is ours already, else the first that can be made. No other user can make a folder that belongs to us, so that
 * all of our processes find the same folder.
 */
export async function ownFolderIn(parent: string, name: string, log: Logger): Promise<string> {
  const usual = join(parent, name);
  const others = Array.from({ length: MORE_NAMES }, (_, index) => `${usual}-${index + 1}`);
  const user = process.geteuid?.() ?? 0;
  const holder = (await lstat(usual).catch(() => undefined))?.uid;
  if (holder === user) return usual;
  const isOurs = async (path: string) => (await privateFolderFault(path)) === undefined;
  const make = (path: string) => mkdir(path, { mode: 0o700 }).catch(() => {});
  const find = async (prepare: (path: string) => Promise<unknown>) => {
    for (const path of others) {
      await prepare(path);
      if (await isOurs(path)) return path;
    }
    return undefined;
  };
  // The usual name may become free again while our processes use another.
  const folder = (await find(async () => {})) ?? (holder === undefined ? undefined : await find(make));
  if (folder === undefined) return usual;
  if (holder !== undefined) {
    log.warn({ folder, taken: usual, user: holder }, "another user has taken the folder of the relays' control socket");
  }
  return folder;
}

/** As makePrivateFolder, of a folder that should be there. */
export async function privateFolderFault(path: string): Promise<FolderFault | undefined> {
  const fault = (kind: FolderFault["kind"], message: string) => ({ path, kind, message });
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    const kind = found.code === "ENOENT" ? "missing" : "unusable";
    return fault(kind, `the folder ${path} cannot be used: ${found.message}`);
  }
  const user = process.geteuid?.() ?? found.uid;
  if (!found.isDirectory()) return fault("unusable", `${path} is no folder`);
  if (found.uid !== user)
    return fault(
      "unusable",
      `the folder ${path} belongs to user ${found.uid}, not to ours (${user}): choose another --relay-socket`,
    );
  if ((found.mode & OTHERS) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    return fault(
      "open",
      `the folder ${path} is open to other users (mode ${mode}): chmod 700 it, or choose another --relay-socket`,
    );
  }
  return undefined;
}

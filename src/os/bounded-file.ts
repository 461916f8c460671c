import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * O_NONBLOCK (open(2)): opening a FIFO without a writer does not block, and its type is checked afterwards. It has no
 * effect on regular files.
 */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;
/** Bytes. A file is read in parts until it ends or is too long: sizes in /proc are 0, and a file may grow. */
const PART = 64 * 1024;

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

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/**
 * A FIFO without a writer must not hold the reader (open(2), O_NONBLOCK): the file is looked at after it was opened.
 * Without effect on regular files.
 */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** Bytes. */
export const MEBIBYTE = 1024 * 1024;

/**
 * The text of a regular file of at most `limit` bytes.
 * @throws the system's error, or one that says what the file is instead
 */
export async function readBounded(path: string, limit: number): Promise<string> {
  const file = await open(path, FLAGS);
  try {
    assertRegular(await file.stat());
    return (await readUpTo(file, limit)).toString("utf8");
  } finally {
    await file.close();
  }
}

/** The same at once, for what a start depends on. */
export function readBoundedSync(path: string, limit: number): string {
  const fd = openSync(path, FLAGS);
  try {
    assertRegular(fstatSync(fd));
    // One byte more than allowed tells a file that is too long. Files of /proc have the size 0.
    const buffer = Buffer.alloc(limit + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length <= limit; length += read) {
      read = readSync(fd, buffer, length, buffer.length - length, null);
    }
    assertLength(length, limit);
    return buffer.toString("utf8", 0, length);
  } finally {
    closeSync(fd);
  }
}

async function readUpTo(file: FileHandle, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(64 * 1024) });
    if (bytesRead === 0) return Buffer.concat(chunks);
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
    assertLength(length, limit);
  }
}

function assertRegular(stats: { isFile(): boolean }): void {
  if (!stats.isFile()) throw new Error("is not a regular file");
}

function assertLength(length: number, limit: number): void {
  if (length > limit) throw new Error(`is longer than ${limit / MEBIBYTE} MiB`);
}

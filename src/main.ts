#!/usr/bin/env node
import { isSea } from "node:sea";
import { EXIT } from "./cli/io.js";
import { run } from "./cli/program.js";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
const STOPPING = ["SIGTERM", "SIGINT"] as const;
/** Milliseconds for the reader of the log after a stop: Nomad kills 5 s after SIGTERM, and the stop takes up to 4. */
const FLUSH_LIMIT = 500;
/** Bytes that wait for a reader of the log; further lines are dropped, so that memory stays bounded. */
const MAX_LOG_BACKLOG = 4 * 1024 * 1024;

// A reader that has gone (EPIPE) ends neither the daemon nor a command.
let lost: NodeJS.ErrnoException | undefined;
const unread = new AbortController();
const stopped = new AbortController();
process.stderr.on("error", () => {});
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  unread.abort();
  if (error.code === "EPIPE") return;
  lost = error;
  process.stderr.write(`srv-epmd: the result cannot be written: ${error.message}\n`);
  process.exitCode = EXIT.unavailable;
});

// Node opens its debugger on SIGUSR1, and ends on SIGUSR2: neither is for a daemon in production.
for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});

void run(process.argv.slice(2), {
  env: process.env,
  // A single executable is its own node, and has no script.
  program: [process.execPath, ...(isSea() ? [] : process.argv.slice(1, 2))],
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => {
    if (process.stderr.writableLength < MAX_LOG_BACKLOG) process.stderr.write(text);
  },
  stderrIsTerminal: process.stderr.isTTY === true,
  stdoutIsTerminal: process.stdout.isTTY === true,
  unread: unread.signal,
  columns: process.stdout.columns || 110,
  onSignal: (listener) => {
    for (const signal of SIGNALS) process.on(signal, listener);
    for (const signal of STOPPING) process.once(signal, () => stopped.abort());
  },
}).then(async (code) => {
  process.exitCode = lost ? EXIT.unavailable : code;
  // A result is waited for as long as somebody may read it; after a signal, as for a log, no longer than a moment.
  await written(process.stdout, stopped.signal.aborted ? FLUSH_LIMIT : undefined);
  await written(process.stderr, FLUSH_LIMIT);
  // Bytes that nobody reads would keep the process.
  if (process.stdout.writableLength + process.stderr.writableLength > 0) process.exit();
});

/** Resolves when all that was written has been taken, or the time is over. */
function written(stream: NodeJS.WriteStream, limit: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0 || stream.destroyed) return resolve();
    const timer = limit === undefined ? undefined : setTimeout(resolve, limit);
    stream.write("", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

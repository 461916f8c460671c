#!/usr/bin/env node
import { isSea } from "node:sea";
import { EXIT } from "./cli/io.js";
import { run } from "./cli/program.js";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
const STOPPING = ["SIGTERM", "SIGINT"] as const;
/** Milliseconds in which the log must be read at the end: Nomad kills 5 s after SIGTERM, and stopping takes up to 4 s. */
const FLUSH_LIMIT = 500;
/** Unread bytes of the log; above it lines are dropped, so that they do not fill our memory. */
const MAX_LOG_BACKLOG = 4 * 1024 * 1024;

// When the reader of stdout or stderr ends (EPIPE), the daemon and commands continue.
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

// By default Node opens its debugger on SIGUSR1 and ends on SIGUSR2.
for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});

void run(process.argv.slice(2), {
  env: process.env,
  // A single executable has no script.
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
  // A result may be read at any time; after a signal it must be read within FLUSH_LIMIT, as the log.
  await written(process.stdout, stopped.signal.aborted ? FLUSH_LIMIT : undefined);
  await written(process.stderr, FLUSH_LIMIT);
  // Unread bytes would keep the process alive.
  if (process.stdout.writableLength + process.stderr.writableLength > 0) process.exit();
});

/** Resolves when everything has been read, or after `limit` milliseconds. */
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

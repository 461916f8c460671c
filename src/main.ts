#!/usr/bin/env node
import { isSea } from "node:sea";
import { EXIT } from "./cli/exit-code.js";
import { run } from "./cli/program.js";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
/** Bytes that wait for a reader of the log; further lines are lost, rather than all of our memory. */
const MAX_LOG_BACKLOG = 4 * 1024 * 1024;

// A reader that has gone (EPIPE) ends neither the daemon nor a command.
let lost: NodeJS.ErrnoException | undefined;
const unread = new AbortController();
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
  },
}).then((code) => {
  process.exitCode = lost ? EXIT.unavailable : code;
});

import { spawn } from "node:child_process";
import events from "node:events";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { findConsul, startConsul } from "../support/consul-agent.js";
import { cleanEnvironment } from "../support/environment.js";
import { BIN } from "../support/srv-epmd.js";
import { median, report, residentKiB } from "./measure.js";

const ROUNDS = 9;
/** Long enough for what is loaded at the start to have settled, milliseconds. */
const SETTLE = 1500;
const EMPTY = ["--eval", 'console.error("ready"); setInterval(() => {}, 1e6)'];
const SERVE = [BIN, "serve", "--port", "0", "--log-format", "json"];
const CONSUL = ["--domain", "svc.service.consul", "--consul"];

async function once(args: readonly string[]): Promise<{ startMs: number; kib: number }> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { env: cleanEnvironment(), stdio: ["ignore", "ignore", "pipe"] });
  const startMs = (await whenReady(child.stderr)) - started;
  await sleep(SETTLE);
  const kib = residentKiB(child.pid ?? 0);
  const exited = events.once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  return { startMs, kib };
}

/** To the millisecond: a look each 20 ms would be a quarter of what an empty script takes. @throws when it ends before */
async function whenReady(output: Readable): Promise<number> {
  let text = "";
  for await (const [chunk] of events.on(output, "data", { close: ["end"] })) {
    text += String(chunk);
    if (text.includes("ready")) return performance.now();
  }
  throw new Error(`ended before it was ready: ${text}`);
}

/** Start-up and idle memory beside an empty Node script. */
export async function benchFootprint(): Promise<void> {
  const consul = findConsul() === undefined ? undefined : await startConsul();
  if (!consul) process.stderr.write("without Consul, which is not there (bash test/install-peers.sh)\n");
  const programs = [EMPTY, SERVE, ...(consul ? [[...SERVE, ...CONSUL, consul.url]] : [])];
  const runs: { startMs: number; kib: number }[][] = programs.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, args] of programs.entries()) runs[index]?.push(await once(args));
  }
  await consul?.stop();
  const of = (index: number, key: "startMs" | "kib") => median((runs[index] ?? []).map((result) => result[key]));
  const peerName = "empty script";
  const [startMs, mib] = [of(0, "startMs"), of(0, "kib") / 1024];
  const rows = (index: number, how: string) => [
    { what: `until it listens${how}`, unit: "ms", ours: of(index, "startMs"), peer: startMs, peerName },
    { what: `resident, idle${how}`, unit: "MiB", ours: of(index, "kib") / 1024, peer: mib, peerName },
  ];
  report(`Footprint of serve beside an empty Node script: median of ${ROUNDS} starts`, [
    ...rows(1, ""),
    ...(consul ? rows(2, ", with Consul") : []),
  ]);
}

import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type RelayClient, type RelayClientOptions, startRelayClient } from "../../src/relay/client.js";
import { collectLog, type LogLines } from "../support/log-lines.js";
import {
  ADDRESS,
  daemon,
  dialRelay,
  echo,
  PORTS,
  received,
  relaySocket,
  startPeer,
  startRelay,
} from "../support/relay.js";
import { PROGRAM } from "../support/source-program.js";
import { waitFor } from "../support/wait-for.js";

const NODE = "node_b@svc.service.consul";

interface TestClient extends RelayClient {
  readonly logged: LogLines;
  readonly failures: unknown[];
  readonly pairs: unknown[];
}

const start = (program: readonly string[], supervised?: string) => ({ program, env: process.env, supervised });

function client(socket: string, options: Partial<RelayClientOptions> = {}): TestClient {
  const logged = collectLog();
  const failures: unknown[] = [];
  const pairs: unknown[] = [];
  const made = startRelayClient({
    socket,
    ports: PORTS,
    start: undefined,
    onPairs: (some) => void pairs.push(some),
    ownPairs: () => [],
    onDialFailed: (...failure) => void failures.push(failure),
    log: logged.log,
    ...options,
  });
  onTestFinished(made.close);
  return { ...made, logged, failures, pairs };
}

/** The process that a client has started ends with the test. */
async function pidOf(relays: RelayClient): Promise<number> {
  const { pid } = await waitFor(() => relays.status(), { what: "the relay process" });
  onTestFinished(async () => {
    // First the client, which would start another one.
    await relays.close();
    kill(pid);
  });
  return pid;
}

/** Relay processes that were started with this control socket. */
function processesAt(path: string): number[] {
  const pids = readdirSync("/proc").filter((entry) => /^[0-9]+$/.test(entry));
  return pids.filter((pid) => commandLine(pid).includes(path)).map(Number);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

test("a relay for a node, what it knows of failures, and its status reach the daemon", async () => {
  const { path } = await startRelay();
  const relays = client(path, { ownPairs: () => [{ host: "own.test", address: "127.64.0.7" }] });
  expect(await relays.ready).toBe(true);
  const peer = await startPeer(echo);
  // As resolution gives them, with SRV data.
  const endpoint = { ...peer.endpoint, family: 4, priority: 1, weight: 1, target: "x.test" };
  const dead = { address: "127.0.0.1", port: 1 };
  const relayed = await relays.ensure({ node: NODE, address: ADDRESS, endpoints: [dead, endpoint] });
  if (relayed.outcome !== "relayed") throw new Error(relayed.reason);
  await dialRelay(relayed.port);
  await peer.accepted(0);
  await waitFor(() => relays.failures.length > 0, { what: "the failure" });
  const failure = { code: "ECONNREFUSED", reason: "connect ECONNREFUSED 127.0.0.1:1" };
  expect(relays.failures).toEqual([[NODE, dead, expect.objectContaining(failure)]]);
  expect(await relays.status()).toMatchObject({ pid: process.pid, relays: [{ node: NODE, port: relayed.port }] });
  relays.keep({ host: "later.test", address: "127.64.0.8" });
  const next = await waitFor(
    async () => {
      const [hello] = (await daemon(path)).lines;
      return (hello?.pairs as unknown[] | undefined)?.length === 2 && hello;
    },
    { what: "both pairs to be remembered" },
  );
  expect(next.pairs).toEqual([
    { host: "own.test", address: "127.64.0.7" },
    { host: "later.test", address: "127.64.0.8" },
  ]);
});

test("`ready` waits until the daemon has taken the pairs that the relay process remembers", async () => {
  const { path } = await startRelay();
  await (await daemon(path)).ask({ type: "pair", host: "old.test", address: "127.64.0.7" });
  let taken = false;
  const relays = client(path, {
    onPairs: async (pairs) => {
      expect(pairs).toEqual([{ host: "old.test", address: "127.64.0.7" }]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      taken = true;
    },
  });
  expect(await relays.ready).toBe(true);
  expect(taken).toBe(true);
});

test("where there is no relay process and none may be started, that is said once and every question is answered", async () => {
  const path = await relaySocket();
  const relays = client(path, { timings: { ready: 50, request: 100, othersStart: 150 } });
  expect(await relays.ready).toBe(false);
  // One may just be starting: that is no reason for a warning.
  expect(relays.logged.messages("warn")).toEqual([]);
  await waitFor(() => relays.logged.messages("warn").length > 0, { what: "the warning" });
  const target = { node: NODE, address: ADDRESS, endpoints: [{ address: "10.0.0.1", port: 1 }] };
  const reason = `there is no relay process: nothing answers at ${path}, and serve starts no relay process here`;
  expect(await relays.ensure(target)).toEqual({ outcome: "failed", reason });
  expect(await relays.status()).toBeUndefined();
  expect(relays.logged.messages("warn")).toEqual(["no relay process"]);
  expect(relays.trouble()?.advice).toMatch(new RegExp(`^start .*: srv-epmd relay --relay-socket ${path}$`));
  const pending = relays.ensure(target);
  await relays.close();
  expect(await pending).toMatchObject({ outcome: "failed" });
});

test("a relay process that comes later is found", async () => {
  const path = await relaySocket();
  const relays = client(path, { timings: { request: 5_000 } });
  const { endpoint } = await startPeer();
  const asked = relays.ensure({ node: NODE, address: ADDRESS, endpoints: [endpoint] });
  await startRelay({ socket: path });
  expect(await asked).toMatchObject({ outcome: "relayed" });
});

test("a question that the relay process does not live to answer is put to the next one, while the daemon goes on", async () => {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o700 });
  // Says hello, and ends with the first question.
  const dying = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write('{"type":"hello","version":1,"pid":77,"pairs":[]}\n');
    socket.on("data", (bytes) => bytes.includes("ensure") && socket.destroy());
  });
  await new Promise<void>((resolve) => dying.listen(path, resolve));
  const relays = client(path, { timings: { request: 5_000 } });
  expect(await relays.ready).toBe(true);
  const { endpoint } = await startPeer();
  const asked = relays.ensure({ node: NODE, address: ADDRESS, endpoints: [endpoint] });
  await waitFor(() => relays.logged.messages("warn").includes("relay process lost"), { what: "the loss" });
  await new Promise((resolve) => dying.close(resolve));
  await startRelay({ socket: path });
  expect(await asked).toMatchObject({ outcome: "relayed" });
});

test("a relay process that does not answer is said to", async () => {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o700 });
  const mute = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write('{"type":"hello","version":1,"pid":77,"pairs":[]}\n');
  });
  await new Promise<void>((resolve) => mute.listen(path, resolve));
  onTestFinished(() => void mute.close());
  const relays = client(path, { timings: { request: 100 } });
  expect(await relays.ready).toBe(true);
  expect(await relays.ensure({ node: NODE, address: ADDRESS, endpoints: [] })).toEqual({
    outcome: "failed",
    reason: "the relay process does not answer",
  });
  expect(await relays.status()).toBeUndefined();
});

test("one that is stopped by a signal is said to be so with its process, and is used on when it goes on", {
  timeout: 60_000,
}, async () => {
  const path = await relaySocket();
  const relays = client(path, { start: start(PROGRAM), timings: { ready: 20_000 } });
  const pid = await pidOf(relays);
  process.kill(pid, "SIGSTOP");
  const told = (reason: RegExp) =>
    waitFor(
      async () => {
        expect(await relays.status()).toBeUndefined();
        return reason.test(relays.trouble()?.reason ?? "");
      },
      { what: String(reason), timeout: 20_000 },
    );
  // While it is connected, and when it does not greet any more.
  for (const reason of [new RegExp(`^process ${pid} has not answered for 1 s$`), /: no hello within 2 s$/]) {
    await told(reason);
    expect(relays.trouble()?.advice).toContain(
      `goes on with kill -CONT ${pid}; end one that hangs (kill -KILL ${pid})`,
    );
  }
  process.kill(pid, "SIGCONT");
  const status = await waitFor(() => relays.status(), { what: "its status", timeout: 20_000 });
  expect([status.pid, relays.trouble()]).toEqual([pid, undefined]);
});

test("one that never greets is said to be there, and how its process is found", async () => {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o700 });
  const mute = createServer(() => {}).listen(path);
  onTestFinished(() => void mute.close());
  const relays = client(path);
  const { reason, advice } = await waitFor(() => relays.trouble(), { what: "the trouble" });
  expect([reason, advice]).toEqual([
    `${path}: no hello within 2 s`,
    expect.stringMatching(/^its PID is in ss -xlp; .*kill -CONT PID/),
  ]);
});

test("one of another release, whose status is not understood, is used on, and that is said once", async () => {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o700 });
  const statuses = [
    { pid: 77, native: { certificates: [] } },
    { pid: 77, native: { certificates: [] } },
  ];
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.write(`${JSON.stringify({ type: "hello", version: 1, pid: 77, pairs: [] })}\n`);
    socket
      .on("error", () => {})
      .on("data", (bytes) => {
        for (const line of String(bytes).trim().split("\n")) {
          const { type, id } = JSON.parse(line);
          const reply = type === "status" ? { type, id, status: statuses.pop() } : { type: "ensured", id, port: 61000 };
          if (type !== "hello") socket.write(`${JSON.stringify(reply)}\n`);
        }
      });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  const relays = client(path);
  expect(await relays.ready).toBe(true);
  expect([await relays.status(), await relays.status()]).toEqual([undefined, undefined]);
  const why = "its status is not understood, it is of another release: totals is not a JSON object";
  expect(relays.trouble()?.reason).toBe(why);
  expect(relays.logged.lines.filter(({ level }) => level === "warn")).toEqual([
    expect.objectContaining({ msg: "no status of the relay process", error: why }),
  ]);
  const endpoints = [{ address: "127.0.0.1", port: 1 }];
  expect(await relays.ensure({ node: NODE, address: ADDRESS, endpoints })).toMatchObject({ outcome: "relayed" });
  expect(connections).toBe(1);
});

test("one that greets and then breaks the protocol is told of once, and not asked without a pause", async () => {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o700 });
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.on("error", () => {});
    socket.end(`${JSON.stringify({ type: "hello", version: 1, pid: 77, pairs: [] })}\n{"nonsense\n`);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  const { logged } = client(path);
  await waitFor(() => connections >= 5, { what: "further attempts" });
  // 25 ms, 50, 100, 200, 400, 500, 500, ... are seven attempts in two seconds.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(connections).toBeLessThan(12);
  expect(logged.messages("info").filter((message) => message === "relay process connected")).toHaveLength(1);
  expect(logged.messages("warn")).toEqual(["relay process lost"]);
});

test("a stop does not wait for the hello of a relay process that hangs", async () => {
  const socket = await relaySocket();
  await mkdir(dirname(socket), { recursive: true, mode: 0o700 });
  let connections = 0;
  const mute = createServer(() => connections++).listen(socket);
  onTestFinished(() => void mute.close());
  const relays = client(socket);
  await waitFor(() => connections === 1, { what: "the connection" });
  const before = performance.now();
  await relays.close();
  // It is waited for two seconds otherwise.
  expect(performance.now() - before).toBeLessThan(1000);
  expect(relays.logged.messages()).not.toContain("no relay process");
});

test("one that is started outlives its daemon, and its links do; the next daemon finds it", {
  timeout: 60_000,
}, async () => {
  const path = await relaySocket();
  const first = client(path, { start: start(PROGRAM), timings: { request: 20_000 } });
  const peer = await startPeer(echo);
  const target = { node: NODE, address: ADDRESS, endpoints: [peer.endpoint] };
  const relayed = await first.ensure(target);
  if (relayed.outcome !== "relayed") throw new Error(relayed.reason);
  const pid = await pidOf(first);
  expect(pid).not.toBe(process.pid);
  first.keep({ host: "n1.test", address: "127.64.0.9" });
  const vm = await dialRelay(relayed.port);
  const answer = received(vm);
  vm.write("before,");
  await waitFor(() => answer() === "before,", { what: "the first echo" });
  await first.close();

  const second = client(path);
  expect(await second.ready).toBe(true);
  expect(second.pairs).toEqual([[{ host: "n1.test", address: "127.64.0.9" }]]);
  expect(await second.ensure(target)).toEqual(relayed);
  vm.write("after");
  await waitFor(() => answer() === "before,after", { what: "the second echo" });
  expect(await second.status()).toMatchObject({ pid, totals: { openLinks: 1 } });
});

test("a relay process that was killed is replaced, and told the pairs again", { timeout: 60_000 }, async () => {
  const path = await relaySocket();
  const own = [{ host: "n1.test", address: "127.64.0.9" }];
  const relays = client(path, { start: start(PROGRAM), ownPairs: () => own, timings: { ready: 20_000 } });
  expect(await relays.ready).toBe(true);
  const before = await pidOf(relays);
  kill(before);
  const after = await waitFor(
    async () => ((await relays.status())?.pid ?? before) !== before && (await pidOf(relays)),
    {
      what: "another relay process",
      timeout: 20_000,
    },
  );
  expect(after).not.toBe(before);
  expect((await daemon(path)).lines[0]?.pairs).toEqual(own);
  expect(relays.logged.messages("warn")).toEqual(["relay process lost"]);
  expect(processesAt(path)).toEqual([after]);
});

test("daemons that start a relay process in the same moment end with one", { timeout: 60_000 }, async () => {
  const path = await relaySocket();
  const both = [1, 2, 3].map(() => client(path, { start: start(PROGRAM), timings: { ready: 20_000 } }));
  expect(await Promise.all(both.map(({ ready }) => ready))).toEqual([true, true, true]);
  const pids = await Promise.all(both.map(pidOf));
  expect(new Set(pids).size).toBe(1);
  // The others see that they came too late.
  await waitFor(() => processesAt(path).length === 1, { what: "one process" });
});

test("under a supervisor a relay process of its own is waited for; then one is started, with a warning", {
  timeout: 60_000,
}, async () => {
  const path = await relaySocket();
  const timings = { ready: 20_000, othersStart: 400 };
  const started = performance.now();
  const relays = client(path, { start: start(PROGRAM, "this unit; run it elsewhere"), timings });
  expect(await relays.ready).toBe(true);
  await pidOf(relays);
  expect(performance.now() - started).toBeGreaterThan(400);
  expect(relays.logged.messages("warn")).toEqual([
    "no relay process answers: starting one, whose links will end with this unit; run it elsewhere",
  ]);
});

test("a program that cannot be run is said", async () => {
  const relays = client(await relaySocket(), {
    start: start(["/nonexistent/node"]),
    timings: { ready: 200, request: 50 },
  });
  expect(await relays.ready).toBe(false);
  expect(await relays.ensure({ node: NODE, address: ADDRESS, endpoints: [] })).toEqual({
    outcome: "failed",
    reason: "there is no relay process: it cannot be started: spawn /nonexistent/node ENOENT",
  });
});

test.each([
  ["speaks another version", '{"type":"hello","version":9,"pid":77,"pairs":[]}\n', "process 77 there speaks version 9"],
  ["is something else", "220 mail.test ESMTP\r\n", "a line is not JSON"],
])("what answers there and %s is not talked to", async (_what, greeting, why) => {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o700 });
  const server = createServer((socket) => socket.on("error", () => undefined).write(greeting));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  const relays = client(path, { start: start(["/nonexistent"]), timings: { ready: 200, request: 50 } });
  expect(await relays.ready).toBe(false);
  const relayed = await relays.ensure({ node: NODE, address: ADDRESS, endpoints: [] });
  expect(relayed).toMatchObject({ outcome: "failed", reason: expect.stringContaining(why) });
});

test("a control socket in a folder that others can write to is not trusted", async () => {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o777 });
  const { chmod } = await import("node:fs/promises");
  await chmod(dirname(path), 0o777);
  const server = createServer((socket) => socket.write('{"type":"hello","version":1,"pid":1,"pairs":[]}\n'));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  const relays = client(path, { timings: { ready: 200, request: 50 } });
  expect(await relays.ready).toBe(false);
  expect(relays.logged.lines).toContainEqual(
    expect.objectContaining({ level: "warn", error: expect.stringContaining("is open to other users (mode 777)") }),
  );
  expect(relays.trouble()?.advice).toMatch(new RegExp(`^chmod 700 ${dirname(path)}, or give`));
});

test("a file in place of that folder needs another --relay-socket, whether serve may start a relay process or not", async () => {
  for (const program of [undefined, start(["/nonexistent"])]) {
    const path = await relaySocket();
    await writeFile(dirname(path), "");
    const relays = client(path, { start: program, timings: { ready: 200, request: 50 } });
    expect(await relays.ready).toBe(false);
    expect(relays.trouble()?.advice).toBe("give serve and relay another --relay-socket, in a folder of their user");
  }
});

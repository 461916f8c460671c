import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startChild } from "../support/child.js";
import { cleanEnvironment, findProgram } from "../support/environment.js";
import { startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { alive2, ask, liveNames, rawClient, rawNode, request } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, type Daemon, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const portOf = async (daemon: Daemon, name: string) =>
  (await ask(daemon.port, request("z", name))).subarray(0, 4).toString("hex");

/** A Consul agent that takes connections and says nothing: the worst case of a stop. */
async function startMuteAgent() {
  const server = createServer((socket) => socket.on("error", () => {}));
  server.listen(0, "127.0.0.1").unref();
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return ["--domain", "svc.service.consul", "--consul", url];
}

describe.concurrent("a signal", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s ends the daemon at once, exit 0, with nodes alive or not",
    async (signal) => {
      const [idle, busy] = await Promise.all([startDaemon(), startDaemon()]);
      const node = await rawNode(busy.port, { name: "a" });
      for (const daemon of [idle, busy]) {
        const exit = await daemon.stop(signal);
        expect(exit).toMatchObject({ code: 0, signal: null });
        expect(exit.ms).toBeLessThan(1500);
      }
      await node.closed();
      expect(busy.log().map(({ msg }) => msg)).toEqual([
        "ready",
        "node registered",
        "stopping",
        "this daemon stops: the node is left for the next daemon",
        "stopped",
      ]);
    },
  );

  test("SIGTERM waits up to 3 s for nodes that are stopping too, and ends before Nomad loses its patience", async () => {
    const args = await startMuteAgent();
    const [leaving, staying, empty] = await Promise.all(Array.from({ length: 3 }, () => startDaemon({ args })));
    if (!leaving || !staying || !empty) throw new Error("no daemon");
    expect((await empty.stop()).ms).toBeLessThan(2000);
    const [node] = await Promise.all([
      rawNode(leaving.port, { name: "leaving" }),
      rawNode(staying.port, { name: "staying" }),
    ]);
    const stops = [leaving.stop(), staying.stop()] as const;
    await leaving.waitForLog(({ msg }) => msg === "stopping", "the stop");
    // While it waits it is still the EPMD of those who are stopping.
    expect(await liveNames(leaving.port)).toEqual(["leaving"]);
    await node.close();
    expect(await stops[0]).toMatchObject({ code: 0 });
    expect((await stops[0]).ms).toBeLessThan(2500);
    expect(await stops[1]).toMatchObject({ code: 0 });
    // 3.6 s by its own clocks; the rest is for a loaded machine. Nomad kills after 5 s (kill_timeout).
    expect((await stops[1]).ms).toBeLessThan(4800);
  });

  test("a second one ends the daemon at once", async () => {
    const daemon = await startDaemon({ args: await startMuteAgent() });
    const node = await rawNode(daemon.port, { name: "staying" });
    daemon.child.signal("SIGTERM");
    await daemon.waitForLog(({ msg }) => msg === "stopping", "the stop");
    const exit = await daemon.stop("SIGINT");
    expect(exit).toMatchObject({ code: 0, signal: null });
    expect(exit.ms).toBeLessThan(1500);
    await node.close();
  });

  test("that comes before the daemon is ready ends it, exit 0", async () => {
    for (const delay of [60, 90, 120, 150, 200]) {
      const child = startChild(process.execPath, [BIN, "serve", "--port", "0"], { env: cleanEnvironment() });
      await new Promise((resolve) => setTimeout(resolve, delay));
      const exit = await child.stop();
      // Before its first line runs, Node itself obeys the signal.
      expect([exit.code, exit.signal], `after ${delay} ms`).toEqual(exit.signal ? [null, "SIGTERM"] : [0, null]);
    }
  });

  test("SIGHUP reads the nodes file again; a broken one leaves the entries, and the daemon goes on", async () => {
    const file = join(await temporaryFolder("nodes"), "nodes");
    await writeFile(file, "far@localhost=127.0.0.1:1000\n");
    const daemon = await startDaemon({ args: ["--nodes-file", file] });
    expect(await portOf(daemon, "far")).toBe("770003e8");
    await writeFile(file, "far@localhost=127.0.0.1:2000\n");
    daemon.child.signal("SIGHUP");
    await waitFor(async () => (await portOf(daemon, "far")) === "770007d0", { what: "the new entry", timeout: 900 });
    await writeFile(file, "far@localhost=nonsense\n");
    daemon.child.signal("SIGHUP");
    await daemon.waitForLog(({ level }) => level === "error", "the complaint");
    expect(await portOf(daemon, "far")).toBe("770007d0");
    expect(await daemon.stop()).toMatchObject({ code: 0 });
  });

  test("KILL with --allow-kill is a stop too, exit 0, and a VM's name is free at once", async () => {
    const daemon = await startDaemon({ args: ["--allow-kill", "--relaxed-command-check"] });
    const node = await rawNode(daemon.port, { name: "a" });
    expect((await ask(daemon.port, request("k"))).toString()).toBe("OK");
    await node.closed();
    expect(await daemon.child.exited).toMatchObject({ code: 0, signal: null });
  });
});

describe.concurrent("the daemon's streams", () => {
  test("EOF on standard input does not end it", async () => {
    const daemon = await startDaemon();
    daemon.child.endInput();
    const node = await rawNode(daemon.port, { name: "a" });
    expect(await liveNames(daemon.port)).toEqual(["a"]);
    await node.close();
    expect(await daemon.stop()).toMatchObject({ code: 0 });
  });

  test("readers of its output that go away (EPIPE) do not end it", async () => {
    const port = await freePort();
    const child = spawn(process.execPath, [BIN, "serve", "--port", String(port), "--log-level", "debug"], {
      env: cleanEnvironment(),
    });
    try {
      await once(child.stderr, "data");
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      for (let round = 0; round < 5; round++) {
        const node = await rawNode(port, { name: "a" });
        expect(await liveNames(port)).toEqual(["a"]);
        await node.close();
        await waitFor(async () => (await liveNames(port)).length === 0, { what: "a to be gone" });
      }
      child.kill("SIGTERM");
      expect(await once(child, "exit")).toEqual([0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("a reader of its log that stands still does not make it stand still", async () => {
    const port = await freePort();
    const child = spawn(process.execPath, [BIN, "serve", "--port", String(port), "--log-level", "debug"], {
      env: cleanEnvironment(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    try {
      await once(child.stderr, "data");
      child.stderr.pause();
      const node = await rawNode(port, { name: "a" });
      // Each unknown name is logged with its 200 characters: far more than a pipe holds.
      const names = Array.from({ length: 40 }, (_, index) => `${index}`.padStart(200, "x"));
      for (let round = 0; round < 50; round++) {
        await Promise.all(names.map((name) => ask(port, request("z", name))));
      }
      expect(await liveNames(port)).toEqual(["a"]);
      await node.close();
    } finally {
      child.kill("SIGKILL");
    }
  });
});

describe.concurrent("NOTIFY_SOCKET", () => {
  test("systemd-notify is told of the start and of the stop, and sees no other variable", async () => {
    const folder = await temporaryFolder("notify");
    const record = join(folder, "record");
    const stub = join(folder, "systemd-notify");
    await writeFile(stub, `#!/bin/sh\necho "$@" "$NOTIFY_SOCKET" "$CONSUL_HTTP_TOKEN" >> ${record}\n`);
    await chmod(stub, 0o755);
    const daemon = await startDaemon({
      env: { NOTIFY_SOCKET: "/run/notify", CONSUL_HTTP_TOKEN: "secret", PATH: `${folder}:${process.env.PATH}` },
    });
    const lines = async () => (await readFile(record, "utf8").catch(() => "")).split("\n").filter(Boolean);
    await waitFor(async () => (await lines()).length === 1, { what: "the first word" });
    await daemon.stop();
    await waitFor(async () => (await lines()).length === 2, { what: "the second word" });
    expect((await lines()).map((line) => line.trim())).toEqual(["READY=1 /run/notify", "STOPPING=1 /run/notify"]);
  });

  test("a missing systemd-notify is logged, and the daemon serves", async () => {
    const daemon = await startDaemon({ env: { NOTIFY_SOCKET: "/run/notify", PATH: "/nonexistent" } });
    await daemon.waitForLog(({ msg }) => msg === "systemd-notify cannot be run", "the complaint");
    expect(await liveNames(daemon.port)).toEqual([]);
    expect(await daemon.stop()).toMatchObject({ code: 0 });
  });
});

const hasSystemd = findProgram("systemd-notify") !== undefined;

requirePeer("erl")("a service manager", () => {
  test.skipIf(!hasSystemd)("hears READY=1 and STOPPING=1 through the real systemd-notify", async () => {
    const socket = join(await temporaryFolder("notify"), "socket");
    // Node has no unix datagram sockets; Erlang has.
    const manager = await startNode({});
    await manager.eval(
      `register(manager, spawn(fun() -> {ok, S} = gen_udp:open(0, [binary, {active, true}, {ifaddr, {local, "${socket}"}}]),
         (fun Loop(Heard) -> receive {udp, S, _, _, Text} -> Loop([Text | Heard]); {heard, Who} -> Who ! lists:reverse(Heard), Loop(Heard) end end)([]) end))`,
    );
    const heard = () => manager.eval("manager ! {heard, self()}, receive Heard -> Heard after 5000 -> late end");
    await waitFor(async () => (await heard()) === "[]", { what: "the socket" });
    const daemon = await startDaemon({ env: { NOTIFY_SOCKET: socket } });
    await waitFor(async () => (await heard()).includes("READY=1"), { what: "READY=1" });
    await daemon.stop();
    await waitFor(async () => (await heard()).includes("STOPPING=1"), { what: "STOPPING=1" });
  });
});

describe("a fatal error", () => {
  test.each([
    ["an unknown flag", ["--no-such-flag"], 2],
    ["a port that is none", ["--port", "70000"], 2],
  ])("in the options: %s ends the process with its exit code, at once and for good", async (_, flags, code) => {
    const child = startChild(process.execPath, [BIN, "serve", ...flags], { env: cleanEnvironment() });
    expect(await child.exited).toMatchObject({ code, signal: null });
    expect(child.stdout()).toBe("");
    expect(child.stderr()).toMatch(/^srv-epmd: .+\n$/);
  });

  test.each([
    ["a nodes file that is missing", ["--nodes-file", "/nonexistent"], 2, "CONFIG_FILE"],
    ["an address that is not ours", ["--port", "0", "--listen", "203.0.113.1"], 3, "LISTEN_FAILED"],
  ])("of a running service has the format of its log: %s", async (_, flags, code, reason) => {
    const child = startChild(process.execPath, [BIN, "serve", ...flags], { env: cleanEnvironment() });
    expect(await child.exited).toMatchObject({ code, signal: null });
    const lines = child.stderr().trim().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ level: "fatal", code: reason });
  });
});

describe("a node of an old version", () => {
  test("that is alive when the daemon stops sees its connection end", async () => {
    const daemon = await startDaemon();
    const client = await rawClient(daemon.port);
    client.send(alive2({ name: "old", version: 5 }));
    await client.receive(4);
    await daemon.stop();
    await client.closed();
  });
});

describe("a pipe that nobody reads", () => {
  const unread = (args: readonly string[], stdio: ("ignore" | "pipe")[]) => {
    const child = spawn(process.execPath, [BIN, ...args], { stdio, env: cleanEnvironment() });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    return { child, exited };
  };

  test("for the log does not keep a daemon that is told to stop", async () => {
    const port = await freePort();
    const args = ["serve", "--port", String(port), "--admin", "none", "--log-level", "debug"];
    const { child, exited } = unread(args, ["ignore", "ignore", "pipe"]);
    await waitFor(() => ask(port, request("n")).catch(() => undefined), { what: "the daemon" });
    // Each is a line of the debug log: far more than a pipe holds.
    for (let round = 0; round < 100; round++) {
      await Promise.all(Array.from({ length: 40 }, () => ask(port, request("n"))));
    }
    const startedAt = performance.now();
    child.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  test("for a result is waited for: whoever reads it late gets all of it", async () => {
    const hosts = Array.from({ length: 1_000 }, (_, index) => `host-${index}.${"a-rather-long-label.".repeat(8)}test`);
    const { child, exited } = unread(["hosts", ...hosts], ["ignore", "pipe", "pipe"]);
    let text = "";
    // The program has written all that the pipe takes, and would have ended.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(child.exitCode).toBe(null);
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    expect(await exited).toEqual([0, null]);
    await waitFor(() => text.includes(`${hosts.at(-1)}\n`), { what: "the last line" });
  });
});

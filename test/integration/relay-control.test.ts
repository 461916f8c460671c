import { existsSync } from "node:fs";
import { chmod, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { duplexPair } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { ListenError } from "../../src/errors.js";
import { ControlConnection, startRelayServer } from "../../src/relay/server.js";
import { collectLog } from "../support/log-lines.js";
import {
  controlClient,
  daemon,
  dialRelay,
  ensure,
  HELLO,
  PORTS,
  relaySocket,
  startPeer,
  startRelay,
} from "../support/relay.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const NODE = "node_b@svc.service.consul";

test("the relay process speaks first, and tells the pairs that earlier daemons told it", async () => {
  const { path } = await startRelay();
  const first = await daemon(path);
  expect(first.lines).toEqual([{ type: "hello", version: 1, pid: process.pid, pairs: [] }]);
  expect(await first.ask({ type: "pair", host: "n1.svc.test", address: "127.64.0.9" })).toEqual({
    type: "kept",
    id: 1,
  });
  first.socket.destroy();
  const next = await daemon(path);
  expect(next.lines[0]).toMatchObject({ pairs: [{ host: "n1.svc.test", address: "127.64.0.9" }] });
});

test("an address stands for the host that was told last", async () => {
  const { path } = await startRelay();
  const client = await daemon(path);
  for (const host of ["old.test", "new.test"]) await client.ask({ type: "pair", host, address: "127.64.0.9" });
  expect((await daemon(path)).lines[0]).toMatchObject({ pairs: [{ host: "new.test", address: "127.64.0.9" }] });
});

test("the status says what each relay does", async () => {
  const { path } = await startRelay();
  const client = await daemon(path);
  const peer = await startPeer((socket) => void socket.write("welcome"));
  const port = await ensure(client, NODE, [peer.endpoint]);
  const vm = await dialRelay(port);
  vm.write("thanks, and bye");
  vm.resume();
  const relays = await waitFor(
    async () => {
      const { status } = (await client.ask({ type: "status" })) as { status: { relays: { bytesToNode: number }[] } };
      return status.relays[0]?.bytesToNode === 15 && status;
    },
    { what: "the bytes to be counted" },
  );
  expect(relays).toMatchObject({
    pid: process.pid,
    since: expect.any(Number),
    daemons: 1,
    relays: [
      {
        node: NODE,
        port,
        endpoints: [peer.endpoint],
        openLinks: 1,
        links: 1,
        bytesToNode: 15,
        bytesFromNode: 7,
        since: expect.any(Number),
      },
    ],
    totals: { openLinks: 1, links: 1, bytesToNode: 15, bytesFromNode: 7, dialsFailed: 0, linksRefused: 0 },
  });
});

describe("what is no daemon of this protocol is told so and shut out, and the relays live on:", () => {
  const ENSURE = { type: "ensure", id: 1, node: NODE, address: "127.64.0.1", endpoints: [] };
  test.each([
    ["garbage", "\x00\xff\x16\x03\x01\n", "a line is not JSON"],
    ["an HTTP request", "GET / HTTP/1.1\r\n", "a line is not JSON"],
    ["JSON that is no object", "[1]\n", "a line is not a JSON object"],
    ["a line without end", "x".repeat(70_000), "a line is longer than 65536 bytes"],
    ["a long line", `${JSON.stringify({ ...HELLO, more: "x".repeat(70_000) })}\n`, "a line is longer than 65536 bytes"],
    ["another version", { ...HELLO, version: 2 }, "the relay process speaks version 1 of its protocol, not 2"],
    ["a request before the hello", { type: "status", id: 1 }, "the first line is not a hello"],
    ["silence", "", "no hello within 100 ms"],
    ["no endpoints", ENSURE, "endpoints are not 1..32"],
    ["a node without host", { ...ENSURE, node: "x" }, "node is not of the form name@host"],
    ["a request without id", { type: "status" }, "id is not a whole number"],
  ] as const)("%s", async (_what, said, message) => {
    const { path, logged } = await startRelay({ timings: { hello: said === "" ? 100 : 5_000 } });
    const good = await daemon(path);
    const greeting = typeof said === "object" && "id" in said && said.type === "ensure" ? [HELLO] : [];
    const needsHello = message.startsWith("id ") ? [HELLO] : greeting;
    const bad = await controlClient(path, ...needsHello, said);
    expect(await bad.line({ type: "error" })).toEqual({ type: "error", message });
    await bad.closed;
    expect(logged.lines).toContainEqual(expect.objectContaining({ level: "warn", error: message }));
    expect(await good.ask({ type: "status" })).toMatchObject({ status: { daemons: 1 } });
  });
});

test("a daemon that does not read what the relay process says is let go before that fills the memory", async () => {
  const [ours, theirs] = duplexPair();
  const { log, messages } = collectLog();
  const daemons: number[] = [];
  const connection = new ControlConnection(ours, {
    pairs: () => [],
    handle: async () => ({ type: "refused", id: 1, reason: "not asked" }),
    onDaemon: (pid) => void daemons.push(pid),
    helloLimit: 5_000,
    log,
  });
  theirs.write(`${JSON.stringify(HELLO)}\n`);
  await waitFor(() => daemons.length === 1, { what: "the hello" });
  const tell = (count: number) => {
    for (let sent = 0; sent < count; sent++) connection.send({ type: "notice", message: "x".repeat(1024 * 1024) });
  };
  tell(30);
  expect([ours.destroyed, messages("warn")]).toEqual([false, []]);
  tell(5);
  expect(ours.destroyed).toBe(true);
  expect(messages("warn")).toEqual(["connection to a daemon closed: it does not read"]);
});

test("a request that only a later release knows is refused, and the connection goes on", async () => {
  const { path } = await startRelay();
  const client = await daemon(path);
  expect(await client.ask({ type: "paint", colour: "red" })).toMatchObject({
    type: "refused",
    reason: "this relay process does not know paint",
  });
  expect(await client.ask({ type: "status" })).toMatchObject({ type: "status" });
});

test("the socket is for this user alone", async () => {
  const { path } = await startRelay();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
});

const start = async (socket: string) => {
  const options = { socket, ports: PORTS, untilIdle: false, descriptors: 100, log: collectLog().log };
  const server = await startRelayServer(options);
  onTestFinished(server.close);
  return server;
};

test("a folder that others can enter is refused, with what to do", async () => {
  const folder = await temporaryFolder("relay");
  await chmod(folder, 0o755);
  await expect(start(join(folder, "r.sock"))).rejects.toThrow(
    `the folder ${folder} is open to other users (mode 755): chmod 700 it, or choose another --relay-socket`,
  );
});

test.runIf(process.getuid?.() === 0)("a folder of another user is refused", async () => {
  const folder = await temporaryFolder("relay");
  const { chown } = await import("node:fs/promises");
  await chown(folder, 65_534, 65_534);
  await expect(start(join(folder, "r.sock"))).rejects.toThrow(
    `the folder ${folder} belongs to user 65534, not to ours (0)`,
  );
});

test("a path that cannot hold a socket is refused", async () => {
  const folder = await temporaryFolder("relay");
  await writeFile(join(folder, "file"), "");
  await expect(start(join(folder, "file"))).rejects.toThrow("exists and is not a socket");
  await expect(start(join(folder, "file", "r.sock"))).rejects.toThrow(/cannot be (made|used)|is no folder/);
  await expect(start(join(folder, "x".repeat(120)))).rejects.toThrow("the path is too long for a socket");
});

test("a second relay process says which one has the socket", async () => {
  const { path } = await startRelay();
  const refusal = await start(path).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ListenError);
  expect(refusal).toMatchObject({ code: "LISTEN_IN_USE" });
  expect(String(refusal)).toContain(`a relay process has the control socket ${path}: process ${process.pid}`);
  expect((await daemon(path)).lines).toHaveLength(1);
});

/** The file of a process that was killed. */
async function staleSocket(): Promise<string> {
  const path = await relaySocket();
  await mkdir(dirname(path), { mode: 0o700 });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.x`, resolve));
  const { link } = await import("node:fs/promises");
  await link(`${path}.x`, path);
  await new Promise((resolve) => server.close(resolve));
  return path;
}

test("the file of a process that was killed is replaced", async () => {
  const path = await staleSocket();
  await start(path);
  expect((await daemon(path)).lines).toHaveLength(1);
});

test.each([
  ["a fresh", relaySocket],
  ["a stale", staleSocket],
])("of several that start in the same moment with %s socket one remains", async (_what, make) => {
  const path = await make();
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => start(path)));
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect((await daemon(path)).lines).toHaveLength(1);
});

test("a process whose socket file is removed listens there again, and nothing that stands is touched", async () => {
  const { path, server, logged } = await startRelay({ timings: { idleProcess: 80 } });
  const client = await daemon(path);
  const peer = await startPeer((socket) => void socket.pipe(socket));
  await dialRelay(await ensure(client, NODE, [peer.endpoint]));
  await peer.accepted(0);
  for (const remove of [() => rm(path), () => rm(dirname(path), { recursive: true }), () => rm(path)]) {
    await remove();
    await waitFor(() => existsSync(path), { what: "the socket" });
    const next = await waitFor(() => daemon(path).catch(() => undefined), { what: "a daemon's hello" });
    expect(await next.ask({ type: "status" })).toMatchObject({ status: { totals: { openLinks: 1 } } });
  }
  expect(await client.ask({ type: "status" })).toMatchObject({ status: { totals: { openLinks: 1 } } });
  expect(server.openLinks()).toBe(1);
  expect(logged.messages("error")).toEqual([]);
});

test("a process whose path another one has taken keeps its links, says so once, and ends when they have ended", async () => {
  const { path, server, logged } = await startRelay({ timings: { idleProcess: 80 } });
  const client = await daemon(path);
  const peer = await startPeer((socket) => void socket.pipe(socket));
  const vm = await dialRelay(await ensure(client, NODE, [peer.endpoint]));
  await peer.accepted(0);
  const other = join(dirname(path), "other.sock");
  await start(other);
  // In one step: where the path is free for a moment the process takes it again.
  await rename(other, path);
  await client.closed;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(logged.messages("error")).toEqual([
    "cannot listen on the control socket again: no daemon can connect to this relay process",
  ]);
  expect(server.openLinks()).toBe(1);
  vm.resetAndDestroy();
  expect(await server.idle).toBe("idle");
});

test("--until-idle: it ends when no daemon is connected and no link is open, and not before", async () => {
  const { path, server } = await startRelay({ untilIdle: true, timings: { idleProcess: 120 } });
  let ended = false;
  void server.idle.then(() => {
    ended = true;
  });
  const client = await daemon(path);
  const peer = await startPeer();
  const vm = await dialRelay(await ensure(client, NODE, [peer.endpoint]));
  await peer.accepted(0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  client.socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(ended).toBe(false);
  vm.resetAndDestroy();
  await waitFor(() => ended, { what: "the end" });
});

test("a process without --until-idle stays", async () => {
  const { server } = await startRelay({ timings: { idleProcess: 40 } });
  const waited = new Promise((resolve) => setTimeout(resolve, 250, "still here"));
  expect(await Promise.race([server.idle, waited])).toBe("still here");
});

test("a relay process that stops does not wait for a daemon that connects in that moment", async () => {
  const { path, server } = await startRelay();
  const before = await daemon(path);
  const closing = server.close();
  // As a daemon does at once when its connection ends.
  const late = await Promise.all(Array.from({ length: 20 }, () => controlClient(path, HELLO)));
  await closing;
  for (const { closed } of [before, ...late]) await closed;
});

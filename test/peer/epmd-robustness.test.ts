import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { freePort } from "../support/free-port.js";
import { alive2, ask, liveNames, type RawClient, rawClient, rawNode, request } from "../support/raw-epmd.js";
import { BIN, type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

// Clients that are broken, slow, greedy or hostile: the daemon lives, and a node that is registered notices nothing.

const residentMiB = ({ child }: Daemon) =>
  Number(/^VmRSS:\s+([0-9]+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;

describe("a daemon with a live node", () => {
  let daemon: Daemon;
  let node: RawClient;
  beforeAll(async () => {
    daemon = await startDaemon({ args: ["--packet-timeout", "2s", "--dns", "127.0.0.1:9"] });
    node = await rawNode(daemon.port, { name: "live" });
  });
  afterAll(() => daemon.stop());

  const isUndisturbed = async () => {
    expect(daemon.child.hasExited()).toBe(false);
    expect(node.isClosed()).toBe(false);
    expect((await ask(daemon.port, request("z", "live"))).subarray(0, 4).toString("hex")).toBe("77001267");
  };

  test("outlives random bytes, random changes of requests, half-closes and resets", async () => {
    const valid = fc.constantFrom(
      alive2({ name: "x", version: 6 }),
      alive2({ name: "live" }),
      request("z", "live"),
      request("z", "live@localhost/4"),
      request("n"),
      request("d"),
      request("s", "live"),
      request("k"),
    );
    const changed = fc.tuple(valid, fc.nat(20), fc.nat(255)).map(([bytes, at, byte]) => {
      const copy = Buffer.from(bytes);
      copy[at % copy.length] = byte;
      return copy;
    });
    const text = fc.string({ unit: "binary", maxLength: 300 });
    const look = fc.tuple(
      text,
      fc.constantFrom("@", ".", "@x.", "@[::1]", "@127.0.0.1"),
      text,
      fc.constantFrom("", "/4", "\0"),
    );
    const odd = look.map((parts) => request("z", parts.join("")));
    const random = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
    const client = fc.record({
      pieces: fc.array(fc.oneof(random, valid, changed, odd), { maxLength: 4 }),
      end: fc.constantFrom("reset", "close", "half-close", "stay"),
    });
    const misbehave = async ({ pieces, end }: { pieces: Buffer[]; end: string }) => {
      const raw = await rawClient(daemon.port);
      for (const piece of pieces) {
        if (raw.isClosed()) break;
        raw.send(piece);
      }
      if (end === "reset") raw.reset();
      else if (end === "close") await raw.close();
      else if (end === "half-close") raw.socket.end();
    };
    await fc.assert(
      fc.asyncProperty(fc.array(client, { minLength: 1, maxLength: 8 }), async (clients) => {
        await Promise.all(clients.map(misbehave));
        await isUndisturbed();
      }),
      { numRuns: 100, interruptAfterTimeLimit: 4000 },
    );
    expect(daemon.log().filter(({ level }) => level === "error")).toEqual([]);
  });

  test("lets one connection have 16 names, however many it asks for", async () => {
    const client = await rawClient(daemon.port);
    const flood = Array.from({ length: 30_000 }, (_, n) => alive2({ name: `flood_${n}`, version: 6 }));
    client.send(Buffer.concat(flood));
    await client.receive(6 * flood.length);
    const held = async () => (await liveNames(daemon.port)).filter((name) => name.startsWith("flood_")).length;
    expect(await held()).toBe(16);
    await isUndisturbed();
    expect(daemon.log().filter(({ msg }) => msg?.startsWith("registration refused")).length).toBeLessThanOrEqual(10);
    await client.close();
    await waitFor(async () => (await held()) === 0, { what: "the end of its names" });
  });

  test("closes slow and half-open clients in time, and serves others meanwhile", async () => {
    const slow = await Promise.all(Array.from({ length: 200 }, () => rawClient(daemon.port)));
    for (const [index, client] of slow.entries()) client.send(Buffer.from("000678", "hex").subarray(0, index % 4));
    await isUndisturbed();
    await Promise.all(slow.map((client) => client.closed(6000)));
    await isUndisturbed();
  });

  test("is not filled by clients that never read their answers", async () => {
    const before = residentMiB(daemon);
    const names = Array.from({ length: 200 }, (_, index) => String(index).padStart(250, "n"));
    const nodes = await Promise.all(names.map((name) => rawNode(daemon.port, { name })));
    const greedy = await Promise.all(Array.from({ length: 200 }, () => rawClient(daemon.port)));
    for (const client of greedy) {
      client.socket.pause();
      client.send(request("n"));
    }
    await isUndisturbed();
    await Promise.all(greedy.map((client) => client.close()));
    expect(residentMiB(daemon) - before).toBeLessThan(150);
    await Promise.all(nodes.map((one) => one.close()));
  });

  test("answers thousands of requests that a registered client sends in one piece", async () => {
    const busy = await rawNode(daemon.port, { name: "busy" });
    const requests = Buffer.concat(Array.from({ length: 20_000 }, () => request("z", "live")));
    const answer = Buffer.from("770012674d000006000500046c6976650000", "hex");
    busy.send(requests);
    const answers = await busy.receive(6 + 20_000 * answer.length);
    expect(answers.subarray(6).equals(Buffer.alloc(20_000 * answer.length, answer))).toBe(true);
    expect(busy.isClosed()).toBe(false);
    await busy.close();
  });

  test("drops a registered client that asks and asks and never reads", async () => {
    const names = Array.from({ length: 100 }, (_, index) => String(index).padStart(250, "m"));
    const nodes = await Promise.all(names.map((name) => rawNode(daemon.port, { name })));
    const before = residentMiB(daemon);
    const greedy = await rawNode(daemon.port, { name: "greedy" });
    greedy.socket.pause();
    // 27 KB of names for 3 bytes of request: a gigabyte of answers.
    const many = Buffer.concat(Array.from({ length: 1000 }, () => request("n")));
    for (let round = 0; round < 40; round++) if (greedy.socket.writable) greedy.send(many);
    await waitFor(async () => !(await liveNames(daemon.port)).includes("greedy"), { what: "greedy to be dropped" });
    expect(residentMiB(daemon) - before).toBeLessThan(100);
    await isUndisturbed();
    await Promise.all(nodes.map((one) => one.close()));
  });
});

test("few file descriptors are no reason to end: connections are closed, and a node can still register", async () => {
  const port = await freePort();
  const args = [BIN, "serve", "--port", String(port), "--log-format", "json"];
  const limited = ["-c", 'ulimit -n 64; exec "$0" "$@"', process.execPath, ...args];
  const child = startChild("sh", limited, { env: cleanEnvironment({ SRV_EPMD_ADMIN: "none" }) });
  await child.waitForOutput(/"msg":"ready"/);
  await child.waitForOutput(/"maxConnections":32,.*ulimit -n/);
  const node = await rawNode(port, { name: "early" });
  // Stock epmd ends here: accept() fails, and it takes that for the end of the world.
  const idle = await Promise.all(Array.from({ length: 100 }, () => rawClient(port)));
  const closed = () => idle.filter((client) => client.isClosed()).length;
  await waitFor(() => closed() >= 69, { what: "69 of 100 to be closed" });
  expect(child.hasExited()).toBe(false);
  expect(node.isClosed()).toBe(false);
  await Promise.all(idle.map((client) => client.close()));
  const late = await waitFor(() => rawNode(port, { name: "late" }), { what: "a registration" });
  expect(await liveNames(port)).toEqual(["late", "early"]);
  await Promise.all([late, node].map((one) => one.close()));
  expect(await child.stop()).toMatchObject({ code: 0 });
});

test("no more names than --max-nodes are registered, on however many connections; live ones notice nothing", async () => {
  const daemon = await startDaemon({ args: ["--max-nodes", "100"] });
  const live = await rawNode(daemon.port, { name: "live" });
  const clients = await Promise.all(Array.from({ length: 20 }, () => rawClient(daemon.port)));
  for (const [index, client] of clients.entries()) {
    const names = Array.from({ length: 16 }, (_, n) => alive2({ name: `n${index}_${n}`, version: 6 }));
    client.send(Buffer.concat(names));
  }
  await waitFor(async () => (await liveNames(daemon.port)).length >= 100, { what: "100 names" });
  await daemon.waitForLog(({ msg }) => msg?.includes("(--max-nodes)") ?? false, "a refusal");
  expect(await liveNames(daemon.port)).toHaveLength(100);
  expect([live.isClosed(), (await liveNames(daemon.port)).includes("live")]).toEqual([false, true]);
  await Promise.all(clients.map((client) => client.close()));
  await waitFor(async () => (await liveNames(daemon.port)).length === 1, { what: "room" });
  await (await rawNode(daemon.port, { name: "next" })).close();
  await daemon.stop();
});

import { readdirSync } from "node:fs";
import { createServer, Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../support/free-port.js";
import {
  ADDRESS,
  daemon,
  dialRelay,
  echo,
  ending,
  ensure,
  PORTS,
  received,
  startPeer,
  startRelay,
} from "../support/relay.js";
import { silentPort } from "../support/silent-port.js";
import { statesTo } from "../support/tcp-table.js";
import { waitFor } from "../support/wait-for.js";

const NODE = "node_b@svc.service.consul";
const refusing = async () => ({ address: "127.0.0.1", port: await freePort() });
/** Milliseconds: the connections of a test must begin within this time, on a busy machine too. */
const IDLE = 1_500;
const silent = async (address = "127.0.0.1") => ({ address, port: await silentPort(address) });

/** Counts connection attempts under way. The table is not read in one moment, and may have one that has ended beside its successor: the smaller count is right. */
function attemptsTo(port: number): () => number {
  const count = () => statesTo(port).filter((state) => state === "SYN-SENT").length;
  return () => Math.min(count(), count());
}

test("a connection to a node's relay reaches the node, and what it says comes back", async () => {
  const relay = await startRelay();
  const peer = await startPeer(echo);
  const vm = await dialRelay(await ensure(await daemon(relay.path), NODE, [peer.endpoint]));
  const answer = received(vm);
  vm.write("to the node");
  await waitFor(() => answer() === "to the node", { what: "the echo" });
});

test("a node that has moved keeps its port: links stay where they are, new ones go to the new place", async () => {
  const relay = await startRelay();
  const client = await daemon(relay.path);
  const [before, after] = [await startPeer(echo), await startPeer(echo)];
  const port = await ensure(client, NODE, [before.endpoint]);
  const old = await dialRelay(port);
  await before.accepted(0);
  expect(await ensure(client, NODE, [after.endpoint])).toBe(port);
  await dialRelay(port);
  await after.accepted(0);
  const answer = received(old);
  old.write("still here");
  await waitFor(() => answer() === "still here", { what: "the old link's echo" });
  expect(before.sockets).toHaveLength(1);
});

test("each node has a port of its own, in the range, and one that is given up is not the next to be given", async () => {
  const relay = await startRelay({ timings: { idleListener: 40 } });
  const client = await daemon(relay.path);
  const peer = await startPeer();
  const given = [await ensure(client, NODE, [peer.endpoint]), await ensure(client, "c@svc.test", [peer.endpoint])];
  await waitFor(async () => ((await client.ask({ type: "status" })).status as { relays: [] }).relays.length === 0, {
    what: "idle listeners to go",
  });
  given.push(await ensure(client, NODE, [peer.endpoint]));
  expect(new Set(given).size).toBe(3);
  for (const port of given) expect(port >= PORTS.low && port <= PORTS.high).toBe(true);
});

test("an endpoint that refuses is passed over at once, and the daemons are told", async () => {
  const relay = await startRelay();
  const clients = [await daemon(relay.path), await daemon(relay.path)];
  const peer = await startPeer();
  const dead = await refusing();
  const port = await ensure(clients[0] as (typeof clients)[0], NODE, [dead, peer.endpoint]);
  await dialRelay(port);
  await peer.accepted(0);
  for (const client of clients) {
    const event = await client.line({ type: "dial-failed" });
    expect(event).toMatchObject({ node: NODE, endpoint: dead, code: "ECONNREFUSED" });
    expect(event.reason).toContain("ECONNREFUSED");
  }
});

test("an endpoint that is silent leaves time for the one behind it, and what the VM sends meanwhile is kept", async () => {
  const relay = await startRelay({ timings: { dial: 600 } });
  const client = await daemon(relay.path);
  const peer = await startPeer();
  const vm = await dialRelay(await ensure(client, NODE, [await silent(), peer.endpoint]));
  // More than is kept: the rest waits in the system.
  const early = Buffer.alloc(300_000, "early bird ");
  vm.write(early);
  const far = await peer.accepted(0);
  const got = received(far);
  await waitFor(() => got().length === early.length, { what: "all that was sent early" });
  expect(got()).toBe(early.toString());
  expect(await client.line({ type: "dial-failed" })).toMatchObject({
    code: "ETIMEDOUT",
    reason: expect.stringMatching(/^no answer within 2[5-9][0-9] ms$|^no answer within [3-5][0-9][0-9] ms$/),
  });
});

test("an address that drops packets, as all of IPv6 may, is waited for once and not for each link", async () => {
  const relay = await startRelay();
  const client = await daemon(relay.path);
  const peer = await startPeer();
  const blackHole = await silent("127.0.0.9");
  const port = await ensure(client, NODE, [blackHole, peer.endpoint]);
  const attempts = attemptsTo(blackHole.port);
  await dialRelay(port);
  await peer.accepted(0);
  const reason = expect.stringMatching(/^no answer within/);
  expect(await client.line({ type: "dial-failed" })).toMatchObject({ endpoint: blackHole, reason });
  const before = attempts();
  for (let link = 1; link <= 3; link++) {
    await dialRelay(port);
    await peer.accepted(link);
  }
  expect(attempts()).toBe(before);
  expect(client.lines.filter(({ type }) => type === "dial-failed")).toHaveLength(1);
});

test("where the limit of open files is unknown, the next endpoint is tried beside a silent one too", async () => {
  // One after the other, the second attempt would begin after half a minute.
  const relay = await startRelay({ descriptors: Number.POSITIVE_INFINITY, timings: { dial: 60_000 } });
  const client = await daemon(relay.path);
  const peer = await startPeer();
  await dialRelay(await ensure(client, NODE, [await silent(), peer.endpoint]));
  await peer.accepted(0);
});

test("a node with many silent endpoints costs a link no more than 8 attempts at once", async () => {
  // Under load 14 steps of 250 ms may take longer than the default limit.
  const relay = await startRelay({ timings: { dial: 9_000 } });
  const client = await daemon(relay.path);
  const peer = await startPeer();
  const port = await silentPort("0.0.0.0");
  const blackHoles = Array.from({ length: 14 }, (_, index) => ({ address: `127.0.0.${index + 10}`, port }));
  const attempts = attemptsTo(port);
  const before = attempts();
  await dialRelay(await ensure(client, NODE, [...blackHoles, peer.endpoint]));
  let most = 0;
  let done = false;
  const accepted = peer.accepted(0).finally(() => {
    done = true;
  });
  // It is awaited after the loop.
  accepted.catch(() => {});
  while (!done) {
    most = Math.max(most, attempts() - before);
    await sleep(20);
  }
  await accepted;
  expect(most).toBe(8);
  await waitFor(() => client.lines.filter(({ type }) => type === "dial-failed").length === 14, {
    what: "all failures",
  });
});

test("links to many silent endpoints take no more descriptors than there are, and still reach the endpoint behind them", async () => {
  const relay = await startRelay({ descriptors: 16, timings: { dial: 9_000 } });
  const client = await daemon(relay.path);
  const peer = await startPeer();
  const port = await silentPort("0.0.0.0");
  const blackHoles = Array.from({ length: 9 }, (_, index) => ({ address: `127.0.0.${index + 30}`, port }));
  const attempts = attemptsTo(port);
  const before = attempts();
  const relayPort = await ensure(client, NODE, [...blackHoles, peer.endpoint]);
  await Promise.all([dialRelay(relayPort), dialRelay(relayPort)]);
  let most = 0;
  while (peer.sockets.length < 2 && relay.server.openLinks() > 0) {
    most = Math.max(most, attempts() - before);
    await sleep(10);
  }
  expect(peer.sockets).toHaveLength(2);
  // The listener has one, the accepted connections two; a quarter is kept for further links.
  expect(most).toBeGreaterThan(2);
  expect(most).toBeLessThanOrEqual(16 - 3 - 4);
  // All that the attempts took has come back.
  const vms = [await dialRelay(relayPort), await dialRelay(relayPort), await dialRelay(relayPort)];
  await peer.accepted(4);
  expect(vms.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
});

test("a VM whose node answers nowhere sees a reset within the dial limit, and no attempt is left over", async () => {
  const relay = await startRelay({ timings: { dial: 200 } });
  const endpoint = await silent();
  const attempts = attemptsTo(endpoint.port);
  const before = attempts();
  const started = performance.now();
  const vm = await dialRelay(await ensure(await daemon(relay.path), NODE, [endpoint, await refusing()]));
  expect(await ending(vm)).toBe("ECONNRESET");
  expect(performance.now() - started).toBeLessThan(2_000);
  expect(attempts()).toBe(before);
});

test("a VM that ends while its node is dialled ends the attempt", async () => {
  const relay = await startRelay();
  const endpoint = await silent();
  const client = await daemon(relay.path);
  const attempts = attemptsTo(endpoint.port);
  const before = attempts();
  const vm = await dialRelay(await ensure(client, NODE, [endpoint]));
  vm.write("handshake");
  await waitFor(() => attempts() > before, { what: "an attempt" });
  vm.end();
  await waitFor(() => attempts() === before && relay.server.openLinks() === 0, { what: "the attempt to end" });
  expect(client.lines.filter(({ type }) => type === "dial-failed")).toEqual([]);
});

test("the end of one side is passed on, and the other may still answer", async () => {
  const relay = await startRelay();
  const peer = await startPeer((socket) => {
    const question = received(socket);
    socket.on("end", () => socket.end(`answer to ${question()}`));
  });
  const vm = await dialRelay(await ensure(await daemon(relay.path), NODE, [peer.endpoint]));
  const answer = received(vm);
  const ended = ending(vm);
  vm.end("question");
  expect(await ended).toBe("end");
  expect(answer()).toBe("answer to question");
  await waitFor(() => relay.server.openLinks() === 0, { what: "the link to be over" });
});

test("a peer that does not end after its VM has ended is given up", async () => {
  const relay = await startRelay({ timings: { linger: 150 } });
  const peer = await startPeer();
  const vm = await dialRelay(await ensure(await daemon(relay.path), NODE, [peer.endpoint]));
  const far = await peer.accepted(0);
  vm.end("bye");
  expect(await ending(far)).toBe("end");
  expect(relay.server.openLinks()).toBe(1);
  await waitFor(() => relay.server.openLinks() === 0, { what: "the link to be over" });
  far.write("too late");
  expect(await ending(far)).toMatch(/EPIPE|ECONNRESET/);
});

test("a VM that ends while its peer takes nothing leaves no connection behind", async () => {
  const relay = await startRelay({ timings: { linger: 150 } });
  const peer = await startPeer((socket) => socket.pause());
  const vm = await dialRelay(await ensure(await daemon(relay.path), NODE, [peer.endpoint]));
  await peer.accepted(0);
  // About what the systems on the way hold: the end is seen, and what is before it cannot be delivered.
  vm.end(Buffer.alloc(3_000_000));
  await waitFor(() => relay.server.openLinks() === 0, { what: "the link to be over" });
  await waitFor(() => statesTo(peer.endpoint.port).every((state) => state === "TIME-WAIT"), {
    what: "no connection to the peer",
  });
});

test.each(["VM", "peer"] as const)("a reset by the %s reaches the other side as a reset", async (who) => {
  const relay = await startRelay();
  const peer = await startPeer();
  const vm = await dialRelay(await ensure(await daemon(relay.path), NODE, [peer.endpoint]));
  const far = await peer.accepted(0);
  const [from, to] = who === "VM" ? [vm, far] : [far, vm];
  const ended = ending(to);
  from.resetAndDestroy();
  expect(await ended).toBe("ECONNRESET");
  await waitFor(() => relay.server.openLinks() === 0, { what: "the link to be over" });
});

test("a peer that takes nothing costs the relay no memory, and gets everything when it reads again", async () => {
  const relay = await startRelay();
  const client = await daemon(relay.path);
  const peer = await startPeer((socket) => socket.pause());
  const vm = await dialRelay(await ensure(client, NODE, [peer.endpoint]));
  const far = await peer.accepted(0);
  const [size, chunk] = [192 * 1024 * 1024, Buffer.alloc(1024 * 1024, "x")];
  const before = process.memoryUsage().arrayBuffers;
  let left = size;
  const write = () => {
    while (left > 0) {
      left -= chunk.length;
      if (!vm.write(chunk)) return;
    }
    vm.end();
  };
  vm.on("drain", write);
  write();
  const stalled = async () => {
    const at = vm.bytesWritten;
    await sleep(200);
    return vm.bytesWritten === at;
  };
  await waitFor(stalled, { what: "the VM to be held up" });
  expect(left).toBeGreaterThan(size / 2);
  // The one read that waits has a buffer already; what the VM sends is one buffer for all.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * 1024 * 1024);

  let got = 0;
  far.on("data", (bytes) => {
    got += bytes.length;
  });
  far.on("end", () => far.end());
  far.resume();
  await waitFor(() => got === size, { what: "all of it" });
  await waitFor(() => relay.server.openLinks() === 0, { what: "the link to be over" });
  const { totals } = (await client.ask({ type: "status" })).status as { totals: object };
  expect(totals).toMatchObject({ bytesToNode: size, bytesFromNode: 0, links: 1, openLinks: 0 });
});

test("a side that takes nothing for very long is given up, though its VM may have gone unnoticed", async () => {
  const relay = await startRelay({ timings: { stall: 150, idleListener: IDLE } });
  const peer = await startPeer((socket) => socket.pause());
  const vm = await dialRelay(await ensure(await daemon(relay.path), NODE, [peer.endpoint]));
  vm.write(Buffer.alloc(64 * 1024 * 1024));
  expect(await ending(vm)).toMatch(/ECONNRESET|EPIPE/);
});

test("500 connections at once are all served, and nothing of them is left", async () => {
  const descriptors = () => readdirSync("/proc/self/fd").length;
  const relay = await startRelay({ timings: { idleListener: IDLE } });
  const client = await daemon(relay.path);
  const peer = await startPeer(echo);
  const before = descriptors();
  const port = await ensure(client, NODE, [peer.endpoint]);
  const vms = await Promise.all(Array.from({ length: 500 }, () => dialRelay(port)));
  await Promise.all(
    vms.map(async (vm, index) => {
      const answer = received(vm);
      vm.write(`I am ${index}`);
      await waitFor(() => answer() === `I am ${index}`, { what: `the echo of ${index}` });
    }),
  );
  expect(relay.server.openLinks()).toBe(500);
  for (const [index, vm] of vms.entries()) index % 2 === 0 ? vm.end() : vm.resetAndDestroy();
  await waitFor(() => relay.server.openLinks() === 0, { what: "all links to be over" });
  await waitFor(() => descriptors() <= before, { what: `${before} descriptors, not ${descriptors()}` });
  const { relays, totals } = (await client.ask({ type: "status" })).status as { relays: []; totals: object };
  expect(relays).toEqual([]);
  expect(totals).toMatchObject({ links: 500, openLinks: 0, dialsFailed: 0, linksRefused: 0 });
});

test("a listener that nobody asks for goes, but not while it has a link", async () => {
  const relay = await startRelay({ timings: { idleListener: IDLE } });
  const client = await daemon(relay.path);
  const peer = await startPeer();
  const relays = async () => ((await client.ask({ type: "status" })).status as { relays: { node: string }[] }).relays;
  const port = await ensure(client, NODE, [peer.endpoint]);
  await ensure(client, "idle@svc.test", [peer.endpoint]);
  const vm = await dialRelay(port);
  await waitFor(async () => (await relays()).length === 1, { what: "one listener to go" });
  await sleep(IDLE);
  expect(await relays()).toMatchObject([{ node: NODE, openLinks: 1, links: 1 }]);
  vm.resetAndDestroy();
  await waitFor(async () => (await relays()).length === 0, { what: "the other listener to go" });
  await expect(dialRelay(port)).rejects.toThrow("ECONNREFUSED");
});

test("when all relays are in use the daemon is told, and those that there are still serve", async () => {
  const relay = await startRelay({ limit: 2 });
  const client = await daemon(relay.path);
  const { endpoint } = await startPeer();
  const port = await ensure(client, "a@svc.test", [endpoint]);
  await ensure(client, "b@svc.test", [endpoint]);
  await expect(ensure(client, "c@svc.test", [endpoint])).rejects.toThrow("all 2 relays are in use");
  await expect(ensure(client, "d@svc.test", [endpoint])).rejects.toThrow("all 2 relays are in use");
  expect(await ensure(client, "a@svc.test", [endpoint])).toBe(port);
  expect(relay.logged.messages("warn")).toEqual(["no further relay: all 2 relays are in use"]);
});

test("when no files are left a new connection is reset, which is said once, and the links that there are go on", async () => {
  const relay = await startRelay({ descriptors: 4 });
  const client = await daemon(relay.path);
  const peer = await startPeer(echo);
  const port = await ensure(client, NODE, [peer.endpoint]);
  const vm = await dialRelay(port);
  await peer.accepted(0);
  for (let count = 0; count < 3; count++) {
    const how = await dialRelay(port).then(ending, ({ code }: NodeJS.ErrnoException) => code);
    expect(how).toBe("ECONNRESET");
  }
  const answer = received(vm);
  vm.write("still here");
  await waitFor(() => answer() === "still here", { what: "the echo" });
  const said = expect.stringContaining("has as many files open as it may");
  expect(relay.logged.messages("warn")).toEqual([said]);
  expect(await client.line({ type: "notice" })).toEqual({ type: "notice", message: said });
  const { totals } = (await client.ask({ type: "status" })).status as { totals: object };
  expect(totals).toMatchObject({ linksRefused: 3, openLinks: 1 });
});

test("a port that somebody else has is passed over; when all are taken the daemon is told", async () => {
  const first = await freePort();
  const taken = createServer().listen({ port: first, host: ADDRESS });
  await new Promise((resolve) => taken.once("listening", resolve));
  onTestFinished(() => void taken.close());
  const relay = await startRelay({ ports: { low: first, high: first + 1 } });
  const client = await daemon(relay.path);
  const { endpoint } = await startPeer();
  expect(await ensure(client, NODE, [endpoint])).toBe(first + 1);
  await expect(ensure(client, "c@svc.test", [endpoint])).rejects.toThrow(`every relay port of ${ADDRESS} is in use`);
});

test("the system is asked for the ports of no other relays when one is made: with thousands that would take longer than all else", async () => {
  const relay = await startRelay();
  const client = await daemon(relay.path);
  const { endpoint } = await startPeer();
  for (const node of ["a", "b", "c"]) await ensure(client, `${node}@svc.test`, [endpoint]);
  const asked = vi.spyOn(Server.prototype, "address");
  onTestFinished(() => asked.mockRestore());
  await ensure(client, NODE, [endpoint]);
  expect(asked).not.toHaveBeenCalled();
});

test("an address that is not loopback, and an endpoint that is a relay, are refused", async () => {
  const relay = await startRelay();
  const client = await daemon(relay.path);
  const { endpoint } = await startPeer();
  const port = await ensure(client, NODE, [endpoint]);
  await expect(ensure(client, "c@svc.test", [{ address: ADDRESS, port }])).rejects.toThrow(
    `${ADDRESS}:${port} is a relay itself: a connection would come back to it`,
  );
  const elsewhere = { type: "ensure", node: NODE, address: "10.0.0.1", endpoints: [endpoint] };
  expect(await client.ask(elsewhere)).toMatchObject({ type: "refused", reason: "10.0.0.1 is not a loopback address" });
});

test("two daemons that ask for one node in the same moment get one port", async () => {
  const relay = await startRelay();
  const clients = [await daemon(relay.path), await daemon(relay.path)];
  const { endpoint } = await startPeer();
  const ports = await Promise.all(
    Array.from({ length: 10 }, (_, index) => ensure(clients[index % 2] as (typeof clients)[0], NODE, [endpoint])),
  );
  expect(new Set(ports).size).toBe(1);
});

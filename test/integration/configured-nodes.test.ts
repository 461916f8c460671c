import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Registry } from "../../src/epmd/core/registry.js";
import { type ConfiguredNodes, startConfiguredNodes } from "../../src/publish/configured-nodes.js";
import { freePort } from "../support/free-port.js";
import { collectLog } from "../support/log-lines.js";
import { registration } from "../support/registered-node.js";
import { waitFor } from "../support/wait-for.js";

let running: ConfiguredNodes | undefined;
let vm: Server | undefined;
afterEach(async () => {
  await running?.close();
  vm?.close();
});

async function listen(port: number, host: string): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  server.listen({ port, host });
  await once(server, "listening");
  return server;
}

function watch(port: number, names = ["node_a"], intervals = { closed: 20, open: 60 }) {
  const registry = new Registry();
  const { log } = collectLog();
  running = startConfiguredNodes({ names, port, registry, log, now: Date.now, intervals });
  return registry;
}

const isUp = (registry: Registry) => waitFor(() => registry.get("node_a"), { what: "node_a" });

test("a configured node is in the registry for as long as its port accepts connections", async () => {
  const port = await freePort();
  const registry = watch(port, ["node_a", "node_b"]);
  expect(registry.size).toBe(0);
  vm = await listen(port, "127.0.0.1");
  expect(await isUp(registry)).toMatchObject({
    aliveName: "node_a",
    port,
    origin: "configured",
    family: 4,
    nodeType: 77,
    protocol: 0,
    highestVersion: 6,
    lowestVersion: 5,
  });
  expect(registry.get("node_b")).toBeDefined();
  vm.close();
  await waitFor(() => registry.size === 0, { what: "both to be gone" });
  vm = await listen(port, "127.0.0.1");
  await isUp(registry);
});

test("a VM that accepts on ::1 is published for IPv6 too", async () => {
  const port = await freePort();
  vm = await listen(port, "::");
  expect((await isUp(watch(port))).family).toBe(6);
});

test("one refused connection is no end", async () => {
  const port = await freePort();
  vm = await listen(port, "127.0.0.1");
  const registry = watch(port, ["node_a"], { closed: 400, open: 10 });
  const node = await isUp(registry);
  vm.close();
  // Long enough for one try, and not for the second.
  await new Promise((resolve) => setTimeout(resolve, 100));
  vm = await listen(port, "127.0.0.1");
  let accepted = 0;
  vm.on("connection", () => accepted++);
  await waitFor(() => accepted >= 2, { what: "the tries after that" });
  expect(registry.get("node_a")).toBe(node);
});

test("gives way to the VM's own registration, which does not end with the port", async () => {
  const port = await freePort();
  vm = await listen(port, "127.0.0.1");
  const registry = watch(port);
  await isUp(registry);
  const own = registry.register(registration("node_a", port), Date.now());
  expect(own).toBeDefined();
  vm.close();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(registry.get("node_a")).toBe(own);
});

test("leaves the registry with the end of the watch", async () => {
  const port = await freePort();
  vm = await listen(port, "127.0.0.1");
  const registry = watch(port);
  await isUp(registry);
  await running?.close();
  expect(registry.size).toBe(0);
});

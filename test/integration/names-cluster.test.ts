import { afterEach, beforeEach, expect, test } from "vitest";
import { ConsulClient } from "../../src/consul/client.js";
import { start } from "../../src/daemon/daemon.js";
import { runCommand } from "../support/command-line.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { freePort } from "../support/free-port.js";
import { collectLog } from "../support/log-lines.js";
import { rawNode } from "../support/raw-epmd.js";
import { serveConfig } from "../support/registered-node.js";
import { serviceEntry } from "../support/service-entry.js";

let fake: FakeConsul;

beforeEach(async () => {
  fake = await startFakeConsul();
  const client = new ConsulClient({ url: fake.url, log: collectLog().log });
  const since = String(Math.floor(Date.now() / 1000) - 7260);
  const meta = { "erlang-node": "node_a@svc.service.consul", "srv-epmd-since": since };
  await client.register(serviceEntry("node_a", { meta }));
  await client.register(serviceEntry("node_b", { id: "srv-epmd:box2:node_b", address: undefined, port: 20002 }));
  await client.register(serviceEntry("web", { id: "srv-epmd:box2:web", port: 20003 }));
  await client.fail("srv-epmd:box2:node_b");
  client.close();
});
afterEach(() => fake.close());

const names = (...args: readonly string[]) => runCommand(["names", "--cluster", "--consul", fake.url, ...args]);

test("names --cluster lists the nodes that match with health, address, age, instance and machine", async () => {
  const { code, stdout } = await names("--match", "node_*@svc");
  expect(stdout).toMatch(/^node_\*@svc\.service\.consul: 2 nodes in Consul\n {2}node +health +address +age +instance/);
  expect(stdout).toMatch(/\n {2}node_a@svc\.service\.consul {2}passing +10\.0\.0\.1:20001 +2h1m +box1 +box1\n/);
  // Without an address of its own it is at its machine's.
  expect(stdout).toMatch(
    /\n {2}node_b@svc\.service\.consul {2}critical \(its VM has left\) +10\.9\.9\.9:20002 +- +box2 +box1\n$/,
  );
  expect(code).toBe(0);
});

test("a check other than that of srv-epmd that is critical is named", async () => {
  const box = (check: string, serviceId: string) => {
    fake.checks.set(check, { CheckID: check, ServiceID: serviceId, Status: "critical", Output: "97% used" });
  };
  box("disk", "srv-epmd:box1:node_a");
  box("_service_maintenance:srv-epmd:box2:node_b", "srv-epmd:box2:node_b");
  const { stdout } = await names("--match", "node_*@svc");
  expect(stdout).toMatch(/\n {2}node_a@\S+ {2}critical \(disk\) {9}10\.0\.0\.1:20001 /);
  expect(stdout).toMatch(/\n {2}node_b@\S+ {2}critical \(maintenance\) {2}10\.9\.9\.9:20002 /);
});

test("with --json for programs, and with --domain for a whole service", async () => {
  const { stdout } = await names("--domain", "svc", "--json");
  const { consul, nodes } = JSON.parse(stdout);
  expect(consul).toBe(fake.url);
  expect(nodes.map(({ node }: { node: string }) => node)).toEqual(
    ["node_a", "node_b", "web"].map((name) => `${name}@svc.service.consul`),
  );
  expect(nodes[0]).toEqual({
    ...{ node: "node_a@svc.service.consul", health: "passing", address: "10.0.0.1", port: 20001 },
    ...{ age: expect.any(Number), instance: "box1", machine: "box1" },
  });
});

test("a service without instances is an empty table", async () => {
  expect(await names("--match", "*@none")).toEqual({
    code: 0,
    stdout: "*@none.service.consul: 0 nodes in Consul\n",
    stderr: "",
  });
});

test("a Consul that cannot be asked is exit 3", async () => {
  const { code, stderr } = await runCommand([
    ...["names", "--cluster", "--match", "*@svc", "--consul", "http://127.0.0.1:1"],
  ]);
  expect(code).toBe(3);
  expect(stderr).toMatch(
    /^srv-epmd: Consul does not list its nodes \(GET .* ECONNREFUSED .*\): start the agent of Consul there, or give another one: --consul$/m,
  );
});

test("an agent that hangs: its URL, how long it was waited for, and what to look at", async () => {
  fake.misbehave(() => "hang");
  const { code, stderr } = await names("--match", "*@svc", "--timeout", "300ms");
  expect([code, stderr]).toEqual([
    3,
    `srv-epmd: Consul does not list its nodes (${fake.url} gives no answer within 300 ms): see the log of the agent, which runs and does not answer: it waits for servers that it does not reach (consul members; port 8300 of each), or is stopped (kill -CONT); srv-epmd doctor here says what it waits for\n`,
  ]);
  // Other parts tell it in the words of the call.
  const client = new ConsulClient({ url: fake.url, log: collectLog().log });
  await expect(client.healthService("svc", AbortSignal.timeout(50))).rejects.toThrow(
    /^GET http:\S+ \/v1\/health\/service\/svc: no answer in time$/,
  );
  await client.close();
});

test("the domains of a daemon that serves a zone beside Consul: each where it is known", async () => {
  const config = serveConfig({ port: "0", admin: "none", domain: ["demo.test"], dnsListen: "127.0.0.1:0" });
  const daemon = await start(config, { log: collectLog().log });
  const nodes = [
    await rawNode(daemon.port, { name: "shop", port: 20009 }),
    await rawNode(daemon.port, { name: "x", port: 20008 }),
  ];
  const port = String(daemon.port);
  const given = { SRV_EPMD_DOMAIN: "s*=demo.test,node_a=svc", SRV_EPMD_PORT: port };
  const { code, stdout } = await runCommand(["names", "--cluster", "--consul", fake.url], { env: given });
  const one = await names("--domain", "demo.test", "--match", "x*@demo.test", "--port", port, "--json");
  const stranger = await names("--domain", "demo.test", "--match", "*@other.test", "--port", port);
  for (const node of nodes) await node.close();
  await daemon.close();
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^node_a@svc\.service\.consul, s\*@demo\.test: 2 nodes in Consul and the srv-epmd here\n.*\n {2}node_a@svc\.service\.consul +passing +10\.0\.0\.1:20001 .*\n {2}shop@demo\.test +passing +127\.0\.0\.1:20009 +- +127\.0\.0\.1:[0-9]+ +\S+\n$/,
  );
  expect(JSON.parse(one.stdout)).toEqual({
    nodes: [
      {
        node: "x@demo.test",
        health: "passing",
        address: "127.0.0.1",
        port: 20008,
        instance: `127.0.0.1:${port}`,
        machine: expect.any(String),
      },
    ],
  });
  expect([stranger.code, stranger.stderr]).toEqual([2, expect.stringContaining("other.test is no service of Consul")]);
});

test("a domain in no catalogue, where no srv-epmd answers: exit 3 with the reason", async () => {
  const nobody = await names("--domain", "demo.test", "--port", String(await freePort()));
  expect([nobody.code, nobody.stderr]).toEqual([3, expect.stringContaining("ECONNREFUSED")]);
});

test.each([
  [["--cluster"], /--cluster needs to know which service/],
  [["--cluster", "--match", "*@example.org"], /example\.org is no service of Consul/],
  [["--cluster", "--match", "*@svc", "127.0.0.1"], /--cluster asks Consul or Nomad, not the EPMD at 127\.0\.0\.1/],
])("%j is exit 2", async (args, message) => {
  const { code, stderr } = await runCommand(["names", ...args]);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});

import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readOwner } from "../../src/publish/ownership.js";
import { aclToken } from "../support/acl-token.js";
import { bestOf } from "../support/best-of.js";
import { createCertificates } from "../support/certificates.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { useConsulParts } from "../support/consul-part.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const startPart = useConsulParts();

function dnsOf(consul: Consul) {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`127.0.0.1:${consul.dnsPort}`]);
  const absent = (error: { code?: string }) => {
    if (error.code === "ENOTFOUND" || error.code === "ENODATA") return [];
    throw error;
  };
  return {
    srv: (name: string) => resolver.resolveSrv(`${name}.service.consul`).catch(absent),
    a: (name: string) => resolver.resolve4(`${name}.service.consul`).catch(absent),
    aaaa: (name: string) => resolver.resolve6(`${name}.service.consul`).catch(absent),
  };
}

/** Milliseconds until the condition holds, polled without pause. */
async function timeUntil(what: string, condition: () => Promise<boolean>): Promise<number> {
  const before = performance.now();
  await waitFor(condition, { what, interval: 1, timeout: 15_000 });
  return performance.now() - before;
}

requirePeer("consul")("publication into a real Consul", () => {
  let consul: Consul;
  let dns: ReturnType<typeof dnsOf>;

  beforeAll(async () => {
    consul = await startConsul();
    dns = dnsOf(consul);
  });
  afterAll(() => consul?.kill());

  /** Leaves nothing to the next test. */
  afterEach(async () => {
    const { body } = await consul.request("GET", "/v1/agent/services");
    for (const id of Object.keys(body as object)) {
      await consul.request("PUT", `/v1/agent/service/deregister/${encodeURIComponent(id)}`);
    }
  });

  test("a node is in SRV and A within 100 ms, and gone from both within 100 ms after its VM", async () => {
    const daemon = startPart(consul);
    await waitFor(async () => (await daemon.client.services()).length === 0, { what: "the client to be loaded" });
    let gone = Infinity;
    const there = await bestOf(5, async (round) => {
      const name = `node_${round}`;
      const node = daemon.up(name);
      const appeared = await timeUntil("SRV", async () => (await dns.srv(`${name}.svc`)).length === 1);
      expect((await dns.srv(`${name}.svc`))[0]).toMatchObject({ port: 20001, priority: 1, weight: 1 });
      expect(await dns.a(`${name}.svc`)).toEqual(["127.0.0.1"]);
      daemon.registry.unregister(node);
      const left = await timeUntil("NXDOMAIN", async () => (await dns.srv(`${name}.svc`)).length === 0);
      expect(await dns.a(`${name}.svc`)).toEqual([]);
      gone = Math.min(gone, left);
      return appeared;
    });
    expect(there).toBeLessThan(100);
    expect(gone).toBeLessThan(100);
  });

  test("weight, tags and meta arrive, and nothing of it is sent again by the check of what is there", async () => {
    const daemon = startPart(consul, {
      flags: { weight: "7", tag: ["blue"], tcpCheck: "true", advertiseAddress: ["10.0.0.7"] },
      timings: { audit: 100 },
    });
    daemon.up("node_a");
    await waitFor(async () => (await dns.srv("blue.svc"))[0]?.weight === 7, { what: "the weight" });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(daemon.messages().filter((message) => message === "published")).toHaveLength(1);
    const { body } = await consul.request("GET", "/v1/agent/service/srv-epmd:box1:node_a");
    expect(body).toMatchObject({
      Service: "svc",
      Tags: ["node_a", "blue"],
      Address: "10.0.0.7",
      Port: 20001,
      Weights: { Passing: 7, Warning: 7 },
      Meta: {
        "erlang-node": "node_a@svc.service.consul",
        "erlang-node-name": "node_a@svc.service.consul",
        "erlang-dist-port": "20001",
        "srv-epmd-owner": "boot/1/4369",
      },
    });
    const checks = (await consul.request("GET", "/v1/agent/checks")).body as Record<string, { Type: string }>;
    expect(Object.entries(checks).map(([id, { Type }]) => [id, Type])).toEqual(
      expect.arrayContaining([
        ["service:srv-epmd:box1:node_a", "ttl"],
        ["service:srv-epmd:box1:node_a:tcp", "tcp"],
      ]),
    );
  });

  test("a TCP check that is wanted no more goes with the next registration", async () => {
    const first = startPart(consul, { flags: { tcpCheck: "true" } });
    first.up("node_a");
    await waitFor(async () => (await first.client.checks()).length === 2, { what: "both checks" });
    await first.stop();
    const second = startPart(consul);
    second.up("node_a");
    await waitFor(async () => (await second.client.checks()).length === 1, { what: "one check" });
    expect(await dns.srv("node_a.svc")).toHaveLength(1);
  });

  test("a node that registered over ::1 is in A and AAAA, as two instances of one tag", async () => {
    const daemon = startPart(consul, { flags: { advertiseAddress: ["10.0.0.7", "fd00::7"] } });
    const node = daemon.up("node_a", { family: 6 });
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 2, { what: "two SRV records" });
    expect(await dns.a("node_a.svc")).toEqual(["10.0.0.7"]);
    expect(await dns.aaaa("node_a.svc")).toEqual(["fd00::7"]);
    daemon.registry.unregister(node);
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 0, { what: "both to be gone" });
  });

  test("a node of a domain with more labels is found under them", async () => {
    const daemon = startPart(consul, { flags: { domain: ["n1.rmq.service.consul"] } });
    daemon.up("rabbit");
    await waitFor(async () => (await dns.srv("rabbit.n1.rmq")).length === 1, { what: "rabbit.n1.rmq" });
  });

  test("a VM that comes back on another port while its check is critical is in DNS with that port", async () => {
    const daemon = startPart(consul);
    const node = daemon.up("node_a");
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 1, { what: "node_a" });
    daemon.registry.unregister(node);
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 0, { what: "node_a to be gone" });
    daemon.up("node_a", {}, 20002);
    expect(await timeUntil("the new port", async () => (await dns.srv("node_a.svc"))[0]?.port === 20002)).toBeLessThan(
      100,
    );
  });

  test("of Node and node one is in the catalogue at a time, and the other follows it", async () => {
    const daemon = startPart(consul);
    const first = daemon.up("Node", {}, 20001);
    daemon.up("node", {}, 20002);
    const ports = async () => (await dns.srv("node.svc")).map(({ port }) => port);
    await waitFor(async () => (await ports()).join() === "20001", { what: "Node" });
    daemon.registry.unregister(first);
    await waitFor(async () => (await ports()).join() === "20002", { what: "node" });
  });

  test("a restart of the daemon is never seen in DNS: the successor adopts, and VMs come back", async () => {
    const first = startPart(consul);
    first.up("node_a");
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 1, { what: "node_a" });
    let misses = 0;
    let asked = 0;
    let watching = true;
    const watch = async () => {
      for (; watching; asked++) if ((await dns.srv("node_a.svc")).length !== 1) misses++;
    };
    const restart = async () => {
      await first.stop();
      const second = startPart(consul, { timings: { adoption: 500 } });
      await waitFor(() => second.registrar.status().some(({ published }) => published), { what: "the adoption" });
      second.up("node_a");
      await waitFor(() => second.messages().includes("published"), { what: "the publication" });
      await new Promise((resolve) => setTimeout(resolve, 700));
    };
    await Promise.all([
      watch(),
      restart().finally(() => {
        watching = false;
      }),
    ]);
    expect(asked).toBeGreaterThan(20);
    expect(misses).toBe(0);
  });

  test("what a daemon killed with -9 left is removed by its successor when no VM returns", async () => {
    await consul.request("PUT", "/v1/agent/service/register", {
      ID: "srv-epmd:box1:ghost",
      Name: "svc",
      Tags: ["ghost"],
      Port: 20009,
      Meta: { "erlang-node": "ghost@svc.service.consul", "erlang-dist-port": "20009", "srv-epmd-owner": "boot/1/4369" },
      Check: { CheckID: "service:srv-epmd:box1:ghost", TTL: "15s", Status: "passing" },
    });
    expect(await dns.srv("ghost.svc")).toHaveLength(1);
    const daemon = startPart(consul, { timings: { adoption: 300 } });
    await waitFor(async () => (await dns.srv("ghost.svc")).length === 0, { what: "the ghost to be gone" });
    expect(await daemon.client.services()).toEqual([]);
  });

  test("VM and daemon stopped together leave nothing", async () => {
    const daemon = startPart(consul);
    const node = daemon.up("node_a");
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 1, { what: "node_a" });
    daemon.registry.unregister(node);
    await daemon.stop();
    expect(await daemon.client.services()).toEqual([]);
    expect(await daemon.client.checks()).toEqual([]);
  });

  test("two daemons of one machine keep to their own entries, whether they come or go", async () => {
    const other = startPart(consul, { owner: "boot/2/4369" });
    other.up("node_a", {}, 20002);
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 1, { what: "the first" });
    const daemon = startPart(consul, { timings: { audit: 100, adoption: 100 } });
    const node = daemon.up("node_a", {}, 20001);
    const ports = async () => (await dns.srv("node_a.svc")).map(({ port }) => port).sort();
    await waitFor(async () => (await ports()).join() === "20001,20002", { what: "both" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    daemon.registry.unregister(node);
    await daemon.stop();
    expect(await ports()).toEqual([20002]);
  });

  test.each(["unix socket", "IPv6"])("the agent is reached over %s", async (way) => {
    const path = join(await temporaryFolder("consul-way"), "http.sock");
    const relay = createServer((socket) => {
      const toAgent = connect(consul.httpPort, "127.0.0.1");
      socket.on("error", () => toAgent.destroy()).pipe(toAgent);
      toAgent.on("error", () => socket.destroy()).pipe(socket);
    });
    relay.listen(way === "IPv6" ? { host: "::1", port: 0 } : { path });
    await once(relay, "listening");
    const url = way === "IPv6" ? `http://[::1]:${(relay.address() as AddressInfo).port}` : `unix://${path}`;
    const daemon = startPart(consul, { client: { url } });
    daemon.up("node_a");
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 1, { what: "node_a" });
    await daemon.stop();
    relay.close();
  });

  test("a node is back after the agent was killed and has lost its state", async () => {
    const daemon = startPart(consul, { flags: { ttl: "6s" } });
    daemon.up("node_a");
    await waitFor(async () => (await dns.srv("node_a.svc")).length === 1, { what: "node_a" });
    await consul.restart();
    expect(await timeUntil("node_a", async () => (await dns.srv("node_a.svc")).length === 1)).toBeLessThan(6_000);
  });
});

requirePeer("consul", "openssl")("publication into a Consul with ACLs and HTTPS", () => {
  let consul: Consul;
  let tls: { url: string; ca: string; cert: string; key: string };
  let remove: () => Promise<void>;

  beforeAll(async () => {
    const authority = await createCertificates();
    remove = authority.remove;
    const server = await authority.issue("agent", "DNS:agent.test", "IP:127.0.0.1");
    const client = await authority.issue("client");
    consul = await startConsul({ acl: true, tls: { ca: authority.ca, ...server, verifyIncoming: true } });
    tls = { url: `https://127.0.0.1:${consul.httpsPort}`, ca: authority.ca, ...client };
  });
  afterAll(async () => {
    await consul?.kill();
    await remove?.();
  });

  const tokenFor = (rules: string) => aclToken(consul, rules);
  const statusOf = async (id: string) => {
    const checks = (await consul.request("GET", "/v1/agent/checks")).body as Record<string, { Status: string }>;
    return checks[`service:${id}`]?.Status;
  };

  test("needs no more than service:write on its service", async () => {
    const token = await tokenFor('service "svc" { policy = "write" }');
    const daemon = startPart(consul, { client: { ...tls, token }, timings: { grace: 200, audit: 200 } });
    const node = daemon.up("node_a");
    await waitFor(async () => (await statusOf("srv-epmd:box1:node_a")) === "passing", { what: "node_a" });
    daemon.registry.unregister(node);
    await waitFor(async () => (await statusOf("srv-epmd:box1:node_a")) === undefined, { what: "node_a to be gone" });
    // Only look-ups and namesakes need to read nodes.
    expect(daemon.messages("warn").filter((message) => !message.includes('node_prefix ""'))).toEqual([]);
  });

  test("is refused with another token, says which policy is needed, and goes on when the file has the right one", async () => {
    const tokenFile = join(await temporaryFolder("consul-token"), "token");
    await writeFile(tokenFile, await tokenFor('service "other" { policy = "write" }'));
    const daemon = startPart(consul, { client: { ...tls, tokenFile }, timings: { refusalRetry: 200 } });
    daemon.up("node_b");
    await waitFor(() => daemon.messages("error").length > 0, { what: "the refusal" });
    expect(daemon.messages("error")).toEqual([expect.stringContaining('service "svc" { policy = "write" }')]);
    await writeFile(tokenFile, `${await tokenFor('service_prefix "" { policy = "write" }')}\n`);
    await waitFor(async () => (await statusOf("srv-epmd:box1:node_b")) === "passing", { what: "node_b" });
    expect(daemon.messages("error")).toHaveLength(1);
  });

  test.each([
    ["without a client certificate", () => ({ cert: undefined, key: undefined })],
    ["with an authority that has not signed the agent's", () => ({ ca: undefined })],
    ["that is expected under another name", () => ({ tlsServerName: "other.test" })],
    ["with a certificate file that is missing", () => ({ cert: "/nowhere/cert.pem" })],
  ])("an agent asked %s is unavailable, and nothing fails but that", async (_, change) => {
    const token = consul.masterToken;
    const daemon = startPart(consul, { client: { ...tls, token, ...change() } });
    daemon.up("node_c");
    await waitFor(() => daemon.registrar.agent.trouble, { what: "the failure" });
    expect(daemon.messages("warn")).toHaveLength(1);
  });

  test("is asked under the name that its certificate has", async () => {
    const token = consul.masterToken;
    const daemon = startPart(consul, { client: { ...tls, token, tlsServerName: "agent.test" } });
    daemon.up("node_d");
    await waitFor(async () => (await statusOf("srv-epmd:box1:node_d")) === "passing", { what: "node_d" });
  });

  test("is asked without a look at its certificate when that is wanted", async () => {
    const token = consul.masterToken;
    const daemon = startPart(consul, { client: { ...tls, token, ca: undefined, sslVerify: false } });
    daemon.up("node_e");
    await waitFor(async () => (await statusOf("srv-epmd:box1:node_e")) === "passing", { what: "node_e" });
  });
});

test("the owner is the same for two daemons in one place and another on another port", async () => {
  expect(await readOwner(4369)).toBe(await readOwner(4369));
  expect(await readOwner(4369)).not.toBe(await readOwner(14369));
  expect(await readOwner(4369)).toMatch(/^[0-9a-f-]{36}\/[0-9]+\/4369$/);
});

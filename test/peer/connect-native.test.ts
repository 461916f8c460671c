import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { areTlsRecords, capture } from "../support/capture.js";
import { run, startChild } from "../support/child.js";
import { type Cluster, fullName, startCluster } from "../support/cluster.js";
import { examine } from "../support/doctor.js";
import { cleanEnvironment } from "../support/environment.js";
import type { ErlangNode } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, runCli } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

/** A VM that only its own machine can dial. */
const LOCAL = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"];
const LOCAL6 = ["-proto_dist", "inet6_tcp", "-kernel", "inet_dist_use_interface", "{0,0,0,0,0,0,0,1}"];
/** Links are made one by one: none comes about while another one is looked at. */
const ALONE = [...LOCAL, "-connect_all", "false"];
const RECHECK = "1s";

requirePeer(
  "erl",
  "consul",
  "netns",
  "tcpdump",
)("a cluster of native ends of Consul Connect", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({
      ...{ hosts: 3, daemons: 2, native: true, args: ["--connect-recheck", RECHECK] },
      // Each machine is reached by one family alone, whatever those of its VMs and of their peers are.
      advertise: (index, [ipv4 = "", ipv6 = ""]) => [index === 1 ? ipv6 : ipv4],
    });
    // Stock VMs on the third machine.
    await cluster.serve(2, "--gateway");
  });
  afterEach(async () => {
    await cluster.killNodes();
    const { body } = await cluster.consul.request("GET", "/v1/connect/intentions");
    for (const { ID } of (body ?? []) as { ID: string }[]) {
      await cluster.consul.request("DELETE", `/v1/connect/intentions/${ID}`);
    }
  });

  const deny = (source: string, destination: string) =>
    cluster.consul.request("POST", "/v1/connect/intentions", {
      ...{ SourceName: source, DestinationName: destination, SourceType: "consul", Action: "deny" },
    });
  const pongs = async (one: ErlangNode, name: string) =>
    waitFor(async () => (await one.ping(fullName(name))) === "pong", { what: `pong of ${name}` });
  const two = async () => {
    const [a, b] = await Promise.all([
      cluster.node(0, "node_a", { args: ALONE }),
      cluster.node(1, "node_b", { args: ALONE }),
    ]);
    await cluster.whenPublished("node_a", "node_b");
    await pongs(a, "node_b");
    return { a, b };
  };
  const echo = (from: ErlangNode, to: string) => from.eval(`rpc:call('${fullName(to)}', erlang, node, [], 2000)`);

  test("each of five nodes reaches the right one, with the module or without, over IPv4 and IPv6, by TLS alone", async () => {
    const wire = await capture(cluster.host(1), "tcp and not port 8500 and not port 8300 and not port 8301");
    const started = await Promise.all([
      cluster.node(0, "node_a", { args: LOCAL }),
      cluster.node(0, "node_b", { args: LOCAL }),
      cluster.node(1, "node_c", { args: LOCAL6 }),
      cluster.node(1, "node_d", { args: LOCAL }),
      cluster.node(2, "node_e", { args: LOCAL, way: "gateway" }),
    ]);
    const names = ["node_a", "node_b", "node_c", "node_d", "node_e"];
    await cluster.whenPublished(...names);
    for (let round = 1; round <= 3; round++) {
      for (const [index, node] of started.entries()) {
        for (const name of names.filter((_, other) => other !== index)) {
          await pongs(node, name);
          expect(await echo(node, name)).toBe(`'${fullName(name)}'`);
          // The next round makes links anew.
          await node.eval(`erlang:disconnect_node('${fullName(name)}')`);
        }
      }
    }
    const late = await cluster.node(2, "node_f", { args: LOCAL, way: "gateway" });
    await pongs(late, "node_a");
    const own = await Promise.all(started.map((node) => node.eval("element(2, erl_epmd:names({127,0,0,1}))")));
    await cluster.killNode("node_e");
    await waitFor(async () => !(await started[0].nodes()).includes(fullName("node_e")), { what: "the loss of node_e" });
    const ports = own.flatMap((told) => Array.from(told.matchAll(/"node_.",(\d+)/g), ([, port]) => Number(port)));
    expect(ports.length).toBeGreaterThanOrEqual(5);
    const flows = await wire.stop();
    expect(flows.length).toBeGreaterThan(4);
    expect(flows.filter(({ bytes }) => !areTlsRecords(bytes)).map(({ from, to }) => `${from} ${to}`)).toEqual([]);
    expect(flows.filter(({ to }) => ports.some((port) => to.endsWith(`:${port}`)))).toEqual([]);
    for (const port of ports) {
      for (const address of ["10.90.0.1", "10.90.0.2", "10.90.0.3", "fd90::2"]) {
        const dial = ["-c", `exec 3<>/dev/tcp/${address}/${port}`];
        expect((await run("bash", dial, { netns: cluster.host(0) })).stderr).toMatch(/Connection refused/);
      }
    }
  }, 90_000);

  test("a new intention ends links within the time of the recheck, and its end lets them come back", async () => {
    const { a } = await two();
    const { body } = await deny("svc", "svc");
    await waitFor(async () => (await a.nodes()).length === 0, { what: "the cut", timeout: 5_000 });
    expect(await a.ping(fullName("node_b"))).toBe("pang");
    await cluster
      .daemon(1)
      .waitForLog(({ code, reason }) => code === "DENIED" && String(reason).includes("DENY"), "why");
    await cluster.consul.request("DELETE", `/v1/connect/intentions/${(body as { ID: string }).ID}`);
    await pongs(a, "node_b");
  });

  test("a node that is published without Connect is not dialled, and resolve says why", async () => {
    const a = await cluster.node(0, "node_a", { args: ALONE });
    const entry = { ID: "plain", Name: "svc", Tags: ["plain"], Address: "10.90.0.2", Port: 20_999 };
    await cluster.consul.request("PUT", "/v1/agent/service/register", entry);
    const wire = await capture(cluster.host(1), "tcp port 20999");
    expect(await a.ping(fullName("plain"))).toBe("pang");
    const { stdout } = await runCli(["resolve", "plain@svc", "--json"], {
      netns: cluster.host(0),
      env: { SRV_EPMD_DOMAIN: "svc", SRV_EPMD_CONSUL: cluster.consul.socketUrl, SRV_EPMD_CONNECT_NATIVE: "true" },
    });
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "not-found", code: "CATALOGUE_NOT_NATIVE" });
    expect(await wire.stop()).toEqual([]);
    await cluster.consul.request("PUT", "/v1/agent/service/deregister/plain");
  });

  test("resolve --probe and doctor go inside, and say whose certificate was shown", async () => {
    await two();
    const env = {
      SRV_EPMD_DOMAIN: "svc",
      SRV_EPMD_CONSUL: cluster.consul.socketUrl,
      SRV_EPMD_DNS: cluster.dns,
      SRV_EPMD_CONNECT_NATIVE: "true",
    };
    const { stdout } = await runCli(["resolve", "node_b@svc", "--probe", "--trace"], { netns: cluster.host(0), env });
    expect(stdout).toMatch(/inside Consul Connect: TLSv1\.3, certificate of spiffe:\/\/.*\/svc\/svc/);
    expect(stdout).toContain("dials a relay here, which makes mutual TLS of Consul Connect with ");
    const { told, of } = await examine(["node_b@svc"], { netns: cluster.host(0), env });
    expect(told.filter(({ result }) => result === "fail" || result === "warn")).toEqual([]);
    expect(of("connect-certificate")).toMatchObject({ result: "ok" });
    expect(of("peer-handshake")).toMatchObject({ result: "ok" });
  });

  describe("standing links", () => {
    test("stay when the daemon is killed and comes back, when the CA is rotated, and when the agent is away", async () => {
      const { a } = await two();
      await watchLinks(a);
      await cluster.daemon(0).kill();
      expect(await echo(a, "node_b")).toBe(`'${fullName("node_b")}'`);
      await cluster.serve(0);
      await cluster.whenPublished("node_a");
      const { generateKeyPairSync } = await import("node:crypto");
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const key = privateKey.export({ type: "sec1", format: "pem" }).toString();
      const rotation = { Provider: "consul", Config: { PrivateKey: key } };
      expect((await cluster.consul.request("PUT", "/v1/connect/ca/configuration", rotation)).status).toBe(200);
      expect(await echo(a, "node_b")).toBe(`'${fullName("node_b")}'`);
      const c = await cluster.node(2, "node_c", { args: ALONE, way: "gateway" });
      await cluster.whenPublished("node_c");
      await pongs(c, "node_b");
      cluster.consul.child().signal("SIGSTOP");
      try {
        expect(await echo(a, "node_b")).toBe(`'${fullName("node_b")}'`);
        expect(await c.ping(fullName("node_a"))).toBe("pang");
      } finally {
        cluster.consul.child().signal("SIGCONT");
      }
      await pongs(c, "node_a");
      expect(await lostLinks(a)).toEqual(["[]"]);
    }, 60_000);

    /** It runs until the end of this file: further tests need it. */
    const startRelay = (index: number) => {
      const flags = ["relay", "--relay-socket", String(cluster.relaySocket(index)), "--log-format", "json"];
      return startChild(process.execPath, [BIN, ...flags], { env: cleanEnvironment(), netns: cluster.host(index) });
    };

    test("end with the relay process, and come back with the next", async () => {
      const { a } = await two();
      await cluster.relay(0).kill();
      await waitFor(async () => (await a.nodes()).length === 0, { what: "the end of the link" });
      startRelay(0);
      await pongs(a, "node_b");
    });

    test("come back at another port where a program has taken that of the relay process before", async () => {
      const { a } = await two();
      const portOfB = async () => {
        const { body } = await cluster.consul.request("GET", "/v1/health/service/svc?passing&tag=node_b");
        return (body as { Service: { Port: number } }[])[0]?.Service.Port;
      };
      const port = await portOfB();
      await cluster.relay(1).kill();
      const program = `require("net").createServer((socket) => socket.end()).listen(${port}, "::", () => console.log("up"))`;
      const other = startChild(process.execPath, ["-e", program], { netns: cluster.host(1) });
      await other.waitForOutput(/up/);
      startRelay(1);
      await waitFor(async () => ![undefined, port].includes(await portOfB()), { what: "another port in Consul" });
      await pongs(a, "node_b");
      await other.stop();
    });
  });
});

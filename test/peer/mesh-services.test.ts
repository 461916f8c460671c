import { afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type Cluster,
  type ClusterNodeOptions,
  fullName,
  HOST,
  startCluster,
  waitForMesh,
} from "../support/cluster.js";
import type { ErlangNode } from "../support/erlang.js";
import { disconnectAndPing, type Mesh, startMesh, waitForListeners } from "../support/mesh.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const NAMES = ["a", "b", "c"] as const;
type Name = (typeof NAMES)[number];
const boxOf = (name: string) => `rpc:call('${fullName(name)}', os, getenv, ["BOX"])`;
const ALONE = ["-connect_all", "false"];
/** How VMs find each other in the mesh, and what makes them do so. */
const WAYS: readonly (readonly [string, ClusterNodeOptions])[] = [
  ["with the module", { way: "module" }],
  ["unmodified, through the gateway", { way: "gateway" }],
  [
    "unmodified, where the host of their peers resolves to 127.0.0.1",
    { way: "gateway", inetrc: `{host, {127,0,0,1}, ["${HOST}"]}.\n{lookup, [file]}.\n` },
  ],
];

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
  "nft",
)("in a mesh with a service for each node", () => {
  let cluster: Cluster;
  let mesh: Mesh;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3, way: "gateway", args: ["--mesh", "--register", "none"] });
    mesh = await startMesh(cluster, { names: NAMES, by: "service" });
    // The way around it: what a look-up in DNS would find.
    await mesh.publishPlainly("c");
  });
  afterEach(() => cluster.killNodes());

  const node = (name: Name, options: ClusterNodeOptions, args = mesh.bound(name)) => {
    const index = NAMES.indexOf(name);
    const env = { BOX: `box${index + 1}` };
    return cluster.node(index, name, { ...options, args: [...args, ...(options.args ?? [])], env });
  };
  /** Pings until the answer is this one: what Consul is told is known to proxies and daemons a moment later. */
  const pings = (from: ErlangNode, to: Name, answer: "pong" | "pang") =>
    waitFor(async () => (await disconnectAndPing(from, fullName(to))) === answer, { what: `${answer} of ${to}` });
  const cli = (...args: string[]) =>
    runCli([...args, "--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns], {
      netns: cluster.host(0),
    });

  describe.each(WAYS)("nodes %s", (_, way) => {
    test("form a full mesh whose traffic passes the proxies only", async () => {
      await mesh.resetPackets();
      const [a, b, c] = await Promise.all([node("a", way), node("b", way), node("c", way)]);
      expect([await a.ping(fullName("b")), await a.ping(fullName("c"))]).toEqual(["pong", "pong"]);
      await waitForMesh({ a, b, c });
      const boxes = [await a.eval(boxOf("b")), await b.eval(boxOf("c")), await c.eval(boxOf("a"))];
      expect(boxes).toEqual(['"box2"', '"box3"', '"box1"']);
      const packets = await Promise.all(NAMES.map((name) => mesh.packets(name)));
      expect(packets.map(({ direct }) => direct)).toEqual([0, 0, 0]);
      // a has dialled b, whose proxy is on another machine; whether b or c dialled the other is theirs.
      expect(packets[1]?.proxied).toBeGreaterThan(5);
    });

    test("are not reached past it without an upstream, though their port is open to all and DNS knows it", async () => {
      const [a] = await Promise.all([node("a", { ...way, args: ALONE }), node("c", way, mesh.open("c"))]);
      await mesh.dialDirectly("a", "c");
      expect((await mesh.packets("c")).direct).toBeGreaterThan(0);

      await mesh.resetPackets();
      await pings(a, "c", "pong");
      await mesh.setUpstreams("a", "b");
      await pings(a, "c", "pang");
      // The built-in proxy keeps a listener until it is started anew: the registration counts.
      await waitForListeners(cluster.host(0), [mesh.listener("a", "c")]);
      expect(await disconnectAndPing(a, fullName("c"))).toBe("pang");
      const reason = "no upstream svc-c at svc-a-sidecar-proxy: there are svc-b";
      await cluster.daemon(0).waitForLog((line) => line.reason === reason, "the reason");

      await mesh.setUpstreams("a", "b", "c");
      await pings(a, "c", "pong");
      expect((await mesh.packets("c")).direct).toBe(0);
    });

    test("a denied intention ends new links in one direction; an established one lives on", async () => {
      const alone = { ...way, args: ALONE };
      const [a, b] = await Promise.all([node("a", alone), node("b", alone)]);
      await pings(a, "b", "pong");
      const allow = await mesh.deny("svc-a", "svc-b");
      // Another node behind a's proxy, which has no link yet.
      const beside = await cluster.node(0, "beside", alone);
      await pings(beside, "b", "pang");
      expect(await a.eval(boxOf("b"))).toBe('"box2"');
      expect(await disconnectAndPing(a, fullName("b"))).toBe("pang");
      expect(await b.ping(fullName("a"))).toBe("pong");
      await allow();
      await pings(a, "b", "pong");
    });
  });

  test("a VM of inet6_tcp reaches listeners on 127.0.0.1 too", async () => {
    const inet6 = { args: ["-proto_dist", "inet6_tcp", ...ALONE] };
    const [a] = await Promise.all([
      node("a", { way: "module", ...inet6 }, mesh.open("a")),
      node("b", { way: "gateway", ...inet6 }, mesh.open("b")),
    ]);
    expect(await a.ping(fullName("b"))).toBe("pong");
    expect(await disconnectAndPing(await node("c", { way: "gateway" }), fullName("b"))).toBe("pong");
  });

  test("commands see what the daemon sees: the upstreams of the proxy beside it, or the catalogue without a mesh", async () => {
    await node("a", { way: "module" });
    const port = mesh.listener("a", "c");
    const found = await cli("resolve", "c@svc", "--mesh", "--json");
    expect(JSON.parse(found.stdout)).toMatchObject({
      ...{ outcome: "found", source: "upstream" },
      endpoints: [{ address: "127.0.0.1", port, target: "svc-c" }],
    });
    expect(JSON.parse((await cli("resolve", "c@svc", "--json")).stdout)).toMatchObject({
      ...{ outcome: "found", source: "catalogue" },
      endpoints: [{ address: "10.90.0.3", port: mesh.port("c") }],
    });
    const missing = await cli("resolve", "d@svc", "--mesh");
    expect([missing.code, missing.stdout]).toEqual([
      1,
      expect.stringMatching(/no upstream svc-d at svc-a-sidecar-proxy: there are svc-b, svc-c$/m),
    ]);
    const waited = await cli("wait", "c@svc", "--upstream-service", "{service}-{name}", "--timeout", "5s");
    expect(waited.code).toBe(0);
  });
});

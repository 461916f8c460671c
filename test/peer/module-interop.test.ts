import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { type Cluster, fullName, HOST, startCluster, waitForMesh } from "../support/cluster.js";
import { startStockEpmd } from "../support/epmd.js";
import { type NodeOptions, startNode } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";

const DNS_PROGRAM = fileURLToPath(new URL("../support/fake-dns-process.ts", import.meta.url));
/** Names with an address and no SRV record. */
const ZONE = { "plain.test": ["10.90.0.2"], "fixed.test": ["10.90.0.2"] };

requirePeer(
  "erl",
  "erlc",
  "epmd",
  "consul",
  "netns",
)("a node with the module", () => {
  let cluster: Cluster;
  const plain = (options: NodeOptions) => startNode({ ...options, netns: cluster.host(1) });
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 2, daemons: 0 });
    const zone = ["--import", "tsx", DNS_PROGRAM, "10.90.0.1", JSON.stringify(ZONE)];
    const dns = startChild(process.execPath, zone, { netns: cluster.host(0) });
    const [, port] = await dns.waitForOutput(/ready ([0-9]+)/);
    const servers = ["--dns", `plain.test=10.90.0.1:${port}`, "--dns", `fixed.test=10.90.0.1:${port}`];
    await cluster.serve(0, ...servers, "--listen", "10.90.0.1", "--fallback", "epmd", "--fallback", "20777");
    await startStockEpmd(4369, { netns: cluster.host(1) });
    await cluster.host(1).setHosts(["10.90.0.2 box2 plain.test", `10.90.0.1 ${HOST}`]);
  });
  afterEach(() => cluster.killNodes());

  test("and one with stock EPMD on another machine reach each other, whoever begins (--fallback epmd)", async () => {
    const a = await cluster.node(0, "a");
    const stock = await plain({ name: "stock@plain.test" });
    expect(await a.ping("stock@plain.test")).toBe("pong");
    expect(await stock.nodes()).toEqual([fullName("a")]);

    const b = await cluster.node(0, "b", { args: ["-connect_all", "false"] });
    expect(await stock.ping(fullName("b"))).toBe("pong");
    await stock.kill();
    await b.kill();
  });

  test("reaches one on a port that is the same everywhere, as with epmdless (--fallback N)", async () => {
    const a = await cluster.node(0, "a");
    const fixed = await plain({ name: "fixed@fixed.test", args: ["-erl_epmd_port", "20777"], epmdPort: 1 });
    expect(await a.ping("fixed@fixed.test")).toBe("pong");
    await fixed.kill();
  });

  test("reaches one that only --node tells of", async () => {
    await cluster.daemon(0).stop();
    await cluster.serve(0, "--node", "listed@anywhere.test=10.90.0.2:20778");
    const a = await cluster.node(0, "a");
    const listed = await plain({ name: "listed@anywhere.test", args: ["-erl_epmd_port", "20778"], epmdPort: 1 });
    expect(await a.ping("listed@anywhere.test")).toBe("pong");
    await listed.kill();
  });

  test("reaches, and connects to, one that only a Nomad service block has published", async () => {
    const args = ["-erl_epmd_port", "20779"];
    const nomad = await plain({ name: fullName("nomad"), args, epmdPort: 1 });
    await cluster.consul.request("PUT", "/v1/agent/service/register", {
      ID: "_nomad-task-1-beam-svc-dist",
      Name: "svc",
      Tags: ["nomad"],
      Address: "10.90.0.2",
      Port: 20779,
    });
    const a = await cluster.node(0, "a", { env: { SRV_EPMD_CONNECT: `*@${HOST}` } });
    await waitForMesh({ a, nomad });
    expect(await a.eval(`srv_epmd:address_please("nomad", "${HOST}", inet)`)).toBe("{ok,{10,90,0,2},20779,6}");
    await nomad.kill();
  });
});

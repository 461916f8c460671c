import { afterEach, beforeAll, expect, test } from "vitest";
import { type Cluster, type ClusterNodeOptions, fullName, startCluster, waitForMesh } from "../support/cluster.js";
import { disconnectAndPing, type Mesh, startMesh } from "../support/mesh.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

const NAMES = ["a", "b", "c"] as const;
type Name = (typeof NAMES)[number];
const boxOf = (name: string) => `rpc:call('${fullName(name)}', os, getenv, ["BOX"])`;
const ALONE = ["-connect_all", "false"];
/** Of a load-balanced upstream; by chance alone all of them would go to one instance once in half a million runs. */
const TRIES = 20;

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
  "nft",
)("in a mesh with one service, and a prepared query for each node", () => {
  let cluster: Cluster;
  let mesh: Mesh;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3, way: "gateway", args: ["--mesh", "--register", "none"] });
    mesh = await startMesh(cluster, { names: NAMES, by: "query" });
  });
  afterEach(() => cluster.killNodes());

  const node = (name: Name, options: ClusterNodeOptions = {}) => {
    const index = NAMES.indexOf(name);
    const args = [...mesh.bound(name), ...(options.args ?? [])];
    return cluster.node(index, name, { ...options, args, env: { BOX: `box${index + 1}` } });
  };

  test.each(["module", "gateway"] as const)("nodes form a full mesh by the way of the %s", async (way) => {
    await mesh.resetPackets();
    const [a, b, c] = await Promise.all([node("a", { way }), node("b", { way }), node("c", { way })]);
    expect([await a.ping(fullName("b")), await a.ping(fullName("c"))]).toEqual(["pong", "pong"]);
    await waitForMesh({ a, b, c });
    const boxes = [await a.eval(boxOf("b")), await b.eval(boxOf("c")), await c.eval(boxOf("a"))];
    expect(boxes).toEqual(['"box2"', '"box3"', '"box1"']);
    const packets = await Promise.all(NAMES.map((name) => mesh.packets(name)));
    expect(packets.map(({ direct }) => direct)).toEqual([0, 0, 0]);
    expect(packets[1]?.proxied).toBeGreaterThan(5);
  });

  test("a denied intention of the service with itself ends new links, and an allowed one lets them again", async () => {
    const [a] = await Promise.all([node("a", { args: ALONE }), node("b", { args: ALONE })]);
    const pings = (answer: string) =>
      waitFor(async () => (await disconnectAndPing(a, fullName("b"))) === answer, { what: answer });
    await pings("pong");
    const allow = await mesh.deny("svc", "svc");
    await pings("pang");
    await allow();
    await pings("pong");
  });

  test("an upstream that is added at run time is found without a restart", async () => {
    await mesh.setUpstreams("a", "b");
    const [a] = await Promise.all([node("a", { args: ALONE }), node("b"), node("c")]);
    await waitFor(async () => (await disconnectAndPing(a, fullName("c"))) === "pang", {
      what: "the end of c's upstream",
    });
    await mesh.setUpstreams("a", "b", "c");
    await waitFor(async () => (await a.ping(fullName("c"))) === "pong", { what: "a link to c" });
    expect(await a.eval(boxOf("c"))).toBe('"box3"');
  });

  test("one upstream for all instances reaches a random one: links to the node that is meant fail by chance", async () => {
    await mesh.balance("a", "caller");
    await cluster.daemon(0).kill();
    await cluster.serve(0, "--upstream-service", "{service}", "--service", "caller");
    const [a] = await Promise.all([node("a", { args: ALONE }), node("b"), node("c")]);
    const answers: string[] = [];
    for (let tries = 0; tries < TRIES; tries++) answers.push(await disconnectAndPing(a, fullName("b")));
    expect(new Set(answers)).toEqual(new Set(["pong", "pang"]));
  });
});

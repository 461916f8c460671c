import { afterEach, beforeAll, expect, test } from "vitest";
import { type Cluster, fullName, HOST, startCluster, waitForMesh } from "../support/cluster.js";
import { startStockEpmd } from "../support/epmd.js";
import { type ErlangNode, waitForNodes } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { findOtp } from "../support/otp.js";
import { requirePeer } from "../support/require-peer.js";

const env = { SRV_EPMD_CONNECT: `*@${HOST}` };

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
)("nodes with SRV_EPMD_CONNECT", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 5 });
  });
  afterEach(() => cluster.killNodes());

  test("are a full mesh 5 s after the last of five came up, in any order, and again after one was replaced", async () => {
    const nodes: Record<string, ErlangNode> = {};
    const start = async (name: string, index: number) => {
      nodes[name] = await cluster.node(index, name, { env });
    };
    // Two at once, one later, two at once: whoever comes later connects to all.
    await Promise.all([start("n4", 3), start("n2", 1)]);
    await start("n5", 4);
    const helper = await cluster.node(2, "rem-00ff-n3", { env });
    await Promise.all([start("n1", 0), start("n3", 2)]);
    const first = await waitForMesh(nodes, 5_000);

    await nodes.n3?.kill();
    await start("n3", 4);
    const again = await waitForMesh(nodes, 5_000);
    expect([first, again].every((ms) => ms < 5_000)).toBe(true);
    expect(await helper.nodes()).toEqual([]);
    // Nothing was lost and nothing is worth a line.
    for (const node of Object.values(nodes)) expect(node.child.stderr()).toBe("");
  });

  test("take several patterns, with commas between them", async () => {
    const patterns = { SRV_EPMD_CONNECT: `b*@${HOST}, c?@svc,c1@${HOST}` };
    const [a] = await Promise.all([
      cluster.node(0, "a", { env: patterns }),
      ...["b1", "c1", "d1"].map((name, index) => cluster.node(index + 1, name)),
    ]);
    await waitForNodes(a, fullName("b1"), fullName("c1"));
    // Longer than between two looks.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect((await a.nodes()).sort()).toEqual([fullName("b1"), fullName("c1")]);
  });

  requirePeer(
    "otp25",
    "otp27",
    "otp29",
  )("of different releases", () => {
    test("are a full mesh too: OTP 25, 27 and 29", async () => {
      const start = (release: number, index: number) => {
        const otp = findOtp(release);
        return cluster.node(index, `otp${release}`, { env, ...(otp && { otp }) });
      };
      const [otp25, otp27, otp29] = await Promise.all([start(25, 0), start(27, 1), start(29, 2)]);
      await waitForMesh({ otp25, otp27, otp29 }, 5_000);
      expect(await otp29.eval("net_adm:names()")).toContain('{"otp29",');
    });
  });

  test("turn less and less often to one that does not let them in", async () => {
    const stranger = await cluster.node(0, "stranger", { cookie: "another" });
    const node = await cluster.node(1, "n1", { env });
    const attempts = () => stranger.child.stdout().match(/Connection attempt from node/g)?.length ?? 0;
    await stranger.child.waitForOutput(/Connection attempt from node/);
    const seen: number[] = [];
    for (const second of [1, 2, 3, 4, 5, 6]) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      seen[second] = attempts();
    }
    // Pauses of 1, 2 and 4 s at least: a try every second would make 6 more.
    expect(attempts(), `attempts after each second: ${seen.join(" ")}`).toBeLessThanOrEqual(3);
    expect(attempts()).toBeGreaterThanOrEqual(2);
    expect(await node.nodes()).toEqual([]);
  });

  test("leave a stock EPMD's answer alone: it lists what lives beside it, whatever was asked", async () => {
    const epmdPort = await freePort();
    const epmd = await startStockEpmd(epmdPort, { netns: cluster.host(0) });
    const beside = await cluster.node(0, "beside", { epmdPort });
    const node = await cluster.node(0, "n1", { epmdPort, env });
    expect(await node.eval(`erl_epmd:names("localhost")`)).toContain('"beside"');
    // Longer than between two looks.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect([await node.nodes(), await beside.nodes()]).toEqual([[], []]);
    expect(node.child.stdout().replaceAll(/^(@@.*)?\n/gm, "") + node.child.stderr()).toBe("");
    await epmd.stop();
  });
});

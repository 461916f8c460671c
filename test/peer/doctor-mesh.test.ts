import { beforeAll, expect, test } from "vitest";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import { examine, untilFails } from "../support/doctor.js";
import { type Mesh, startMesh, waitForListeners } from "../support/mesh.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli } from "../support/srv-epmd.js";

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
  "nft",
)("srv-epmd doctor, in a mesh with a service for each node", () => {
  let cluster: Cluster;
  let mesh: Mesh;
  const IN_MESH = ["--mesh", "--register", "none"];
  const doctor = (...args: readonly string[]) =>
    examine([...IN_MESH, "--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns, ...args], {
      netns: cluster.host(0),
    });

  beforeAll(async () => {
    cluster = await startCluster({ hosts: 2, args: IN_MESH });
    mesh = await startMesh(cluster, { names: ["a", "b"], by: "service" });
    await Promise.all(["a", "b"].map((name, index) => cluster.node(index, name, { args: mesh.bound(name) })));
  });

  test("finds nothing to say of a mesh that works", async () => {
    const { code, of, with: having } = await doctor("b@svc");
    expect([code, having("fail"), having("warn")]).toEqual([0, [], []]);
    expect(of("mesh-upstream").evidence).toBe(`the upstream svc-b listens on 127.0.0.1:${mesh.listener("a", "b")}`);
    expect(of("mesh-intention").evidence).toBe("svc-a may connect to svc-b; svc-b may connect to svc-a");
    expect(of("peer-handshake").evidence).toContain(`is ${fullName("b")}`);
    expect(having("skip")).toEqual(
      expect.arrayContaining(["resolver", "consul-token", "registration", "peer-records"]),
    );
    expect((await doctor()).of("mesh-upstream").result).toBe("ok");
  });

  test("an intention that denies: which direction, and the command that allows it", async () => {
    const allow = await mesh.deny("svc-b", "svc-a");
    const { code, of, with: having } = await doctor("b@svc");
    expect([code, having("fail")]).toEqual([1, ["mesh-intention"]]);
    expect(of("mesh-intention").evidence).toMatch(/^an intention, or the default, does not let svc-b connect to svc-a/);
    expect(of("mesh-intention").advice).toContain("consul intention create -allow svc-b svc-a");
    await allow();
  });

  test("a peer without an upstream: which it should be", async () => {
    const { code, of, with: having } = await doctor("c@svc");
    expect([code, having("fail")]).toEqual([1, ["mesh-upstream"]]);
    expect(of("mesh-upstream").evidence).toContain("no upstream svc-c at svc-a-sidecar-proxy: there are svc-b");
    expect(of("mesh-upstream").advice).toMatch(/upstream with the destination svc-c .*--upstream-service/);
  });

  test("no sidecar at all: that one has to be registered", async () => {
    const { code, of, with: having } = await doctor("b@svc", "--service", "nobody");
    expect([code, having("fail")]).toEqual([1, ["mesh-upstream"]]);
    expect(of("mesh-upstream").evidence).toContain("no sidecar proxy of the nodes here");
    expect(of("mesh-upstream").advice).toContain("sidecar_service");
  });

  test("the proxy of the peer does not run: its machine refuses, ours takes the connection and hangs up", async () => {
    const [, second] = mesh.proxies;
    await second?.kill();
    const { code, of } = await doctor("b@svc");
    expect(code).toBe(1);
    expect(of("mesh-upstream").result).toBe("ok");
    expect(of("peer-handshake").result).toBe("fail");
    expect(of("peer-handshake").advice).toContain("see that the VM runs");
  });

  test("a sidecar that is not started: nothing listens where its upstream should be", async () => {
    const listener = mesh.listener("a", "b");
    await waitForListeners(cluster.host(0), [listener]);
    await mesh.proxies[0]?.kill();
    const { code, of, with: having } = await untilFails("mesh-upstream", () => doctor("b@svc"));
    expect([code, having("fail")]).toEqual([1, ["peer-tcp", "mesh-upstream"]]);
    expect(of("mesh-upstream").evidence).toContain(`nothing listens on 127.0.0.1:${listener}`);
    expect(of("mesh-upstream").advice).toMatch(/consul connect proxy -sidecar-for .*connect-proxy-<service>/);
    expect(of("peer-tcp").advice).toBe("see mesh-upstream");
    const { code: resolved, stdout } = await runCli(
      ["resolve", "b@svc", "--mesh", "--trace", "--probe", "--consul", cluster.consul.socketUrl],
      { netns: cluster.host(0) },
    );
    expect([resolved, stdout]).toEqual([1, expect.stringContaining("nothing listens there")]);
  });
});

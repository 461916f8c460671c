import { beforeAll, describe, expect, test } from "vitest";
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
    cluster = await startCluster({ hosts: 2, args: [...IN_MESH, "--admin", "127.0.0.1:9369"] });
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

  test("an intention that denies the way there: the connection that ends without a word is explained by it", async () => {
    const allow = await mesh.deny("svc-a", "svc-b");
    const { code, of, with: having } = await untilFails("peer-handshake", () => doctor("b@svc"));
    await allow();
    expect([code, having("fail")]).toEqual([1, ["peer-handshake", "mesh-intention"]]);
    expect(of("peer-handshake").evidence).toMatch(
      /svc-b .* ends it without a word; .*does not let svc-a connect to svc-b$/,
    );
    expect(of("peer-handshake").advice).toMatch(/^allow it: consul intention create -allow svc-a svc-b;/);
  });

  describe("in an allocation, with Nomad's variables and no Consul agent", () => {
    /** Both spellings, as Nomad sets them, and variables for what serve has as arguments. */
    const examineTask = (env: Readonly<Record<string, string>>, ...args: readonly string[]) => {
      const at = `127.0.0.1:${mesh.listener("a", "b")}`;
      const nomad = {
        ...{ NOMAD_ALLOC_ID: "5a3b0c11-1111-2222-3333-444455556666", NOMAD_JOB_ID: "shop", NOMAD_TASK_NAME: "epmd" },
        ...{ "NOMAD_UPSTREAM_ADDR_svc-b": at, NOMAD_UPSTREAM_ADDR_svc_b: at },
        ...{ NOMAD_PORT_connect_proxy_svc_a: "20001", NOMAD_IP_connect_proxy_svc_a: "10.90.0.1" },
        // The shell that enters the namespace passes on names of word characters alone.
        NOMAD_ALLOC_IP_connect_proxy_svc_a: "172.26.64.3",
      };
      return examine(args, { netns: cluster.host(0), env: { ...nomad, SRV_EPMD_DOMAIN: HOST, ...env } });
    };
    const inTask = (...args: readonly string[]) =>
      examineTask({ SRV_EPMD_MESH: "true", SRV_EPMD_REGISTER: "none" }, ...args);

    test("nothing fails that a mesh does not need, and each upstream is told once", async () => {
      const { code, of, with: having } = await inTask("b@svc");
      expect([code, having("fail"), having("warn")]).toEqual([0, [], []]);
      for (const check of ["resolver", "consul-agent", "registration-dns", "port-mapping"]) {
        expect(of(check)).toMatchObject({
          result: "skip",
          evidence: expect.stringContaining("does not apply in a mesh"),
        });
      }
      expect(of("mesh-intention").evidence).toMatch(
        /such as the client, ask; consul intention check svc-a svc-b; consul intention check svc-b svc-a$/,
      );
      expect(of("nomad-task").evidence).toMatch(
        /^task epmd of allocation 5a3b0c11 of the job shop; on the client 10\.90\.0\.1 /,
      );
      const alone = await inTask();
      expect(alone.of("mesh-upstream").evidence).toMatch(
        new RegExp(`^the upstream svc[-_]b listens on 127\\.0\\.0\\.1:${mesh.listener("a", "b")}$`),
      );
      expect([alone.code, alone.with("fail"), alone.with("warn")]).toEqual([0, [], []]);
    });

    test("a denied intention: intentions come first, with the question to ask on the client", async () => {
      const allow = await mesh.deny("svc-a", "svc-b");
      const { code, of, with: having } = await untilFails("peer-handshake", () => inTask("b@svc"));
      await allow();
      expect([code, having("fail")]).toEqual([1, ["peer-handshake"]]);
      expect(of("peer-handshake").evidence).toMatch(
        /the upstream svc-b \(.*the sidecar proxy here accepts .* without a word$/,
      );
      expect(of("peer-handshake").advice).toMatch(
        /^probably an intention denies it: ask on the client, .*consul intention check svc-a svc-b; if Consul says Denied: consul intention create -allow svc-a svc-b; /,
      );
    });

    test("without options: it has those of serve", async () => {
      const { code, of, with: having, stderr } = await examineTask({}, "b@svc");
      expect([code, having("fail"), having("warn")]).toEqual([0, [], []]);
      expect(of("serve-options").evidence).toContain("the srv-epmd here has the same");
      expect(stderr).toMatch(/with the settings of .* --mesh(?! true)/);
    });

    test("with other ones by hand: what nodes behind upstreams do not need is no fault, and what serve has is told", async () => {
      const other = { SRV_EPMD_MESH: "false", SRV_EPMD_REGISTER: "consul", SRV_EPMD_DNS: "127.0.0.1:9" };
      const { code, of, with: having } = await examineTask(other, "b@svc");
      expect([code, having("fail")]).toEqual([0, []]);
      expect(having("warn")).toEqual(expect.arrayContaining(["serve-options", "resolver", "consul-agent"]));
      expect(of("serve-options").advice).toContain("SRV_EPMD_MESH=true SRV_EPMD_REGISTER=none");
      expect(of("resolver").advice).toMatch(/^no node that is behind an upstream needs it: .*SRV_EPMD_MESH=true/);
    });
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
    expect(of("peer-handshake").evidence).toContain("intentions allow it");
    expect(of("peer-handshake").advice).toMatch(
      /^see that the proxy of svc-b runs .*; see that a VM listens behind it/,
    );
  });

  test("a sidecar that is not started: nothing listens where its upstream should be", async () => {
    const listener = mesh.listener("a", "b");
    await waitForListeners(cluster.host(0), [listener]);
    await mesh.proxies[0]?.kill();
    const { code, of, with: having } = await untilFails("mesh-upstream", () => doctor("b@svc"));
    expect([code, having("fail")]).toEqual([1, ["peer-tcp", "mesh-upstream"]]);
    expect(of("mesh-upstream").evidence).toContain(`nothing listens on 127.0.0.1:${listener}`);
    expect(of("mesh-upstream").advice).toMatch(/consul connect proxy -sidecar-for .*connect-proxy-<service>/);
    expect(of("peer-tcp")).toMatchObject({ code: "PEER_REFUSED", follows: "UPSTREAM_CLOSED" });
    const { code: resolved, stdout } = await runCli(
      ["resolve", "b@svc", "--mesh", "--trace", "--probe", "--consul", cluster.consul.socketUrl],
      { netns: cluster.host(0) },
    );
    expect([resolved, stdout]).toEqual([1, expect.stringContaining("nothing listens there")]);
  });
});

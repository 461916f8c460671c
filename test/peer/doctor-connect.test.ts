import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { aclToken } from "../support/acl-token.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine, untilFails } from "../support/doctor.js";
import { freePort } from "../support/free-port.js";
import { requirePeer } from "../support/require-peer.js";

const LOCAL = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"];

requirePeer(
  "erl",
  "consul",
  "netns",
)("doctor where nodes are ends of Consul Connect", () => {
  let cluster: Cluster;
  const ADMIN = "127.0.0.1:9369";
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 2, native: true, args: ["--admin", ADMIN] });
  });
  afterEach(() => cluster.killNodes());

  const doctor = ({ node = [] as readonly string[], env = {} } = {}) => {
    const settings = ["--domain", "svc", "--consul", cluster.consul.socketUrl, "--dns", cluster.dns];
    return examine([...node, ...settings, "--connect-native"], { netns: cluster.host(0), env });
  };
  const two = async (args: readonly string[] = LOCAL) => {
    await Promise.all([cluster.node(0, "node_a", { args }), cluster.node(1, "node_b", { args })]);
    await cluster.whenPublished("node_a", "node_b");
  };

  test("says that an intention denies it, which explains that nobody gets in", async () => {
    await two();
    const intention = { SourceName: "svc", DestinationName: "svc", SourceType: "consul", Action: "deny" };
    const { body } = await cluster.consul.request("POST", "/v1/connect/intentions", intention);
    const { of } = await untilFails("peer-handshake", () => doctor({ node: ["node_b@svc"] }));
    expect(of("peer-handshake")).toMatchObject({ code: "PEER_CONNECT", follows: "INTENTION_DENIES" });
    expect(of("mesh-intention").advice).toContain("consul intention create -allow");
    await cluster.consul.request("DELETE", `/v1/connect/intentions/${(body as { ID: string }).ID}`);
  });

  test("warns of a VM that other machines reach past Connect", async () => {
    await two([]);
    expect((await doctor()).of("vm-listens")).toMatchObject({
      ...{ result: "warn", code: "VM_OPEN", advice: expect.stringContaining("inet_dist_use_interface '{127,0,0,1}'") },
    });
  });

  test("takes the port for callers, not that of the VM, for the one that Nomad has to map", async () => {
    await two();
    const { body } = await cluster.consul.request("GET", "/v1/health/service/svc?tag=node_a");
    const port = (body as { Service: { Port: number } }[])[0]?.Service.Port;
    const mapped = { NOMAD_IP_dist: "10.90.0.1", NOMAD_HOST_IP_dist: "10.90.0.1", NOMAD_HOST_PORT_dist: "30001" };
    const env = { ...mapped, NOMAD_ALLOC_IP_dist: "172.26.64.5", NOMAD_PORT_dist: String(port) };
    expect((await doctor({ env })).of("port-mapping")).toMatchObject({
      ...{ result: "ok", evidence: expect.stringMatching(`^node_a: port ${port} here is 10.90.0.1:30001`) },
    });
    const elsewhere = { ...env, NOMAD_PORT_dist: String(Number(port) ^ 1) };
    expect((await doctor({ env: elsewhere })).of("port-mapping")).toMatchObject({
      ...{
        result: "fail",
        code: "PORT_UNMAPPED",
        evidence: expect.stringContaining(`callers are taken at port ${port}`),
      },
    });
  });

  test("says that the relay process is gone", async () => {
    await two();
    expect((await doctor()).of("connect-relay")).toMatchObject({ result: "ok" });
    await cluster.relay(0).kill();
    const { of } = await untilFails("connect-relay", () => doctor({ node: ["node_b@svc"] }));
    expect(of("connect-relay").evidence).toContain("the relay process does not answer");
  });
});

requirePeer("consul")("doctor where the token may not have the certificate", () => {
  let consul: Consul;
  beforeAll(async () => {
    consul = await startConsul({ acl: true });
  });
  afterAll(() => consul?.stop());

  describe("connect-certificate", () => {
    const doctor = async (rules: string) => {
      const token = await aclToken(consul, rules);
      const options = ["--domain", "svc", "--consul", consul.url, "--dns", `127.0.0.1:${consul.dnsPort}`];
      return examine([...options, "--connect-native", "--port", String(await freePort())], {
        env: { CONSUL_HTTP_TOKEN: token },
      });
    };

    test("names the right that is missing", async () => {
      expect((await doctor('service "svc" { policy = "read" }')).of("connect-certificate")).toMatchObject({
        ...{ result: "fail", code: "CONNECT_NO_CERTIFICATE" },
        evidence: expect.stringContaining("there is no certificate for svc"),
        advice: 'give the token the right: service "svc" { policy = "write" }',
      });
    });

    test("is content with what publishing needs", async () => {
      expect((await doctor('service "svc" { policy = "write" }')).of("connect-certificate")).toMatchObject({
        ...{ result: "ok", evidence: expect.stringMatching(/that of spiffe:\/\/.*\/svc\/svc, valid until 2/) },
      });
    });
  });
});

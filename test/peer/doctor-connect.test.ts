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

  const doctor = (...args: readonly string[]) =>
    examine(
      [...args, "--domain", "svc", "--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--connect-native"],
      {
        netns: cluster.host(0),
      },
    );
  const two = async (args: readonly string[] = LOCAL) => {
    await Promise.all([cluster.node(0, "node_a", { args }), cluster.node(1, "node_b", { args })]);
    await cluster.whenPublished("node_a", "node_b");
  };

  test("says that an intention denies it, which explains that nobody gets in", async () => {
    await two();
    const intention = { SourceName: "svc", DestinationName: "svc", SourceType: "consul", Action: "deny" };
    const { body } = await cluster.consul.request("POST", "/v1/connect/intentions", intention);
    const { of } = await untilFails("peer-handshake", () => doctor("node_b@svc"));
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

  test("says that the relay process is gone", async () => {
    await two();
    expect((await doctor()).of("connect-relay")).toMatchObject({ result: "ok" });
    await cluster.relay(0).kill();
    const { of } = await untilFails("connect-relay", () => doctor("node_b@svc"));
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

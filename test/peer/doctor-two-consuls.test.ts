import { beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine } from "../support/doctor.js";
import { startNode } from "../support/erlang.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("srv-epmd doctor, about two Consul clusters that do not know each other", () => {
  let hosts: readonly [Host, Host];
  let third: Host;
  let consuls: readonly [Consul, Consul];
  /** @param dns whose DNS is asked */
  const doctor = (agent: 0 | 1, dns: 0 | 1, node: string) => {
    const [{ socketUrl }, { dnsPort }] = [consuls[agent], consuls[dns]];
    const at = `10.93.0.${dns + 1}:${dnsPort}`;
    return examine(["--domain", "svc", "--consul", socketUrl, "--dns", at, node], { netns: hosts[0] });
  };

  beforeAll(async () => {
    const { hosts: made } = await createHosts([1, 2, 3].map((last) => ({ addresses: [`10.93.0.${last}/24`] })));
    [hosts, third] = [made as unknown as [Host, Host], made[2] as Host];
    const start = (index: 0 | 1, datacenter: string) => {
      const bind = `10.93.0.${index + 1}`;
      const config = { datacenter, client_addr: `127.0.0.1 ${bind}` };
      return startConsul({ netns: hosts[index], bind, config, usualPorts: true });
    };
    consuls = await Promise.all([start(0, "ams1"), start(1, "fra1")]);
    for (const index of [0, 1] as const) {
      const args = ["--domain", "svc", "--consul", consuls[index].socketUrl, "--dns", `10.93.0.${index + 1}:8600`];
      await startDaemon({ port: 4369, netns: hosts[index], args });
      await startNode({ name: `node_${"ab"[index]}@svc.service.consul`, netns: hosts[index] });
    }
    await waitFor(
      async () => {
        const lists = await Promise.all(consuls.map((one) => one.request("GET", "/v1/health/service/svc?passing=1")));
        return lists.every(({ body }) => (body as unknown[]).length === 1);
      },
      { what: "each node in its Consul" },
    );
  });

  test("one for agent and DNS is right, and a node of the other is not there: which Consul is here", async () => {
    const { code, of, with: having } = await doctor(0, 0, "node_b@svc");
    expect([code, having("fail")]).toEqual([1, ["peer-records"]]);
    expect(of("consul-cluster").result).toBe("ok");
    expect(of("peer-records").evidence).toMatch(/the Consul here: the leader of ams1 is 10\.93\.0\.1:8300$/);
    // What is ok there is shown with --all alone.
    expect(of("peer-records").advice).toMatch(
      /run srv-epmd doctor --all on its machine: .*consul-leader whether that agent belongs to this Consul/,
    );
  });

  test("the agent of one and the DNS of the other: datacenter and leader of each side, once", async () => {
    const { code, of } = await doctor(0, 1, "node_c@svc");
    expect([code, of("consul-cluster").code]).toEqual([1, "CONSUL_TWO_CLUSTERS"]);
    expect(of("consul-cluster").evidence).toMatch(
      /; the Consul here: the leader of ams1 is 10\.93\.0\.1:8300; the Consul of the name servers: the leader of fra1 is 10\.93\.0\.2:8300$/,
    );
    expect(of("peer-records").follows).toBe("CONSUL_TWO_CLUSTERS");
    expect(of("registration-dns").follows).toBe("CONSUL_TWO_CLUSTERS");
  });

  test("the other one answers DNS alone: its datacenter and server, what was not told, and the command to run there", async () => {
    await hosts[1].run("nft", "add table ip closed; add chain ip closed in { type filter hook input priority 0; }");
    await hosts[1].run("nft", 'add rule ip closed in iifname "eth0" tcp dport 8500 reject');
    const { of } = await doctor(0, 1, "node_c@svc");
    // An agent whose DNS is open has its HTTP API open as well, unless somebody wants it otherwise.
    const client = await startConsul({
      ...{ netns: third, bind: "10.93.0.3", node: "client", usualPorts: true, join: consuls[1] },
      config: { datacenter: "fra1" },
    });
    const flags = ["--domain", "svc", "--consul", consuls[0].socketUrl, "--dns", "10.93.0.3:8600"];
    const byClient = await examine(flags, { netns: hosts[0] });
    await client.stop();
    await hosts[1].run("nft", "delete table ip closed");
    expect(byClient.of("consul-cluster").evidence).toContain(
      "the Consul of the name servers: the leader of fra1 is 10.93.0.2:8300",
    );
    expect(of("consul-cluster").evidence).toMatch(
      /; the Consul of the name servers: the only server of fra1 is 10\.93\.0\.2, by its DNS; .* no HTTP API on port 8500 of 10\.93\.0\.2 tells it\.$/,
    );
    expect(of("consul-cluster").advice).toMatch(/; on 10\.93\.0\.2, consul operator raft list-peers names the leader/);
  });
});

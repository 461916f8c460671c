import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { cleanEnvironment } from "../support/environment.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, type Daemon, runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const DATACENTERS = ["dc1", "dc2"] as const;
type Datacenter = (typeof DATACENTERS)[number];
const LOCAL = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-connect_all", "false"];

/** A machine of each datacenter, with an agent of its own. Nodes are named with their datacenter. */
requirePeer(
  "erl",
  "consul",
  "netns",
)("native ends of Consul Connect in two datacenters with one CA", () => {
  const machines = {} as Record<Datacenter, { readonly host: Host; readonly consul: Consul; readonly daemon: Daemon }>;
  const node = async (datacenter: Datacenter, name: string): Promise<ErlangNode> => {
    const args = [...LOCAL, "-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    return startNode({ name: fullName(name, datacenter), netns: machines[datacenter].host, args });
  };
  const fullName = (name: string, datacenter: Datacenter) => `${name}@svc.service.${datacenter}.consul`;
  const environment = (datacenter: Datacenter) => ({
    SRV_EPMD_DOMAIN: `svc.service.${datacenter}.consul`,
    SRV_EPMD_CONSUL: machines[datacenter].consul.socketUrl,
    SRV_EPMD_DNS: `${machines[datacenter].host.ipv4}:${machines[datacenter].consul.dnsPort}`,
    SRV_EPMD_CONNECT_NATIVE: "true",
  });

  beforeAll(async () => {
    const sockets = await temporaryFolder("relay");
    const { hosts } = await createHosts(
      DATACENTERS.map((name, index) => ({ addresses: [`10.91.0.${index + 1}/24`], hostname: name })),
    );
    let first: Consul | undefined;
    for (const [index, name] of DATACENTERS.entries()) {
      const host = hosts[index] as Host;
      const { ipv4 = "" } = host;
      const datacenter = { name, primary: "dc1", ...(first && { joinWan: first }) };
      const config = { client_addr: `127.0.0.1 ${ipv4}` };
      const consul: Consul = await startConsul({ bind: ipv4, netns: host, datacenter, config });
      first ??= consul;
      const socket = join(sockets, `${name}.sock`);
      const flags = ["relay", "--relay-socket", socket, "--log-format", "json"];
      const relay = startChild(process.execPath, [BIN, ...flags], { env: cleanEnvironment(), netns: host });
      await relay.waitForOutput(/"ready"/);
      const leaf = async () => (await consul.request("GET", "/v1/agent/connect/ca/leaf/svc")).status === 200;
      await waitFor(leaf, { what: `a certificate in ${name}`, timeout: 30_000 });
      machines[name] = { host, consul, daemon: undefined as unknown as Daemon };
      const args = ["--relay-socket", socket, "--advertise-address", ipv4, "--ttl", "3s"];
      const daemon = await startDaemon({ port: 4369, netns: host, args, env: environment(name) });
      machines[name] = { host, consul, daemon };
    }
  }, 90_000);

  test("nodes of each reach those of the other, and whoever shows the certificate of another datacenter is refused", async () => {
    const [a, b] = await Promise.all([node("dc1", "node_a"), node("dc2", "node_b")]);
    const [nameOfA, nameOfB] = [fullName("node_a", "dc1"), fullName("node_b", "dc2")];
    await waitFor(async () => (await a.ping(nameOfB)) === "pong", { what: "the link to dc2", timeout: 20_000 });
    expect(await a.eval(`rpc:call('${nameOfB}', erlang, node, [], 2000)`)).toBe(`'${nameOfB}'`);
    expect(await b.eval(`erlang:disconnect_node('${nameOfA}')`)).toBe("true");
    await waitFor(async () => (await b.ping(nameOfA)) === "pong", { what: "the link to dc1", timeout: 20_000 });
    const { stdout } = await runCli(["resolve", nameOfB, "--probe"], {
      ...{ netns: machines.dc1.host, env: environment("dc1") },
    });
    expect(stdout).toMatch(/certificate of spiffe:\/\/[^/]+\/ns\/default\/dc\/dc2\/svc\/svc/);

    // An entry of dc2 that leads to a node of dc1.
    const { body } = await machines.dc1.consul.request("GET", "/v1/health/service/svc?passing=1");
    const [{ Service }] = body as [{ Service: { Port: number; Meta: object } }];
    await machines.dc2.consul.request("PUT", "/v1/agent/service/register", {
      ...{ ID: "elsewhere", Name: "svc", Tags: ["node_a"], Address: machines.dc1.host.ipv4, Port: Service.Port },
      ...{ Connect: { Native: true }, Meta: Service.Meta },
    });
    const elsewhere = fullName("node_a", "dc2");
    await waitFor(
      async () =>
        (await runCli(["resolve", elsewhere], { netns: machines.dc1.host, env: environment("dc1") })).code === 0,
      { what: "the entry in dc2" },
    );
    const c = await node("dc1", "node_c");
    expect(await c.ping(elsewhere)).toBe("pang");
    await machines.dc1.daemon.waitForLog(
      ({ error }) => /is that of spiffe:.*\/dc\/dc1\/svc\/svc, not of svc in dc2/.test(String(error)),
      "why",
    );
  }, 60_000);
});

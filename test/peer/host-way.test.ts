import { afterAll, beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { startStockEpmd } from "../support/epmd.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";

/** Machine A with srv-epmd, machine B with a stock VM, and behind a port mapping of A a place that B has no route to. */
const A = "10.79.0.1";
const B = "10.79.0.2";
const GATEWAY = "172.20.79.1";
const INNER = "172.20.79.2";
const MAPPED_PORT = 20001;
const INNER_PORT = 9100;

requirePeer(
  "erl",
  "epmd",
  "consul",
  "nft",
  "netns",
)("a stock VM on another machine", () => {
  let made: Hosts;
  let consul: Consul;
  let daemon: Daemon;
  let client: ErlangNode;
  let inner: ErlangNode;

  beforeAll(async () => {
    made = await createHosts([
      { addresses: [`${A}/24`, `${GATEWAY}/24`] },
      { addresses: [`${B}/24`] },
      { addresses: [`${INNER}/24`] },
    ]);
    const [a, b, behind] = made.hosts as [Host, Host, Host];
    await a.run("sysctl", "-qw", "net.ipv4.ip_forward=1");
    await a.run("nft", "add table ip nat; add chain ip nat prerouting { type nat hook prerouting priority dstnat; }");
    await a.run(
      "nft",
      `add rule ip nat prerouting ip daddr ${A} tcp dport ${MAPPED_PORT} dnat to ${INNER}:${INNER_PORT}`,
    );
    await behind.run("ip", "route", "add", "default", "via", GATEWAY);
    const dist = ["-kernel", "inet_dist_listen_min", String(INNER_PORT), "inet_dist_listen_max", String(INNER_PORT)];
    const started = startConsul({ netns: a, bind: A });
    await Promise.all([b, behind].map((netns) => startStockEpmd(4369, { netns })));
    [client, inner] = await Promise.all([
      startNode({ name: `b@${B}`, netns: b }),
      startNode({ name: `n1@${A}`, netns: behind, args: dist }),
    ]);
    consul = await started;
    await register("n1", A, MAPPED_PORT);
    daemon = await startDaemon({
      port: 4369,
      netns: a,
      args: [
        "--log-level",
        "debug",
        "--listen",
        A,
        "--domain",
        "svc",
        "--dns",
        `127.0.0.1:${consul.dnsPort}`,
        "--consul",
        consul.url,
      ],
    });
  });
  afterAll(() => made.remove());

  const register = (name: string, address: string, port: number) =>
    consul.request("PUT", "/v1/agent/service/register", {
      ID: `svc-${name}-${port}`,
      Name: "svc",
      Tags: [name],
      Address: address,
      Port: port,
    });
  const refusalOf = (name: string) =>
    daemon.waitForLog(
      (line) => line.msg === "node not found" && String(line.node).startsWith(name),
      `refusal of ${name}`,
    );

  test("reaches a node behind a mapped port of the machine it asks", async () => {
    expect(await client.ping(`n1@${A}`)).toBe("pong");
    expect(await inner.nodes()).toEqual([`b@${B}`]);
    const address = await client.eval(
      `{ok, Info} = net_kernel:node_info('n1@${A}'), {net_address, Address, _, _, _} = proplists:get_value(address, Info), Address`,
    );
    expect(address).toBe(`{{10,79,0,1},${MAPPED_PORT}}`);
  });

  test("reaches a node that is registered on the machine it asks", async () => {
    const local = await startNode({ name: `local@${A}`, netns: made.hosts[0] as Host });
    expect(await client.ping(`local@${A}`)).toBe("pong");
    await local.kill();
  });

  test("is told nothing of a node on a third machine, and the log says where that is", async () => {
    await register("n2", "10.79.0.3", 20002);
    expect(await client.ping(`n2@${A}`)).toBe("pang");
    const line = await refusalOf("n2");
    expect(line.reason).toContain(`10.79.0.3:20002`);
    expect(line.reason).toContain(`this client would dial ${A}`);
  });

  test("gets the port on the machine it asks of a node that has instances on both", async () => {
    await register("n1", "10.79.0.3", 20003);
    expect(await client.eval(`erlang:disconnect_node('n1@${A}')`)).toBe("true");
    const ports = `[element(2, erl_epmd:port_please("n1", {10,79,0,1})) || _ <- lists:seq(1, 12)]`;
    expect(await client.eval(`lists:usort(${ports})`)).toBe(`[${MAPPED_PORT}]`);
    expect(await client.ping(`n1@${A}`)).toBe("pong");
  });

  test("is told nothing of a name that nobody has", async () => {
    const startedAt = performance.now();
    expect(await client.ping(`nobody@${A}`)).toBe("pang");
    const took = Math.round(performance.now() - startedAt);
    expect(took, `pang after ${took} ms`).toBeLessThan(1_000);
    expect((await refusalOf("nobody")).reason).toContain("nobody.svc.service.consul has no SRV record");
  });
});

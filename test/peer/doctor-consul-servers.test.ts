import { afterAll, beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine, untilFails } from "../support/doctor.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

const [SERVER, CLIENT] = ["10.62.0.1", "10.62.0.3"];

requirePeer(
  "consul",
  "netns",
  "nft",
)("srv-epmd doctor, about an agent of Consul whose servers do not answer it", () => {
  let hosts: readonly Host[];
  let server: Consul;
  let client: Consul;

  const look = () =>
    examine(["--domain", "svc", "--consul", client.socketUrl, "--dns", `${CLIENT}:8600`], {
      netns: hosts[1] as Host,
    });
  /** Rules for what the agent sends to the port of the servers. */
  const output = async (rule?: string) => {
    const [, host] = hosts;
    await host?.run("nft", "add table ip cut; add chain ip cut out { type filter hook output priority 0; }");
    await host?.run("nft", "flush chain ip cut out");
    if (rule !== undefined) await host?.run("nft", `add rule ip cut out tcp dport 8300 ${rule}`);
  };

  beforeAll(async () => {
    ({ hosts } = await createHosts([SERVER, CLIENT].map((address) => ({ addresses: [`${address}/24`] }))));
    const [one, other] = hosts as [Host, Host];
    server = await startConsul({ netns: one, bind: SERVER, node: "box1", usualPorts: true });
    client = await startConsul({ netns: other, bind: CLIENT, node: "box3", usualPorts: true, join: server });
  });
  afterAll(async () => {
    await client.kill();
  });

  test("a connection that is refused: this server is not reached from here, and not that there is no leader", async () => {
    await output("reject with tcp reset");
    const { of } = await untilFails("consul-leader", look);
    expect(of("consul-agent").result).toBe("ok");
    expect(of("consul-leader")).toMatchObject({
      code: "CONSUL_NO_SERVER",
      evidence: expect.stringMatching(
        /^Consul's agent here does not reach its server box1 \(10\.62\.0\.1:8300\): connection refused; others may see/,
      ),
      advice: expect.stringMatching(
        /^see that the Consul server runs on box1 .* no firewall rejects TCP port 8300: nft/,
      ),
    });
  });

  test("packets that are dropped: the agent answers what it knows by itself, so it does not hang", async () => {
    await output("drop");
    const { of } = await untilFails("consul-agent", look);
    expect(of("consul-agent")).toMatchObject({
      code: "CONSUL_NO_SERVER",
      evidence: expect.stringMatching(/ answers what the agent knows by itself, .*; it knows the servers box1 \(10/),
      advice: expect.stringMatching(/^see that the Consul server of box1 runs, .*: ping 10\.62\.0\.1; ip route get/),
    });
  });

  test("a server that has ended: it is named, and not that the agent is to join one", async () => {
    await output();
    await server.kill();
    // Gossip tells it some seconds later.
    const found = await waitFor(
      async () => {
        const leader = (await look()).of("consul-leader");
        return leader.evidence.includes("(10.62.0.1) failed") && leader;
      },
      { what: "the server to be known as failed", timeout: 40_000 },
    );
    expect(found).toMatchObject({
      code: "CONSUL_NO_SERVER",
      evidence: expect.stringMatching(
        /^Consul's agent here does not reach its servers: box1 \(10\.62\.0\.1\) failed \(No known/,
      ),
      advice: expect.stringMatching(/^see that the Consul server of box1 runs/),
    });
    expect(found.advice).not.toContain("consul join");
  });
});

requirePeer("consul")("srv-epmd doctor, with Consul servers that have no leader", () => {
  test("says so, which server is missing, and what brings a leader back", async () => {
    const first = await startConsul({ node: "first" });
    const second = await startConsul({ join: first, node: "second", config: { server: true } });
    await first.kill();
    const flags = ["--domain", "svc", "--consul", second.url, "--dns", `127.0.0.1:${second.dnsPort}`];
    const examined = await untilFails("consul-leader", () => examine(flags), 30_000);
    await second.kill();
    expect(examined.of("consul-agent").result).toBe("ok");
    expect(examined.of("consul-leader")).toMatchObject({
      code: "CONSUL_NO_LEADER",
      advice: expect.stringContaining("a majority of the servers"),
    });
  });
});

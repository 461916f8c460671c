import { beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine } from "../support/doctor.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const nodeName = (aliveName: string) => `${aliveName}@svc.service.consul`;

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("srv-epmd doctor, about a machine that is gone while a link to it stands", () => {
  let hosts: readonly [Host, Host];
  let consuls: readonly [Consul, Consul];
  let here: ErlangNode;

  beforeAll(async () => {
    const { hosts: made } = await createHosts([1, 2].map((last) => ({ addresses: [`10.63.0.${last}/24`] })));
    hosts = made as unknown as [Host, Host];
    const common = (index: 0 | 1) => {
      return { netns: hosts[index], bind: `10.63.0.${index + 1}`, node: `box${index + 1}`, usualPorts: true };
    };
    const server = await startConsul(common(0));
    consuls = [server, await startConsul({ ...common(1), join: server })];
    const nodes: ErlangNode[] = [];
    const module = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    for (const index of [0, 1] as const) {
      const args = ["--domain", "svc", "--consul", consuls[index].socketUrl, "--dns", `10.63.0.${index + 1}:8600`];
      await startDaemon({ port: 4369, netns: hosts[index], args: [...args, "--admin", "127.0.0.1:9369"] });
      nodes.push(await startNode({ name: nodeName(`node_${"ab"[index]}`), netns: hosts[index], args: module }));
    }
    here = nodes[0] as ErlangNode;
    await waitFor(async () => (await here.ping(nodeName("node_b"))) === "pong", { what: "the link", timeout: 20_000 });
  });

  test("the octets that stand on the link follow from Consul's servers not reaching its agent", async () => {
    await hosts[1].run("nft", "add table ip gone; add chain ip gone in { type filter hook input priority 0; }");
    await hosts[1].run("nft", 'add rule ip gone in iifname "eth0" drop');
    await here.eval(`erlang:send({nobody, '${nodeName("node_b")}'}, x), ok`);
    const examined = await waitFor(
      async () => {
        const one = await examine(["--admin", "127.0.0.1:9369", "node_b@svc"], { netns: hosts[0] });
        const isCritical = one.of("peer-records").code === "PEER_CRITICAL";
        return isCritical && one.of("vm-links").result === "warn" && one;
      },
      { what: "the machine to be known as gone", timeout: 60_000 },
    );
    expect(examined.of("peer-records").advice).toContain("see that the machine is up");
    expect(examined.of("vm-links")).toMatchObject({
      ...{ code: "LINK_STUCK", follows: "PEER_CRITICAL" },
      evidence: expect.stringMatching(/; nothing answers at 10\.63\.0\.2:4369 either$/),
      advice: expect.stringMatching(
        /^see that the machine of 10\.63\.0\.2 runs, and that it is reached from here: ping/,
      ),
    });
  });
});

import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { bestOf } from "../support/best-of.js";
import { startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { startStockEpmd } from "../support/epmd.js";
import { startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const GATEWAY_ADDRESS = "127.64.7.7";
const DIST_PORT = 9100;
const distPort = (port: number) => ["-kernel", "inet_dist_listen_min", `${port}`, "inet_dist_listen_max", `${port}`];

/** The name server is silent and the second machine drops IPv6: what is known must do. */
requirePeer(
  "erl",
  "erlc",
  "epmd",
  "nft",
  "netns",
)("nodes that are known without DNS", () => {
  let here: Host;

  beforeAll(async () => {
    const { hosts } = await createHosts([
      {
        addresses: ["10.91.0.1/24", "fd91::1/64"],
        hostname: "box1",
        hosts: ["10.91.0.1 box1", "10.91.0.2 box2 db.internal", `${GATEWAY_ADDRESS} svc.test`],
        resolvConf: "nameserver 10.91.0.2\n",
      },
      { addresses: ["10.91.0.2/24", "fd91::2/64"], hostname: "box2", hosts: ["10.91.0.2 box2 db.internal"] },
    ]);
    const there = hosts[1] as Host;
    here = hosts[0] as Host;
    await there.run("nft", "add table inet drops; add chain inet drops in { type filter hook input priority filter; }");
    for (const dropped of ["udp dport 53", "tcp dport 53", "meta nfproto ipv6 tcp dport 1-65535"]) {
      await there.run("nft", `add rule inet drops in iifname eth0 ${dropped} drop`);
    }
    await Promise.all([startStockEpmd(4369, { netns: there }), startStockEpmd(4370, { netns: here })]);
    const relaySocket = join(await temporaryFolder("relay"), "relay.sock");
    const relay = startChild(process.execPath, [BIN, "relay", "--relay-socket", relaySocket, "--log-format", "json"], {
      env: cleanEnvironment(),
      netns: here,
    });
    await relay.waitForOutput(/"ready"/);
    await Promise.all([
      startNode({ sname: "mq", netns: there, args: distPort(DIST_PORT) }),
      startNode({ name: "b@db.internal", netns: there }),
      startNode({ name: "ag@127.0.0.1", netns: here, epmdPort: 4370, args: distPort(55_001) }),
      startNode({ name: "x@svc.test", netns: there, args: distPort(9_101) }),
      startDaemon({
        port: 4369,
        netns: here,
        args: [
          ...["--fallback", "epmd", "--node", "ag@127.0.0.1=127.0.0.1:55001"],
          ...["--node", "x@svc.test=[fd91::2]:9101", "--node", "x@svc.test=10.91.0.2:9101"],
          ...["--gateway", "--gateway-domain", "svc.test", "--gateway-listen", "none", "--relay-socket", relaySocket],
        ],
      }),
    ]);
  });

  test("a VM with the module reaches a short host name of /etc/hosts", async () => {
    const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    const vm = await startNode({ sname: "short", netns: here, args });
    expect(await vm.ping("mq@box2")).toBe("pong");
    await vm.stop();
  });

  test("and a long one", async () => {
    const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    const vm = await startNode({ name: "long@box1.internal", netns: here, args });
    expect(await vm.ping("b@db.internal")).toBe("pong");
    await vm.stop();
  });

  test("resolve finds both, and does not take the gateway's line for an address", async () => {
    const resolve = async (node: string) => {
      const { stdout } = await runCli(["resolve", node, "--fallback", "epmd", "--json"], { netns: here });
      return JSON.parse(stdout) as { outcome: string; endpoints?: object[] };
    };
    expect(await resolve("mq@box2")).toMatchObject({
      outcome: "found",
      endpoints: [{ address: "10.91.0.2", port: DIST_PORT, target: "box2" }],
    });
    // At the gateway's address its own EPMD would give the port of a relay.
    expect((await resolve("x@svc.test")).outcome).toBe("unavailable");
  });

  test("a stock VM reaches a static entry at the address that it dials", async () => {
    const vm = await startNode({ name: "stock@127.0.0.1", netns: here });
    expect(await vm.ping("ag@127.0.0.1")).toBe("pong");
    await vm.stop();
  });

  test("behind the gateway IPv6 that is dropped costs one link a quarter of a second, and the next ones nothing", async () => {
    const vm = await startNode({ name: "linked@10.91.0.1", netns: here, args: ["-connect_all", "false"] });
    const linkTime = async () => {
      const startedAt = performance.now();
      expect(await vm.ping("x@svc.test")).toBe("pong");
      const took = performance.now() - startedAt;
      expect(await vm.eval("erlang:disconnect_node('x@svc.test')")).toBe("true");
      return took;
    };
    expect(await linkTime()).toBeLessThan(1_500);
    expect(await bestOf(3, linkTime)).toBeLessThan(240);
  });
});

import { Resolver } from "node:dns/promises";
import { expect, test } from "vitest";
import { startConsul } from "../support/consul-agent.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

requirePeer("consul")("DynamicSrv's libcluster strategy, which makes node names of SRV targets", () => {
  test("sees our nodes with --advertise-address '{name}.{host}'; their address is then the agent's", async () => {
    const consul = await startConsul();
    const args = ["--domain", "svc", "--consul", consul.url, "--advertise-address", "{name}.{host}"];
    const daemon = await startDaemon({ args });
    const node = await rawNode(daemon.port, { name: "node_a", version: 6 });

    // What the strategy asks: the service as a whole. A target `name.host` is the node `name@host`.
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${consul.dnsPort}`]);
    const records = await waitFor(() => resolver.resolveSrv("svc.service.consul"), { what: "the node in Consul" });
    expect(records).toMatchObject([{ name: "node_a.svc.service.consul", port: 4711 }]);
    expect(await resolver.resolve4("node_a.svc.service.consul")).toEqual(["127.0.0.1"]);

    const { stdout } = await runCli(["resolve", "node_a@svc", "--json", "--dns", `127.0.0.1:${consul.dnsPort}`]);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "found", endpoints: [{ address: "127.0.0.1", port: 4711 }] });
    await node.close();
    await daemon.stop();
    await consul.stop();
  });
});

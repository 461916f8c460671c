import { expect, test } from "vitest";
import { startConsul } from "../support/consul-agent.js";
import { dnsClient } from "../support/dns-client.js";
import { startNode } from "../support/erlang.js";
import { freePorts } from "../support/free-port.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

requirePeer("erl", "consul")("a node whose VM never speaks EPMD", () => {
  test("is published from --publish-node and ERL_DIST_PORT while its port is open", async () => {
    const consul = await startConsul();
    const [distPort = 0, nobody = 0] = await freePorts(2);
    const daemon = await startDaemon({
      args: ["--publish-node", "node_a@svc", "--consul", consul.url, "--ttl", "3s"],
      env: { ERL_DIST_PORT: String(distPort) },
    });
    const dns = dnsClient(consul.dnsPort);
    const ports = async () => (await dns.srv("node_a.svc.service.consul")).map(({ port }) => port);
    const names = async () => (await runCli(["names", `127.0.0.1:${daemon.port}`, "--json"])).stdout;
    const services = async () => (await consul.request("GET", "/v1/agent/services")).body as object;

    expect(await ports()).toEqual([]);
    // A VM with a fixed port would register all the same; where its EPMD should be there is none.
    const startVm = () =>
      startNode({ name: "node_a@127.0.0.1", args: ["-erl_epmd_port", String(distPort)], epmdPort: nobody });
    const vm = await startVm();
    await waitFor(async () => (await ports()).join() === String(distPort), { what: "the node in DNS" });
    expect(await names()).toContain(`{"name":"node_a","port":${distPort}}`);
    const found = await runCli(["resolve", "node_a@svc", "--json", "--dns", `127.0.0.1:${consul.dnsPort}`]);
    expect(JSON.parse(found.stdout)).toMatchObject({ outcome: "found", endpoints: [{ port: distPort }] });

    await vm.kill();
    await waitFor(async () => (await ports()).length === 0, { what: "the node out of DNS", timeout: 15_000 });
    expect(await names()).not.toContain("node_a");
    const again = await startVm();
    await waitFor(async () => (await ports()).join() === String(distPort), { what: "the node in DNS again" });
    // The daemon waits for nodes that are stopping too; this one's end it sees at its port.
    const [exit] = await Promise.all([daemon.stop(), again.stop()]);
    expect(exit).toMatchObject({ code: 0 });
    expect(await services()).toEqual({});
    await consul.stop();
  });
});

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { aclToken } from "../support/acl-token.js";
import { fullName } from "../support/cluster.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const LOCAL = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-connect_all", "false"];

requirePeer("erl", "consul")("native ends of Consul Connect where ACLs deny by default", () => {
  let consul: Consul;
  /** Each starts a relay process of its own, as on a machine of its own. */
  const daemons: Daemon[] = [];
  const relays: number[] = [];
  const nodes: ErlangNode[] = [];

  beforeAll(async () => {
    consul = await startConsul({ acl: true });
    const policy = await readFile(new URL("../../nomad/consul-policy.hcl", import.meta.url), "utf8");
    for (const name of ["node_a", "node_b"]) {
      const daemon = await startDaemon({
        args: [
          ...["--connect-native", "--connect-listen", "127.0.0.1:0", "--connect-recheck", "1s"],
          ...["--domain", "svc", "--consul", consul.url, "--advertise-address", "127.0.0.1"],
        ],
        env: { CONSUL_HTTP_TOKEN: await aclToken(consul, policy.replaceAll("svc-dist", "svc")) },
      });
      daemons.push(daemon);
      const { relay } = await daemon.waitForLog(({ msg }) => msg === "relay process connected", "its relay process");
      relays.push(relay as number);
      const module = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd", "-start_epmd", "false"];
      nodes.push(await startNode({ name: fullName(name), epmdPort: daemon.port, args: [...module, ...LOCAL] }));
    }
    const inConsul = async () => (await consul.request("GET", "/v1/health/connect/svc?passing")).body as unknown[];
    await waitFor(async () => (await inConsul()).length === 2, { what: "both nodes in Consul", timeout: 20_000 });
  });
  afterAll(async () => {
    for (const node of nodes) await node.kill();
    for (const daemon of daemons) await daemon.stop();
    for (const pid of relays) process.kill(pid, "SIGTERM");
    await waitFor(() => relays.every((pid) => !existsSync(`/proc/${pid}`)), { what: "the end of the relay processes" });
    await consul?.stop();
  });

  const denials = () => daemons[1]?.log().filter(({ code }) => code === "DENIED") ?? [];

  test("nobody gets in without an intention, and the rights of nomad/consul-policy.hcl are enough for the rest", async () => {
    const [a] = nodes;
    const b = fullName("node_b");
    await waitFor(async () => (await a?.ping(b)) === "pang" && denials().length > 0, { what: "a denial" });
    expect(denials()[0]).toMatchObject({ reason: expect.stringMatching(/ACL|[Dd]efault/), node: b });

    const allow = { SourceName: "svc", DestinationName: "svc", SourceType: "consul", Action: "allow" };
    const { body } = await consul.request("POST", "/v1/connect/intentions", allow);
    await waitFor(async () => (await a?.ping(b)) === "pong", { what: "a link" });
    expect(await a?.eval(`rpc:call('${b}', erlang, node, [])`)).toBe(`'${b}'`);

    await consul.request("DELETE", `/v1/connect/intentions/${(body as { ID: string }).ID}`);
    await waitFor(async () => (await a?.nodes())?.length === 0, { what: "the cut", timeout: 10_000 });
    await daemons[1]?.waitForLog(({ code, node }) => code === "CUT" && node === b, "why");
  });
});

import { afterEach, beforeAll, expect, test } from "vitest";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import type { ErlangNode } from "../support/erlang.js";
import { findOtp } from "../support/otp.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** Of a srv-epmd that serves a zone. */
const [ZONE_EPMD, ZONE_DNS] = [4370, "10.90.0.1:5300"];
/** Where a link goes, as its other end dialled it. */
const addressOf = (name: string) =>
  `{ok, {net_address, {Address, _}, _, _, _}} = net_kernel:node_info('${fullName(name)}', address), inet:ntoa(Address)`;

/** The first calls the second by name, and hangs up. @returns the machine that it reached, and at which address */
async function reach(from: ErlangNode, to: ErlangNode, name: string): Promise<string[]> {
  const node = fullName(name);
  expect(await from.ping(node), `ping of ${name}`).toBe("pong");
  const reached = [await from.eval(`rpc:call('${node}', os, getenv, ["BOX"])`), await from.eval(addressOf(name))];
  await from.eval(`true = erlang:disconnect_node('${node}')`);
  await waitFor(async () => (await to.nodes()).length === 0, { what: "the end of the link" });
  return reached.map((text) => text.replaceAll('"', ""));
}

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
)("a node that is registered from another machine, with SRV_EPMD_ADDRESS", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3, daemons: 0 });
    // No address to advertise: its own nodes are at the agent's.
    const open = ["--listen", "10.90.0.1", "--listen", "fd90::1", "--allow", "10.90.0.2/32", "--allow", "fd90::2/128"];
    const serve = (port: number, ...args: string[]) =>
      startDaemon({ port, netns: cluster.host(0), args: ["--domain", HOST, ...open, ...args] });
    await serve(4369, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns);
    await serve(ZONE_EPMD, "--dns-listen", ZONE_DNS);
    await cluster.serve(2);
  });
  afterEach(() => cluster.killNodes());

  /** One beside the srv-epmd, one that registers from the next machine, one on a machine with a srv-epmd of its own. */
  const start = async (address: string, options: { args?: string[]; release?: number } = {}) => {
    const otp = findOtp(options.release ?? 25);
    const node = (index: number, name: string, env: NodeJS.ProcessEnv = {}) => {
      const args = ["-connect_all", "false", ...(options.args ?? [])];
      return cluster.node(index, name, { args, env: { BOX: `box${index + 1}`, ...env }, ...(otp && { otp }) });
    };
    const nodes = await Promise.all([
      node(0, "beside"),
      node(1, "far", { SRV_EPMD_ADDRESS: address }),
      node(2, "third"),
    ]);
    const names = ["beside", "far", "third"];
    const published = async () => new Set((await cluster.published()).filter((name) => names.includes(name)));
    await waitFor(async () => (await published()).size === 3, { what: "their publication" });
    return nodes;
  };
  const publishedAt = async (name: string) => {
    const { body } = await cluster.consul.request("GET", "/v1/health/service/svc?passing=1");
    const services = (body as { Service: { Address: string; Tags: string[] } }[]).map(({ Service }) => Service);
    return services.filter(({ Tags }) => Tags.includes(name)).map(({ Address }) => Address);
  };
  test("is dialled and published at its own address, and dials the others", async () => {
    const [beside, far, third] = await start("10.90.0.1");
    const there = ["box2", "10.90.0.2"];
    expect(await reach(beside, far, "far")).toEqual(there);
    expect(await reach(third, far, "far")).toEqual(there);
    expect(await reach(far, beside, "beside")).toEqual(["box1", "10.90.0.1"]);
    expect(await reach(far, third, "third")).toEqual(["box3", "10.90.0.3"]);
    expect(await reach(third, beside, "beside")).toEqual(["box1", "10.90.0.1"]);

    expect(await publishedAt("far")).toEqual(["10.90.0.2"]);
  });

  test("is at its own address in the zone that the srv-epmd serves", async () => {
    const env = { SRV_EPMD_ADDRESS: "10.90.0.1", ERL_DIST_PORT: "9101" };
    await cluster.node(1, "far", { epmdPort: ZONE_EPMD, env });
    const asked = ["resolve", fullName("far"), "--json", "--dns", ZONE_DNS];
    const { stdout } = await runCli(asked, { netns: cluster.host(2) });
    expect(JSON.parse(stdout)).toMatchObject({ endpoints: [{ address: "10.90.0.2", port: 9101 }] });
  });

  for (const release of [25, 29] as const) {
    const peers: Peer[] = [`otp${release}`];
    requirePeer(...peers)(`on OTP ${release}`, () => {
      test("is so over IPv6 too", async () => {
        const [beside, far, third] = await start("fd90::1", { args: ["-proto_dist", "inet6_tcp"], release });
        const there = ["box2", "fd90::2"];
        expect(await reach(beside, far, "far")).toEqual(there);
        expect(await reach(third, far, "far")).toEqual(there);
        expect(await reach(far, beside, "beside")).toEqual(["box1", "fd90::1"]);
        expect(await reach(far, third, "third")).toEqual(["box3", "fd90::3"]);
        expect(await publishedAt("far")).toEqual(["fd90::2"]);
      });
    });
  }
});

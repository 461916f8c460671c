import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { type Allocation, createAllocation, type RunningAllocation, type RunningTask } from "../support/nomad-alloc.js";
import { type Client, startClients } from "../support/nomad-client.js";
import { readJob } from "../support/nomad-job.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

const NAME_SERVER = fileURLToPath(new URL("../support/fake-dns-process.ts", import.meta.url));
const HOST = "svc-dist.service.consul";

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("the job gateway.nomad.hcl in allocations of two clients", () => {
  let clients: readonly [Client, Client];
  let first: Allocation;
  let second: Allocation;
  let a: RunningAllocation;
  let b: RunningAllocation;
  /** The one of the first allocation; it is killed and started again. */
  let daemon: RunningTask;

  beforeAll(async () => {
    const file = await readJob("gateway.nomad.hcl");
    clients = (await startClients(2)) as [Client, Client];
    // The name server of their network, for what is not Consul's.
    const zone = JSON.stringify({ "db.example.test": ["10.90.0.77"] });
    const tsx = ["--import", "tsx", NAME_SERVER, clients[0].address, zone];
    const nameServer = startChild(process.execPath, tsx, { env: cleanEnvironment(), netns: clients[0].host });
    const [, port] = await nameServer.waitForOutput(/ready ([0-9]+)/);
    const variables = { name_servers: [`${clients[0].address}:${port}`] };
    [first, second] = (await Promise.all(clients.map((client) => createAllocation(client, file, { variables })))) as [
      Allocation,
      Allocation,
    ];
    // Longer than a daemon waits before it starts a relay process itself.
    [a, b] = await Promise.all([first.run(), second.run({ late: { relay: 2_500 } })]);
  });

  const published = async () => {
    const { body } = await clients[0].consul.request("GET", "/v1/health/service/svc-dist?passing=1");
    const list = body as { Service: { Address: string; Port: number; Tags: string[] } }[];
    return Object.fromEntries(
      list.map(({ Service: { Tags, Address, Port } }) => [Tags.join(), `${Address}:${Port}`]),
    ) as Record<string, string>;
  };
  const placeOf = ({ client, ports }: Allocation) =>
    `${client.address}:${ports.find(({ label }) => label === "dist")?.hostPort}`;
  const both = () =>
    waitFor(async () => Object.keys(await published()).length === 2 && published(), { what: "both in Consul" });
  /** Relay processes that a daemon has had, by what they call themselves: a task's is the first of its PID namespace. */
  const connectedTo = (task: RunningTask) =>
    task.log().flatMap(({ msg, relay }) => (msg === "relay process connected" ? [relay] : []));
  const namespaceOf = (pid: number) => readlinkSync(`/proc/${pid}/ns/pid`);

  test("unmodified nodes are published with the host side of their port, another number than the one inside", async () => {
    expect(await both()).toEqual({
      [`svc-${first.shortId}`]: placeOf(first),
      [`svc-${second.shortId}`]: placeOf(second),
    });
    expect(first.ports.find(({ label }) => label === "dist")).toMatchObject({ taskPort: 4370 });
    expect(placeOf(first)).not.toContain("4370");
  });

  test("they connect, by a name that resolves to the gateway in their allocation", async () => {
    expect(await a.node.ping(second.nodeName)).toBe("pong");
    const address = `{ok, {net_address, {Address, _}, _, _, _}} = net_kernel:node_info('${second.nodeName}', address), Address`;
    expect(await a.node.eval(address)).toMatch(/^\{127,/);
    expect(await b.node.nodes()).toEqual([first.nodeName]);
    const alloc = `rpc:call('${second.nodeName}', os, getenv, ["NOMAD_SHORT_ALLOC_ID"])`;
    expect(await a.node.eval(alloc)).toBe(`"${second.shortId}"`);
  });

  test("a relay task that is late is waited for: the daemon starts none, which would have its socket", async () => {
    expect(connectedTo(b.sidecar("srv-epmd"))).toEqual([1]);
    expect(b.sidecar("relay").child.hasExited()).toBe(false);
  });

  test("other names are asked of Consul and of the network's name servers", async () => {
    const resolved = async (host: string) => (await first.netns.run("getent", "ahostsv4", host)).stdout.split(" ")[0];
    expect(await resolved("db.example.test")).toBe("10.90.0.77");
    expect(await resolved("consul.service.consul")).toBe(clients[0].address);
    expect(await resolved(HOST)).toMatch(/^127\./);
  });

  test("no link is cut when all in the PID namespace of srv-epmd's task is killed: the relays are in another task's", async () => {
    await a.node.ping(second.nodeName);
    await watchLinks(a.node, b.node);
    const relay = a.sidecar("relay");
    daemon = a.sidecar("srv-epmd");
    expect(namespaceOf(daemon.pid)).not.toBe(namespaceOf(relay.pid));
    expect(readlinkSync(`/proc/${daemon.pid}/ns/net`)).toBe(readlinkSync(`/proc/${relay.pid}/ns/net`));
    expect(connectedTo(daemon)).toEqual([1]);
    await daemon.killAll();

    const echo = (from: RunningAllocation, to: Allocation) =>
      from.node.eval(`rpc:call('${to.nodeName}', erlang, node, [])`);
    expect([await echo(a, second), await echo(b, first)]).toEqual([`'${second.nodeName}'`, `'${first.nodeName}'`]);
    // Nomad starts the task again, and the VM comes back to it.
    daemon = await first.start("srv-epmd");
    await waitFor(() => daemon.log().some(({ msg }) => msg === "node registered"), { what: "the VM's return" });
    expect(await both()).toMatchObject({ [`svc-${first.shortId}`]: placeOf(first) });
    expect(await lostLinks(a.node, b.node)).toEqual(["[]", "[]"]);
  });

  test("a console beside a node has a port of its own, reaches every node, and is not published", async () => {
    const name = `rem-1a2b-svc@${HOST}`;
    const console = await first.node({ env: { RELEASE_NODE: name }, args: ["-hidden"] });
    expect([await console.ping(first.nodeName), await console.ping(second.nodeName)]).toEqual(["pong", "pong"]);
    const port = `{port, Port, _} = erl_epmd:port_please("rem-1a2b-svc", {127,0,0,1}), Port`;
    expect(await console.eval(port)).toBe("4371");
    expect(Object.keys(await published())).toHaveLength(2);
    await console.kill();
  });

  test("an allocation that is stopped leaves nothing in Consul, and no control socket", async () => {
    await a.node.kill("SIGTERM");
    const exits = await Promise.all([daemon.stop(), a.sidecar("relay").stop()]);
    expect(exits.map(({ code }) => code)).toEqual([0, 0]);
    expect(await published()).toEqual({ [`svc-${second.shortId}`]: placeOf(second) });
    await expect(first.netns.run("ls", join(first.allocDir, "srv-epmd", "relay.sock"))).rejects.toThrow();
  });
});

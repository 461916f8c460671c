import { beforeAll, expect, test } from "vitest";
import { run, startChild } from "../support/child.js";
import { findConsul } from "../support/consul-agent.js";
import { cleanEnvironment } from "../support/environment.js";
import { waitForListeners } from "../support/mesh.js";
import { type Allocation, createAllocation, type RunningAllocation } from "../support/nomad-alloc.js";
import { type Client, startClients } from "../support/nomad-client.js";
import { readJob } from "../support/nomad-job.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const fullName = (node: string) => `${node}@svc-dist.service.consul`;

/** What Nomad does for a service in the mesh: registers it, with its proxy, and starts that in the allocation. */
async function startProxy({ client, ports, netns, mesh }: Allocation): Promise<void> {
  if (!mesh) throw new Error("the job has no service in the mesh");
  const { name, port, upstreams } = mesh;
  const { address, consul } = client;
  const hostPort = ports.find(({ label }) => label === `connect-proxy-${name}`)?.hostPort;
  const sidecar = {
    ...{ Address: address, Port: hostPort, Check: { Name: "proxy", TTL: "24h", Status: "passing" } },
    Proxy: { LocalServicePort: port },
  };
  const service = { ID: `_nomad-task-${name}`, Name: name, Address: address, Port: port };
  const body = { ...service, Connect: { SidecarService: sidecar } };
  expect(await consul.request("PUT", "/v1/agent/service/register", body)).toMatchObject({ status: 200 });
  // Told where to listen: by itself it would at the address of its registration, which is the client's.
  const listen = ["-service", name, "-service-addr", `127.0.0.1:${port}`, "-listen", `0.0.0.0:${hostPort}`];
  const dial = upstreams.flatMap((each) => ["-upstream", `${each.destination}:${each.port}`]);
  const proxy = startChild(findConsul() ?? "consul", ["connect", "proxy", ...listen, ...dial], {
    env: cleanEnvironment({ CONSUL_HTTP_ADDR: `http://${address}:8500` }),
    netns,
  });
  await proxy.waitForOutput(/ready to serve/);
  const listeners = upstreams.map((each) => each.port);
  await waitForListeners(netns, listeners);
}

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("the job connect.nomad.hcl, once for each of two nodes", () => {
  let clients: readonly [Client, Client];
  let first: Allocation;
  let second: Allocation;
  let a: RunningAllocation;
  let b: RunningAllocation;

  beforeAll(async () => {
    const file = await readJob("connect.nomad.hcl");
    clients = (await startClients(2)) as [Client, Client];
    [first, second] = await Promise.all([
      createAllocation(clients[0], file, { variables: { node: "a" } }),
      createAllocation(clients[1], file, { variables: { node: "b" } }),
    ]);
    await Promise.all([first, second].map(startProxy));
  });

  /** The command of the service's check, in the namespaces of its task. */
  const check = async ({ mesh, netns }: Allocation) => {
    const { command, args } = mesh?.check ?? { command: "", args: [] };
    const script = args.map((arg) => arg.replaceAll("/local/srv-epmd", `${process.execPath} ${BIN}`));
    return (await run(command, script, { netns, env: cleanEnvironment() })).code;
  };

  test("the upstreams of a node lead to the services of the others, on a port that is the same for all", () => {
    expect(first.mesh?.upstreams).toEqual([
      { destination: "svc-dist-b", port: 21_001 },
      { destination: "svc-dist-c", port: 21_002 },
    ]);
    expect(second.mesh?.upstreams).toEqual([
      { destination: "svc-dist-a", port: 21_000 },
      { destination: "svc-dist-c", port: 21_002 },
    ]);
  });

  test("the check of the service fails until the node is registered", async () => {
    expect(await check(first)).toBe(1);
    [a, b] = await Promise.all([first.run(), second.run()]);
    expect([await check(first), await check(second)]).toEqual([0, 0]);
  });

  test("nodes connect through the proxies, and are published by Nomad alone", async () => {
    await waitFor(async () => (await a.node.ping(fullName("b"))) === "pong", { what: "a link from a to b" });
    const dialled = `{ok, {net_address, Address, _, _, _}} = net_kernel:node_info('${fullName("b")}', address), Address`;
    expect(await a.node.eval(dialled)).toBe("{{127,0,0,1},21001}");
    const alloc = `rpc:call('${fullName("b")}', os, getenv, ["NOMAD_SHORT_ALLOC_ID"])`;
    expect(await a.node.eval(alloc)).toBe(`"${second.shortId}"`);
    expect(await b.node.nodes()).toEqual([fullName("a")]);
    for (const { consul } of clients) {
      const { body } = await consul.request("GET", "/v1/agent/services");
      expect(Object.keys(body as object).filter((id) => !id.startsWith("_nomad-task-"))).toEqual([]);
    }
  });

  test("there is no way around the proxies: the node listens on loopback only, and who has no upstream is not found", async () => {
    const reach = clients[0].host.run("timeout", "1", "bash", "-c", `exec 3<>/dev/tcp/${first.ip}/4370`);
    await expect(reach).rejects.toThrow();
    expect(await a.node.ping(fullName("d"))).toBe("pang");
    const reasons = a
      .sidecar("srv-epmd")
      .log()
      .filter(({ node }) => String(node).startsWith("d"));
    expect(JSON.stringify(reasons)).toContain("svc-dist-d");
  });

  test("the daemon needs no Consul for it, and does not complain", () => {
    const complaints = [a, b].flatMap((each) => each.sidecar("srv-epmd").log()).filter(({ level }) => level !== "info");
    expect(complaints).toEqual([]);
  });
});

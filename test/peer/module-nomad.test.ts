import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { type FakeNomad, startFakeNomad } from "../support/fake-nomad.js";
import { freePort } from "../support/free-port.js";
import { moduleFolder } from "../support/module-folder.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const HOST = "svc-dist.service.nomad";

/** An allocation as it is in the job without-consul.nomad.hcl: Nomad's API in its secrets, and a port that is the same inside and outside. */
interface Allocation {
  readonly name: string;
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  readonly entry: string;
  readonly daemon: Daemon;
  node: ErlangNode;
}

requirePeer("erl")("VMs with the module, in allocations of a Nomad without Consul", () => {
  let secrets: string;
  let nomad: FakeNomad;
  const allocations: Allocation[] = [];

  const startVm = async ({ daemon, name, port }: Pick<Allocation, "daemon" | "name" | "port">) =>
    startNode({
      name: `${name}@${HOST}`,
      epmdPort: daemon.port,
      env: { ERL_DIST_PORT: String(port), SRV_EPMD_CONNECT: `*@${HOST}` },
      args: ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"],
    });

  async function allocate(shortId: string): Promise<Allocation> {
    const [name, AllocID, port] = [`svc-${shortId}`, `${shortId}-0000-0000-0000-000000000000`, await freePort()];
    const entry = nomad.register({ ServiceName: "svc-dist", AllocID, Tags: [name], Port: port });
    const env = {
      ...{ NOMAD_SECRETS_DIR: secrets, NOMAD_TOKEN: "identity", NOMAD_ALLOC_ID: AllocID, NOMAD_NAMESPACE: "default" },
      ...{ NOMAD_PORT_dist: String(port), NOMAD_HOST_PORT_dist: String(port), NOMAD_HOST_IP_dist: "127.0.0.1" },
    };
    const daemon = await startDaemon({ args: ["--domain", HOST], env });
    const allocation = { name, port, env, entry, daemon, node: await startVm({ daemon, name, port }) };
    allocations.push(allocation);
    return allocation;
  }

  const peersOf = (one: Allocation) =>
    allocations.filter((other) => other !== one).map(({ name }) => `${name}@${HOST}`);
  const isComplete = async () => {
    const lists = await Promise.all(allocations.map(async (one) => ({ one, nodes: await one.node.nodes() })));
    return lists.every(({ one, nodes }) => nodes.toSorted().join() === peersOf(one).toSorted().join());
  };

  beforeAll(async () => {
    secrets = await temporaryFolder("secrets");
    nomad = await startFakeNomad(join(secrets, "api.sock"));
    for (const id of ["aaaaaaaa", "bbbbbbbb", "cccccccc"]) await allocate(id);
  }, 60_000);
  afterAll(async () => {
    await Promise.all(allocations.flatMap(({ node, daemon }) => [node.kill(), daemon.kill()]));
    await nomad.close();
  });

  test("make one cluster by themselves, and what srv-epmd says of itself is right", async () => {
    await waitFor(isComplete, { what: "the cluster", timeout: 30_000 });
    const [a] = allocations as [Allocation];
    const ready = a.daemon.log().find(({ msg }) => msg === "ready");
    expect(ready).toMatchObject({ publish: "nomad", nomad: `unix://${secrets}/api.sock` });
    await a.daemon.waitForLog(({ msg }) => msg === "Nomad's catalogue leads to the node", "the entry");
  });

  test("one that is scaled up later is connected, also while the API is away and back", async () => {
    await nomad.stop();
    await Promise.all(
      allocations.map(({ daemon }) =>
        daemon.waitForLog(({ msg }) => /Nomad does not tell/.test(msg ?? ""), "the outage"),
      ),
    );
    expect(await isComplete()).toBe(true);
    // What was known is used: a link that was lost comes back without Nomad.
    const [a, b] = allocations as [Allocation, Allocation];
    await a.node.eval(`erlang:disconnect_node('${b.name}@${HOST}')`);
    await waitFor(isComplete, { what: "the link", timeout: 30_000 });
    await nomad.restart(1);
    await allocate("dddddddd");
    await waitFor(isComplete, { what: "the cluster of four", timeout: 60_000 });
  }, 120_000);

  test("a VM that died keeps its entry, and comes back under it; a dead allocation's entry of the same name leads nobody astray", async () => {
    const [a, , , d] = allocations as [Allocation, Allocation, Allocation, Allocation];
    // As after the loss of a client: the entry of another allocation, at a port where nothing listens.
    const Tags = [d.name];
    const dead = nomad.register({ ServiceName: "svc-dist", AllocID: "eeeeeeee-0", Tags, Port: await freePort() });
    await d.node.kill();
    await waitFor(async () => !(await a.node.nodes()).includes(`${d.name}@${HOST}`), { what: "the loss" });
    d.node = await startVm(d);
    await waitFor(isComplete, { what: "the cluster", timeout: 60_000 });
    const { stdout } = await runCli(["resolve", `${d.name}@${HOST}`, "--json", "--port", String(a.daemon.port)], {
      env: a.env,
    });
    expect(JSON.parse(stdout)).toMatchObject({ source: "catalogue", endpoints: [{ port: d.port }, {}] });
    nomad.deregister(dead);
  }, 120_000);

  test("the commands in the allocation see the whole cluster", async () => {
    const [a, b] = allocations as [Allocation, Allocation];
    const port = ["--port", String(a.daemon.port)];
    const listed = await runCli(["names", "--cluster", "--domain", HOST, "--json"], { env: a.env });
    expect(JSON.parse(listed.stdout).nodes.map(({ node }: { node: string }) => node)).toEqual(
      allocations.map(({ name }) => `${name}@${HOST}`),
    );
    const matched = await runCli(["names", "--match", `svc-b*@${HOST}`, "--json", ...port], { env: a.env });
    expect(JSON.parse(matched.stdout).names).toEqual([{ name: `${b.name}@${HOST}`, port: b.port }]);
    const waited = await runCli(["wait", `${b.name}@${HOST}`, ...port], { env: a.env });
    expect([waited.code, waited.stdout]).toEqual([0, expect.stringContaining("is there")]);
  });
});

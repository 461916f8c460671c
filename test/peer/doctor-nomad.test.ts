import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { examine } from "../support/doctor.js";
import type { ErlangNode } from "../support/erlang.js";
import { type Allocation, createAllocation, type RunningTask } from "../support/nomad-alloc.js";
import { type Client, startClients } from "../support/nomad-client.js";
import { readJob } from "../support/nomad-job.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

/** `serve` becomes `doctor`, in the environment of the task: what is run with `nomad alloc exec`. */
function doctorIn({ netns }: Allocation, task: RunningTask, ...args: readonly string[]) {
  const words = (file: string) => readFileSync(`/proc/${task.pid}/${file}`, "utf8").split("\0").slice(0, -1);
  const command = words("cmdline");
  const flags = command.slice(command.indexOf("serve") + 1);
  const env = Object.fromEntries(
    words("environ").map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  return examine([...flags, ...args], { netns, env });
}

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("srv-epmd doctor, in allocations of the job sidecar.nomad.hcl", () => {
  let clients: readonly Client[];
  let first: Allocation;
  let second: Allocation;
  let tasks: RunningTask[];
  let node: ErlangNode;

  beforeAll(async () => {
    const file = await readJob("sidecar.nomad.hcl");
    clients = await startClients(2);
    [first, second] = (await Promise.all(clients.map((client) => createAllocation(client, file)))) as [
      Allocation,
      Allocation,
    ];
    tasks = await Promise.all([first, second].map((allocation) => allocation.start("srv-epmd")));
    await Promise.all(tasks.map((task) => task.child.waitForOutput(/"ready"/)));
    node = await first.node();
    await second.node();
    await waitFor(async () => (await published()).length === 2, { what: "both in Consul" });
  });
  const published = async () => {
    const { body } = (await clients[0]?.consul.request("GET", "/v1/health/service/svc-dist?passing=1")) ?? {};
    return (body as { Service: { Tags: string[] } }[]).map(({ Service }) => Service.Tags[0] ?? "");
  };
  const here = (...args: readonly string[]) => doctorIn(first, tasks[0] as RunningTask, ...args);

  test("finds nothing to say of it: the mapping is told, and that there is no hairpin is normal", async () => {
    const { code, of, with: having } = await here(second.nodeName);
    expect([code, having("fail"), having("warn")]).toEqual([0, [], []]);
    const dist = first.ports.find(({ label }) => label === "dist");
    expect(of("port-mapping").evidence).toContain(
      `port ${dist?.taskPort} here is ${first.client.address}:${dist?.hostPort} to its peers`,
    );
    expect(of("hairpin")).toMatchObject({
      result: "skip",
      evidence: expect.stringMatching(/normal.*no hairpin.*does no harm/),
    });
    expect(of("published-endpoint").evidence).toContain("see hairpin");
    expect(of("peer-handshake").evidence).toContain(`is ${second.nodeName}`);
  });

  test("says in which job and on which client it stands, and that the group has no port of a label that serve is given", async () => {
    const { code, of, with: having } = await here("--port-label", "distt");
    expect([code, having("fail")]).toEqual([1, ["port-mapping"]]);
    expect(of("port-mapping").evidence).toMatch(
      /^--port-label distt: there is no port of that label; this group has .*dist/,
    );
    expect(of("port-mapping").advice).toMatch(/^was dist meant\? Else give the group a port/);
    const { evidence, facts } = of("nomad-task");
    expect(evidence).toContain(
      `task srv-epmd of allocation ${first.shortId} (svc.node[0]) of the job svc in the namespace default`,
    );
    expect(evidence).toContain(`on the client ${first.client.address} (`);
    expect(evidence).toContain(`in its bridge network as ${first.ip}`);
    const dist = first.ports.find(({ label }) => label === "dist");
    expect(facts).toMatchObject({
      ...{ job: { id: "svc", name: "svc" }, group: "node", task: "srv-epmd", network: "bridge" },
      ...{ allocation: { id: first.id }, client: { address: first.client.address } },
      ports: expect.arrayContaining([
        { label: "dist", port: dist?.taskPort, hostPort: dist?.hostPort, hostAddress: first.client.address },
      ]),
      taskApi: { socket: false, token: false },
    });
  });

  test("a group without a port, and a VM named after the bridge network: no peer on another client reaches it", async () => {
    await node.kill();
    const lost = await first.node({ env: { RELEASE_NODE: `lost@${first.ip}` } });
    const { code, of, with: having } = await here();
    await lost.kill();
    node = await first.node();
    await waitFor(async () => (await published()).length === 2, { what: "both in Consul again" });
    expect([code, having("fail")]).toEqual([1, ["node-name"]]);
    expect(of("node-name").evidence).toContain(`${first.ip} is the allocation's own address`);
    const bare = await examine([], {
      netns: second.netns,
      env: {
        ...{ SRV_EPMD_DOMAIN: "web.service.consul", NOMAD_ALLOC_ID: "77e0a3c1-1111-2222-3333-444455556666" },
        ...{ NOMAD_PORT_connect_proxy_web: "20999", NOMAD_IP_connect_proxy_web: second.client.address },
        NOMAD_ALLOC_IP_connect_proxy_web: second.ip,
      },
    });
    expect(bare.of("nomad-task")).toMatchObject({
      ...{ result: "warn", evidence: expect.stringContaining("the group maps no port into its bridge network") },
      advice: expect.stringContaining('network { port "dist" { to = -1 } }'),
    });
  });

  test("without the variables that the task has: the srv-epmd here has other options", async () => {
    const admin = `127.0.0.1:${first.ports.find(({ label }) => label === "admin")?.taskPort}`;
    const { of } = await examine(["--domain", "other", "--register", "none", "--admin", admin], { netns: first.netns });
    expect(of("serve-options")).toMatchObject({
      result: "warn",
      advice: expect.stringContaining("SRV_EPMD_DOMAIN=svc-dist.service.consul SRV_EPMD_REGISTER=consul"),
    });
    const refused = await examine(["--gateway-domain", "x.test"], { netns: first.netns });
    expect(refused.told[0]).toMatchObject({
      ...{ check: "serve-options", result: "warn", facts: { code: "CONFIG_CONFLICT" } },
      evidence: expect.stringMatching(/--gateway-domain is an option of the gateway.*; a srv-epmd runs here/),
    });
  });

  test("a VM on a port that is not mapped: nobody can reach it, and how to give it the port", async () => {
    await node.kill();
    node = await first.node({
      env: { ERL_DIST_PORT: undefined },
      args: ["-kernel", "inet_dist_listen_min", "9555", "inet_dist_listen_max", "9555"],
    });
    const { code, of, with: having } = await here();
    expect(code).toBe(1);
    expect(having("fail")).toEqual(["port-mapping", "readiness"]);
    expect(of("readiness")).toMatchObject({ code: "NOT_READY", follows: "PORT_UNMAPPED" });
    expect(of("port-mapping").evidence).toContain(
      "listens on port 9555, to which no port of this bridge network is mapped",
    );
    expect(of("port-mapping").advice).toMatch(/inet_dist_listen_min \$NOMAD_PORT_<label>.*--port-label/);
    await node.kill();
    node = await first.node();
    await waitFor(async () => (await published()).length === 2, { what: "both in Consul again" });
  });

  test("a port that is mapped to nowhere: seen from a peer it is refused, seen from here all is well", async () => {
    const { host } = first.client;
    const dist = first.ports.find(({ label }) => label === "dist");
    const wrong = `fib daddr type local tcp dport ${dist?.hostPort} dnat to ${first.ip}:9`;
    await host.run("nft", `insert rule ip nomad prerouting ${wrong}`);
    const there = await doctorIn(second, tasks[1] as RunningTask, first.nodeName);
    expect([there.code, there.with("fail")]).toEqual([1, ["peer-tcp"]]);
    expect(there.of("peer-tcp").evidence).toContain(`${first.client.address}:${dist?.hostPort} refuses connections`);
    expect(there.of("peer-tcp").advice).toMatch(/mapped wrongly.*doctor --all on its machine/);
    expect((await here()).with("fail")).toEqual([]);
  });
});

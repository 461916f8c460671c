import { type Child, startChild } from "./child.js";
import type { Cluster } from "./cluster.js";
import { type Consul, findConsul } from "./consul-agent.js";
import { cleanEnvironment } from "./environment.js";
import type { ErlangNode } from "./erlang.js";
import { freePorts } from "./free-port.js";
import type { Host } from "./netns.js";
import { waitFor } from "./wait-for.js";

export interface MeshOptions {
  /** Alive names, one a host of the cluster. */
  readonly names: readonly string[];
  /** What tells the nodes apart: a service for each, or one service with a prepared query for each, by its tag. */
  readonly by: "service" | "query";
}

export interface Mesh {
  /** Where a node's VM listens. */
  readonly port: (name: string) => number;
  /** Flags of a VM that only its machine reaches, on the port that its registration has. */
  readonly bound: (name: string) => string[];
  /** The same, reachable by everybody. */
  readonly open: (name: string) => string[];
  /** Where the proxy of a node listens for another node. */
  readonly listener: (name: string, other: string) => number;
  /** Registers a node's proxy anew, with upstreams to these nodes. */
  readonly setUpstreams: (name: string, ...others: readonly string[]) => Promise<void>;
  /** Moves a node to a service of its own, with a single upstream: to the one that the others share. */
  readonly balance: (name: string, service: string) => Promise<void>;
  /** Puts a node's own port into Consul's DNS, under the host that all share. */
  readonly publishPlainly: (name: string) => Promise<void>;
  /** Connects from one node's machine to another node's VM over the wire, and waits for the end of that. */
  readonly dialDirectly: (name: string, other: string) => Promise<void>;
  /** Packets that have come to a node's machine over the wire: to its VM's port, and to its proxy's. */
  readonly packets: (name: string) => Promise<{ readonly direct: number; readonly proxied: number }>;
  readonly resetPackets: () => Promise<void>;
  /** Denies connections of one service to another. @returns what allows them again */
  readonly deny: (source: string, destination: string) => Promise<() => Promise<void>>;
  readonly proxies: readonly Child[];
}

const SERVICE = "svc";

/** A Connect proxy beside each node of a cluster, with an upstream for each of the others. */
export async function startMesh(cluster: Cluster, { names, by }: MeshOptions): Promise<Mesh> {
  const { consul } = cluster;
  const ports = await freePorts(3 * names.length);
  const index = (name: string) => names.indexOf(name);
  const port = (name: string) => ports[index(name)] ?? 0;
  const proxyPort = (name: string) => ports[names.length + index(name)] ?? 0;
  const id = (name: string) => `${SERVICE}-${name}`;
  const address = (name: string) => cluster.host(index(name)).ipv4 ?? "";
  // On every machine the same ports lead to other destinations: a daemon must look at the proxy beside it.
  const bindPort = (name: string, other: string) =>
    ports[2 * names.length + ((index(other) - index(name) + names.length) % names.length)] ?? 0;
  const othersOf = (name: string) => names.filter((other) => other !== name);

  const upstreamTo = (name: string, other: string) => ({
    DestinationType: by === "query" ? "prepared_query" : "service",
    DestinationName: id(other),
    LocalBindPort: bindPort(name, other),
  });
  const register = async (
    name: string,
    Upstreams: readonly object[],
    service = by === "service" ? id(name) : SERVICE,
  ) => {
    const sidecar = {
      Address: address(name),
      Port: proxyPort(name),
      // Without one of its own it is out of Consul's answers until the agent has probed it.
      Check: { Name: "proxy", TTL: "24h", Status: "passing" },
      Proxy: { LocalServicePort: port(name), Upstreams },
    };
    await put(consul, "/v1/agent/service/register", {
      ...{ ID: id(name), Name: service, Tags: [name] },
      ...{ Address: address(name), Port: port(name), Connect: { SidecarService: sidecar } },
    });
  };
  const setUpstreams: Mesh["setUpstreams"] = (name, ...others) =>
    register(
      name,
      others.map((other) => upstreamTo(name, other)),
    );

  for (const name of names) {
    await setUpstreams(name, ...othersOf(name));
    if (by === "query") {
      const Service = { Service: SERVICE, Tags: [name], Connect: true };
      await put(consul, "/v1/query", { Name: id(name), Service }, "POST");
    }
  }
  const proxies = names.map((name) => startProxy(consul, id(name), cluster.host(index(name))));
  const resetPackets = async () => {
    await Promise.all(names.map((name) => count(cluster.host(index(name)), port(name), proxyPort(name))));
  };
  await Promise.all([...proxies.map((proxy) => proxy.waitForOutput(/ready to serve/)), resetPackets()]);
  for (const name of names) {
    await waitForListeners(
      cluster.host(index(name)),
      othersOf(name).map((other) => bindPort(name, other)),
    );
  }
  const open = (name: string) => [
    "-kernel",
    "inet_dist_listen_min",
    `${port(name)}`,
    "inet_dist_listen_max",
    `${port(name)}`,
  ];
  return {
    port,
    open,
    bound: (name) => [...open(name), "inet_dist_use_interface", "{127,0,0,1}"],
    listener: bindPort,
    setUpstreams,
    balance: async (name, as) => {
      const port = bindPort(name, name);
      // Of another service itself: a node that meets itself waits for 7 s.
      await register(name, [{ DestinationName: SERVICE, LocalBindPort: port }], as);
      await waitForListeners(cluster.host(index(name)), [port]);
    },
    publishPlainly: async (name) => {
      const entry = { ID: `plain-${name}`, Name: SERVICE, Tags: [name], Address: address(name), Port: port(name) };
      await put(consul, "/v1/agent/service/register", entry);
    },
    dialDirectly: async (name, other) => {
      await cluster.host(index(name)).run("bash", "-c", `exec 3<>/dev/tcp/${address(other)}/${port(other)}`);
      const open = () => cluster.host(index(other)).run("ss", "-Htn", "sport", "=", `:${port(other)}`);
      await waitFor(async () => (await open()).stdout.trim() === "", { what: "the end of that connection" });
    },
    packets: async (name) => {
      const { stdout } = await cluster.host(index(name)).run("nft", "-j", "list", "table", "inet", "count");
      return { direct: packetsTo(port(name), stdout), proxied: packetsTo(proxyPort(name), stdout) };
    },
    resetPackets,
    deny: async (source, destination) => {
      const intention = { SourceName: source, DestinationName: destination, SourceType: "consul", Action: "deny" };
      const { body } = await put(consul, "/v1/connect/intentions", intention, "POST");
      return async () => {
        await put(consul, `/v1/connect/intentions/${(body as { ID: string }).ID}`, undefined, "DELETE");
      };
    },
    proxies,
  };
}

/** The proxy that is built into Consul. */
function startProxy(consul: Consul, id: string, netns: Host): Child {
  const args = ["connect", "proxy", "-sidecar-for", id];
  return startChild(findConsul() ?? "consul", args, {
    env: cleanEnvironment({ CONSUL_HTTP_ADDR: consul.socketUrl }),
    netns,
  });
}

async function put(consul: Consul, path: string, body: unknown, method = "PUT") {
  const answer = await consul.request(method, path, body);
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
}

/** Waits until the proxy of a machine has opened the listeners of its upstreams. */
export async function waitForListeners(host: Host, ports: readonly number[]): Promise<void> {
  await waitFor(
    async () => {
      const { stdout } = await host.run("ss", "-Hltn");
      return ports.every((port) => new RegExp(`127\\.0\\.0\\.1:${port}\\s`).test(stdout));
    },
    { what: `listeners on ${ports} of ${host.namespace}`, interval: 50 },
  );
}

/** Counts, from now on, what comes over the wire to these ports. */
async function count(host: Host, ...ports: readonly number[]): Promise<void> {
  const rules = ports.map((port) => `add rule inet count in iifname eth0 tcp dport ${port} counter`);
  const table = "add table inet count; delete table inet count; add table inet count";
  const chain = "add chain inet count in { type filter hook input priority 0; }";
  await host.run("nft", [table, chain, ...rules].join("; "));
}

interface Expression {
  readonly match?: { readonly right: unknown };
  readonly counter?: { readonly packets: number };
}

function packetsTo(port: number, json: string): number {
  const { nftables } = JSON.parse(json) as { nftables: { rule?: { expr: Expression[] } }[] };
  const rule = nftables.find((item) => item.rule?.expr.some(({ match }) => match?.right === port))?.rule;
  const counter = rule?.expr.find((expression) => expression.counter)?.counter;
  if (!counter) throw new Error(`no rule counts packets to port ${port}: ${json}`);
  return counter.packets;
}

/** `net_adm:ping/1` over a new link. */
export async function disconnectAndPing(from: ErlangNode, to: string): Promise<string> {
  await from.eval(`erlang:disconnect_node('${to}')`);
  return from.ping(to);
}

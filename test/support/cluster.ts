import { join } from "node:path";
import { ID_PREFIX } from "../../src/publish/core/service-entry.js";
import { type Child, startChild } from "./child.js";
import { type Consul, startConsul } from "./consul-agent.js";
import { cleanEnvironment } from "./environment.js";
import { type ErlangNode, type NodeOptions, startNode } from "./erlang.js";
import { moduleFolder } from "./module-folder.js";
import { createHosts, type Host } from "./netns.js";
import { BIN, type Daemon, startDaemon } from "./srv-epmd.js";
import { temporaryFolder } from "./temporary.js";
import { waitFor } from "./wait-for.js";

/** The host part that all nodes share. */
export const HOST = "svc.service.consul";

export const fullName = (name: string) => `${name}@${HOST}`;

export interface ClusterOptions {
  readonly hosts: number;
  /** How VMs reach each other: by the module in them, or unmodified, through the gateway of their machine. */
  readonly way?: "module" | "gateway";
  /** Nodes on other machines are reached by mutual TLS (`--connect-native`). */
  readonly native?: boolean;
  /** What a machine publishes as its addresses; both of its own when not given. */
  readonly advertise?: (index: number, own: readonly string[]) => readonly string[];
  /** Each daemon listens on the addresses of its machine too, so that those of the others may ask it. */
  readonly listen?: boolean;
  /** Flags of every daemon, behind those of the cluster. */
  readonly args?: readonly string[];
  /** As many of the hosts, from the first on, have a sidecar; all when not given. */
  readonly daemons?: number;
}

export interface Cluster {
  readonly consul: Consul;
  readonly dns: string;
  readonly host: (index: number) => Host;
  readonly daemon: (index: number) => Daemon;
  /** Starts the sidecar of a host (again), on port 4369 unless a flag says else. */
  readonly serve: (index: number, ...args: string[]) => Promise<Daemon>;
  /** The process with the relays of a host, for the gateway's way. */
  readonly relay: (index: number) => Child;
  /** Its control socket. */
  readonly relaySocket: (index: number) => string;
  /** A VM on a host. @param name alive name */
  readonly node: (index: number, name: string, options?: ClusterNodeOptions) => Promise<ErlangNode>;
  readonly killNode: (name: string) => Promise<void>;
  /** Kills all VMs, and waits until Consul no longer has them: the next test may use their names. */
  readonly killNodes: () => Promise<void>;
  /** Instances of the service that Consul's health API has and that pass, by tag. */
  readonly published: () => Promise<string[]>;
  /** Waits until it has nodes of all these alive names. */
  readonly whenPublished: (...names: readonly string[]) => Promise<unknown>;
}

export interface ClusterNodeOptions extends Omit<NodeOptions, "name" | "netns"> {
  /** Host part of its name. */
  readonly host?: string;
  /** That of the cluster when not given. */
  readonly way?: ClusterOptions["way"];
}

/** Machines with a sidecar each, and one Consul for all. Ends with the test file. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { hosts: count, args = [], daemons = count, way = "module" } = options;
  const address = (index: number) => `10.90.0.${index + 1}`;
  const address6 = (index: number) => `fd90::${index + 1}`;
  const { hosts } = await createHosts(
    Array.from({ length: count }, (_, index) => ({
      addresses: [`${address(index)}/24`, `${address6(index)}/64`],
      hostname: `box${index + 1}`,
      hosts: [`${address(index)} box${index + 1}`],
    })),
  );
  const host = (index: number) => at(hosts, index);
  const consul = await startConsul({
    bind: address(0),
    netns: host(0),
    config: { client_addr: `127.0.0.1 ${address(0)}` },
  });
  const dns = `${address(0)}:${consul.dnsPort}`;
  const hasRelays = way === "gateway" || options.native === true;
  const running: Daemon[] = [];
  const nodes: { readonly name: string; readonly node: ErlangNode }[] = [];
  const sockets = await temporaryFolder("relay");
  const socket = (index: number) => join(sockets, `${index}.sock`);
  const serve = async (index: number, ...more: string[]) => {
    const flags = ["--domain", HOST, "--consul", consul.socketUrl, "--dns", dns, "--ttl", "3s"];
    const own = [address(index), address6(index)];
    const addresses = options.advertise?.(index, own) ?? own;
    const advertised = addresses.flatMap((each) => ["--advertise-address", each]);
    const listen = options.listen ? own.flatMap((each) => ["--listen", each]) : [];
    const gateway = [
      ...(way === "gateway" ? ["--gateway"] : []),
      ...(options.native ? ["--connect-native"] : []),
      ...(hasRelays ? ["--relay-socket", socket(index)] : []),
    ];
    const daemon = await startDaemon({
      port: 4369,
      netns: host(index),
      args: [...flags, ...advertised, ...listen, ...gateway, ...args, ...more],
    });
    running[index] = daemon;
    return daemon;
  };
  const relays = hasRelays ? hosts.map((each, index) => startRelay(each, socket(index))) : [];
  await Promise.all(relays.map((relay) => relay.waitForOutput(/"ready"/)));
  await Promise.all(Array.from({ length: daemons }, (_, index) => serve(index)));
  const passing = async () => {
    const { body } = await consul.request("GET", "/v1/health/service/svc?passing=1");
    return (body as { Service: { ID: string; Tags: string[] } }[]).map(({ Service }) => Service);
  };
  const published = async () => (await passing()).map(({ Tags }) => Tags.join()).sort();
  /** Without what tests register by themselves. */
  const ownTags = async () => (await passing()).flatMap(({ ID, Tags }) => (ID.startsWith(ID_PREFIX) ? Tags : []));
  return {
    consul,
    dns,
    host,
    daemon: (index) => at(running, index),
    serve,
    relay: (index) => at(relays, index),
    relaySocket: socket,
    node: async (index, name, { host: of = HOST, args: extra = [], way: own = way, ...node } = {}) => {
      const module = own === "module" ? ["-pa", await moduleFolder(node.otp), "-epmd_module", "srv_epmd"] : [];
      const more = [...module, ...extra];
      const started = await startNode({ ...node, name: `${name}@${of}`, netns: host(index), args: more });
      nodes.push({ name, node: started });
      return started;
    },
    killNode: async (name) => {
      await Promise.all(nodes.filter((one) => one.name === name).map(({ node }) => node.kill()));
    },
    killNodes: async () => {
      const ended = nodes.splice(0);
      await Promise.all(ended.map(({ node }) => node.kill()));
      // An entry of theirs would be taken for that of a new node. Without its daemon it stays for the time of its TTL check.
      const areGone = async () => !(await ownTags()).some((tag) => ended.some(({ name }) => name === tag));
      await waitFor(areGone, { what: "the end of the killed nodes in Consul", timeout: 25_000 });
    },
    published,
    whenPublished: (...names) =>
      waitFor(
        async () => {
          const there = await published();
          return names.every((name) => there.includes(name));
        },
        { what: `${names} in Consul` },
      ),
  };
}

function startRelay(netns: Host, socket: string): Child {
  const flags = ["relay", "--relay-socket", socket, "--log-format", "json"];
  return startChild(process.execPath, [BIN, ...flags], { env: cleanEnvironment(), netns });
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`there is no number ${index}`);
  return found;
}

/** Waits until each of the nodes is connected to all the others. @returns milliseconds */
export async function waitForMesh(nodes: Readonly<Record<string, ErlangNode>>, timeout = 10_000): Promise<number> {
  const startedAt = performance.now();
  const names = Object.keys(nodes);
  const missing = async () => {
    const lists = await Promise.all(
      Object.entries(nodes).map(async ([own, node]) => {
        const connected = await node.nodes();
        return names
          .filter((name) => name !== own && !connected.includes(fullName(name)))
          .map((name) => `${own}-${name}`);
      }),
    );
    return lists.flat();
  };
  await waitFor(
    async () => {
      const links = await missing();
      if (links.length > 0) throw new Error(`missing: ${links.join(" ")}`);
      return true;
    },
    { what: "a full mesh", timeout, interval: 50 },
  );
  return Math.round(performance.now() - startedAt);
}

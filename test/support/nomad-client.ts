import { randomUUID } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Consul, startConsul } from "./consul-agent.js";
import { createHosts, createIsolated, type Host } from "./netns.js";
import { type Body, block, blocks, groupOf, type JobFile } from "./nomad-job.js";
import { temporaryFolder } from "./temporary.js";

/** A machine as a Nomad client is: a Consul agent at its address, and a bridge for allocations. */
export interface Client {
  readonly host: Host;
  readonly address: string;
  readonly consul: Consul;
  /** Number of the next allocation's address; every client counts for itself. */
  next: number;
}

export interface PlacedPort {
  readonly label: string;
  readonly hostPort: number;
  readonly taskPort: number;
}

/** The network namespace, the ports and the folders of an allocation. */
export interface Placement {
  readonly id: string;
  readonly netns: Host;
  readonly ip: string;
  readonly ports: readonly PlacedPort[];
  readonly allocDir: string;
}

/** Nomad's own bridge and subnet (client option bridge_network_subnet). */
const BRIDGE = "nomad";
const SUBNET = "172.26.64";

/** What the CNI plug-in portmap does, and its masquerading for those who come from the bridge. */
const RULES = `table ip nomad {
  chain prerouting { type nat hook prerouting priority dstnat; }
  chain output { type nat hook output priority -100; }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr ${SUBNET}.0/20 ip daddr ${SUBNET}.0/20 ct status dnat masquerade
    ip saddr ${SUBNET}.0/20 ip daddr != ${SUBNET}.0/20 masquerade
  }
}`;

/** Clients on one segment, the first with the Consul server. */
export async function startClients(count: number, options: { readonly acl?: boolean } = {}): Promise<Client[]> {
  const addresses = Array.from({ length: count }, (_, index) => `10.90.0.${index + 1}`);
  const { hosts } = await createHosts(
    addresses.map((address, index) => ({
      addresses: [`${address}/24`],
      hostname: `client${index + 1}`,
      hosts: [`${address} client${index + 1}`],
    })),
  );
  const clients: Client[] = [];
  for (const [index, host] of hosts.entries()) {
    const address = addresses[index] ?? "";
    await makeBridge(host);
    const [server] = clients;
    const where = { bind: address, netns: host, node: `client${index + 1}`, usualPorts: true };
    const consul = await startConsul({ ...options, ...where, ...(server && { join: server.consul }) });
    clients.push({ host, address, consul, next: 2 });
  }
  return clients;
}

async function makeBridge(host: Host): Promise<void> {
  await host.run("ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0");
  await host.run("ip", "addr", "add", `${SUBNET}.1/20`, "dev", BRIDGE);
  await host.run("ip", "link", "set", BRIDGE, "up");
  await host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
  await host.run("nft", RULES);
}

/** Nomad gives the proxy of a service in the mesh a port, too. */
const proxyPort = (service: string): [string, Body] => [`connect-proxy-${service}`, { to: -1 }];

/**
 * Makes the bridge network of a group on a client, with its ports, name servers and folders.
 * @param proxyPorts services that have a proxy
 */
export async function place(client: Client, file: JobFile, proxyPorts: readonly string[] = []): Promise<Placement> {
  const network = block(groupOf(file), "network") ?? {};
  const id = randomUUID();
  const ip = `${SUBNET}.${client.next}`;
  const dns = block(network, "dns")?.servers as string[] | undefined;
  const hostname = `alloc-${id.slice(0, 8)}`;
  const netns = await createIsolated({
    addresses: [`${ip}/20`],
    hostname,
    hosts: [`${ip} ${hostname}`],
    ...(dns && { resolvConf: dns.map((server) => `nameserver ${server}\n`).join("") }),
  });
  const veth = `veth${client.next}`;
  await client.host.run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", netns.namespace);
  await client.host.run("ip", "link", "set", veth, "master", BRIDGE, "up");
  await netns.run("ip", "addr", "add", `${ip}/20`, "dev", "eth0");
  await netns.run("ip", "link", "set", "eth0", "up");
  await netns.run("ip", "route", "add", "default", "via", `${SUBNET}.1`);

  const labels: [string, Body][] = [...Object.entries(blocks(network, "port")), ...proxyPorts.map(proxyPort)];
  const ports = labels.map(([label, { to }], index) => {
    // Nomad's dynamic ports are 20000 to 32000, and no two clients give the same here.
    const hostPort = 20_000 + Number(client.address.split(".")[3]) * 1000 + client.next * 10 + index;
    // -1: the host's port inside, too.
    return { label, hostPort, taskPort: Number(to ?? -1) === -1 ? hostPort : Number(to) };
  });
  for (const { hostPort, taskPort } of ports) {
    const map = `fib daddr type local tcp dport ${hostPort} dnat to ${ip}:${taskPort}`;
    await client.host.run("nft", `add rule ip nomad prerouting ${map}; add rule ip nomad output ${map}`);
  }
  client.next += 1;
  const folder = await temporaryFolder("alloc");
  await chmod(folder, 0o755);
  const allocDir = join(folder, "alloc");
  await mkdir(allocDir);
  // As Nomad makes it: tasks of any user share it.
  await chmod(allocDir, 0o777);
  return { id, netns, ip, ports, allocDir };
}

import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { type Place, type RunResult, run } from "./child.js";

export interface HostSpec {
  /** With prefix length: `10.77.0.1/24`, `fd77::1/64`. */
  readonly addresses: readonly string[];
  /** Lines of the host's own /etc/hosts. */
  readonly hosts?: readonly string[];
  /** Content of the host's own /etc/resolv.conf. */
  readonly resolvConf?: string;
  /** The machine's name there; the real one when not given. */
  readonly hostname?: string;
}

/** A network namespace that stands for a machine. */
export interface Host extends Place {
  readonly namespace: string;
  /** The first addresses, without prefix length. */
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  /** @throws when the command fails */
  readonly run: (command: string, ...args: string[]) => Promise<RunResult>;
  /** Replaces the lines of the host's own /etc/hosts. */
  readonly setHosts: (lines: readonly string[]) => Promise<void>;
}

export interface Hosts {
  readonly hosts: readonly Host[];
  readonly remove: () => Promise<void>;
}

const existing = new Set<string>();

/**
 * Hosts on one Ethernet segment. The bridge lives in a namespace of its own, so that nothing of it is seen outside and
 * every test file may use the same addresses. Needs root.
 */
export async function createHosts(specs: readonly HostSpec[]): Promise<Hosts> {
  await removeForgotten();
  const id = `${process.pid}-${Math.random().toString(36).slice(2, 6)}`;
  const bridge = `srvepmd-${id}-br`;
  const names = [bridge];
  await addNamespace(bridge);
  // Without spanning tree and forward delay a port forwards at once.
  await ip("-n", bridge, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0");
  await ip("-n", bridge, "link", "set", "br0", "up");
  const hosts: Host[] = [];
  for (const [index, spec] of specs.entries()) {
    const namespace = `srvepmd-${id}-${index + 1}`;
    names.push(namespace);
    await addNamespace(namespace);
    await writeFiles(namespace, spec);
    const port = `port${index + 1}`;
    await ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", bridge);
    await ip("-n", bridge, "link", "set", port, "master", "br0", "up");
    await ip("-n", namespace, "link", "set", "lo", "up");
    for (const address of spec.addresses) {
      // Duplicate address detection would keep an IPv6 address unusable for a second or two.
      await ip("-n", namespace, "addr", "add", address, "dev", "eth0", ...(address.includes(":") ? ["nodad"] : []));
    }
    await ip("-n", namespace, "link", "set", "eth0", "up");
    hosts.push(makeHost(namespace, spec));
  }
  return { hosts, remove: () => removeNamespaces(names) };
}

/** A machine without a network but its loopback: whoever makes it connects it. */
export async function createIsolated(spec: HostSpec): Promise<Host> {
  const namespace = `srvepmd-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  await addNamespace(namespace);
  await writeFiles(namespace, spec);
  await ip("-n", namespace, "link", "set", "lo", "up");
  return makeHost(namespace, spec);
}

/** Removes what tests of this process left; the setup file calls it after each test file. */
export async function removeAllHosts(): Promise<void> {
  await removeNamespaces(Array.from(existing));
}

function makeHost(namespace: string, spec: HostSpec): Host {
  const bare = spec.addresses.map((address) => address.replace(/\/.*$/, ""));
  const inNamespace = ["ip", "netns", "exec", namespace] as const;
  const named =
    spec.hostname === undefined ? [] : ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', spec.hostname];
  const place: Place = { wrap: (command, args) => [...inNamespace, ...named, command, ...args] };
  return {
    ...place,
    namespace,
    ipv4: bare.find((address) => !address.includes(":")),
    ipv6: bare.find((address) => address.includes(":")),
    run: (command, ...args) => succeed(command, args, place),
    setHosts: (lines) => writeFile(`/etc/netns/${namespace}/hosts`, hostsFile({ ...spec, hosts: lines })),
  };
}

/** A machine's own name resolves, as everywhere (erl_call crashes where it does not): to loopback unless a line says else. */
function hostsFile({ hosts = [], hostname: own = hostname() }: HostSpec): string {
  const named = hosts.some((line) => line.split(/\s+/).includes(own));
  return [`127.0.0.1 localhost${named ? "" : ` ${own}`}`, "::1 localhost", ...hosts, ""].join("\n");
}

/** `ip netns exec` shows the files of /etc/netns/<name> in place of those in /etc. */
async function writeFiles(namespace: string, spec: HostSpec): Promise<void> {
  const folder = `/etc/netns/${namespace}`;
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/hosts`, hostsFile(spec));
  await writeFile(`${folder}/resolv.conf`, spec.resolvConf ?? "nameserver 127.0.0.1\n");
}

/** Namespaces of test processes that were killed. */
async function removeForgotten(): Promise<void> {
  const names = await readdir("/run/netns").catch(() => []);
  for (const name of names) {
    const owner = /^srvepmd-([0-9]+)-/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    existing.add(name);
    await removeNamespaces([name]);
  }
}

async function addNamespace(name: string): Promise<void> {
  await ip("netns", "add", name);
  existing.add(name);
}

async function removeNamespaces(names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!existing.delete(name)) continue;
    await run("ip", ["netns", "delete", name]);
    await rm(`/etc/netns/${name}`, { recursive: true, force: true });
  }
}

const ip = (...args: string[]) => succeed("ip", args);

async function succeed(command: string, args: readonly string[], netns?: Place): Promise<RunResult> {
  const result = await run(command, args, netns && { netns });
  if (result.code !== 0) throw new Error(`${command} ${args.join(" ")}: ${result.stderr || result.stdout}`);
  return result;
}

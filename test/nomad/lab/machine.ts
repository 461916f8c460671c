import { existsSync, readFileSync } from "node:fs";
import { type Child, type Place, run, startChild } from "../../support/child.js";
import { waitFor } from "../../support/wait-for.js";

/**
 * A machine of the lab: namespaces for network, processes, mounts and host name, on the bridge of this process's own network namespace.
 * Its first process holds them. With that one the kernel ends all others of the machine, and takes their mounts and networks away, those
 * of allocations too.
 */
export interface Machine extends Place {
  readonly name: string;
  readonly address: string;
  /** Starts a program there that outlives no machine. The child is `nsenter`: end the program by `pid`. */
  readonly start: (command: string, args: readonly string[]) => Promise<Started>;
  /** Pulls the machine's cable. */
  readonly cut: () => Promise<void>;
  readonly heal: () => Promise<void>;
  readonly end: () => Promise<void>;
}

export interface Started {
  /** Of the program, as seen from outside. */
  readonly pid: number;
  readonly child: Child;
}

const BRIDGE = "switch";

/** TEST-NET-2 (RFC 5737): in a network namespace of our own it disturbs nobody. */
const addressOf = (host: number) => `198.51.100.${host}`;

/** The address of the operator: of this process. */
export const OPERATOR = addressOf(1);

/**
 * What a machine has to itself: sockets and locks (/run, where Nomad also keeps the networks of allocations), the addresses that the CNI
 * plug-ins gave (/var/lib/cni), and its name. Bash, since it is process 1: it takes the exit of whatever is left to it.
 */
const BOOT = `
set -e
mount -t tmpfs none /run
mkdir /run/netns
mount -t tmpfs none /var/lib
hostname "$0"
ip link set lo up
echo booted
set +e
while :; do sleep 1000 & wait -n; done`;

/** Makes the switch, with the operator on it. */
export async function makeSwitch(): Promise<void> {
  await removeSwitch();
  await ip("link", "set", "lo", "up");
  await ip("link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0");
  await ip("addr", "add", `${OPERATOR}/24`, "dev", BRIDGE);
  await ip("link", "set", BRIDGE, "up");
}

export async function removeSwitch(): Promise<void> {
  await run("ip", ["link", "delete", BRIDGE]);
}

/** @param number 1, 2, ...: m1 at 198.51.100.11, ... */
export async function bootMachine(number: number): Promise<Machine> {
  const name = `m${number}`;
  const port = `port${number}`;
  const address = addressOf(10 + number);
  const namespaces = ["--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"];
  const holder = startChild("unshare", [...namespaces, "bash", "-c", BOOT, name], { env: ENVIRONMENT });
  await holder.waitForOutput(/^booted$/m);
  const first = onlyChildOf(holder.pid);
  const place: Place = {
    wrap: (command, args) => [
      ...(["nsenter", "--target", String(first), "--net", "--mount", "--pid", "--uts", "--"] as const),
      command,
      ...args,
    ],
  };
  const inside = (...command: [string, ...string[]]) => succeed(command[0], command.slice(1), place);
  await ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", String(first));
  await ip("link", "set", port, "master", BRIDGE, "up");
  await inside("ip", "addr", "add", `${address}/24`, "dev", "eth0");
  await inside("ip", "link", "set", "eth0", "up");
  // The operator leads nowhere, but without a default route Nomad finds no interface of the machine.
  await inside("ip", "route", "add", "default", "via", OPERATOR);
  await inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
  return {
    ...place,
    name,
    address,
    start: async (command, args) => {
      const child = startChild(command, args, { env: ENVIRONMENT, netns: place });
      const pid = await waitFor(() => (child.hasExited() ? -1 : childrenOf(child.pid)[0]), {
        what: `${command} on ${name}`,
        interval: 5,
      });
      if (pid === -1) throw new Error(`${command} on ${name} has ended:\n${child.stdout()}${child.stderr()}`);
      return { pid, child };
    },
    cut: () => ip("link", "set", port, "down"),
    heal: () => ip("link", "set", port, "up"),
    end: async () => {
      await holder.kill();
      // The first process ends after all others of the machine.
      await waitFor(() => !existsSync(`/proc/${first}`), { what: `the end of ${name}`, timeout: 30_000 });
      // The kernel takes the network away, and the cable with it, some time after the last process: the next lab would find it here.
      await run("ip", ["link", "delete", port]);
    },
  };
}

export const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Nothing of the terminal that runs the tests: Nomad's agent takes settings from many variables. */
const ENVIRONMENT = { PATH, HOME: "/root", LANG: "C.UTF-8" };

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function onlyChildOf(pid: number): number {
  const [first] = childrenOf(pid);
  if (first === undefined) throw new Error(`process ${pid} has no child`);
  return first;
}

const ip = (...args: string[]) => succeed("ip", args);

async function succeed(command: string, args: readonly string[], netns?: Place): Promise<void> {
  const { code, stdout, stderr } = await run(command, args, netns && { netns });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr || stdout}`);
}

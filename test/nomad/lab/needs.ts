import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import { findConsul } from "../../support/consul-agent.js";
import { findProgram } from "../../support/environment.js";
import { findRabbitmq } from "../../support/rabbitmq.js";

/** What a scenario needs beside the lab itself. */
export type Need = "consul" | "mix" | "rabbitmq";

/** Runs the command behind it in a network namespace of its own. */
export const INTO_A_NETWORK = ["unshare", "--net", "--"] as const;

/** Variable with the network namespace that the tests were started from. */
export const OUTSIDE = "NETWORK_OF_THE_OPERATOR";

export const thisNetwork = () => readlinkSync("/proc/self/ns/net");

/** The plug-ins of a bridge network of Nomad's (client/allocrunner/networking_bridge_linux.go). */
const PLUGINS = ["bridge", "firewall", "host-local", "loopback", "portmap"];
const PLUGIN_FOLDERS = ["/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/cni"];

/** The variable NOMAD, or `nomad` on PATH. */
export function findNomad(): string | undefined {
  return process.env.NOMAD || findProgram("nomad");
}

/** The variable CONSUL, or where the other tests find it. */
export function findConsulProgram(): string | undefined {
  return process.env.CONSUL || findConsul();
}

/** The variable CNI_PATH, or one of the usual folders. */
export function findPlugins(): string | undefined {
  const hasAll = (folder: string) => PLUGINS.every((name) => existsSync(join(folder, name)));
  return [process.env.CNI_PATH ?? "", ...PLUGIN_FOLDERS].find((folder) => folder !== "" && hasAll(folder));
}

export function mayMakeNamespaces(): boolean {
  return spawnSync("unshare", ["--net", "--mount", "--pid", "--uts", "--fork", "true"]).status === 0;
}

/**
 * `requireLab("consul", "mix")("title", () => { ... })` is a `describe` for scenarios that need Nomad, and these. Where something is
 * missing they are skipped, with the reasons in the title, where the summary finds them.
 */
export function requireLab(...needs: readonly Need[]): (title: string, body: () => void) => void {
  const missing = [...missingForLab(), ...needs.flatMap(missingFor)];
  return (title, body) => {
    if (missing.length === 0) describe(title, body);
    else describe.skip(`${title} (skipped: ${missing.join("; ")})`, body);
  };
}

function missingForLab(): string[] {
  const plugins = findPlugins();
  const reasons: [missing: boolean, reason: string][] = [
    [process.getuid?.() !== 0, "needs root"],
    [!inOwnNetwork(), "needs network namespaces, and to be started by npm run test:nomad"],
    [findNomad() === undefined, "nomad is neither in NOMAD nor on PATH"],
    [
      plugins === undefined,
      `no folder with the CNI plug-ins ${PLUGINS.join(", ")}: CNI_PATH, ${PLUGIN_FOLDERS.join(", ")}`,
    ],
    [
      plugins !== undefined && !saysItsVersion(plugins),
      `the CNI plug-ins of ${plugins} do not say their version, so Nomad uses none`,
    ],
    [findProgram("iptables") === undefined, "iptables is not on PATH, which the CNI plug-ins call"],
    [!hasCgroups(), "no cgroups at /sys/fs/cgroup"],
  ];
  return reasons.filter(([missing]) => missing).map(([, reason]) => reason);
}

function missingFor(need: Need): string[] {
  const found = { consul: findConsulProgram, mix: () => findProgram("mix"), rabbitmq: findRabbitmq }[need]();
  return found === undefined ? [`${need} is missing`] : [];
}

/** Which one the tests were started from is told by run.ts. */
function inOwnNetwork(): boolean {
  const outside = process.env[OUTSIDE];
  return outside !== undefined && outside !== thisNetwork();
}

/** Debian's say "unknown", and Nomad's constraint on the version of a plug-in then holds nowhere. */
function saysItsVersion(folder: string): boolean {
  const { stdout, stderr } = spawnSync(join(folder, "bridge"), ["--version"], { encoding: "utf8", input: "" });
  return /v[0-9]+\.[0-9]/.test(`${stdout}${stderr}`);
}

function hasCgroups(): boolean {
  const folder = "/sys/fs/cgroup";
  return existsSync(folder) && readdirSync(folder).length > 0;
}

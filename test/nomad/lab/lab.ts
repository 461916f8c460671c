import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunResult, run } from "../../support/child.js";
import { cleanEnvironment } from "../../support/environment.js";
import { waitFor } from "../../support/wait-for.js";
import { type AgentKind, type Agents, CONSUL_TOKEN, configureAgents, type LabOptions } from "./agents.js";
import { type ArtifactServer, serveArtifacts } from "./artifacts.js";
import { bootMachine, type Machine, makeSwitch, removeSwitch } from "./machine.js";
import { findConsulProgram, findNomad } from "./needs.js";
import { erlangPrograms } from "./releases.js";
import { chrootEnv, rootFolder } from "./root-folder.js";

export interface LabMachine extends Machine, Agents {
  /** Of Nomad's node. */
  readonly nodeId: string;
}

/** Three machines, each with a Consul agent and a Nomad client; the servers are on the first. */
export interface Lab {
  readonly machines: readonly [LabMachine, LabMachine, LabMachine];
  readonly folder: string;
  readonly artifacts: ArtifactServer;
  /** The commands, as an operator. @throws when it fails, with what it said */
  readonly nomad: (...args: readonly string[]) => Promise<string>;
  readonly consul: (...args: readonly string[]) => Promise<string>;
  /** The same, whatever comes of it. */
  readonly tryNomad: (...args: readonly string[]) => Promise<RunResult>;
  /** GET of Nomad's or Consul's HTTP API on the first machine, with the rights of an operator. @param path `/v1/...` */
  readonly ask: <T>(of: AgentKind, path: string, machine?: Machine) => Promise<T>;
  readonly down: () => Promise<void>;
}

const COUNT = 3;
/** Milliseconds. */
const START = 180_000;
const PORTS = { consul: 8500, nomad: 4646 };

export async function startLab(options: LabOptions = {}): Promise<Lab> {
  await removeForgotten();
  const folder = await mkdtemp(join(tmpdir(), `srvepmd-lab-${process.pid}-`));
  await chmod(folder, 0o755);
  const ends: (() => Promise<void>)[] = [() => removeLeft(folder), removeSwitch];
  const down = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    await makeSwitch();
    const artifacts = await serveArtifacts();
    ends.push(artifacts.close);
    const chroot = await chrootEnv(await rootFolder([process.execPath, ...(await erlangPrograms())]));
    const booted: (Machine & Agents)[] = [];
    for (let number = 1; number <= COUNT; number++) {
      const machine = await bootMachine(number);
      ends.push(machine.end);
      const server = booted[0]?.address ?? machine.address;
      const own = { folder: join(folder, String(number)), number, machine, server, chrootEnv: chroot };
      booted.push({ ...machine, ...(await configureAgents({ ...options, ...own })) });
    }
    const [first] = booted as [Machine & Agents];
    let nomadToken = "";
    const ask: Lab["ask"] = async (of, path, machine = first) => {
      const headers = of === "consul" ? { "X-Consul-Token": CONSUL_TOKEN } : { "X-Nomad-Token": nomadToken };
      const signal = AbortSignal.timeout(10_000);
      const response = await fetch(`http://${machine.address}:${PORTS[of]}${path}`, { headers, signal });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as never;
    };
    const command = (program: string | undefined, args: readonly string[]) =>
      run(program ?? "", args, { env: { ...commandEnvironment(first), NOMAD_TOKEN: nomadToken }, timeout: 600_000 });
    const tryNomad: Lab["tryNomad"] = (...args) => command(findNomad(), args);
    const nomad: Lab["nomad"] = async (...args) => outputOf(args, await tryNomad(...args));
    const consul: Lab["consul"] = async (...args) => outputOf(args, await command(findConsulProgram(), args));

    if (options.consul !== false) {
      for (const machine of booted) await machine.startAgent("consul");
      const joined = async () => (await ask<unknown[]>("consul", "/v1/catalog/nodes")).length === COUNT;
      await waitFor(joined, { what: "Consul on every machine", timeout: START, interval: 200 });
    }
    for (const machine of booted) await machine.startAgent("nomad");
    if (options.nomadAcl) nomadToken = await bootstrap(nomad);
    const nodes = await waitFor(() => readyNodes(ask, options), {
      what: "Nomad's clients",
      timeout: START,
      interval: 500,
    });
    if (options.consul === "acl") {
      const keys = `http://${first.address}:${PORTS.nomad}/.well-known/jwks.json`;
      await nomad("setup", "consul", "-y", "-jwks-url", keys);
    }
    const machines = booted.map((machine) => ({ ...machine, nodeId: nodes.get(machine.name) ?? "" }));
    return { machines: machines as never, folder, artifacts, nomad, tryNomad, consul, ask, down };
  } catch (error) {
    await down();
    throw error;
  }
}

function outputOf(args: readonly string[], { code, stdout, stderr }: RunResult): string {
  if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

/** The operator's: the agents of the first machine. */
function commandEnvironment({ address }: Machine): NodeJS.ProcessEnv {
  return cleanEnvironment({
    NOMAD_ADDR: `http://${address}:${PORTS.nomad}`,
    CONSUL_HTTP_ADDR: `http://${address}:${PORTS.consul}`,
    CONSUL_HTTP_TOKEN: CONSUL_TOKEN,
  });
}

/** Makes Nomad's first token, which may do all. */
async function bootstrap(nomad: Lab["nomad"]): Promise<string> {
  const made = await waitFor(() => nomad("acl", "bootstrap", "-json"), {
    what: "Nomad's first token",
    timeout: START,
    interval: 500,
  });
  return (JSON.parse(made) as { SecretID: string }).SecretID;
}

interface NomadNode {
  readonly ID: string;
  readonly Name: string;
  readonly Status: string;
  readonly Attributes: Readonly<Record<string, string>>;
}

/** IDs of the clients by name, once each can be given a job with a bridge network. */
async function readyNodes(ask: Lab["ask"], { consul }: LabOptions): Promise<Map<string, string> | undefined> {
  const needed = ["driver.exec", "plugins.cni.version.bridge", ...(consul === false ? [] : ["consul.version"])];
  const stubs = await ask<NomadNode[]>("nomad", "/v1/nodes");
  const nodes = await Promise.all(stubs.map(({ ID }) => ask<NomadNode>("nomad", `/v1/node/${ID}`)));
  const ready = nodes.filter((node) => node.Status === "ready" && needed.every((name) => node.Attributes[name]));
  return ready.length === COUNT ? new Map(ready.map(({ Name, ID }) => [Name, ID])) : undefined;
}

/** What the end of the machines leaves: their files, and the cgroups of tasks, which have the allocation's ID in their name. */
async function removeLeft(folder: string): Promise<void> {
  const numbers = existsSync(folder) ? await readdir(folder) : [];
  const folders = numbers.map((number) => join(folder, number, "a")).filter(existsSync);
  const ids = folders.flatMap((each) => readdirSync(each)).filter((name) => /^[0-9a-f-]{36}$/.test(name));
  const { stdout } = await run("find", ["/sys/fs/cgroup", "-type", "d"]);
  const paths = stdout.split("\n").filter((path) => ids.some((id) => path.includes(id)));
  await rm(folder, { recursive: true, force: true });
  // The deepest first. The kernel lets go of one a moment after its last process.
  for (const path of paths.sort((a, b) => b.length - a.length))
    await waitFor(() => removed(path), { what: `the removal of ${path}` });
}

function removed(path: string): boolean {
  if (existsSync(path)) rmdirSync(path);
  return true;
}

/** Of test processes that were killed. Their machines have ended with them. */
async function removeForgotten(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = /^srvepmd-lab-([0-9]+)-/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) await removeLeft(join(tmpdir(), name));
  }
}

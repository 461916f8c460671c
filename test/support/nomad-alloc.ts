import { readFileSync, readlinkSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, type Exit, startChild } from "./child.js";
import { DEFAULT_COOKIE, type ErlangNode, startNode } from "./erlang.js";
import { moduleFolder } from "./module-folder.js";
import type { Host } from "./netns.js";
import { type Client, type Placement, place } from "./nomad-client.js";
import {
  defaultsOf,
  type JobFile,
  type MeshService,
  meshServiceOf,
  type Task,
  tasksOf,
  type Values,
} from "./nomad-job.js";
import { programForAll } from "./program-for-all.js";
import type { LogLine } from "./srv-epmd.js";
import { waitFor } from "./wait-for.js";

/** A task of srv-epmd's, in a PID namespace of its own, as Nomad's exec driver has it. */
export interface RunningTask {
  /** Of its first process, seen from here. */
  readonly pid: number;
  readonly child: Child;
  readonly log: () => LogLine[];
  /** With the task's kill_signal. */
  readonly stop: () => Promise<Exit>;
  /** Kills whatever is in its PID namespace. */
  readonly killAll: () => Promise<Exit>;
}

export interface Allocation extends Placement {
  readonly shortId: string;
  readonly client: Client;
  /** Its service in the mesh. */
  readonly mesh: MeshService | undefined;
  /** Starts a task of srv-epmd's. */
  readonly start: (name: string) => Promise<RunningTask>;
  /** A VM in place of the release, with its task's environment alone. @param over instead of what is in that; undefined takes out */
  readonly node: (options?: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly args?: readonly string[];
  }) => Promise<ErlangNode>;
  /** Full name of the release's node. */
  readonly nodeName: string;
  /** In Nomad's order: the sidecars at once, the release when they run, whether they answer or not. */
  readonly run: (options?: RunOptions) => Promise<RunningAllocation>;
}

export interface RunOptions {
  /** Milliseconds by which sidecars start later than the others, as when their artifact takes its time. */
  readonly late?: Readonly<Record<string, number>>;
}

export interface RunningAllocation {
  readonly sidecar: (name: string) => RunningTask;
  readonly node: ErlangNode;
  /** In Nomad's order: the release, then the sidecars. */
  readonly stop: () => Promise<Exit[]>;
}

export interface AllocationOptions {
  readonly variables?: Values;
  /** What Nomad writes for the identity of a task. */
  readonly jwt?: string;
}

/** What the release's task runs in the jobs: the release alone, or in a shell, behind a script. */
const RELEASE = /^(?:\/bin\/bash -c (.+); exec )?local\/release\/bin\/svc start$/;

/** Nomad's exec driver runs tasks as nobody, with few capabilities, that of port 53 among them. */
const AS_NOBODY = [
  ...["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL"],
  ...["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"],
];

export async function createAllocation(
  client: Client,
  file: JobFile,
  { variables = {}, jwt }: AllocationOptions = {},
): Promise<Allocation> {
  const given = Object.fromEntries(Object.keys(file.variables).map((name) => [name, "not-fetched"]));
  const values = { ...given, ...defaultsOf(file), ...variables };
  const mesh = meshServiceOf(file, { variables: values, runtime: {} });
  const placement = await place(client, file, mesh && [mesh.name]);
  const { netns } = placement;
  const shortId = placement.id.slice(0, 8);
  const nomad = { ...ofAllocation(placement, client), ...ofUpstreams(mesh?.upstreams ?? []) };
  const runtime = { ...nomad, "attr.unique.network.ip-address": client.address };
  const tasks = tasksOf(file, { variables: values, runtime });
  const task = (name: string) => {
    const found = tasks.find((each) => each.name === name);
    if (!found) throw new Error(`there is no task ${name}`);
    return found;
  };
  const environment = ({ name, env }: Omit<Task, "command" | "args">): Record<string, string> => ({
    ...nomad,
    NOMAD_TASK_NAME: name,
    ...env,
  });
  const commandOf = ({ command, args }: Task) => RELEASE.exec([command, ...args].join(" "));
  const release = tasks.find((each) => commandOf(each) !== null);
  if (!release?.env.RELEASE_NODE) throw new Error(`no task runs ${RELEASE}`);
  const [, before] = commandOf(release) ?? [];
  const nodeName = release.env.RELEASE_NODE;

  const start: Allocation["start"] = async (name) => startTask(task(name), environment(task(name)), netns);
  const node: Allocation["node"] = async ({ env = {}, args = [] } = {}) => {
    const all: Record<string, string | undefined> = { ...environment(release), ...env };
    const hasModule = /-epmd_module srv_epmd/.test(release.env.ERL_ZFLAGS ?? "");
    const path = hasModule ? ["-pa", await moduleFolder()] : [];
    return startNode({
      name: all.RELEASE_NODE ?? nodeName,
      cookie: DEFAULT_COOKIE,
      env: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
      args: [...path, ...args],
      netns,
    });
  };
  await mkdir(join(placement.allocDir, "logs"));
  const secrets = secretsOf(placement);
  await mkdir(secrets);
  for (const each of tasks) await writeIdentities(each, secrets, jwt);
  return {
    ...placement,
    shortId,
    client,
    mesh,
    start,
    node,
    nodeName,
    run: async ({ late = {} } = {}) => {
      const sidecars = await Promise.all(
        tasks
          .filter(({ lifecycle }) => lifecycle === "sidecar")
          .map(async (each) => {
            await sleep(late[each.name] ?? 0);
            return { ...each, running: await start(each.name) };
          }),
      );
      if (before !== undefined) await netns.run("bash", "-c", before);
      const vm = await node();
      return {
        sidecar: (name) => {
          const found = sidecars.find((each) => each.name === name);
          if (!found) throw new Error(`there is no sidecar ${name}`);
          return found.running;
        },
        node: vm,
        stop: async () => {
          await vm.kill(release.killSignal);
          return Promise.all(sidecars.map(({ running }) => running.stop()));
        },
      };
    },
  };
}

/** Starts a task of srv-epmd's with nothing but this environment. */
export async function startTask(
  { name, args, killSignal }: Task,
  env: Readonly<Record<string, string>>,
  netns: Host,
): Promise<RunningTask> {
  const isolated = ["--pid", "--fork", "--kill-child", "--mount-proc", ...AS_NOBODY];
  const child = startChild("unshare", [...isolated, process.execPath, await programForAll(), ...args], {
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", ...env },
    netns,
  });
  const pid = await waitFor(
    () => {
      if (child.hasExited()) throw new Error(`task ${name} has ended:\n${child.stderr()}`);
      return firstChild(child.pid);
    },
    { what: `the process of task ${name}`, interval: 5 },
  );
  const end = (signal: NodeJS.Signals) => {
    // Of another process by now, if it has ended.
    if (!child.hasExited()) process.kill(pid, signal);
    return child.exited;
  };
  return { pid, child, log: () => parse(child.stderr()), stop: () => end(killSignal), killAll: () => end("SIGKILL") };
}

/** What Nomad writes into a task's folder of secrets. @param jwt any will do where Consul has no ACLs */
export async function writeIdentities({ identities }: Task, folder: string, jwt = "e30.e30.e30"): Promise<void> {
  for (const name of identities) await writeFile(join(folder, `nomad_${name}.jwt`), jwt);
}

/** One for all tasks. */
const secretsOf = ({ allocDir }: Pick<Placement, "allocDir">) => join(allocDir, "..", "secrets");

/** NOMAD_UPSTREAM_*, by the name of the destination as it is and cleaned. */
function ofUpstreams(upstreams: MeshService["upstreams"]): Record<string, string> {
  const entries = upstreams.flatMap(({ destination, port }) =>
    [destination, destination.replaceAll(/[^A-Za-z0-9_]/g, "_")].flatMap((name) => [
      [`NOMAD_UPSTREAM_ADDR_${name}`, `127.0.0.1:${port}`],
      [`NOMAD_UPSTREAM_IP_${name}`, "127.0.0.1"],
      [`NOMAD_UPSTREAM_PORT_${name}`, String(port)],
    ]),
  );
  return Object.fromEntries(entries) as Record<string, string>;
}

/** NOMAD_* of a task in a bridge network (client/taskenv/env.go, addPorts). */
function ofAllocation({ id, ip, ports, allocDir }: Placement, { address }: Client): Record<string, string> {
  const env: Record<string, string> = {
    NOMAD_ALLOC_ID: id,
    NOMAD_SHORT_ALLOC_ID: id.slice(0, 8),
    NOMAD_ALLOC_NAME: "svc.node[0]",
    NOMAD_ALLOC_INDEX: "0",
    NOMAD_GROUP_NAME: "node",
    NOMAD_JOB_ID: "svc",
    NOMAD_JOB_NAME: "svc",
    NOMAD_NAMESPACE: "default",
    NOMAD_DC: "dc1",
    NOMAD_REGION: "global",
    NOMAD_ALLOC_DIR: allocDir,
    NOMAD_TASK_DIR: "/local",
    NOMAD_SECRETS_DIR: secretsOf({ allocDir }),
  };
  for (const { label, hostPort, taskPort } of ports) {
    // Nomad cleans the label in these four alone.
    const cleaned = label.replaceAll(/\W/g, "_");
    env[`NOMAD_IP_${cleaned}`] = address;
    env[`NOMAD_ADDR_${cleaned}`] = `${address}:${hostPort}`;
    env[`NOMAD_HOST_PORT_${cleaned}`] = String(hostPort);
    env[`NOMAD_PORT_${cleaned}`] = String(taskPort);
    env[`NOMAD_HOST_IP_${label}`] = address;
    env[`NOMAD_HOST_ADDR_${label}`] = `${address}:${hostPort}`;
    env[`NOMAD_ALLOC_PORT_${label}`] = String(taskPort);
    env[`NOMAD_ALLOC_IP_${label}`] = ip;
    env[`NOMAD_ALLOC_ADDR_${label}`] = `${ip}:${taskPort}`;
    env[`NOMAD_ALLOC_INTERFACE_${label}`] = "eth0";
  }
  return env;
}

/** The process that `unshare --fork` has started: of the children there have been, the one in another PID namespace. */
function firstChild(pid: number): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  const namespace = (of: string) => readlinkSync(`/proc/${of}/ns/pid`);
  const found = children.find((child) => namespace(child) !== namespace("self"));
  return found === undefined ? undefined : Number(found);
}

function parse(text: string): LogLine[] {
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => (line.startsWith("{") ? (JSON.parse(line) as LogLine) : { msg: line }));
}

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Machine, PATH } from "./machine.js";
import { findConsulProgram, findNomad, findPlugins } from "./needs.js";

export type AgentKind = "consul" | "nomad";

export interface LabOptions {
  /** `false`: Nomad alone. `acl`: everything is denied in Consul to whoever has no token, and Nomad's tasks get one by their identity. */
  readonly consul?: boolean | "acl";
  /** Everything is denied in Nomad, too. */
  readonly nomadAcl?: boolean;
  /** Nomad's `task_identity` for Consul asks for this, too. */
  readonly taskIdentity?: object;
}

/** May do all in Consul: the servers' own token, which is in the configuration of Consul and Nomad. */
export const CONSUL_TOKEN = "00000000-0000-4000-8000-00000000000a";

/** The agents of a machine, with their configuration and logs in a folder of the lab. */
export interface Agents {
  readonly startAgent: (kind: AgentKind) => Promise<void>;
  /** SIGKILL. What Nomad's agent has started goes on without it. */
  readonly killAgent: (kind: AgentKind) => void;
}

export interface AgentsOptions extends LabOptions {
  /** Own folder; short, for there are unix sockets below it, whose paths have 107 characters at most. */
  readonly folder: string;
  readonly machine: Machine;
  /** Address of the machine with the servers. */
  readonly server: string;
  /** A bridge network for each client, of which the lab's is the second to last octet. */
  readonly number: number;
  readonly chrootEnv: Readonly<Record<string, string>>;
}

export async function configureAgents(options: AgentsOptions): Promise<Agents> {
  const { folder, machine } = options;
  for (const name of ["consul", "nomad", "a", "plugins", "tmp"]) await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, "consul.json"), JSON.stringify(consulConfig(options), undefined, 2));
  await writeFile(join(folder, "nomad.json"), JSON.stringify(nomadConfig(options), undefined, 2));
  const programs = { consul: findConsulProgram() ?? "", nomad: findNomad() ?? "" };
  const pids = new Map<AgentKind, number>();
  return {
    startAgent: async (kind) => {
      const log = `exec "$0" "$@" >>${folder}/${kind}.log 2>&1`;
      const config = kind === "nomad" ? "-config" : "-config-file";
      const agent = ["sh", "-c", log, programs[kind], "agent", `${config}=${folder}/${kind}.json`];
      // Nomad has the sockets of its plug-ins in TMPDIR, and calls `consul` for a proxy.
      const env = [`TMPDIR=${folder}/tmp`, `PATH=${dirname(programs.consul)}:${PATH}`];
      pids.set(kind, (await machine.start("env", [...env, ...agent])).pid);
    },
    killAgent: (kind) => {
      const pid = pids.get(kind);
      if (pid === undefined) throw new Error(`${machine.name} has no running ${kind}`);
      process.kill(pid, "SIGKILL");
      pids.delete(kind);
    },
  };
}

function consulConfig({ folder, machine, server, consul }: AgentsOptions): object {
  const tokens = { master: CONSUL_TOKEN, agent: CONSUL_TOKEN, default: CONSUL_TOKEN };
  return {
    data_dir: join(folder, "consul"),
    node_name: machine.name,
    bind_addr: machine.address,
    client_addr: `127.0.0.1 ${machine.address}`,
    ...(machine.address === server ? { server: true, bootstrap_expect: 1 } : {}),
    retry_join: [server],
    retry_interval: "1s",
    connect: { enabled: true },
    ports: { grpc: 8502 },
    performance: { raft_multiplier: 1 },
    log_level: "WARN",
    disable_update_check: true,
    ...(consul === "acl" && { acl: { enabled: true, default_policy: "deny", tokens } }),
  };
}

function nomadConfig({ folder, machine, server, consul = true, ...options }: AgentsOptions): object {
  const identity = { aud: ["consul.io"], ttl: "1h" };
  const withTokens = {
    token: CONSUL_TOKEN,
    service_identity: identity,
    task_identity: { ...identity, env: true, file: true, ...options.taskIdentity },
  };
  const alone = { auto_advertise: false, client_auto_join: false, server_auto_join: false };
  return {
    name: machine.name,
    data_dir: join(folder, "nomad"),
    plugin_dir: join(folder, "plugins"),
    bind_addr: machine.address,
    ...(machine.address === server && { server: { enabled: true, bootstrap_expect: 1, raft_multiplier: 1 } }),
    client: {
      enabled: true,
      network_interface: "eth0",
      alloc_dir: join(folder, "a"),
      cni_path: findPlugins(),
      servers: [`${server}:4647`],
      // What the machine has is shared by three, and nothing here needs much.
      cpu_total_compute: 8000,
      memory_total_mb: 8000,
      bridge_network_subnet: `172.26.${64 + options.number}.0/24`,
      chroot_env: options.chrootEnv,
      // These ask addresses that do not answer here.
      options: { "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean" },
    },
    consul: consul === false ? alone : { address: "127.0.0.1:8500", ...(consul === "acl" && withTokens) },
    ...(options.nomadAcl && { acl: { enabled: true } }),
    disable_update_check: true,
  };
}

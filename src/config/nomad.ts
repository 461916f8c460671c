import { type Upstream, upstreamsTo } from "../mesh/core/upstreams.js";
import { canonicalIp } from "../net/ip.js";

/** Variables that Nomad gives a task (client/taskenv/env.go). */

export interface NomadPort {
  /** As the job writes it, where a variable tells. NOMAD_PORT_<label> has `_` for what is no word character. */
  readonly label: string;
  /** NOMAD_PORT_<label>: the port inside the task's network namespace. */
  readonly taskPort: number;
  /** NOMAD_HOST_PORT_<label> */
  readonly hostPort: number;
  /** NOMAD_HOST_IP_<label> */
  readonly hostIp: string | undefined;
  /** NOMAD_ALLOC_IP_<label>, the task's own side; differs from the host's in a bridge network. */
  readonly allocIp: string | undefined;
}

/** What this process is a task of. Undefined is what this version of Nomad does not say. */
export interface NomadTask {
  readonly task: string | undefined;
  readonly group: string | undefined;
  /** NOMAD_ALLOC_ID, a UUID. */
  readonly allocId: string;
  /** `svc.node[0]`: job, group and index. */
  readonly allocName: string | undefined;
  readonly jobId: string | undefined;
  readonly jobName: string | undefined;
  readonly namespace: string | undefined;
  readonly datacenter: string | undefined;
  readonly region: string | undefined;
  /** Whether NOMAD_TOKEN is set: the task's identity, as a JWT. */
  readonly hasToken: boolean;
}

export interface NomadEnvironment {
  readonly ports: readonly NomadPort[];
  /** Undefined outside Nomad. */
  readonly task: NomadTask | undefined;
  /** NOMAD_ALLOC_ID, which is part of the ids of the services that Nomad registers for the allocation. */
  readonly allocId: string | undefined;
  readonly shortAllocId: string | undefined;
  /** NOMAD_SECRETS_DIR, as this task sees it: the socket of the task API and the tokens of the identities are in it. */
  readonly secretsDir: string | undefined;
  /** NOMAD_UPSTREAM_*: where the Connect proxy of the allocation listens for each destination, once each. */
  readonly upstreams: readonly Upstream[];
  /** ERL_DIST_PORT: the distribution port that releases give their VM (relx, ejabberdctl). */
  readonly erlDistPort: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

function portNumber(text: string | undefined): number | undefined {
  const value = text !== undefined && /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= 65535 ? value : undefined;
}

/** A name as Nomad writes it into a variable (helper.CleanEnvVar). */
const cleaned = (name: string) => name.replaceAll(/[^A-Za-z0-9_]/g, "_");

export function readNomadEnvironment(env: Environment): NomadEnvironment {
  const { NOMAD_ALLOC_ID: allocId } = env;
  return {
    ports: readPorts(env),
    task: allocId ? readTask(allocId, env) : undefined,
    allocId: allocId || undefined,
    shortAllocId: env.NOMAD_SHORT_ALLOC_ID || allocId?.slice(0, 8) || undefined,
    secretsDir: env.NOMAD_SECRETS_DIR || undefined,
    upstreams: withoutCleaned(readUpstreams(env)),
    erlDistPort: portNumber(env.ERL_DIST_PORT),
  };
}

function readTask(allocId: string, env: Environment): NomadTask {
  const text = (variable: string) => env[variable] || undefined;
  return {
    allocId,
    task: text("NOMAD_TASK_NAME"),
    group: text("NOMAD_GROUP_NAME"),
    allocName: text("NOMAD_ALLOC_NAME"),
    jobId: text("NOMAD_JOB_ID"),
    jobName: text("NOMAD_JOB_NAME"),
    namespace: text("NOMAD_NAMESPACE"),
    datacenter: text("NOMAD_DC"),
    region: text("NOMAD_REGION"),
    hasToken: text("NOMAD_TOKEN") !== undefined,
  };
}

/** Nomad cleans the label in NOMAD_PORT_, _HOST_PORT_, _IP_ and _ADDR_, and leaves it in NOMAD_HOST_IP_ and NOMAD_ALLOC_*. */
function readPorts(env: Environment): NomadPort[] {
  const labels = new Map<string, string>();
  for (const variable of Object.keys(env)) {
    const label = /^NOMAD_(?:PORT|HOST_IP|ALLOC_PORT|ALLOC_IP)_(.+)$/.exec(variable)?.[1];
    if (label === undefined) continue;
    const known = labels.get(cleaned(label));
    if (known === undefined || known === cleaned(known)) labels.set(cleaned(label), label);
  }
  return Array.from(labels.values()).flatMap((label) => {
    const of = (prefix: string) =>
      env[`NOMAD_${prefix}_${label}`] || env[`NOMAD_${prefix}_${cleaned(label)}`] || undefined;
    const taskPort = portNumber(of("PORT"));
    if (taskPort === undefined) return [];
    const hostPort = portNumber(of("HOST_PORT")) ?? taskPort;
    return [{ label, taskPort, hostPort, hostIp: of("HOST_IP") ?? of("IP"), allocIp: of("ALLOC_IP") }];
  });
}

/** The port of a label, written as in the job or as in the variables. */
export function portOfLabel(ports: readonly NomadPort[], wanted: string): NomadPort | undefined {
  return ports.find(({ label }) => label === wanted) ?? ports.find(({ label }) => cleaned(label) === cleaned(wanted));
}

/** Nomad gives each Connect proxy a port with this label and the service's name (nomad/job_endpoint_hook_connect.go). */
const PROXY_LABEL = /^connect[-_]proxy[-_](.+)$/;

/** Whether the port is one of those that the job gives a task to listen on, and not that of a Connect proxy. */
export function isForTasks({ label }: NomadPort): boolean {
  return !PROXY_LABEL.test(label);
}

/** The services of this allocation that have a Connect proxy. */
export function proxiedServices(ports: readonly NomadPort[]): string[] {
  return ports.flatMap(({ label }) => PROXY_LABEL.exec(label)?.[1] ?? []);
}

/** The JWT of `identity { name = "consul_default" file = true }` (nomad/structs/workload_id.go); undefined outside Nomad. */
export function nomadJwt({ secretsDir }: Pick<NomadEnvironment, "secretsDir">): string | undefined {
  return secretsDir === undefined ? undefined : `${secretsDir}/nomad_consul_default.jwt`;
}

/** A bridge network: the task's address is not the host's, so only mapped ports can be reached. */
export function isBridged(port: NomadPort): boolean {
  return port.allocIp !== undefined && port.hostIp !== undefined && port.allocIp !== port.hostIp;
}

/** Nomad gives this constant, whatever `local_bind_address` is. */
const BIND_ADDRESS = "127.0.0.1";

/** NOMAD_UPSTREAM_ADDR_<destination>, else _IP_ and _PORT_. */
function readUpstreams(env: Environment): Upstream[] {
  const found = new Map<string, Upstream>();
  for (const variable of Object.keys(env)) {
    const destination = /^NOMAD_UPSTREAM_(?:ADDR|PORT)_(.+)$/.exec(variable)?.[1];
    if (destination === undefined || found.has(destination)) continue;
    const listener = listenerOf(destination, env);
    if (listener) found.set(destination, { destination, ...listener });
  }
  return Array.from(found.values());
}

/** Nomad sets the variables for the name as it is written and for the cleaned one; some versions keep dots in that. */
function withoutCleaned(upstreams: readonly Upstream[]): Upstream[] {
  return upstreams.filter(({ destination, port }) => {
    const isCleaned = (other: Upstream) =>
      other.destination !== destination &&
      other.port === port &&
      [cleaned(other.destination), other.destination.replaceAll(/[^A-Za-z0-9_.]/g, "_")].includes(destination);
    return !upstreams.some(isCleaned);
  });
}

/**
 * The upstreams of a destination: those that are written so, else those whose cleaned name is the same. That serves nodes
 * with `_` in their names, which no service in Nomad has, and environments that hold the cleaned variables alone. Where
 * it fits two listeners, it is not known which one is meant, and there is none.
 */
export function nomadUpstreamsTo(destination: string, upstreams: readonly Upstream[]): Upstream[] {
  const written = upstreamsTo(destination, upstreams);
  if (written.length > 0) return written;
  const wanted = cleaned(destination).toLowerCase();
  const same = upstreams.filter((one) => cleaned(one.destination).toLowerCase() === wanted);
  return same.length === 1 ? same : [];
}

/**
 * A name of a variable as it is written elsewhere: some shells, such as dash, pass on the cleaned variables alone.
 * @param known names as they are written
 */
export function uncleaned(name: string, known: readonly string[]): string {
  if (name !== cleaned(name)) return name;
  return known.find((one) => cleaned(one).toLowerCase() === name.toLowerCase()) ?? name;
}

function listenerOf(destination: string, env: Environment) {
  const whole = /^(.*):([0-9]{1,5})$/.exec(env[`NOMAD_UPSTREAM_ADDR_${destination}`] ?? "");
  const [address, port] = whole
    ? [whole[1], whole[2]]
    : [env[`NOMAD_UPSTREAM_IP_${destination}`] || BIND_ADDRESS, env[`NOMAD_UPSTREAM_PORT_${destination}`]];
  const literal = canonicalIp((address ?? "").replace(/^\[(.*)\]$/, "$1"));
  const number = /^[0-9]{1,5}$/.test(port ?? "") ? Number(port) : 0;
  return literal === undefined || number < 1 || number > 65535 ? undefined : { address: literal, port: number };
}

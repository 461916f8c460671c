import type { Upstream } from "../mesh/core/upstreams.js";
import { canonicalIp } from "../net/ip.js";

/** Variables that Nomad gives a task (client/taskenv/env.go, addPorts). */

export interface NomadPort {
  /** As in the variable: Nomad gives each label raw and with non-word characters as `_`. */
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

export interface NomadEnvironment {
  readonly ports: readonly NomadPort[];
  /** NOMAD_ALLOC_ID, which is part of the ids of the services that Nomad registers for the allocation. */
  readonly allocId: string | undefined;
  readonly shortAllocId: string | undefined;
  /** NOMAD_SECRETS_DIR, as this task sees it. */
  readonly secretsDir: string | undefined;
  /** NOMAD_UPSTREAM_*: where the Connect proxy of the allocation listens for each destination. */
  readonly upstreams: readonly Upstream[];
  /** ERL_DIST_PORT: the distribution port that releases give their VM (relx, ejabberdctl). */
  readonly erlDistPort: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

function portNumber(text: string | undefined): number | undefined {
  const value = text !== undefined && /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= 65535 ? value : undefined;
}

export function readNomadEnvironment(env: Environment): NomadEnvironment {
  const ports: NomadPort[] = [];
  for (const [variable, value] of Object.entries(env)) {
    const label = /^NOMAD_PORT_(.+)$/.exec(variable)?.[1];
    const taskPort = portNumber(value);
    if (label === undefined || taskPort === undefined) continue;
    ports.push({
      label,
      taskPort,
      hostPort: portNumber(env[`NOMAD_HOST_PORT_${label}`]) ?? taskPort,
      hostIp: env[`NOMAD_HOST_IP_${label}`] || env[`NOMAD_IP_${label}`] || undefined,
      allocIp: env[`NOMAD_ALLOC_IP_${label}`] || undefined,
    });
  }
  return {
    ports,
    allocId: env.NOMAD_ALLOC_ID || undefined,
    shortAllocId: env.NOMAD_SHORT_ALLOC_ID || env.NOMAD_ALLOC_ID?.slice(0, 8) || undefined,
    secretsDir: env.NOMAD_SECRETS_DIR || undefined,
    upstreams: readNomadUpstreams(env),
    erlDistPort: portNumber(env.ERL_DIST_PORT),
  };
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

/** NOMAD_UPSTREAM_ADDR_<destination>, else _IP_ and _PORT_: Nomad sets them for the name as it is written and for the cleaned one. */
export function readNomadUpstreams(env: Readonly<Record<string, string | undefined>>): Upstream[] {
  const found = new Map<string, Upstream>();
  for (const variable of Object.keys(env)) {
    const destination = /^NOMAD_UPSTREAM_(?:ADDR|PORT)_(.+)$/.exec(variable)?.[1];
    if (destination === undefined || found.has(destination)) continue;
    const listener = listenerOf(destination, env);
    if (listener) found.set(destination, { destination, ...listener });
  }
  return Array.from(found.values());
}

/** A destination as Nomad may have written it: raw, with `_` for what is no word character, and the same with dots kept. */
export function nomadSpellings(destination: string): string[] {
  return [destination, destination.replaceAll(/[^A-Za-z0-9_]/g, "_"), destination.replaceAll(/[^A-Za-z0-9_.]/g, "_")];
}

/** Without upstreams whose destination is only the cleaned spelling of another. */
export function withoutCleaned(upstreams: readonly Upstream[]): Upstream[] {
  return upstreams.filter(({ destination, port }) => {
    const isCleaned = (other: Upstream) =>
      other.destination !== destination &&
      other.port === port &&
      nomadSpellings(other.destination).includes(destination);
    return !upstreams.some(isCleaned);
  });
}

function listenerOf(destination: string, env: Readonly<Record<string, string | undefined>>) {
  const whole = /^(.*):([0-9]{1,5})$/.exec(env[`NOMAD_UPSTREAM_ADDR_${destination}`] ?? "");
  const [address, port] = whole
    ? [whole[1], whole[2]]
    : [env[`NOMAD_UPSTREAM_IP_${destination}`] || BIND_ADDRESS, env[`NOMAD_UPSTREAM_PORT_${destination}`]];
  const literal = canonicalIp((address ?? "").replace(/^\[(.*)\]$/, "$1"));
  const number = /^[0-9]{1,5}$/.test(port ?? "") ? Number(port) : 0;
  return literal === undefined || number < 1 || number > 65535 ? undefined : { address: literal, port: number };
}

import { readNomadUpstreams } from "./mesh/nomad-upstreams.js";
import type { Upstream } from "./mesh/upstream.js";

/** What Nomad tells a task of itself in its environment (client/taskenv/env.go, addPorts). */

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
    upstreams: readNomadUpstreams(env),
    erlDistPort: portNumber(env.ERL_DIST_PORT),
  };
}

/** A bridge network: the task's address is not the host's, so only mapped ports can be reached. */
export function isBridged(port: NomadPort): boolean {
  return port.allocIp !== undefined && port.hostIp !== undefined && port.allocIp !== port.hostIp;
}

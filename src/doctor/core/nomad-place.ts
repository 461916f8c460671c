import { isBridged, isForTasks, type NomadEnvironment, type NomadPort, type NomadTask } from "../../config/nomad.js";
import { hostPort } from "../../net/ip.js";
import type { Facts } from "./finding.js";

/** Where a task of Nomad stands. */
export interface NomadPlace {
  readonly task: NomadTask;
  readonly ports: NomadEnvironment["ports"];
  /** As this machine or container calls itself. */
  readonly hostName: string;
  /** Nomad's HTTP API for the task, by its socket in the secrets folder. */
  readonly api: { readonly path: string; readonly isThere: boolean; readonly hasToken: boolean };
}

/** The client's address, from any port of the group. */
export function clientAddress(ports: readonly NomadPort[]): string | undefined {
  return ports.find(({ hostIp }) => hostIp !== undefined)?.hostIp;
}

/** Job, client, ports and API in words, a line each. */
export function placeWords({ task, ports, hostName, api }: NomadPlace): string[] {
  const { allocName, jobId, jobName, datacenter, region } = task;
  const named = allocName === undefined ? "" : ` (${allocName})`;
  const job = jobId ?? jobName;
  const shown = jobName !== undefined && jobName !== job ? ` (${jobName})` : "";
  const address = clientAddress(ports);
  const places = [
    ...(address === undefined ? [] : [`host name ${hostName}`]),
    ...(datacenter === undefined ? [] : [`datacenter ${datacenter}`]),
    ...(region === undefined ? [] : [`region ${region}`]),
  ];
  const inside = ports.find(isBridged)?.allocIp;
  const network = inside === undefined ? "" : `, in its bridge network as ${inside}`;
  return [
    `${task.task === undefined ? "" : `task ${task.task} of `}allocation ${task.allocId.slice(0, 8)}${named}${job === undefined ? "" : ` of the job ${job}${shown}`}${task.namespace === undefined ? "" : ` in the namespace ${task.namespace}`}`,
    `on the client ${address ?? hostName}${places.length > 0 ? ` (${places.join(", ")})` : ""}${network}`,
    `ports: ${portWords(ports)}`,
    apiWords(api),
  ];
}

function portWords(ports: readonly NomadPort[]): string {
  const mapped = ports.filter(isForTasks).map(({ label, taskPort, hostPort: outside, hostIp }) => {
    const peers = hostIp === undefined ? `port ${outside}` : hostPort(hostIp, outside);
    return `${label} ${taskPort} here is ${peers} to others`;
  });
  return mapped.length > 0 ? mapped.join(", ") : "none for tasks";
}

function apiWords({ path, isThere, hasToken }: NomadPlace["api"]): string {
  if (!isThere) return `Nomad's API for tasks is not here: no socket ${path}`;
  return hasToken
    ? `Nomad's API for tasks is at ${path}, and the task has a token for it`
    : `Nomad's API for tasks is at ${path}, and the task has no token for it (identity { env = true file = true }), which only look-ups in Nomad's own catalogue need`;
}

export function placeFacts({ task, ports, hostName, api }: NomadPlace): Facts {
  return {
    job: { id: task.jobId, name: task.jobName },
    ...{ namespace: task.namespace, group: task.group, task: task.task },
    allocation: { id: task.allocId, name: task.allocName },
    client: { address: clientAddress(ports), hostName, datacenter: task.datacenter, region: task.region },
    network: ports.some(isBridged) ? "bridge" : "host",
    ports: ports.filter(isForTasks).map(({ label, taskPort, hostPort: outside, hostIp }) => {
      return { label, port: taskPort, hostPort: outside, hostAddress: hostIp };
    }),
    taskApi: { socket: api.isThere, token: api.hasToken },
  };
}

import { onTestFailed } from "vitest";
import { waitFor } from "../../support/wait-for.js";
import { srvAddresses } from "./dns.js";
import { type Allocation, type Job, portOf } from "./job.js";
import type { Lab } from "./lab.js";
import { type Observer, observe } from "./observer.js";
import { watchVms } from "./vms.js";

/** What test/nomad/release says of itself. */
export interface NodeState {
  readonly node: string;
  readonly version: string;
  readonly nodes: readonly string[];
}

/** Milliseconds that a cluster may take to be what it is to be, on a machine that is busy with starting its tasks. */
const CLUSTER = 400_000;

/** Milliseconds for an answer of the release; a link that cannot be made takes Erlang 7 s. */
const ANSWER = 15_000;

export const stateOf = (allocation: Allocation) => askRelease<NodeState>(allocation, "/");

/** GET of the release's port. @param path `/`, `/connect/<node>` */
async function askRelease<T>(allocation: Allocation, path: string): Promise<T> {
  const signal = AbortSignal.timeout(ANSWER);
  return (await (await fetch(`http://${portOf(allocation, "http")}${path}`, { signal })).json()) as T;
}

export interface Wanted {
  readonly count: number;
  readonly version?: string;
  /** Tells each node to connect to the others: a release that has no discovery. */
  readonly connect?: boolean;
}

/** Waits until so many allocations run, each of whose nodes is connected to all of the others and to nobody else. */
export async function whenComplete(job: Job, { count, version, connect = false }: Wanted): Promise<void> {
  const complete = async () => {
    const running = await job.running();
    if (running.length !== count) throw new Error(`${running.length} run`);
    if (connect) await connectAll(running);
    const states = await Promise.all(running.map(stateOf));
    const isRight = (state: NodeState) => seesAll(state, states) && (version ?? state.version) === state.version;
    if (!states.every(isRight)) throw new Error(JSON.stringify(states));
    return true;
  };
  await waitFor(complete, { what: `${count} nodes, each connected to all`, timeout: CLUSTER, interval: 500 });
}

/** The first is told of all others, and the VMs introduce those to each other (global). */
async function connectAll(allocations: readonly Allocation[]): Promise<void> {
  const states = await Promise.all(allocations.map(stateOf));
  for (const [index, allocation] of allocations.entries()) {
    const own = states[index];
    for (const { node } of states) {
      if (own === undefined || node === own.node || own.nodes.includes(node)) continue;
      await askRelease(allocation, `/connect/${node}`);
    }
  }
}

export function seesAll({ node, nodes }: NodeState, all: readonly NodeState[]): boolean {
  return same(
    [node, ...nodes],
    all.map((each) => each.node),
  );
}

const same = (some: readonly string[], others: readonly string[]) =>
  some.length === others.length && new Set(some).size === some.length && some.every((name) => others.includes(name));

/** Observes a service in Consul's DNS, asked on one machine after the other. @param domain the service's: `svc-dist.service.consul` */
export function observeDns(lab: Lab, domain: string): Observer {
  let turn = 0;
  const look = () => {
    const { address } = lab.machines[turn++ % lab.machines.length] ?? lab.machines[0];
    return srvAddresses({ address, port: 8600 }, domain);
  };
  return observe({ look, vms: watchVms(lab.folder) });
}

/** Observes a service in Nomad's own catalogue. */
export function observeNomad(lab: Lab, service: string): Observer {
  const look = async () => {
    const entries = await lab.ask<{ Address: string; Port: number }[]>("nomad", `/v1/service/${service}`);
    return new Set(entries.map(({ Address, Port }) => `${Address}:${Port}`));
  };
  return observe({ look, vms: watchVms(lab.folder) });
}

/** When the test fails, its error output says how the job's allocations stand. */
export function tellStoryOf(job: Job): void {
  onTestFailed(async () => {
    process.stderr.write(`${await job.story().catch(String)}\n`);
  });
}

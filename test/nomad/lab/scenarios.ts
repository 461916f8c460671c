import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { problemsOf } from "../../support/doctor.js";
import { waitFor } from "../../support/wait-for.js";
import type { AgentKind } from "./agents.js";
import { examineInside } from "./inside.js";
import { type Allocation, edited, isRunning, type Job, killTask } from "./job.js";
import type { Lab, LabMachine } from "./lab.js";
import { type Bounds, expectSteady, type Observer, type Report } from "./observer.js";
import { seesAll, stateOf, type Wanted } from "./service.js";

/** A job of nomad/ that runs nodes of a service, and what the scenarios need to know of it. */
export interface Way {
  readonly lab: Lab;
  readonly job: Job;
  readonly observer: Observer;
  readonly run: (count: number, release?: ReleaseName, edit?: (text: string) => string) => Promise<void>;
  readonly complete: (count: number, wanted?: Partial<Wanted>) => Promise<void>;
}

/** `broken`: its VM does not start. `nameless`: its VM is no node. */
export type ReleaseName = "one" | "two" | "broken" | "nameless";

export interface WaySettings {
  /** Names of the tasks that are killed, each with what may be seen of it. */
  readonly killed: Readonly<Record<string, Bounds>>;
  /** Updates whose canary never gets healthy. */
  readonly failing: readonly {
    readonly what: string;
    readonly release?: ReleaseName;
    readonly changes?: readonly (readonly [pattern: RegExp, by: string])[];
    /** The check of `doctor` that fails in the canary. */
    readonly fails?: string;
  }[];
  /** Nomad's own catalogue is the only one. */
  readonly withoutConsul?: boolean;
  /** For every scenario, unless it has its own. */
  readonly bounds?: Bounds;
}

/** Agents that are killed, and the index of their machine. */
const CONSULS_AGENTS = [
  // Consul itself takes the instances of a client out of DNS while nobody hears of its agent.
  ["Consul's agent on a client", "consul", 1, { missing: 75_000 }],
  ["Consul's server", "consul", 0, { missing: 75_000 }],
] as const;
const NOMADS_AGENTS = [
  ["Nomad's agent on a client", "nomad", 1, {}],
  ["Nomad's server", "nomad", 0, {}],
] as const;

/** Milliseconds that a Consul agent is away, and a client. */
const AGENT_AWAY = 15_000;
const CLIENT_AWAY = 120_000;
/**
 * Milliseconds after which Consul takes a client that says nothing for failed, and Nomad as well (10 s to 20 s, and a look at each
 * client every 10 s), on machines that are busy.
 */
const FAILURE_SEEN = 60_000;

/** Every test starts with three nodes of the first release. @param way called when the tests run */
export function commonScenarios(way: () => Way, settings: WaySettings): void {
  const { killed, failing, withoutConsul = false } = settings;
  const expectBounds = (report: Report, bounds: Bounds = {}) => expectSteady(report, { ...settings.bounds, ...bounds });

  test("3 nodes become 9, and 3 again", async () => {
    const { run, complete, observer } = way();
    await run(9);
    await complete(9);
    expectBounds(observer.report(), { fewest: 3 });
    await run(3);
    await complete(3);
    expectBounds(observer.report(), { fewest: 3 });
  });

  test("a canary update to another release", async () => {
    const { run, complete, observer, job } = way();
    await run(3, "two");
    expect(await job.deployed()).toBe("successful");
    await complete(3, { version: "2.0.0" });
    // Once the canary is promoted, Nomad stops each of the others before its successor starts.
    expectBounds(observer.report(), { fewest: 2 });
  });

  /** In the allocation that is to take the place of others. */
  const whenDoctorSees = async (check: string) => {
    const { lab, job } = way();
    const looks = async () => {
      const version = await job.version();
      const canary = (await job.running()).find(({ JobVersion }) => JobVersion === version);
      return canary !== undefined && (await examineInside(lab, canary)).of(check).result === "fail";
    };
    await waitFor(looks, { what: `doctor to fail ${check} in the canary`, timeout: 120_000, interval: 2_000 });
  };

  test.each(failing)("an update to $what fails, and the job goes back", async ({ release, changes = [], fails }) => {
    const { run, complete, observer, job } = way();
    // As they are it takes ten minutes.
    const impatient = (text: string) =>
      edited(
        text,
        [/( *)min_healthy_time .*/, '$&\n$1healthy_deadline = "90s"\n$1progress_deadline = "2m"'],
        ...changes,
      );
    const before = await job.running();
    await run(3, release, impatient);
    if (fails !== undefined) await whenDoctorSees(fails);
    expect(await job.deployed()).toBe("failed");
    await complete(3, { version: "1.0.0" });
    expect((await job.running()).map(({ ID }) => ID).sort()).toEqual(before.map(({ ID }) => ID).sort());
    expectBounds(observer.report(), { fewest: 3 });
  });

  test("doctor in an allocation finds nothing wrong, and reaches the node of another one", async () => {
    const { lab, job } = way();
    const [here, there] = (await job.running()) as [Allocation, Allocation];
    const examined = await examineInside(lab, here, (await stateOf(there)).node);
    expect(problemsOf(examined)).toEqual([]);
    expect(examined.code).toBe(0);
  });

  test("a client is drained", async () => {
    const { lab, complete, observer, job } = way();
    const { nodeId } = await machineWithNode(lab, job);
    await lab.nomad("node", "drain", "-enable", "-yes", "-detach", "-deadline", "10m", nodeId);
    try {
      const isEmpty = async () =>
        (await job.allocations()).every((each) => each.NodeID !== nodeId || each.ClientStatus !== "running");
      await waitFor(isEmpty, { what: "the end of the drain", timeout: 600_000, interval: 500 });
      await complete(3);
      expectBounds(observer.report(), { fewest: 2 });
    } finally {
      await lab.nomad("node", "drain", "-disable", "-yes", nodeId);
    }
  });

  test.each(Object.entries(killed))("SIGKILL of %s", async (task, bounds) => {
    const { lab, complete, observer, job } = way();
    const [allocation] = await job.running();
    if (allocation === undefined) throw new Error("no allocation runs");
    await killTask(lab, allocation, task);
    await complete(3);
    await whenRegistered(lab, allocation);
    expectBounds(observer.report(), bounds);
  });

  test.each([...(withoutConsul ? [] : CONSULS_AGENTS), ...NOMADS_AGENTS])(
    "%s is killed: no link is lost",
    async (_, kind, index, bounds) => {
      const { lab, complete, observer, job } = way();
      const allocations = await job.running();
      const machine = lab.machines[index];
      machine.killAgent(kind);
      await keepLinks(allocations, AGENT_AWAY);
      await machine.startAgent(kind);
      await whenBack(lab, kind);
      await keepLinks(allocations, AGENT_AWAY);
      await complete(3);
      expect((await job.running()).map(({ ID }) => ID).sort()).toEqual(allocations.map(({ ID }) => ID).sort());
      expectBounds(observer.report(), bounds);
    },
  );

  test("a client is cut off for two minutes", async () => {
    const { lab, complete, observer, job } = way();
    const { address, cut, heal, nodeId } = await machineWithNode(lab, job);
    const elsewhere = async () => (await job.allocations()).filter((each) => isRunning(each) && each.NodeID !== nodeId);
    const fewest = (await elsewhere()).length;
    await cut();
    observer.unreachable(address);
    const end = performance.now() + CLIENT_AWAY;
    try {
      const isReplaced = async () => (await elsewhere()).length === 3;
      await waitFor(isReplaced, { what: "a node in place of that one", timeout: CLIENT_AWAY * 3, interval: 500 });
      await sleep(Math.max(0, end - performance.now()));
    } finally {
      await heal();
      observer.reachable(address);
    }
    await complete(3);
    expectBounds(observer.report(), { dead: FAILURE_SEEN, fewest, missing: FAILURE_SEEN });
  });

  test(`a job that is stopped leaves nothing in ${withoutConsul ? "Nomad's catalogue" : "Consul"}`, async () => {
    const { lab, observer, job, complete } = way();
    await job.stop();
    await complete(0);
    await whenNothingIsListed(lab, withoutConsul);
    expectBounds(observer.report());
  });
}

/** No service of a job is left; in Consul neither in the catalogue nor in an agent. */
export async function whenNothingIsListed(lab: Lab, withoutConsul = false): Promise<void> {
  const inNomad = async () =>
    (await lab.ask<{ Services: { ServiceName: string }[] }[]>("nomad", "/v1/services?namespace=*")).flatMap(
      ({ Services }) => Services.map(({ ServiceName }) => ServiceName),
    );
  const inConsul = async () => {
    const own = lab.machines.map((machine) =>
      lab.ask<Record<string, { Service: string }>>("consul", "/v1/agent/services", machine),
    );
    const ofAgents = (await Promise.all(own)).flatMap((services) =>
      Object.values(services).map(({ Service }) => Service),
    );
    return [...Object.keys(await lab.ask<object>("consul", "/v1/catalog/services")), ...ofAgents];
  };
  const listed = async () => {
    const names = await (withoutConsul ? inNomad() : inConsul());
    // The agents' own.
    const left = names.filter((name) => !["consul", "nomad", "nomad-client"].includes(name));
    if (left.length > 0) throw new Error(`left: ${left.join(", ")}`);
    return true;
  };
  await waitFor(listed, { what: "a catalogue without services of a job", timeout: 30_000 });
}

/** One of the clients that is no server and has a node of the job. */
async function machineWithNode(lab: Lab, job: Job): Promise<LabMachine> {
  const running = await job.running();
  const found = lab.machines.slice(1).find(({ nodeId }) => running.some(({ NodeID }) => NodeID === nodeId));
  if (found === undefined) throw new Error("no client beside the server has a node of the job");
  return found;
}

/** A VM registers 2 s after its srv-epmd is back. Until then its entry is one of the predecessor's, which waits 10 s for it. */
async function whenRegistered(lab: Lab, { ID }: Allocation): Promise<void> {
  const name = `svc-${ID.slice(0, 8)}`;
  const command = ["alloc", "exec", "-i=false", "-t=false", "-task", "srv-epmd", ID, "/local/srv-epmd", "names"];
  const isRegistered = async () => (await lab.nomad(...command)).includes(name);
  await waitFor(isRegistered, { what: `${name} at its srv-epmd`, timeout: 60_000, interval: 500 });
}

/** Looks again and again, for so many milliseconds, whether each node is connected to all others. */
async function keepLinks(allocations: readonly Allocation[], time: number): Promise<void> {
  const end = performance.now() + time;
  while (performance.now() < end) {
    const states = await Promise.all(allocations.map(stateOf));
    expect(states.filter((state) => !seesAll(state, states))).toEqual([]);
    await sleep(1_000);
  }
}

async function whenBack(lab: Lab, kind: AgentKind): Promise<void> {
  const statuses = async () => {
    if (kind === "nomad")
      return (await lab.ask<{ Status: string }[]>("nomad", "/v1/nodes")).map(({ Status }) => Status === "ready");
    const checks = await lab.ask<{ CheckID: string; Status: string }[]>("consul", "/v1/health/state/any");
    return checks.filter(({ CheckID }) => CheckID === "serfHealth").map(({ Status }) => Status === "passing");
  };
  const areAll = async () => {
    const found = await statuses();
    return found.length === lab.machines.length && found.every(Boolean);
  };
  await waitFor(areAll, { what: `${kind} on all machines`, timeout: 180_000, interval: 500 });
}

import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ROOT } from "../../../src/build/settings.js";
import { waitFor } from "../../support/wait-for.js";
import type { Lab } from "./lab.js";

export type Variables = Readonly<Record<string, string | number>>;

/** Of Nomad's API (`/v1/allocations?resources=true`), as much as is used here. */
export interface Allocation {
  readonly ID: string;
  readonly Name: string;
  readonly NodeID: string;
  readonly NodeName: string;
  readonly ClientStatus: "pending" | "running" | "complete" | "failed" | "lost" | "unknown";
  readonly DesiredStatus: "run" | "stop" | "evict";
  readonly JobVersion: number;
  readonly CreateTime: number;
  readonly TaskStates: Readonly<Record<string, TaskState>> | null;
  readonly DeploymentStatus: { readonly Healthy: boolean | null; readonly Canary: boolean } | null;
  readonly AllocatedResources: {
    readonly Shared: { readonly Ports: readonly { Label: string; Value: number; HostIP: string }[] | null };
  };
}

export interface TaskState {
  readonly State: "pending" | "running" | "dead";
  readonly Failed: boolean;
  readonly Restarts: number;
  readonly Events: readonly { readonly Type: string; readonly DisplayMessage: string; readonly Time: number }[];
}

export type Outcome = "successful" | "failed" | "cancelled";

/** A job file of nomad/, as it is. */
export interface Job {
  readonly id: string;
  /** `nomad job run`; returns when the job is handed in. @param edit what a user would change in the file */
  readonly run: (variables: Variables, edit?: (text: string) => string) => Promise<void>;
  /** Waits for the end of the deployment that belongs to the job as it is now. */
  readonly deployed: () => Promise<Outcome>;
  readonly allocations: () => Promise<Allocation[]>;
  /** Those that are to run, and do. */
  readonly running: () => Promise<Allocation[]>;
  readonly version: () => Promise<number>;
  /** Forgets the job, and waits until none of its tasks runs. */
  readonly stop: () => Promise<void>;
  /** Why allocations are as they are: the events and the last lines of the log of each task. */
  readonly story: () => Promise<string>;
}

/** Milliseconds that a deployment of several nodes may take. */
const DEPLOYMENT = 1_000_000;

/** @param file of the folder nomad/, or the path of another */
export function nomadJob(lab: Lab, file: string, id: string): Job {
  const filter = encodeURIComponent(`JobID == "${id}"`);
  const allocations = () => lab.ask<Allocation[]>("nomad", `/v1/allocations?resources=true&filter=${filter}`);
  const version = async () => (await lab.ask<{ Version: number }>("nomad", `/v1/job/${id}`)).Version;
  return {
    id,
    run: async (variables, edit) => {
      const original = await readFile(resolve(ROOT, "nomad", file), "utf8");
      const text = edit?.(original) ?? original;
      if (edit && text === original) throw new Error(`nothing was changed in ${file}`);
      const path = join(lab.folder, `${id}.nomad.hcl`);
      await writeFile(path, text);
      const flags = Object.entries(variables).map(([name, value]) => `-var=${name}=${value}`);
      await lab.nomad("job", "run", "-detach", ...flags, path);
    },
    deployed: async () => {
      const wanted = await version();
      const ended = async () => {
        // Not the last alone: a job that goes back to what it was has another at once.
        const all = await lab.ask<{ JobVersion: number; Status: string }[]>("nomad", `/v1/job/${id}/deployments`);
        const found = all.find(({ JobVersion }) => JobVersion === wanted);
        return (["successful", "failed", "cancelled"] as const).find((outcome) => outcome === found?.Status);
      };
      return waitFor(ended, { what: `the end of the deployment of ${id}`, timeout: DEPLOYMENT, interval: 500 });
    },
    allocations,
    running: async () => (await allocations()).filter(isRunning),
    version,
    stop: async () => {
      const before = await allocations();
      await lab.nomad("job", "stop", "-purge", "-detach", id);
      // The server forgets the allocations with the job, in time; the clients end them.
      const ended = async () => {
        const states = await Promise.all(
          before.map(({ ID }) => lab.ask<Allocation>("nomad", `/v1/allocation/${ID}`).catch(() => undefined)),
        );
        return states.every((state) => state === undefined || !["pending", "running"].includes(state.ClientStatus));
      };
      await waitFor(ended, { what: `the end of ${id}`, timeout: 180_000, interval: 300 });
    },
    story: async () => {
      const parts = (await allocations()).map(async (allocation) => {
        const tasks = Object.entries(allocation.TaskStates ?? {}).map(async ([name, { State, Events }]) => {
          const log = async (stream: string) =>
            (await lab.tryNomad("alloc", "logs", stream, "-tail", "-n", "15", allocation.ID, name)).stdout;
          const events = Events.map((event) => `    ${event.Type}: ${event.DisplayMessage}`).slice(-8);
          return [`  task ${name}: ${State}`, ...events, await log("-stdout"), await log("-stderr")].join("\n");
        });
        const { ID, NodeName, ClientStatus, DesiredStatus, JobVersion } = allocation;
        const head = `${ID} version ${JobVersion} on ${NodeName}: ${ClientStatus}, to ${DesiredStatus}`;
        return [head, ...(await Promise.all(tasks))].join("\n");
      });
      return (await Promise.all(parts)).join("\n");
    },
  };
}

export function isRunning({ ClientStatus, DesiredStatus, TaskStates }: Allocation): boolean {
  const tasks = Object.values(TaskStates ?? {});
  return ClientStatus === "running" && DesiredStatus === "run" && tasks.some(({ State }) => State === "running");
}

/** `address:port` of a port of the group, on the client. */
export function portOf({ ID, AllocatedResources }: Allocation, label: string): string {
  const port = AllocatedResources.Shared.Ports?.find(({ Label }) => Label === label);
  if (port === undefined) throw new Error(`allocation ${ID} has no port ${label}`);
  return `${port.HostIP}:${port.Value}`;
}

/**
 * SIGKILL to a task; returns when Nomad has started it again. Nothing may be executed in the task meanwhile: a session of
 * `nomad alloc exec` that begins as its task ends does not end, and Nomad then does not start the task again (seen with 2.0.6).
 */
export async function killTask(lab: Lab, { ID }: Allocation, task: string): Promise<void> {
  const restarts = async () => {
    const { TaskStates } = await lab.ask<Allocation>("nomad", `/v1/allocation/${ID}`);
    return TaskStates?.[task]?.State === "running" ? TaskStates[task].Restarts : -1;
  };
  const before = await restarts();
  await lab.nomad("alloc", "signal", "-s", "SIGKILL", "-task", task, ID);
  const isBack = async () => (await restarts()) > before;
  await waitFor(isBack, { what: `task ${task} to be back`, timeout: 180_000, interval: 200 });
}

/** What a user would change in a job file. @throws when one of the patterns is not there */
export function edited(text: string, ...changes: readonly (readonly [pattern: RegExp, by: string])[]): string {
  return changes.reduce((before, [pattern, by]) => {
    if (!pattern.test(before)) throw new Error(`${pattern} is not in the job file`);
    return before.replace(pattern, by);
  }, text);
}

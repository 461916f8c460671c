import { setTimeout as sleep } from "node:timers/promises";
import type { Consul } from "../support/consul-agent.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { cpuMs } from "./measure.js";

/** The service that all nodes are in. */
export const SERVICE = "svc";
/** Milliseconds between two looks at Consul at least: a time may be this much too long. */
const LOOK = 50;
/** Of the time that a look took, how many times that passes before the next one: looks must not be the agent's load. */
const REST = 9;
/** Milliseconds. */
const PATIENCE = 120_000;

/** Daemons on one machine that publish into one Consul. */
export interface Daemons {
  readonly daemons: readonly Daemon[];
  /** Of their EPMDs. */
  readonly ports: readonly number[];
  /** CPU time of all of them so far, milliseconds. */
  readonly cpu: () => number;
  readonly stop: () => Promise<void>;
}

/** @param catalogue whether the catalogue is followed */
export async function startDaemons(
  consul: Consul,
  count: number,
  catalogue: "auto" | "none",
  args: readonly string[] = [],
): Promise<Daemons> {
  const start = (_: unknown, index: number) =>
    startDaemon({
      args: [
        ...["--domain", SERVICE, "--consul", consul.url, "--dns", `127.0.0.1:${consul.dnsPort}`],
        ...["--instance", `box${index}`, "--catalogue", catalogue, ...args],
      ],
    });
  const daemons = await Promise.all(Array.from({ length: count }, start));
  return {
    daemons,
    ports: daemons.map(({ port }) => port),
    cpu: () => daemons.reduce((sum, { child }) => sum + cpuMs(child.pid), 0),
    stop: async () => void (await Promise.all(daemons.map((daemon) => daemon.stop()))),
  };
}

/** The service's nodes in Consul's DNS, by the ids of their entries. Undefined: the agent does not answer in time. */
export async function idsInDns(consul: Consul, service = SERVICE): Promise<ReadonlySet<string> | undefined> {
  const checks = await checksOf(consul, service);
  return checks && new Set(checks.flatMap(({ Status, ServiceID }) => (Status === "passing" ? ServiceID : [])));
}

interface Check {
  readonly Status: string;
  readonly ServiceID: string;
}

/** Another path than the daemons use, so that the agent's counts are theirs. */
async function checksOf(consul: Consul, service: string): Promise<readonly Check[] | undefined> {
  const { body } = await consul.request("GET", `/v1/health/checks/${service}`).catch(() => ({ body: undefined }));
  return Array.isArray(body) ? (body as readonly Check[]) : undefined;
}

/** Waits until so many nodes are in Consul's DNS. @returns when that was, milliseconds of the monotonic clock */
export function whenInDns(consul: Consul, count: number, service = SERVICE): Promise<number> {
  return when(`${count} nodes in DNS`, async () => (await idsInDns(consul, service))?.size === count);
}

/** Waits until Consul has no entry of the service. */
export function whenRemoved(consul: Consul, service = SERVICE): Promise<number> {
  return when("no entry", async () => (await checksOf(consul, service))?.length === 0);
}

async function when(what: string, isSo: () => Promise<boolean>): Promise<number> {
  const giveUpAt = performance.now() + PATIENCE;
  while (!(await restingAfter(isSo))) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${PATIENCE} ms for ${what}`);
  }
  return performance.now();
}

/** Looks, and rests after it unless that was the last look. */
export async function restingAfter(look: () => Promise<boolean>): Promise<boolean> {
  const began = performance.now();
  const isLast = await look();
  if (!isLast) await sleep(Math.max(LOOK, (performance.now() - began) * REST));
  return isLast;
}

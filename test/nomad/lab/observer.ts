import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Vm } from "./vms.js";

/** Milliseconds between two looks. */
const INTERVAL = 100;

/** A time in which the catalogue and the processes differed. */
export interface Difference {
  readonly node: string;
  readonly ms: number;
  /** How it came to an end: the entry came back or went, the VM ended or came back, or not at all. */
  readonly end: "entry" | "vm" | "none";
}

/** The answer that had the fewest living nodes. */
interface Fewest {
  readonly nodes: number;
  /** Time of day, as logs have it. */
  readonly at: string;
  /** The living nodes that it did not have. */
  readonly without: readonly string[];
}

export interface Report {
  readonly looks: number;
  /** The longest time without an answer, in milliseconds. */
  readonly silence: number;
  readonly fewest: Fewest;
  /** VMs that lived and had been in the catalogue, and were not in it. */
  readonly missing: readonly Difference[];
  /** Entries whose VM did not live, or could not be reached. */
  readonly dead: readonly Difference[];
}

export interface ObserverOptions {
  /** `address:port` of every node that DNS, or the catalogue, has. @throws when there is no answer */
  readonly look: () => Promise<ReadonlySet<string>>;
  readonly vms: () => readonly Vm[];
}

export interface Observer {
  /** VMs at this address count as dead from now on: nobody reaches them. */
  readonly unreachable: (address: string) => void;
  readonly reachable: (address: string) => void;
  /** What was seen since the start or the last report. */
  readonly report: () => Report;
  readonly stop: () => Promise<void>;
}

const NONE_SEEN: Fewest = { nodes: Number.POSITIVE_INFINITY, at: "", without: [] };

/** Compares all the time what the catalogue has with the VMs that live. */
export function observe({ look, vms }: ObserverOptions): Observer {
  const cut = new Set<string>();
  /** Names of all that have lived, and of those that have been seen in the catalogue. */
  const names = new Map<string, string>();
  const seen = new Set<string>();
  const open = { missing: new Map<string, number>(), dead: new Map<string, number>() };
  const nothing = () => ({
    looks: 0,
    silence: 0,
    fewest: NONE_SEEN,
    missing: [] as Difference[],
    dead: [] as Difference[],
  });
  let found = nothing();
  let lastAnswer = performance.now();
  let stopped = false;

  const note = (kind: "missing" | "dead", address: string, isSo: boolean, end: Difference["end"]) => {
    const since = open[kind].get(address);
    const now = performance.now();
    if (isSo && since === undefined) open[kind].set(address, now);
    if (isSo || since === undefined) return;
    open[kind].delete(address);
    found[kind].push({ node: names.get(address) ?? address, ms: Math.round(now - since), end });
  };
  const compare = (living: ReadonlySet<string>, listed: ReadonlySet<string>) => {
    for (const address of listed) seen.add(address);
    for (const address of seen) {
      const lives = living.has(address);
      const isListed = listed.has(address);
      note("missing", address, lives && !isListed, isListed ? "entry" : "vm");
      note("dead", address, !lives && isListed, isListed ? "vm" : "entry");
      if (!lives && !isListed) seen.delete(address);
    }
    found.looks++;
    const nodes = Array.from(listed).filter((address) => living.has(address)).length;
    if (nodes >= found.fewest.nodes) return;
    const without = Array.from(living).flatMap((address) =>
      listed.has(address) ? [] : (names.get(address) ?? address),
    );
    found.fewest = { nodes, at: new Date().toISOString().slice(11, 23), without };
  };
  const watching = (async () => {
    while (!stopped) {
      const before = livingOf(vms(), cut, names);
      const listed = await look().catch(() => undefined);
      const after = livingOf(vms(), cut, names);
      found.silence = Math.max(found.silence, Math.round(performance.now() - lastAnswer));
      if (listed !== undefined) {
        lastAnswer = performance.now();
        // Who came or went while the answer was on its way is compared the next time.
        const changed = (address: string) => before.has(address) !== after.has(address);
        compare(after, new Set(Array.from(listed).filter((address) => !changed(address) || after.has(address))));
      }
      await sleep(INTERVAL);
    }
  })();

  return {
    unreachable: (address) => cut.add(address),
    reachable: (address) => cut.delete(address),
    report: () => {
      const now = performance.now();
      const living = livingOf(vms(), cut, names);
      const going = (kind: "missing" | "dead") =>
        Array.from(open[kind], ([address, since]): Difference => {
          open[kind].set(address, now);
          // One that was missing may have ended since the last look.
          const end = kind === "missing" && !living.has(address) ? "vm" : "none";
          return { node: names.get(address) ?? address, ms: Math.round(now - since), end };
        });
      const report = {
        ...found,
        missing: [...found.missing, ...going("missing")],
        dead: [...found.dead, ...going("dead")],
      };
      found = nothing();
      return report;
    },
    stop: async () => {
      stopped = true;
      await watching;
    },
  };
}

function livingOf(vms: readonly Vm[], cut: ReadonlySet<string>, names: Map<string, string>): Set<string> {
  for (const { address, node } of vms) names.set(address, node);
  return new Set(vms.map(({ address }) => address).filter((address) => !cut.has(address.replace(/:.*/, ""))));
}

export interface Bounds {
  /** Milliseconds that a node may be missing that goes on living. */
  readonly missing?: number;
  /** Milliseconds that one may be missing before it ends by itself: it leaves the catalogue first. */
  readonly leaving?: number;
  /** Milliseconds that one may stay in the catalogue when it has ended. */
  readonly dead?: number;
  /** Living nodes that each answer has at least. */
  readonly fewest?: number;
}

/** Two looks may be apart a little more than their interval, on a machine that is busy. */
const LOOK = 500;

/** Fails with every difference that lasted longer than the bounds. */
export function expectSteady(report: Report, bounds: Bounds = {}): void {
  const { missing = LOOK, leaving = 30_000, dead = 5_000, fewest = 0 } = bounds;
  const long = {
    missing: report.missing.filter(({ ms, end }) => ms > (end === "vm" ? leaving : missing)),
    dead: report.dead.filter(({ ms }) => ms > dead),
  };
  expect(report.looks).toBeGreaterThan(0);
  expect(long).toEqual({ missing: [], dead: [] });
  const { nodes, at, without } = report.fewest;
  expect(nodes, `living nodes in the catalogue at ${at}, without ${without.join(", ")}`).toBeGreaterThanOrEqual(fewest);
}

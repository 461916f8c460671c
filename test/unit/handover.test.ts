import { beforeEach, describe, expect, test } from "vitest";
import type { ConsulClient } from "../../src/consul/client.js";
import type { Held } from "../../src/publish/core/reconcile.js";
import { criticalIds, type HeldCheck, type HeldService } from "../../src/publish/core/service-entry.js";
import { Handover } from "../../src/publish/handover.js";
import { Leftovers } from "../../src/publish/ownership.js";
import { collectLog } from "../support/log-lines.js";
import { heldService, OWNER, STRANGER, serviceEntry } from "../support/service-entry.js";

const held = (stale: boolean): Held => {
  return { entry: serviceEntry("a"), condition: "passing", refreshAt: 0, expiresAt: 0, stale };
};

describe("from one token to the next", () => {
  let released: number;
  let announce: () => void;
  const publisher = { held: new Map<string, Held>(), isChanging: false, anotherToken: () => {} };
  const leftover = new Set<"renewed" | "former">();
  const leftovers = {
    anotherToken: () => leftover.add("former"),
    hasAny: (what: "renewed" | "former") => leftover.has(what),
  };
  let handover: Handover;

  beforeEach(() => {
    released = 0;
    publisher.held.clear();
    publisher.isChanging = false;
    leftover.clear();
    publisher.anotherToken = () => publisher.held.set("a", held(true));
    handover = new Handover({
      client: {
        onNewToken: (listener) => {
          announce = listener;
        },
        releaseTokens: () => {
          released++;
        },
      },
      publishers: new Map([["a", publisher]]),
      leftovers,
    });
  });

  test("the former one is given back when every entry is registered with the new one", () => {
    publisher.held.set("a", held(false));
    announce();
    handover.look();
    expect(released).toBe(0);
    publisher.held.set("a", held(false));
    handover.look();
    expect(released).toBe(0);
    leftover.delete("former");
    publisher.isChanging = true;
    handover.look();
    expect(released).toBe(0);
    publisher.isChanging = false;
    handover.look();
    expect(released).toBe(1);
  });

  test("the token has to stay while there are entries, of VMs or of daemons that ended", () => {
    expect(handover.hasEntries).toBe(false);
    publisher.held.set("a", held(false));
    expect(handover.hasEntries).toBe(true);
    publisher.held.clear();
    leftover.add("renewed");
    expect(handover.hasEntries).toBe(true);
  });
});

describe("dead entries of others, which are registered with our token so that the servers hear of their removal", () => {
  const DEAD = heldService(serviceEntry("z"), STRANGER);
  const checkId = `service:${DEAD.id}`;
  const CHECKS: HeldCheck[] = [{ checkId, serviceId: DEAD.id, status: "critical", notes: "", output: "TTL expired" }];
  let registrations: number;
  let refused: boolean;
  let leftovers: Leftovers;

  beforeEach(() => {
    registrations = 0;
    refused = false;
    const client = {
      service: async (): Promise<HeldService> => DEAD,
      checks: async () => CHECKS,
      register: async () => {
        if (refused) throw new Error("refused");
        registrations++;
      },
    };
    leftovers = new Leftovers({
      client: client as unknown as ConsulClient,
      ...{ owner: OWNER, prefix: "srv-epmd:other:", times: { ttl: 15_000, deregisterAfter: 60_000 } },
      agent: {} as never,
      log: collectLog().log,
      signal: new AbortController().signal,
    });
  });
  const survey = (services: readonly HeldService[] = [DEAD]) =>
    leftovers.see({ services, checks: CHECKS, critical: criticalIds(CHECKS) }, 0);

  test("are registered once, and once more with each new token", async () => {
    await survey();
    await survey();
    await survey();
    expect([registrations, leftovers.hasAny("renewed")]).toEqual([1, true]);
    leftovers.anotherToken();
    expect([leftovers.hasAny("former"), leftovers.hasAny("renewed")]).toEqual([true, false]);
    await survey();
    await survey();
    expect([registrations, leftovers.hasAny("former"), leftovers.hasAny("renewed")]).toEqual([2, false, true]);
  });

  test("depend on no token of ours when they are gone", async () => {
    await survey();
    await survey();
    leftovers.anotherToken();
    await survey([]);
    expect([leftovers.hasAny("former"), leftovers.hasAny("renewed")]).toEqual([false, false]);
  });
});

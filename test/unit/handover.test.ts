import { beforeEach, describe, expect, test } from "vitest";
import type { ConsulClient } from "../../src/consul/client.js";
import { ConsulError } from "../../src/errors.js";
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
  const check = { checkId, serviceId: DEAD.id, status: "critical", notes: "", output: "TTL expired" };
  const CHECKS: HeldCheck[] = [check, { ...check, checkId: "service:srv-epmd:own:z", serviceId: "srv-epmd:own:z" }];
  /** Of our own instance, from before a restart: it is removed. */
  const OURS = { ...DEAD, id: "srv-epmd:own:z" };
  let registrations: number;
  /** How a registration fails. */
  let fault: ConsulError | undefined;
  /** Done during a call, before its answer. */
  let during: { register?: () => void; deregister?: () => void };
  let stop: AbortController;
  let leftovers: Leftovers;
  const AUDIT = 30_000;
  /** When the next survey is sent. */
  let at: number;

  beforeEach(() => {
    registrations = 0;
    fault = undefined;
    during = {};
    stop = new AbortController();
    const client = {
      service: async (id: string): Promise<HeldService> => (id === OURS.id ? OURS : DEAD),
      checksOf: async (id: string) => CHECKS.filter(({ serviceId }) => serviceId === id),
      register: async () => {
        during.register?.();
        if (fault) throw fault;
        registrations++;
      },
      deregister: async () => {
        during.deregister?.();
        if (fault) throw fault;
      },
    };
    leftovers = new Leftovers({
      client: client as unknown as ConsulClient,
      ...{ self: { instance: "own", owner: OWNER }, times: { ttl: 15_000, deregisterAfter: 60_000 } },
      agent: { failed: () => {} } as never,
      log: collectLog().log,
      timings: { audit: AUDIT },
      signal: stop.signal,
    });
    at = 0;
  });
  const depends = () => (["former", "renewed"] as const).filter((renewal) => leftovers.hasAny(renewal));
  const survey = async (services: readonly HeldService[] = [DEAD], pause = AUDIT) => {
    const checks = CHECKS.filter(({ serviceId }) => services.some(({ id }) => id === serviceId));
    // The list leaves out what is not ours.
    const listed = services.filter(({ id }) => id !== DEAD.id);
    await leftovers.see({ services: listed, checks, critical: criticalIds(checks) }, at);
    at += pause;
  };

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

  test("that are late alone, as surveys see that follow each other fast, are left to their daemons", async () => {
    for (let count = 0; count < 20; count++) await survey([DEAD], 1_000);
    expect(registrations).toBe(0);
    await survey([DEAD], 6_000);
    await survey();
    expect(registrations).toBe(0);
    await survey();
    expect(registrations).toBe(1);
  });

  test("depend on no token of ours when they are gone", async () => {
    await survey();
    await survey();
    leftovers.anotherToken();
    await leftovers.see({ services: [], checks: [], critical: new Set() }, 0);
    expect(depends()).toEqual([]);
  });

  test("need the former token until they are registered with the new one, though a call fails meanwhile", async () => {
    await survey();
    await survey();
    leftovers.anotherToken();
    fault = new ConsulError("CONSUL_UNAVAILABLE", "no leader");
    await survey();
    expect(depends()).toEqual(["former"]);
    fault = undefined;
    await survey();
    expect(depends()).toEqual(["renewed"]);
    expect(registrations).toBe(2);
  });

  test.each(["CONSUL_FORBIDDEN", "CONSUL_REJECTED"])("are left where the agent refuses them (%s)", async (code) => {
    await survey();
    fault = new ConsulError(code, "no");
    await survey();
    fault = undefined;
    await survey();
    expect([registrations, depends()]).toEqual([0, []]);
  });

  test("may depend on either token when the next one comes during the registration, and are registered again", async () => {
    await survey();
    during.register = () => leftovers.anotherToken();
    await survey();
    expect(depends()).toEqual(["former"]);
    during = {};
    await survey();
    expect([registrations, depends()]).toEqual([2, ["renewed"]]);
  });

  test("are seen to depend on the token while a survey runs", async () => {
    const seen: string[][] = [];
    during.deregister = () => {
      seen.push(depends());
      leftovers.anotherToken();
      seen.push(depends());
    };
    await survey([OURS]);
    expect(seen).toEqual([["renewed"], ["former"]]);
    expect(depends()).toEqual([]);
  });

  test("keep the token where their removal fails, or a stop comes in between", async () => {
    during.deregister = () => {
      fault = new ConsulError("CONSUL_UNAVAILABLE", "no leader");
    };
    await survey([OURS]);
    expect(depends()).toEqual(["renewed"]);
    fault = undefined;
    during.deregister = () => {
      stop.abort();
      fault = new ConsulError("CONSUL_UNAVAILABLE", "stopped");
    };
    await expect(survey([OURS])).rejects.toThrow("stopped");
    expect(depends()).toEqual(["renewed"]);
  });
});

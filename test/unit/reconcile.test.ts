import { describe, expect, test } from "vitest";
import {
  abandoned,
  afterStep,
  afterSurvey,
  type Held,
  type HeldMap,
  nextStep,
  ownedKeys,
  type Survey,
} from "../../src/publish/core/reconcile.js";
import { withDistinctId } from "../../src/publish/core/service-entry.js";
import { heldService, OWNER, STRANGER, serviceEntry } from "../support/service-entry.js";

const ENTRY = serviceEntry("a");
const NOTHING: HeldMap = new Map();
const TTL = 15_000;
const TIMES = { ttl: TTL, deregisterAfter: 300_000 };
const ours = (condition: Held["condition"], over: Partial<Held> = {}): Held => ({
  ...{ entry: ENTRY, condition, refreshAt: 5_000, expiresAt: 15_000, stale: false },
  ...over,
});
const holding = (condition: Held["condition"], over: Partial<Held> = {}): HeldMap =>
  new Map([[ENTRY.id, ours(condition, over)]]);
/** Something that was there before us. */
const theirs = (condition: Held["condition"], over: Partial<Held> = {}): Held =>
  ours(condition, { entry: undefined, found: ENTRY, stale: true, ...over });
const found = (condition: Held["condition"], over: Partial<Held> = {}): HeldMap =>
  new Map([[ENTRY.id, theirs(condition, over)]]);
const surveyOf = (services: Survey["services"], critical: string[] = []): Survey => ({
  services,
  checks: [],
  critical: new Set(critical),
});

describe("a node that is alive", () => {
  const up = { state: "up", entries: [ENTRY] } as const;

  test("is registered, then passed, then passed again when the refresh is due", () => {
    expect(nextStep(up, NOTHING, 0)).toEqual({ action: "register", id: ENTRY.id, entry: ENTRY });
    expect(nextStep(up, holding("registered"), 0)).toEqual({ action: "pass", id: ENTRY.id });
    expect(nextStep(up, holding("passing"), 0)).toEqual({ action: "wait", until: 5_000 });
    expect(nextStep(up, holding("passing"), 5_000)).toEqual({ action: "pass", id: ENTRY.id });
  });

  test("that cannot be reached at all, and so has no entry, needs nothing", () => {
    expect(nextStep({ state: "up", entries: [] }, NOTHING, 0)).toEqual({ action: "wait", until: undefined });
  });

  test("is registered again when the first try got no answer", () => {
    expect(nextStep(up, holding("unsure"), 0)).toMatchObject({ action: "register" });
  });

  test("is registered over what a former daemon left under its id", () => {
    expect(nextStep(up, found("passing"), 0)).toMatchObject({ action: "register" });
  });

  test("is there under its new id before the old one goes", () => {
    const held = new Map<string, Held>([["srv-epmd:old:a", theirs("passing", { stale: false })]]);
    expect(nextStep(up, held, 0)).toMatchObject({ action: "register", id: ENTRY.id });
    // Nor does it go while the new one cannot be had.
    expect(nextStep(up, held, 0, () => 100)).toEqual({ action: "wait", until: 100 });
    held.set(ENTRY.id, ours("passing"));
    expect(nextStep(up, held, 0)).toEqual({ action: "deregister", id: "srv-epmd:old:a" });
  });

  test("waits for the removal of an id that differs only in case, which would take the new one along", () => {
    const held = new Map<string, Held>([["srv-epmd:box1:A", theirs("passing", { stale: false })]]);
    expect(nextStep(up, held, 0)).toEqual({ action: "deregister", id: "srv-epmd:box1:A" });
    expect(nextStep(up, held, 0, () => 100)).toEqual({ action: "wait", until: 100 });
  });

  test("has its check passed whatever else fails: an entry that cannot be removed, an address that is refused", () => {
    const six = serviceEntry("a", { id: `${ENTRY.id}:6`, address: "fd00::1" });
    const failing = (id: string) => (work: { id: string; action: string }) => (work.id === id ? 30_000 : 0);
    const held = new Map([
      [ENTRY.id, ours("passing")],
      ["srv-epmd:old:a", theirs("passing", { refreshAt: 90_000 })],
    ]);
    expect(nextStep(up, held, 0, failing("srv-epmd:old:a"))).toEqual({ action: "wait", until: 5_000 });
    expect(nextStep(up, held, 5_000, failing("srv-epmd:old:a"))).toEqual({ action: "pass", id: ENTRY.id });
    const both = { state: "up", entries: [six, ENTRY] } as const;
    expect(nextStep(both, holding("registered"), 0, failing(six.id))).toEqual({ action: "pass", id: ENTRY.id });
    expect(nextStep(both, holding("passing"), 5_000)).toEqual({ action: "pass", id: ENTRY.id });
  });
});

describe("a node whose VM has gone", () => {
  const leaving = { state: "leaving", until: 5_000 } as const;

  test("is out of DNS at once and removed after the grace time", () => {
    expect(nextStep(leaving, holding("passing"), 0)).toEqual({ action: "fail", id: ENTRY.id });
    expect(nextStep(leaving, holding("critical"), 4_999)).toEqual({ action: "wait", until: 5_000 });
    expect(nextStep(leaving, holding("critical"), 5_000)).toEqual({ action: "deregister", id: ENTRY.id });
  });

  test("needs nothing when it had never been registered", () => {
    expect(nextStep(leaving, NOTHING, 0)).toEqual({ action: "wait", until: undefined });
  });
});

describe("an entry of a daemon that stood here before", () => {
  const awaited = { state: "awaited", until: 10_000 } as const;

  test("is kept passing until its VM has had time to return, then removed", () => {
    expect(nextStep(awaited, found("passing", { refreshAt: 0 }), 0)).toEqual({ action: "pass", id: ENTRY.id });
    expect(nextStep(awaited, found("passing", { stale: false }), 100)).toEqual({ action: "wait", until: 5_000 });
    expect(nextStep(awaited, found("passing", { stale: false }), 10_000)).toMatchObject({ action: "deregister" });
  });

  test("is not brought back into DNS when it was critical: its VM may be long dead", () => {
    expect(nextStep(awaited, found("critical", { refreshAt: 0, stale: false }), 0)).toEqual({
      action: "wait",
      until: 10_000,
    });
  });
});

describe("an entry that was registered with another token, of which the servers would hear nothing any more,", () => {
  const renewed = { action: "renew", id: ENTRY.id, entry: ENTRY } as const;
  const stale = (condition: Held["condition"]) => holding(condition, { stale: true });

  test("is registered again while its VM is alive, and once only", () => {
    const up = { state: "up", entries: [ENTRY] } as const;
    expect(nextStep(up, stale("passing"), 0)).toEqual(renewed);
    expect(nextStep(up, stale("passing"), 5_000)).toEqual({ action: "pass", id: ENTRY.id });
    expect(nextStep(up, afterStep(stale("passing"), renewed, "done", 0, TTL), 0)).toMatchObject({ action: "wait" });
    expect(nextStep(up, afterStep(stale("passing"), renewed, "unsure", 0, TTL), 0)).toEqual(renewed);
  });

  test("is out of DNS and registered again before it is removed", () => {
    const leaving = { state: "leaving", until: 5_000 } as const;
    expect(nextStep(leaving, stale("passing"), 0)).toEqual({ action: "fail", id: ENTRY.id });
    expect(nextStep(leaving, stale("critical"), 0)).toEqual(renewed);
    expect(nextStep({ state: "gone" }, stale("passing"), 0)).toEqual(renewed);
    const after = afterStep(stale("critical"), renewed, "done", 0, TTL);
    expect(nextStep(leaving, after, 5_000)).toEqual({ action: "deregister", id: ENTRY.id });
  });

  test("of a predecessor is registered again as it was found, whether its VM returns or not", () => {
    const awaited = { state: "awaited", until: 10_000 } as const;
    expect(nextStep(awaited, found("passing"), 0)).toEqual(renewed);
    expect(nextStep(awaited, found("critical"), 0)).toEqual(renewed);
    expect(nextStep(awaited, found("passing"), 10_000)).toEqual(renewed);
    const after = afterStep(found("critical"), renewed, "done", 0, TTL);
    expect(after.get(ENTRY.id)).toMatchObject({ condition: "critical", stale: false });
  });

  test("is what was passed after its TTL: other daemons register what is critical, with their tokens", () => {
    const pass = { action: "pass", id: ENTRY.id } as const;
    const up = { state: "up", entries: [ENTRY] } as const;
    const passed = (at: number) => nextStep(up, afterStep(holding("passing"), pass, "done", at, TTL), at);
    expect(passed(15_000)).toMatchObject({ action: "wait" });
    expect(passed(15_001)).toEqual(renewed);
    expect(nextStep(up, afterStep(holding("registered"), pass, "done", 15_001, TTL), 15_001)).toEqual(renewed);
  });

  test("is not brought back when the agent does not have it any more", () => {
    expect(afterStep(found("passing"), renewed, "unknown", 0, TTL).size).toBe(0);
  });
});

describe("what is held after a step", () => {
  const register = { action: "register", id: ENTRY.id, entry: ENTRY } as const;
  const pass = { action: "pass", id: ENTRY.id } as const;

  test("knows what was registered, and that it is not passed yet", () => {
    expect(afterStep(NOTHING, register, "done", 1_000, 5_000)).toEqual(
      holding("registered", { refreshAt: 1_000 + 5_000 / 3, expiresAt: 6_000 }),
    );
  });

  test("knows what is out of DNS, and what is gone", () => {
    const fail = { action: "fail", id: ENTRY.id } as const;
    expect(afterStep(holding("passing"), fail, "done", 0, 5_000).get(ENTRY.id)?.condition).toBe("critical");
    expect(afterStep(holding("critical"), { ...fail, action: "deregister" }, "done", 0, 5_000).size).toBe(0);
  });

  test("counts a registration without answer as possibly there, so that it is removed later", () => {
    expect(afterStep(NOTHING, register, "unsure", 0, TTL).get(ENTRY.id)?.condition).toBe("unsure");
    expect(afterStep(NOTHING, register, "refused", 0, TTL).size).toBe(0);
  });

  test("forgets what the agent does not know", () => {
    expect(afterStep(holding("passing"), pass, "unknown", 0, TTL).size).toBe(0);
  });

  test("knows when the next pass is due", () => {
    const passed = ours("passing", { refreshAt: 6_000, expiresAt: 16_000 });
    expect(afterStep(holding("registered"), pass, "done", 1_000, TTL).get(ENTRY.id)).toEqual(passed);
  });

  test.each(["pass", "fail", "deregister"] as const)("stays as it was when a %s got no answer, or a no", (action) => {
    for (const result of ["unsure", "refused"] as const) {
      const after = afterStep(holding("registered"), { action, id: ENTRY.id }, result, 1_000, 5_000);
      expect(after).toEqual(holding("registered"));
    }
  });
});

describe("a look at the agent", () => {
  const see = (held: HeldMap, survey: Survey) => afterSurvey(held, "a", survey, OWNER, 77, TIMES);

  test("has an entry that it does not find looked for by its id, and registered again", () => {
    const { held, listed } = see(holding("passing"), surveyOf([]));
    expect(held.get(ENTRY.id)).toEqual(ours("passing", { unlisted: true }));
    expect(listed).toEqual([]);
    expect(nextStep({ state: "up", entries: [ENTRY] }, held, 0)).toMatchObject({ action: "register" });
    expect(see(held, surveyOf([heldService(ENTRY)]))).toMatchObject({ held: holding("passing"), listed: [ENTRY.id] });
  });

  test("drops what a predecessor left and is not there any more", () => {
    expect(see(found("passing"), surveyOf([])).held.size).toBe(0);
  });

  test("leaves alone what is as it should be, whatever stands before it in the list", () => {
    const others = [heldService(serviceEntry("0")), heldService(serviceEntry("b"), STRANGER)];
    for (const condition of ["registered", "passing", "critical", "unsure"] as const) {
      const { held } = see(holding(condition), surveyOf([...others, heldService(ENTRY)]));
      expect(held).toEqual(holding(condition));
    }
  });

  test.each([
    ["port", { port: 1 }],
    ["weight", { weight: 9 }],
    ["tags", { tags: ["b"] }],
    ["address", { address: undefined }],
    ["meta", { meta: { ...ENTRY.meta, "erlang-dist-port": "1" } }],
  ])("has an entry with another %s registered again", (_, change) => {
    const { held } = see(holding("passing"), surveyOf([heldService({ ...ENTRY, ...change })]));
    expect(held.get(ENTRY.id)?.condition).toBe("unsure");
  });

  test("has a live node's critical check passed", () => {
    const { held } = see(holding("passing"), surveyOf([heldService(ENTRY)], [ENTRY.id]));
    expect(held).toEqual(holding("registered"));
    expect(nextStep({ state: "up", entries: [ENTRY] }, held, 0)).toEqual({ action: "pass", id: ENTRY.id });
  });

  test("has nothing passed that was found critical, nor takes for sure what is not", () => {
    const survey = surveyOf([heldService(ENTRY)], [ENTRY.id]);
    expect(see(NOTHING, survey).held).toEqual(found("critical", { refreshAt: 77, expiresAt: 5_077 }));
    expect(see(found("passing"), survey).held).toMatchObject(found("critical"));
    expect(see(holding("unsure"), survey).held).toEqual(holding("unsure"));
  });

  test("says that another owner has taken our id, which is then not ours to touch", () => {
    const { held, taken } = see(holding("passing"), surveyOf([heldService(ENTRY, STRANGER)]));
    expect(taken).toEqual([ENTRY.id]);
    expect(held.size).toBe(0);
  });

  test("adopts entries of our own owner, and no others, whatever their instance", () => {
    const mine = heldService({ ...ENTRY, id: "srv-epmd:former-alloc:a" });
    const foreign = heldService({ ...ENTRY, id: "srv-epmd:box2:a" }, STRANGER);
    const other = heldService(serviceEntry("b"));
    const { held } = see(NOTHING, surveyOf([mine, foreign, other]));
    const adopted = theirs("passing", { found: { ...ENTRY, id: mine.id }, refreshAt: 77, expiresAt: 5_077 });
    expect([...held]).toEqual([[mine.id, adopted]]);
    expect(ownedKeys(surveyOf([mine, foreign, other]), OWNER)).toEqual(new Set(["a", "b"]));
  });
});

describe("what a daemon left before the machine was started anew", () => {
  test("is removed when it is critical and of our instance, and nothing else is", () => {
    const dead = heldService(serviceEntry("dead"), "boot-0/4026531840/4369");
    const alive = heldService(serviceEntry("alive"), STRANGER);
    const elsewhere = heldService({ ...serviceEntry("x"), id: "srv-epmd:box2:x" }, STRANGER);
    const survey = surveyOf([dead, alive, elsewhere, heldService(ENTRY)], [dead.id, elsewhere.id, ENTRY.id]);
    expect(abandoned(survey, OWNER, "srv-epmd:box1:")).toEqual([dead]);
  });
});

test("an id of our own keeps the name at its end and differs from daemon to daemon", () => {
  const six = { ...ENTRY, id: "srv-epmd:box1:14369:a:6" };
  expect(withDistinctId(six, OWNER).id).toMatch(/^srv-epmd:box1:14369~[0-9a-f]{8}:a:6$/);
  expect(withDistinctId(ENTRY, OWNER).id).not.toBe(withDistinctId(ENTRY, STRANGER).id);
});

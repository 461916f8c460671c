import fc from "fast-check";
import { expect, test } from "vitest";
import {
  afterStep,
  type Held,
  type HeldMap,
  nextStep,
  type StepResult,
  type Target,
} from "../../src/publish/core/reconcile.js";
import type { ServiceEntry } from "../../src/publish/core/service-entry.js";
import { serviceEntry } from "../support/service-entry.js";

const TTL = 15_000;
const IDS = ["srv-epmd:box1:a", "srv-epmd:box1:A", "srv-epmd:box1:a:6", "srv-epmd:box2:a"];
const ENTRIES: readonly ServiceEntry[] = IDS.map((id) => serviceEntry("a", { id }));

const condition = fc.constantFrom<Held["condition"]>("unsure", "registered", "passing", "critical");
const held = fc.dictionary(
  fc.constantFrom(...IDS),
  fc.record({
    entry: fc.constantFrom(undefined, ...ENTRIES),
    condition,
    refreshAt: fc.integer({ min: 0, max: 20_000 }),
    expiresAt: fc.integer({ min: 0, max: 30_000 }),
    stale: fc.boolean(),
  }),
);
const up = fc
  .subarray([0, 2, 3], { minLength: 1 })
  .map((chosen): Target => ({ state: "up", entries: chosen.flatMap((index) => ENTRIES[index] ?? []) }));
const until = fc.integer({ min: 0, max: 10_000 });
const target = fc.oneof(
  up,
  until.map((at): Target => ({ state: "awaited", until: at })),
  until.map((at): Target => ({ state: "leaving", until: at })),
  fc.constant<Target>({ state: "gone" }),
);
const trouble = fc.array(fc.constantFrom<StepResult>("unsure", "unknown", "refused"), { maxLength: 8 });

/** An agent that fails as told, then obeys; time stands still until there is nothing to do. */
function settle(aim: Target, from: HeldMap, failures: readonly StepResult[], now: number): HeldMap {
  let state = from;
  const results = [...failures];
  for (let steps = 0; steps < 60; steps++) {
    const step = nextStep(aim, state, now);
    if (step.action === "wait") return state;
    state = afterStep(state, step, results.shift() ?? "done", now, TTL);
  }
  throw new Error("does not settle");
}

test("from any state, after any failures, an agent that obeys comes to hold what is wanted and nothing else", () => {
  fc.assert(
    fc.property(target, held, trouble, (aim, from, failures) => {
      const state = settle(aim, new Map(Object.entries(from)), failures, 20_000);
      if (aim.state !== "up") {
        expect(state.size).toBe(0);
        return;
      }
      expect(new Set(state.keys())).toEqual(new Set(aim.entries.map((entry) => entry.id)));
      for (const entry of aim.entries) {
        const times = { refreshAt: 20_000 + TTL / 3, expiresAt: 20_000 + TTL };
        expect(state.get(entry.id)).toEqual({ entry, condition: "passing", ...times, stale: false });
      }
    }),
  );
});

test("two ids that differ only in case are never held at once by a live node's publication", () => {
  fc.assert(
    fc.property(held, (from) => {
      let state: HeldMap = new Map(Object.entries(from));
      const aim: Target = { state: "up", entries: ENTRIES.slice(0, 1) };
      for (;;) {
        const step = nextStep(aim, state, 0);
        if (step.action === "wait") break;
        if (step.action === "register") expect([...state.keys()]).not.toContain("srv-epmd:box1:A");
        state = afterStep(state, step, "done", 0, TTL);
      }
    }),
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { afterSurvey, type Held, nameKey } from "../../src/publish/core/reconcile.js";
import { type HeldCheck, obstacleOf } from "../../src/publish/core/service-entry.js";
import { partsOf } from "../../src/publish/core/survey-parts.js";
import { heldService, OWNER, STRANGER, serviceEntry } from "../support/service-entry.js";

const TIMES = { ttl: 15_000, deregisterAfter: 300_000 };
const name = fc.constantFrom("a", "A", "b", "c");
const suffix = fc.constantFrom("", ":6");
const idOf = (aliveName: string, end: string) => `srv-epmd:box1:${aliveName}${end}`;

const service = fc
  .record({ name, suffix, owner: fc.constantFrom(OWNER, STRANGER), port: fc.constantFrom(20001, 20002) })
  .map((one) => heldService(serviceEntry(one.name, { id: idOf(one.name, one.suffix), port: one.port }), one.owner));

const check = fc
  .record({
    name,
    suffix,
    ofMachine: fc.boolean(),
    kind: fc.constantFrom("ttl", "tcp", "consul"),
    isCritical: fc.boolean(),
  })
  .map(({ name: its, suffix: end, ofMachine, kind, isCritical }): HeldCheck => {
    const serviceId = ofMachine ? "" : idOf(its, end);
    const checkId = kind === "ttl" ? `service:${serviceId}` : `${kind} ${serviceId}`;
    return { checkId, serviceId, status: isCritical ? "critical" : "passing", notes: "", output: kind };
  });

const believed = fc
  .record({ name, suffix, condition: fc.constantFrom("registered", "passing", "critical") })
  .map((one) => {
    const entry = serviceEntry(one.name, { id: idOf(one.name, one.suffix) });
    const held: Held = {
      entry,
      condition: one.condition as Held["condition"],
      refreshAt: 5,
      expiresAt: 15,
      stale: false,
    };
    return [entry.id, held] as const;
  });

test("a name's part of a survey says the same of it as the whole", () => {
  const unique = { selector: ({ id }: { readonly id: string }) => id };
  fc.assert(
    fc.property(
      fc.uniqueArray(service, unique),
      // Of several critical checks the first is told of: those of the machine are in front.
      fc.array(check).map((all) => all.sort((one, other) => one.serviceId.length - other.serviceId.length)),
      fc.array(believed),
      name,
      (services, checks, entries, aliveName) => {
        const critical = new Set(
          checks.filter(({ status }) => status === "critical").map(({ serviceId }) => serviceId),
        );
        const whole = { services, checks, critical };
        const key = nameKey(aliveName);
        const held = new Map(entries.filter(([, { entry }]) => nameKey(entry?.aliveName ?? "") === key));
        const part = partsOf(whole, OWNER)(key, held.keys());
        const by = (survey: typeof whole) => afterSurvey(held, key, survey, OWNER, 7, TIMES);
        const [seen, expected] = [
          by({ ...whole, ...part, services: [...part.services], checks: [...part.checks], critical }),
          by(whole),
        ];
        expect(new Map(seen.held)).toEqual(new Map(expected.held));
        expect(new Set(seen.listed)).toEqual(new Set(expected.listed));
        expect(seen.taken).toEqual(expected.taken);
        for (const id of held.keys()) expect(obstacleOf(id, part.checks)?.words).toBe(obstacleOf(id, checks)?.words);
      },
    ),
  );
});

test("a name's part has none of the others' services and checks", () => {
  const names = Array.from({ length: 100 }, (_, index) => `n${index}`);
  const services = names.map((each) => heldService(serviceEntry(each)));
  const checks = services.map(({ id }) => ({
    checkId: `service:${id}`,
    serviceId: id,
    status: "passing",
    notes: "",
    output: "",
  }));
  const part = partsOf({ services, checks, critical: new Set() }, OWNER)("n7", []);
  expect(part.services.map(({ id }) => id)).toEqual(["srv-epmd:box1:n7"]);
  expect(part.checks.map(({ serviceId }) => serviceId)).toEqual(["srv-epmd:box1:n7"]);
});

import { describe, expect, test } from "vitest";
import type { ClusterNode } from "../../src/catalogue/core/instances.js";
import { twiceNamed, twiceWords } from "../../src/catalogue/core/twice.js";

describe("nodes of one name in a catalogue", () => {
  const entry = (over: Partial<ClusterNode>): ClusterNode => ({
    ...{ node: "a@svc.service.consul", health: "passing", address: "10.0.0.1", port: 20001, age: 7200 },
    ...{ instance: "box1", machine: "box1" },
    ...over,
  });
  const other = entry({ address: "10.0.0.2", port: 20002, instance: "box2", machine: "box2", age: 12 });

  test("are twice there at two places, whatever the case of the name", () => {
    const [found, ...rest] = twiceNamed([
      entry({}),
      { ...other, node: "A@svc.service.consul" },
      entry({ node: "b@svc" }),
    ]);
    expect(rest).toEqual([]);
    expect(found && twiceWords(found)).toBe(
      "a@svc.service.consul is there twice: 10.0.0.1:20001 on box1 (2h0m), 10.0.0.2:20002 on box2 (12s)",
    );
  });

  test("are once there with an entry for each family, and with one of Nomad's beside ours", () => {
    expect(twiceNamed([entry({}), entry({ address: "fd00::1" })])).toEqual([]);
    expect(twiceNamed([entry({}), entry({ instance: "_nomad-task-1", age: undefined })])).toEqual([]);
  });

  test("are once there where the other one is critical", () => {
    expect(twiceNamed([entry({}), { ...other, health: "critical" }])).toEqual([]);
    expect(twiceNamed([entry({}), { ...other, health: "warning" }])).toHaveLength(1);
  });

  test("may be more than two", () => {
    const third = { ...other, address: "10.0.0.3", instance: "box3", machine: "box3", age: undefined };
    const [found] = twiceNamed([entry({}), other, third]);
    expect(found && twiceWords(found)).toMatch(/ is there 3 times: .*, 10\.0\.0\.3:20002 on box3$/);
  });
});

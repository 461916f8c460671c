import { describe, expect, test } from "vitest";
import {
  aliveNameOf,
  META_SINCE,
  obstacleOf,
  sameEntry,
  tcpCheckId,
  ttlCheckId,
  withoutOutput,
} from "../../src/publish/core/service-entry.js";
import { heldService, serviceEntry } from "../support/service-entry.js";

const ENTRY = serviceEntry("a", { tags: ["a", "blue"] });
const HELD = heldService(ENTRY);

describe("an entry is held as it is wanted", () => {
  test("whatever the order of its tags and the time at which it was made", () => {
    expect(sameEntry(ENTRY, HELD)).toBe(true);
    expect(sameEntry(ENTRY, { ...HELD, tags: ["blue", "a"], meta: { ...HELD.meta, [META_SINCE]: "1" } })).toBe(true);
    const withTime = { ...ENTRY, meta: { ...ENTRY.meta, [META_SINCE]: "2" } };
    expect(sameEntry(withTime, HELD)).toBe(true);
  });

  test.each([
    ["service", { service: "other" }],
    ["address", { address: "10.0.0.2" }],
    ["port", { port: 1 }],
    ["weight", { weight: 9 }],
    ["tag too many", { tags: ["a", "blue", "c"] }],
    ["tag too few", { tags: ["a"] }],
    ["tag instead of one", { tags: ["a", "green"] }],
    ["meta key too many", { meta: { ...HELD.meta, more: "x" } }],
    ["meta key too few", { meta: { "erlang-node": "a@svc.service.consul" } }],
    ["value in its meta", { meta: { ...HELD.meta, "erlang-dist-port": "1" } }],
  ])("but not with another %s", (_, change) => {
    expect(sameEntry(ENTRY, { ...HELD, ...change })).toBe(false);
  });
});

test("the alive name stands before the @ of the meta; other entries are no nodes of ours", () => {
  const nameIn = (node: string | undefined) => {
    const meta: Record<string, string> = node === undefined ? {} : { "erlang-node": node };
    return aliveNameOf({ ...HELD, meta });
  };
  expect(["a@svc", "a", "@svc", "", undefined].map(nameIn)).toEqual(["a", undefined, undefined, undefined, undefined]);
});

test("the checks have names of their own", () => {
  expect([ttlCheckId("srv-epmd:x:a"), tcpCheckId("srv-epmd:x:a")]).toEqual([
    "service:srv-epmd:x:a",
    "service:srv-epmd:x:a:tcp",
  ]);
});

test("maintenance is told before another check that is critical, and not that of another entry", () => {
  const id = "srv-epmd:x:a";
  const check = (checkId: string, serviceId: string, over = {}) => {
    return { checkId, serviceId, status: "critical", notes: "", output: "", ...over };
  };
  const failing = check("disk", id, { output: "full" });
  const machine = check("_node_maintenance", "", { notes: "new disks" });
  const service = check(`_service_maintenance:${id}`, id);
  expect(obstacleOf(id, [failing, machine])).toEqual({
    ...{ kind: "maintenance", check: "_node_maintenance" },
    words:
      "the machine is in Consul's maintenance mode (node maintenance, consul maint, check _node_maintenance): new disks",
  });
  expect(obstacleOf(id, [failing, service])?.words).toBe(
    `the entry is in Consul's maintenance mode (service maintenance, consul maint, check _service_maintenance:${id})`,
  );
  expect(obstacleOf(id, [failing, service])?.entry).toBe(id);
  expect(obstacleOf(id, [failing])).toEqual({
    ...{ kind: "other", check: "disk", words: "its check disk is critical: full", entry: id },
  });
  // A sentence of ours goes on behind it.
  const sentence = obstacleOf(id, [check("_node_maintenance", "", { notes: "Maintenance mode is enabled.\n" })]);
  expect(sentence?.words).toMatch(/: Maintenance mode is enabled$/);
  const unreached = check("serfHealth", "", { output: "Agent not live or unreachable" });
  expect(obstacleOf(id, [unreached])).toEqual({
    ...{ kind: "agent", check: "serfHealth" },
    words: "the machine's check serfHealth is critical: Agent not live or unreachable",
  });
  expect(obstacleOf(id, [check("_service_maintenance:other", "other"), check(ttlCheckId(id), id)])).toBeUndefined();
});

test("a stranger is told which check is critical, and not what it says", () => {
  const told = (checkId: string, serviceId: string) => {
    const check = { checkId, serviceId, status: "critical", notes: "secret", output: "secret" };
    const obstacle = obstacleOf("srv-epmd:x:a", [check]);
    expect(obstacle?.words).toMatch(/: secret$/);
    return obstacle && withoutOutput(obstacle);
  };
  expect(told("serfHealth", "")).toEqual({
    ...{ kind: "agent", check: "serfHealth" },
    words: "the machine's check serfHealth is critical",
  });
  expect(told("disk", "srv-epmd:x:a")).toEqual({
    ...{ kind: "other", check: "disk", entry: "srv-epmd:x:a", words: "its check disk is critical" },
  });
  expect(told("_node_maintenance", "")?.words).toMatch(/ check _node_maintenance\)$/);
});

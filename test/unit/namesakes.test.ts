import { describe, expect, test } from "vitest";
import type { ServiceMember } from "../../src/catalogue/core/instances.js";
import { hostOfEntry, membersByName, namesakes } from "../../src/publish/core/claims.js";
import { serveConfig } from "../support/registered-node.js";
import { OWNER, STRANGER, serviceEntry } from "../support/service-entry.js";

const entry = serviceEntry("node_b");

function member(over: Partial<ServiceMember> & { readonly node?: string; readonly owner?: string }): ServiceMember {
  const { node, owner, ...rest } = over;
  return {
    ...{ serviceId: "id", tags: ["node_b"], port: 20_001, critical: false, health: "passing", address: "10.0.0.1" },
    ...{ machine: "box1", weight: 1, version: 0 },
    meta: {
      ...(node !== undefined && { "erlang-node": node }),
      ...(owner !== undefined && { "srv-epmd-owner": owner }),
    },
    ...rest,
  };
}

const OWN = member({ serviceId: entry.id, node: "node_b@svc.service.consul", owner: OWNER });
const THERE = { address: "10.0.0.9", port: 20_009, machine: "box9", serviceId: "srv-epmd:box9:node_b" };

function found(others: readonly ServiceMember[], own = entry, config = serveConfig({ domain: ["svc"] })) {
  const members = membersByName(others, hostOfEntry(own, config), config);
  return namesakes(own, members, OWNER)?.map(({ place }) => place);
}

describe("another node of the name of one here", () => {
  test.each([
    ["of another srv-epmd", member({ ...THERE, node: "node_b@svc.service.consul", owner: STRANGER })],
    ["in other capitals, which DNS does not tell apart", member({ ...THERE, node: "Node_B@svc.service.consul" })],
    ["that has only the tag", member({ ...THERE, tags: ["blue", "NODE_b"] })],
    ["whose check is a warning, which Consul's DNS gives too", member({ ...THERE, health: "warning" })],
  ])("is one %s", (_, other) => {
    expect(found([OWN, other])).toEqual(["10.0.0.9:20009 on box9"]);
  });

  test.each([
    ["our own of another family", member({ node: "node_b@svc.service.consul", owner: OWNER, address: "fd00::1" })],
    ["the same node, which Nomad publishes too", member({ serviceId: "_nomad-task-1" })],
    ["a node of the same alive name on its own host", member({ ...THERE, node: "node_b@10.0.0.9" })],
    ["another node", member({ ...THERE, node: "node_a@svc.service.consul" })],
    ["one that is critical", member({ ...THERE, critical: true, health: "critical" })],
    ["one that has no port", member({ ...THERE, port: 0 })],
  ])("is not %s", (_, other) => {
    expect(found([OWN, other])).toEqual([]);
  });

  test("is not known as long as Consul does not list ours", () => {
    expect(found([member({ ...THERE, node: "node_b@svc.service.consul" })])).toBeUndefined();
    expect(found([])).toBeUndefined();
  });

  test("is looked for by the name of --node-host, and among the nodes of a tag's domain", () => {
    const hosted = { ...entry, meta: { ...entry.meta, "erlang-node": "node_b@10.0.0.1" } };
    const own = member({ node: "node_b@10.0.0.1", owner: OWNER });
    const config = serveConfig({ domain: ["svc"], nodeHost: "10.0.0.1" });
    expect(found([own, member({ ...THERE, node: "node_b@10.0.0.1" })], hosted, config)).toHaveLength(1);
    expect(found([own, member({ ...THERE, node: "node_b@10.0.0.9" })], hosted, config)).toEqual([]);
    const below = serveConfig({ domain: ["n1.svc.service.consul"] });
    const named = { ...entry, meta: { ...entry.meta, "erlang-node": "node_b@n1.svc.service.consul" } };
    const ours = member({ node: "node_b@n1.svc.service.consul", owner: OWNER, tags: ["node_b.n1"] });
    expect(found([ours, member({ ...THERE, tags: ["node_b.n1"] })], named, below)).toHaveLength(1);
  });
});

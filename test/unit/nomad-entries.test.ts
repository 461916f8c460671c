import { describe, expect, test } from "vitest";
import type { Environment } from "../../src/config/nomad.js";
import { entryFault, nomadServiceOf } from "../../src/nomad/core/entries.js";
import { serveConfig } from "../support/registered-node.js";

const ALLOC = "0a1b2c3d-1111-2222-3333-444444444444";
const SVC = { service: "svc-dist", namespace: "default" };
/** A bridge network in which the port dist is 20001 outside and 4370 inside. */
const BRIDGE: Environment = {
  NOMAD_ALLOC_ID: ALLOC,
  NOMAD_PORT_dist: "4370",
  NOMAD_HOST_PORT_dist: "20001",
  NOMAD_HOST_IP_dist: "10.0.0.7",
  NOMAD_ALLOC_IP_dist: "172.26.64.5",
};
const NODE = { aliveName: "svc-0a1b2c3d", port: 4370, family: 4 as const };
const ENTRY = {
  serviceId: `_nomad-task-${ALLOC}-group-node-svc-dist-dist`,
  tags: ["svc-0a1b2c3d"],
  address: "10.0.0.7",
  port: 20001,
};
const OTHER = {
  ...ENTRY,
  serviceId: "_nomad-task-ffffffff-group-node-svc-dist-dist",
  tags: ["svc-ffffffff"],
  port: 20009,
};

const settings = (env: Environment = BRIDGE, flags: Parameters<typeof serveConfig>[0] = {}) =>
  serveConfig({ domain: ["svc-dist.service.nomad"], ...flags }, env);
const fault = (entries: readonly (typeof ENTRY)[], node = NODE, config = settings()) =>
  entryFault(node, SVC, entries, config);

describe("the entry of this allocation", () => {
  test("leads to the node", () => {
    expect(fault([OTHER, ENTRY])).toBeUndefined();
    expect(fault([{ ...ENTRY, tags: ["web", "SVC-0a1b2c3d"] }])).toBeUndefined();
  });

  test("may have the allocation's own address, and the port inside it (address_mode = alloc)", () => {
    expect(fault([{ ...ENTRY, address: "172.26.64.5", port: 4370 }])).toBeUndefined();
    // The same port at the host's address is another program's.
    expect(fault([{ ...ENTRY, port: 4370 }])?.code).toBe("NOMAD_OTHER_PORT");
  });

  test.each<[string, readonly (typeof ENTRY)[], string, RegExp]>([
    [
      "is not there",
      [],
      "NOMAD_NO_ENTRY",
      /no entry of the service svc-dist in the namespace default for the allocation 0a1b2c3d/,
    ],
    ["is another's", [OTHER], "NOMAD_NO_ENTRY", /no entry/],
    ["has no tag", [{ ...ENTRY, tags: [] }], "NOMAD_NO_TAG", /has no tag, and not svc-0a1b2c3d/],
    ["has other tags", [{ ...ENTRY, tags: ["a", "b"] }], "NOMAD_NO_TAG", /has the tags a, b, and not svc-0a1b2c3d/],
    [
      "leads to another port",
      [{ ...ENTRY, port: 20002 }],
      "NOMAD_OTHER_PORT",
      /leads to 10\.0\.0\.7:20002, and peers reach the node at port 20001/,
    ],
  ])("%s", (_, entries, code, reason) => {
    const found = fault(entries);
    expect(found?.code).toBe(code);
    expect(found?.reason).toMatch(reason);
    expect(found?.advice).not.toBe("");
  });

  test("cannot lead to a port that is not mapped", () => {
    expect(fault([ENTRY], { ...NODE, port: 5000 })).toMatchObject({
      code: "NODE_UNREACHABLE",
      reason: expect.stringContaining("port 5000"),
    });
  });

  test("outside of an allocation: any with the tag and the port", () => {
    const outside = settings({});
    expect(fault([OTHER, ENTRY], { ...NODE, port: 20001 }, outside)).toBeUndefined();
    expect(fault([], { ...NODE, port: 20001 }, outside)?.reason).toBe(
      "Nomad's catalogue has no entry of the service svc-dist in the namespace default",
    );
  });
});

describe("a node is looked for in Nomad's catalogue", () => {
  const of = (aliveName: string, flags: Parameters<typeof serveConfig>[0] = {}, ...alive: string[]) =>
    nomadServiceOf(aliveName, settings({}, flags), (name) => alive.includes(name));

  test("under its domain", () => {
    expect(of("a")).toEqual({ service: "svc-dist", namespace: undefined });
    expect(of("a", { domain: ["b=x.ns.service.nomad", "svc"] })).toBeUndefined();
    expect(of("b", { domain: ["b=x.ns.service.nomad", "svc"] })).toEqual({ service: "x", namespace: "ns" });
  });

  test("not when it is a helper, or --publish leaves it out", () => {
    expect(of("rpc-1a2b-svc")).toBeUndefined();
    expect(of("a-1-2", {}, "a")).toBeUndefined();
    expect(of("a", { publish: ["web*"] })).toBeUndefined();
  });
});

import { expect, test } from "vitest";
import { parseMembers } from "../../src/consul/replies.js";

/** One instance, as /v1/health/service has it. */
const instance = (ID: string, ...checks: readonly (readonly [CheckID: string, Status: string])[]) => [
  {
    Node: { Node: "box1", Address: "10.0.0.1" },
    Service: { ID, Service: "svc", Tags: ["node_a"], Port: 20_001, Meta: {} },
    Checks: checks.map(([CheckID, Status]) => {
      const ServiceID = CheckID === "serfHealth" ? "" : ID;
      return { CheckID, Status, ServiceID, Notes: "", Output: Status === "critical" ? "97% used" : "" };
    }),
  },
];

test("the check that keeps an instance out is read from the list that /v1/health/service has", () => {
  const id = "srv-epmd:box1:node_a";
  const members = parseMembers(
    instance(id, ["serfHealth", "passing"], [`service:${id}`, "passing"], ["disk", "critical"]),
  );
  expect(members).toMatchObject([
    {
      health: "critical",
      obstacle: { kind: "other", check: "disk", words: "its check disk is critical: 97% used", entry: id },
    },
  ]);
});

test("an entry is withdrawn where its srv-epmd says that its VM has left, not where its time has run out", () => {
  const id = "srv-epmd:box1:node_a";
  const said = (Output: string, Status = "critical") => {
    const [one] = instance(id, [`service:${id}`, Status]);
    const Checks = one?.Checks.map((check) => ({ ...check, Output }));
    return parseMembers([{ ...one, Checks }])[0]?.withdrawn;
  };
  expect(said("the VM has left srv-epmd")).toBe(true);
  expect(said("the VM has left srv-epmd", "passing")).toBeUndefined();
  expect(said("TTL expired (last output before timeout follows): the VM is connected to srv-epmd")).toBeUndefined();
});

test("the only check of an entry that another program made is no TTL check of ours", () => {
  const [own] = parseMembers(instance("srv-epmd:box1:node_a", ["service:srv-epmd:box1:node_a", "critical"]));
  expect(own).toMatchObject({ health: "critical", obstacle: undefined });
  const [other] = parseMembers(instance("web-1", ["service:web-1", "critical"]));
  expect(other?.obstacle).toEqual({
    ...{ kind: "other", check: "service:web-1", words: "its check service:web-1 is critical: 97% used" },
    entry: "web-1",
  });
});

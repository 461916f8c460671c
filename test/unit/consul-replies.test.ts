import { expect, test } from "vitest";
import { parseMembers } from "../../src/consul/replies.js";

test("the check that keeps an instance out is read from the list that /v1/health/service has", () => {
  const check = (CheckID: string, Status: string, Output = "") => ({
    ...{ CheckID, Status, Output, Notes: "" },
    ServiceID: CheckID === "serfHealth" ? "" : "srv-epmd:box1:node_a",
  });
  const members = parseMembers([
    {
      Node: { Node: "box1", Address: "10.0.0.1" },
      Service: { ID: "srv-epmd:box1:node_a", Service: "svc", Tags: ["node_a"], Port: 20_001, Meta: {} },
      Checks: [
        check("serfHealth", "passing"),
        check("service:srv-epmd:box1:node_a", "passing"),
        check("disk", "critical", "97% used"),
      ],
    },
  ]);
  expect(members).toMatchObject([
    { health: "critical", obstacle: { kind: "other", words: "its check disk is critical: 97% used" } },
  ]);
});

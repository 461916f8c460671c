import { expect, test } from "vitest";
import { Servers } from "../../src/consul/core/servers.js";

test("an agent that knows no server, or does not reach it, says so at once", () => {
  const servers = new Servers();
  servers.answered(10);
  servers.failed({ sentAt: 5, fault: "no-server", reason: "No known Consul servers" });
  expect([servers.trouble, servers.answeredAt]).toEqual(["No known Consul servers", 10]);
  servers.answered(20);
  expect([servers.trouble, servers.answeredAt]).toEqual([undefined, 20]);
});

test("one question without an answer may have met a busy agent, the second one in a row has not", () => {
  const servers = new Servers();
  const silent = (sentAt: number) => servers.failed({ sentAt, fault: "timeout", reason: "no answer" });
  silent(0);
  servers.answered(10);
  silent(11);
  expect(servers.trouble).toBeUndefined();
  silent(12);
  expect([servers.trouble, servers.answeredAt]).toEqual(["no answer", 10]);
});

test("a question that was sent before the last answer says nothing, nor does an agent that is not there or errs", () => {
  const servers = new Servers();
  servers.answered(10);
  for (const fault of ["timeout", "timeout", "timeout"] as const) servers.failed({ sentAt: 9, fault, reason: "late" });
  for (const fault of ["refused", "no-way", undefined] as const) {
    servers.failed({ sentAt: 20, fault, reason: "another matter" });
    servers.failed({ sentAt: 21, fault, reason: "another matter" });
  }
  expect(servers.trouble).toBeUndefined();
});

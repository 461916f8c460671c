import { expect, test } from "vitest";
import { Servers } from "../../src/consul/core/servers.js";

/** A question that takes a second. */
const question = (sentAt: number, fault: "timeout" | "no-server", reason = "why") => {
  return { sentAt, endedAt: sentAt + 1_000, fault, reason };
};

test("one question without an answer may have met the one server that has just ended; the second in a row has not", () => {
  const servers = new Servers();
  servers.answered(10);
  servers.failed(question(20, "no-server", "dial tcp"));
  expect(servers.trouble).toBeUndefined();
  servers.failed(question(1_020, "no-server", "No known Consul servers"));
  expect([servers.trouble, servers.answeredAt]).toEqual(["No known Consul servers", 10]);
  servers.answered(2_100);
  expect([servers.trouble, servers.answeredAt]).toEqual([undefined, 2_100]);
  servers.failed(question(3_000, "no-server"));
  expect(servers.trouble).toBeUndefined();
});

test("questions at the same time are one: a busy agent lets all of them wait", () => {
  const servers = new Servers();
  servers.agentAnswered(5);
  for (let sentAt = 0; sentAt < 900; sentAt += 100) servers.failed(question(sentAt, "timeout"));
  expect(servers.trouble).toBeUndefined();
  servers.failed(question(1_000, "timeout", "no answer"));
  expect(servers.trouble).toBe("no answer");
});

test("an agent that answers nothing else meanwhile hangs itself, whatever its servers do", () => {
  const servers = new Servers();
  servers.agentAnswered(50);
  servers.failed(question(100, "timeout"));
  servers.failed(question(2_000, "timeout"));
  // It goes on.
  servers.agentAnswered(5_000);
  expect(servers.trouble).toBeUndefined();
  servers.failed(question(6_000, "timeout"));
  expect(servers.trouble).toBe("why");
});

test("a question that was sent before the last answer says nothing; what the agent says of itself holds when it says it", () => {
  const servers = new Servers();
  servers.answered(1_500);
  for (const sentAt of [0, 400]) servers.failed(question(sentAt, "no-server"));
  for (let sentAt = 0; sentAt < 1_400; sentAt += 100) servers.failed(question(sentAt, "timeout"));
  expect(servers.trouble).toBeUndefined();
  // Blocking queries.
  servers.failed({ ...question(0, "no-server"), endedAt: 2_000 });
  servers.failed(question(2_000, "no-server"));
  expect(servers.trouble).toBe("why");
});

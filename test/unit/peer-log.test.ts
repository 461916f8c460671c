import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { identifyPeer, PeerLogs } from "../../src/epmd/peer.js";
import { collectLog } from "../support/log-lines.js";

const LOCAL = identifyPeer("127.0.0.1", 40000, "127.0.0.1", []);
const STRANGER = identifyPeer("10.0.0.2", 40000, "10.0.0.1", []);
const OTHER = identifyPeer("10.0.0.3", 50000, "10.0.0.1", []);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("of what strangers do again and again the log has the first, and one line a minute with the count and the last", () => {
  const { log, lines } = collectLog();
  const logs = new PeerLogs(log);
  for (let node = 0; node < 1000; node++) logs.about(STRANGER).info({ node }, "node not found");
  logs.about(OTHER).info({ node: 1000 }, "node not found");
  expect(lines).toMatchObject([{ level: "info", peer: "10.0.0.2:40000", node: 0, msg: "node not found" }]);
  vi.advanceTimersByTime(60_000);
  expect(lines.slice(1)).toMatchObject([
    {
      level: "info",
      peer: "10.0.0.3:50000",
      node: 1000,
      more: 1000,
      msg: expect.stringMatching(/^node not found: 1000 more/),
    },
  ]);
});

test("one that goes on for hours makes a line a minute, and the first after a quiet minute is told at once", () => {
  const { log, lines } = collectLog();
  const logs = new PeerLogs(log);
  const tick = () => logs.of(STRANGER).warn({}, "look-up failed");
  for (let second = 0; second < 2 * 3600; second++) {
    for (let each = 0; each < 10; each++) tick();
    vi.advanceTimersByTime(1000);
  }
  expect(lines.length).toBe(1 + 120);
  vi.advanceTimersByTime(120_000);
  const before = lines.length;
  tick();
  expect(lines.slice(before)).toMatchObject([{ level: "warn", msg: "look-up failed" }]);
});

test("each message and each level has a line of its own", () => {
  const { log, messages } = collectLog();
  const logs = new PeerLogs(log);
  for (let count = 0; count < 3; count++) {
    logs.of(STRANGER).debug({}, "a");
    logs.of(STRANGER).info({}, "a");
    logs.of(STRANGER).error({}, "b");
  }
  expect(messages()).toEqual(["a", "b"]);
});

test("local peers have a line for each thing, whatever strangers do", () => {
  const { log, messages } = collectLog();
  const logs = new PeerLogs(log);
  for (let count = 0; count < 3; count++) {
    logs.of(STRANGER).info({}, "node not found");
    logs.of(LOCAL).info({ peer: "127.0.0.1:40000" }, "node not found");
    logs.about(LOCAL).info({}, "node not found");
  }
  expect(messages()).toHaveLength(1 + 6);
});

test("what is below the level of the log is neither told nor counted", () => {
  const lines: string[] = [];
  const logs = new PeerLogs(createLogger({ level: "info", format: "json", write: (line) => lines.push(line) }));
  for (let count = 0; count < 3; count++) logs.about(STRANGER).debug({}, "request");
  vi.advanceTimersByTime(60_000);
  expect(logs.about(STRANGER).isLevelEnabled("debug")).toBe(false);
  expect(lines).toEqual([]);
});

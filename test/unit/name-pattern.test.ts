import { expect, test } from "vitest";
import { ValueError } from "../../src/config/values.js";
import { isNamePattern, namePattern, parseNamePattern } from "../../src/names/node-name.js";

test.each([
  ["node_*@svc.service.consul", "node_*", "svc.service.consul"],
  ["*@svc", "*", "svc"],
  ["node_a@SVC.Service.Consul.", "node_a", "svc.service.consul"],
  ["n?@10.0.0.1", "n?", "10.0.0.1"],
  ["*@fd00:0::1", "*", "fd00::1"],
  [`${"*".repeat(255)}@svc`, "*".repeat(255), "svc"],
])("%s is a pattern", (text, pattern, host) => {
  const parsed = parseNamePattern(text);
  expect({ pattern: parsed.glob.pattern, host: parsed.host }).toEqual({ pattern, host });
});

test.each([
  ["node_*", "must be a pattern such as 'node_*@svc' (* and ? stand for characters of the alive name)"],
  ["*@a b", "must be a pattern such as 'node_*@svc': what stands behind the @ is no host name"],
])("%j is told what would be right", (text, message) => {
  expect(() => namePattern(text)).toThrow(new ValueError(message));
});

test("a pattern goes out as it was written", () => {
  expect(namePattern("node_*@SVC")).toBe("node_*@SVC");
});

test.each([
  "",
  "@",
  "node_*",
  "@svc",
  "*@",
  "*@a..b",
  "*@svc/4",
  "*@a b",
  "*@svc\n",
  "*@a@b",
  `${"a".repeat(256)}@svc`,
])("%j is no pattern", (text) => {
  expect(() => parseNamePattern(text)).toThrow(ValueError);
  expect(isNamePattern(text)).toBe(false);
});

import { describe, expect, test } from "vitest";
import { formatNodeName, isLongName, neverConnect, parseNodeName } from "../../src/names/node-name.js";

describe("a node name as asked for", () => {
  test.each([
    ["node_b@svc.service.consul", { aliveName: "node_b", host: "svc.service.consul", family: undefined, form: "full" }],
    [
      "node_b@Svc.Service.Consul.",
      { aliveName: "node_b", host: "svc.service.consul", absolute: true, family: undefined, form: "full" },
    ],
    ["node_b@svc/4", { aliveName: "node_b", host: "svc", family: 4, form: "full" }],
    ["node_b@svc/6", { aliveName: "node_b", host: "svc", family: 6, form: "full" }],
    ["a@10.0.0.1", { aliveName: "a", host: "10.0.0.1", family: undefined, form: "full" }],
    ["a@FD00:0::1/6", { aliveName: "a", host: "fd00::1", family: 6, form: "full" }],
    ["a@::ffff:127.0.0.1", { aliveName: "a", host: "127.0.0.1", family: undefined, form: "full" }],
    ["web.svc.example", { aliveName: "web", host: "svc.example", family: undefined, form: "dotted" }],
    ["web", { aliveName: "web", host: undefined, family: undefined, form: "bare" }],
    ["😈", { aliveName: "😈", host: undefined, family: undefined, form: "bare" }],
  ])("%s", (text, expected) => expect(parseNodeName(text)).toEqual(expected));

  test.each([
    "",
    "@svc",
    "a b@svc",
    "a@",
    "a@svc/5",
    "a@b@c",
    "a@-x-",
    "a@svc..consul",
    ".svc",
    "web.",
    "a\0",
    `a@${"x".repeat(64)}`,
    "a@10.0.0.300.",
    "x".repeat(256),
  ])("%j is none", (text) =>
    expect(() => parseNodeName(text)).toThrow(/must be a node name such as node_a@svc.service.consul/),
  );
});

test("short and long names never connect", () => {
  for (const long of ["a@svc.service.consul", "a@10.0.0.1", "a@fd00::1"]) {
    expect(isLongName(long)).toBe(true);
    for (const short of ["a@box1", "b@localhost"]) {
      expect(isLongName(short)).toBe(false);
      expect([neverConnect(long, short), neverConnect(short, long), neverConnect(short, short)]).toEqual([
        true,
        true,
        false,
      ]);
    }
    expect(neverConnect(long, "b@other.test")).toBe(false);
  }
});

test("a name is written with its host, and without one when it has none", () => {
  expect(formatNodeName({ aliveName: "a", host: "svc" })).toBe("a@svc");
  expect(formatNodeName({ aliveName: "a", host: undefined })).toBe("a");
});

import { expect, test } from "vitest";
import { type Claim, Claims } from "../../src/publish/core/claims.js";
import { publicationOf } from "../../src/publish/core/publication.js";
import { registeredNode, serveConfig } from "../support/registered-node.js";

const DAEMON = { hostName: "box1", port: 4369, owner: "o" };
const claimOf = (name: string) => {
  const node = registeredNode(name, 20001);
  return { node, publication: publicationOf(node, serveConfig({ domain: ["svc"] }), DAEMON, () => false) };
};

test("of names that differ only in case the oldest is published, and the next when it goes", () => {
  const claims = new Claims();
  const [first, second] = [claimOf("Node"), claimOf("node")];
  expect(claims.add(first)?.node).toBe(first.node);
  expect(claims.add(second)).toBeUndefined();
  expect(claims.reason(first)).toBeUndefined();
  expect(claims.reason(second)).toContain("differs only in case from Node");
  expect(claims.remove(first.node)).toBe(true);
  expect(claims.holder("node")?.node).toBe(second.node);
  expect(claims.reason(second)).toBeUndefined();
});

test("the end of a node that does not hold its name changes nothing", () => {
  const claims = new Claims();
  const [first, second] = [claimOf("Node"), claimOf("node")];
  claims.add(first);
  claims.add(second);
  expect(claims.remove(second.node)).toBe(false);
  expect(claims.holder("node")?.node).toBe(first.node);
  expect(claims.all()).toEqual([first]);
});

test("a node that is not published holds nothing", () => {
  const claims = new Claims();
  const helper = claimOf("rpc-1a2b-web");
  expect(claims.add(helper)).toBeUndefined();
  expect(claims.reason(helper)).toContain("helper");
  expect(claims.remove(helper.node)).toBe(false);
  expect(claims.all()).toEqual([]);
});

test("of more nodes than are published the oldest are, and the next when one goes", () => {
  const claims = new Claims(2);
  const [a, b, c, d] = ["a", "b", "c", "d"].map(claimOf) as [Claim, Claim, Claim, Claim];
  expect([a, b, c, d].map((claim) => claims.add(claim)?.node.aliveName)).toEqual(["a", "b", undefined, undefined]);
  expect(claims.promote()).toBeUndefined();
  expect([claims.reason(a), claims.reason(c)]).toEqual([undefined, expect.stringContaining("2 nodes are published")]);
  claims.remove(c.node);
  expect(claims.promote()).toBeUndefined();
  claims.remove(a.node);
  expect(claims.promote()?.node).toBe(d.node);
  expect([claims.reason(d), claims.holder("d")?.node]).toEqual([undefined, d.node]);
});

test("a node that is not published takes no room", () => {
  const claims = new Claims(1);
  claims.add(claimOf("rpc-1a2b-web"));
  expect(claims.add(claimOf("web"))).toBeDefined();
});

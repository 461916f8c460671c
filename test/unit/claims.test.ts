import { expect, test } from "vitest";
import { type Change, type Claim, Claims } from "../../src/publish/core/claims.js";
import { publicationOf } from "../../src/publish/core/publication.js";
import { registeredNode, serveConfig } from "../support/registered-node.js";

const DAEMON = { hostName: "box1", port: 4369, owner: "o" };
const claimOf = (name: string) => {
  const node = registeredNode(name, 20001);
  return { node, publication: publicationOf(node, serveConfig({ domain: ["svc"] }), DAEMON, () => false) };
};

const refused = { outcome: "skip", reason: "a helper now" } as const;
const holders = (changes: readonly Change[]) => changes.map(({ key, holder }) => [key, holder?.node.aliveName]);

test("of names that differ only in case the oldest is published, and the next when it goes", () => {
  const claims = new Claims();
  const [first, second] = [claimOf("Node"), claimOf("node")];
  expect(holders(claims.add(first))).toEqual([["node", "Node"]]);
  expect(claims.add(second)).toEqual([]);
  expect(claims.reason(first)).toBeUndefined();
  expect(claims.reason(second)).toContain("differs only in case from Node");
  expect(holders(claims.remove(first.node))).toEqual([["node", "node"]]);
  expect(claims.holder("node")?.node).toBe(second.node);
  expect(claims.reason(second)).toBeUndefined();
});

test("the end of a node that does not hold its name changes nothing", () => {
  const claims = new Claims();
  const [first, second] = [claimOf("Node"), claimOf("node")];
  claims.add(first);
  claims.add(second);
  expect(claims.remove(second.node)).toEqual([]);
  expect(claims.holder("node")?.node).toBe(first.node);
  expect(claims.all()).toEqual([first]);
});

test("a node that is not published holds nothing", () => {
  const claims = new Claims();
  const helper = claimOf("rpc-1a2b-web");
  expect(claims.add(helper)).toEqual([]);
  expect(claims.reason(helper)).toContain("helper");
  expect(claims.remove(helper.node)).toEqual([]);
  expect(claims.all()).toEqual([]);
});

test("of more nodes than are published the oldest are, and the next when one goes", () => {
  const claims = new Claims(2);
  const [a, b, c, d] = ["a", "b", "c", "d"].map(claimOf) as [Claim, Claim, Claim, Claim];
  expect([a, b, c, d].flatMap((claim) => holders(claims.add(claim)))).toEqual([
    ["a", "a"],
    ["b", "b"],
  ]);
  expect([claims.reason(a), claims.reason(c)]).toEqual([undefined, expect.stringContaining("2 nodes are published")]);
  expect(claims.remove(c.node)).toEqual([]);
  expect(holders(claims.remove(a.node))).toEqual([
    ["a", undefined],
    ["d", "d"],
  ]);
  expect([claims.reason(d), claims.holder("d")?.node]).toEqual([undefined, d.node]);
});

test("a node that is not published takes no room", () => {
  const claims = new Claims(1);
  claims.add(claimOf("rpc-1a2b-web"));
  expect(holders(claims.add(claimOf("web")))).toEqual([["web", "web"]]);
});

test("a holder that is not to be published any more gives its name to the next of that name, or its room to another", () => {
  const claims = new Claims(1);
  const [first, second, other] = [claimOf("Node"), claimOf("node"), claimOf("other")];
  for (const claim of [first, second, other]) claims.add(claim);
  expect(holders(claims.update({ ...first, publication: refused }))).toEqual([["node", "node"]]);
  expect(holders(claims.update({ ...second, publication: refused }))).toEqual([
    ["node", undefined],
    ["other", "other"],
  ]);
  expect(claims.update(first)).toEqual([]);
  expect([claims.isBeyondLimit(first), claims.reason(first)]).toEqual([true, expect.stringContaining("the limit")]);
});

test("a node that is to be published at last holds its name, unless another does", () => {
  const claims = new Claims();
  const [first, second] = [claimOf("Node"), claimOf("node")];
  claims.add({ ...first, publication: refused });
  claims.add({ ...second, publication: refused });
  expect(holders(claims.update(second))).toEqual([["node", "node"]]);
  expect(claims.update(first)).toEqual([]);
  expect(claims.reason(first)).toContain("differs only in case from node");
});

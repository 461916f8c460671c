import { describe, expect, test } from "vitest";
import { type ClusterPeer, clusterCheck, type LocalLinks } from "../../src/admin/core/cluster-readiness.js";

const linked = (node: string, ...others: readonly string[]): LocalLinks => {
  return { node, hidden: false, linked: new Set(others) };
};
const visible = (nodes: readonly string[]) => nodes.map((node): ClusterPeer => ({ node, hidden: false }));
const check = (peers: readonly string[], ...here: readonly LocalLinks[]) =>
  clusterCheck("*@svc.test", visible(peers), here);

describe("the condition of a cluster", () => {
  test("is met when each node here is linked with all others that are up", () => {
    const peers = ["a@svc.test", "b@svc.test", "c@svc.test"];
    const met = { name: "cluster", ok: true };
    expect(check(peers, linked("a@svc.test", "b@svc.test", "c@svc.test", "console@box"))).toEqual(met);
    const both = [linked("a@svc.test", "b@svc.test", "c@svc.test"), linked("b@svc.test", "a@svc.test", "c@svc.test")];
    expect(check(peers, ...both)).toEqual(met);
  });

  test("is met by the first node of a cluster, listed already or not", () => {
    expect(check(["a@svc.test"], linked("a@svc.test")).ok).toBe(true);
    expect(check([], linked("a@svc.test")).ok).toBe(true);
  });

  test("names who misses whom, and two nodes here must be linked too", () => {
    const peers = ["a@svc.test", "b@svc.test", "c@svc.test"];
    expect(check(peers, linked("a@svc.test", "c@svc.test"), linked("b@svc.test", "c@svc.test"))).toEqual({
      name: "cluster",
      ok: false,
      reason: "a@svc.test is not linked with b@svc.test; b@svc.test is not linked with a@svc.test",
    });
  });

  test("is not met by a link to a node of another host that has the same name", () => {
    expect(check(["b@svc.test"], linked("a@svc.test", "b@other.test")).reason).toBe(
      "a@svc.test is not linked with b@svc.test",
    );
  });

  test("is not met where it is not known, whatever else is", () => {
    const unknown = { node: "b@svc.test", hidden: false, unknown: "its VM does not answer" };
    expect(check([], linked("a@svc.test"), unknown)).toEqual({
      name: "cluster",
      ok: false,
      reason: "it is not known with whom b@svc.test is linked: its VM does not answer",
    });
  });

  test("is not met where no node here matches: a pattern may be mistyped", () => {
    expect(check([])).toEqual({
      name: "cluster",
      ok: false,
      reason: "no node that is registered here matches *@svc.test",
    });
  });

  test("waits for no link with a hidden node, nor of one: nothing makes them by itself", () => {
    const peers = [...visible(["a@svc.test", "b@svc.test"]), { node: "h@svc.test", hidden: true }];
    const hidden: LocalLinks = { node: "h@svc.test", hidden: true, unknown: "its VM does not answer" };
    expect(clusterCheck("*@svc.test", peers, [linked("a@svc.test", "b@svc.test"), hidden]).ok).toBe(true);
    expect(clusterCheck("*@svc.test", peers, [hidden]).ok).toBe(true);
    expect(clusterCheck("*@svc.test", peers, [linked("a@svc.test"), hidden]).reason).toBe(
      "a@svc.test is not linked with b@svc.test",
    );
  });

  test("names some of many", () => {
    const peers = Array.from({ length: 300 }, (_, index) => `n${index}@svc.test`);
    const { reason } = check(peers, ...peers.slice(0, 40).map((node) => linked(node)));
    expect(reason).toMatch(/^n0@svc.test is not linked with n1@svc.test, .*, and 294 more; .*; and 35 more$/);
    expect(reason?.length).toBeLessThan(700);
  });
});

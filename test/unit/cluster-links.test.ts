import { describe, expect, test } from "vitest";
import { type ClusterLinks, clusterLinks, unlinkedNodes } from "../../src/admin/core/cluster-links.js";
import { clusterPicture } from "../../src/admin/core/cluster-picture.js";
import type { NodeLinks, Status } from "../../src/admin/core/status.js";
import { clusterNode, emptyStatus, linkedStatus, localNode, toldLinks } from "../support/status.js";

/** Nodes here are those of box1. */
function linksOf(
  nodes: Readonly<Record<string, Partial<ReturnType<typeof clusterNode>>>>,
  links: readonly NodeLinks[],
) {
  const listed = Object.entries(nodes).map(([name, own], index) => {
    const machine = own.machine ?? "box1";
    return clusterNode({
      node: `${name}@svc.service.consul`,
      port: 20_000 + index,
      instance: machine,
      machine,
      ...own,
    });
  });
  const status: Partial<Status> = {
    nodes: listed.filter(({ machine }) => machine === "box1").map(({ node, port }) => here(node, port)),
    cluster: { outcome: "listed", patterns: ["*@svc.service.consul"], nodes: listed },
  };
  return clusterLinks(clusterPicture(emptyStatus(status)), links);
}
const here = (node: string, port: number) => localNode({ name: node.slice(0, node.indexOf("@")), port });
const short = (node: string) => node.replace("@svc.service.consul", "");

/** `a-b linked`, each pair once */
function pairs({ ends, between }: ClusterLinks): string[] {
  const name = ({ placed, machine }: (typeof ends)[number]) =>
    `${short(placed.node)}${placed.isTwice ? ` on ${machine}` : ""}`;
  return ends.flatMap((one, index) =>
    ends.slice(index + 1).map((other) => `${name(one)}-${name(other)} ${between(one, other)}`),
  );
}
const missing = (links: ClusterLinks) =>
  links.missing.map((pair) => pair.map(({ placed }) => short(placed.node)).join("-"));

const ELSEWHERE = { machine: "box2" };

describe("two nodes", () => {
  test("are linked where both say so, or the one that tells", () => {
    const told = [toldLinks("a", ["b", "c"]), toldLinks("b", ["a"])];
    expect(pairs(linksOf({ a: {}, b: {}, c: ELSEWHERE }, told))).toEqual(["a-b linked", "a-c linked", "b-c missing"]);
  });

  test("are not known where neither tells", () => {
    const silent = { name: "b", hidden: false, state: "silent" } as const;
    const links = linksOf({ a: {}, b: {}, c: ELSEWHERE, d: ELSEWHERE }, [silent]);
    expect(new Set(pairs(links).map((pair) => pair.split(" ")[1]))).toEqual(new Set(["unknown"]));
    expect(links).toMatchObject({ missing: [], asOf: undefined });
  });

  test("are told apart from those of which one says so and the other not", () => {
    const links = linksOf({ a: {}, b: {} }, [toldLinks("a", ["b"]), toldLinks("b", [])]);
    expect(pairs(links)).toEqual(["a-b one-sided"]);
    expect(links.missing).toEqual([]);
  });

  test.each([
    ["critical", { ...ELSEWHERE, health: "critical" }],
    ["hidden, by the catalogue", { ...ELSEWHERE, hidden: true }],
  ] as const)("miss no link where one is %s", (_, own) => {
    const links = linksOf({ a: {}, b: own }, [toldLinks("a", [])]);
    expect(pairs(links)).toEqual(["a-b apart"]);
    expect(links.missing).toEqual([]);
  });

  test("miss none either where one registered as hidden, or is in no catalogue", () => {
    const told = [toldLinks("a", []), toldLinks("b", [], { hidden: true })];
    expect(pairs(linksOf({ a: {}, b: {} }, told))).toEqual(["a-b apart"]);
    const nodes = [localNode({ name: "a" }), localNode({ name: "rem-1", publication: "local" })];
    const picture = clusterPicture(emptyStatus({ nodes }));
    expect(pairs(clusterLinks(picture, [toldLinks("a", []), toldLinks("rem-1", [])]))).toEqual(["a-rem-1 apart"]);
  });

  test("of Nomad's catalogue, which has no health, miss theirs", () => {
    const links = linksOf({ a: { health: "unknown" }, b: { ...ELSEWHERE, health: "unknown" } }, [toldLinks("a", [])]);
    expect(missing(links)).toEqual(["a-b"]);
  });

  test("are known by the names that their VMs have, in any case", () => {
    const told = [
      toldLinks("a", ["B@svc.service.consul", "c@box1.example"]),
      toldLinks("c", ["a"], { node: "c@box1.example" }),
    ];
    const links = linksOf({ a: {}, b: ELSEWHERE, c: {} }, told);
    expect(pairs(links)).toEqual(["a-c linked", "a-b linked", "c-b missing"]);
    expect(links.beyond).toEqual([]);
  });

  test("of one name are not linked with each other, and it is not known with which of them another one is", () => {
    const nodes = { a: {}, b: {} };
    const twin = clusterNode({ node: "a@svc.service.consul", address: "10.1.2.9", instance: "box9", machine: "box9" });
    const listed = Object.keys(nodes).map((name) => clusterNode({ node: `${name}@svc.service.consul` }));
    const status = emptyStatus({
      nodes: [localNode({ name: "a" }), localNode({ name: "b" })],
      cluster: { outcome: "listed", patterns: [], nodes: [...listed, twin] },
    });
    const told = [toldLinks("b", ["a"])];
    const all = pairs(clusterLinks(clusterPicture(status), told));
    expect(all).toEqual(["a on box1-b unknown", "a on box1-a on box9 apart", "b-a on box9 unknown"]);
    // The one here says whether it is the one.
    const both = pairs(clusterLinks(clusterPicture(status), [...told, toldLinks("a", ["b"])]));
    expect(both[0]).toBe("a on box1-b linked");
    // Nobody of that name: one link is missing, for there can be one.
    const none = clusterLinks(clusterPicture(status), [toldLinks("b", [])]);
    expect([missing(none), none.ends.map(({ missing }) => missing), none.names]).toEqual([["b-a"], [1, 1, 1], 2]);
  });

  test("miss no link where one of them is linked with another VM of the other's name", () => {
    const nodes = { a: {}, b: {}, "a@": { ...ELSEWHERE, node: "a@svc.service.consul" } };
    const tellers = [toldLinks("b", ["a"]), toldLinks("a", [])];
    const links = linksOf(nodes, tellers);
    expect(pairs(links)).toEqual(["a on box1-b apart", "a on box1-a on box2 apart", "b-a on box2 unknown"]);
    expect([links.missing, links.ends.map(({ linked, missing }) => [linked, missing])[1]]).toEqual([[], [1, 0]]);
    // The one elsewhere has no word for its links.
    const untold = linksOf({ ...nodes, b: ELSEWHERE }, [toldLinks("a", [])]);
    expect([pairs(untold)[1], untold.missing]).toEqual(["a on box1-b unknown", []]);
  });
});

describe("of all links", () => {
  test("each node has how many there are and are missing, and each missing one is named once", () => {
    const { links, ...status } = linkedStatus();
    const drawn = clusterLinks(clusterPicture({ ...status, relays: undefined }), links ?? []);
    expect(missing(drawn)).toEqual(["node_b-node_c", "node_b-node_g", "node_c-node_e"]);
    expect(drawn.ends.map(({ placed, linked, missing }) => `${short(placed.node)} ${linked} ${missing}`)).toEqual([
      ...["node_a 7 0", "node_b 5 2", "node_c 5 2", "node_d 3 0", "node_e 2 1"],
      ...["node_f 3 0", "node_g 2 1", "node_h 3 0"],
    ]);
    expect(drawn.beyond).toEqual(["remsh-1@box1.example"]);
  });

  test("the oldest answer says of when they are", () => {
    const told = [
      toldLinks("a", [], { at: "2025-03-14T14:03:20Z" }),
      toldLinks("b", [], { at: "2025-03-14T14:03:15Z" }),
    ];
    expect(linksOf({ a: {}, b: {} }, told).asOf).toBe("2025-03-14T14:03:15Z");
  });

  test("a node that has lost all is named once, and before others", () => {
    const names = Array.from({ length: 9 }, (_, index) => `n${index}`);
    const told = names.map((name) =>
      toldLinks(
        name,
        names.filter(
          (other) => other !== name && name !== "n4" && other !== "n4" && !`${name}${other}`.match(/^n[78]n[78]$/),
        ),
      ),
    );
    const links = linksOf(Object.fromEntries(names.map((name) => [name, {}])), told);
    expect(links.missing).toHaveLength(9);
    const named = (most: number) =>
      unlinkedNodes(links.missing, most).map(
        ({ end, others }) => `${short(end.placed.node)}: ${others.map(({ placed }) => short(placed.node)).join()}`,
      );
    expect(named(5)).toEqual(["n4: n0,n1,n2,n3,n5,n6,n7,n8", "n7: n8"]);
    expect(named(1)).toHaveLength(1);
  });

  test("64 VMs in a cluster of 2,000 miss all, and the nodes are told by the fewest", () => {
    const names = Array.from({ length: 2_000 }, (_, index) => `n${index}`);
    const nodes = Object.fromEntries(names.map((name, index) => [name, index < 64 ? {} : { machine: `box${index}` }]));
    const told = names.slice(0, 64).map((name) => toldLinks(name, []));
    const links = linksOf(nodes, told);
    expect(links.missing.length).toBe((64 * 63) / 2 + 64 * (2_000 - 64));
    expect(unlinkedNodes(links.missing, 6)).toHaveLength(6);
  });
});

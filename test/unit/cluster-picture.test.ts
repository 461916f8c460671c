import { describe, expect, test } from "vitest";
import { clusterPicture } from "../../src/admin/core/cluster-picture.js";
import type { Status } from "../../src/admin/core/status.js";
import type { RelayStatus } from "../../src/relay/wire/status.js";
import { busyStatus, clusterNode, emptyStatus, localNode, troubledStatus } from "../support/status.js";

const pictured = (own: Partial<Status>) => clusterPicture(emptyStatus(own));
const listing = (...nodes: ReturnType<typeof clusterNode>[]): Pick<Status, "cluster"> => ({
  cluster: { outcome: "listed", patterns: ["*@svc.service.consul"], nodes },
});
/** `box1*: node_a passing here` */
const lines = ({ machines }: ReturnType<typeof clusterPicture>) =>
  machines.map(({ machine, here, nodes }) => {
    const words = nodes.map(({ node, state, here, isTwice }) =>
      [node.replace("@svc.service.consul", ""), state, here ? "here" : "", isTwice ? "twice" : ""]
        .filter(Boolean)
        .join(" "),
    );
    return `${machine}${here ? "*" : ""}: ${words.join(", ")}`;
  });
const at = (node: string, machine: string, own: Partial<ReturnType<typeof clusterNode>> = {}) =>
  clusterNode({
    node: `${node}@svc.service.consul`,
    machine,
    instance: machine,
    address: `10.0.0.${machine.length}`,
    ...own,
  });

describe("machines", () => {
  test("this one first, then by name, each with its nodes by name", () => {
    const nodes = [at("z", "box2"), at("b", "box10"), at("a", "box2"), at("me", "zoo", { instance: "box1" })];
    expect(lines(pictured({ nodes: [localNode({ name: "me" })], ...listing(...nodes) }))).toEqual([
      "zoo*: me passing here",
      "box10: b passing",
      "box2: a passing, z passing",
    ]);
  });

  test("this one is there without a node, by its own name", () => {
    expect(lines(pictured(listing(at("a", "box2"))))).toEqual(["box1*: ", "box2: a passing"]);
  });

  test("nodes that the catalogue does not have are here too, with why", () => {
    const nodes = (["pending", "not-in-consul", "not-in-nomad", "local", "off", "unknown"] as const).map(
      (publication) => localNode({ name: publication, publication, serviceIds: [] }),
    );
    expect(lines(pictured({ nodes }))).toEqual([
      "box1*: local local here, not-in-consul missing here, not-in-nomad missing here, off local here, pending pending here, unknown unknown here",
    ]);
  });

  test("a node with two entries is one: for two IP versions, or by srv-epmd and by Nomad", () => {
    const entries = [
      at("a", "box2"),
      at("a", "box2", { address: "fd00::2" }),
      at("a", "box2", { instance: "_nomad-task-9f", health: "warning" }),
    ];
    const [, machine] = pictured(listing(...entries)).machines;
    expect(machine?.nodes).toEqual([
      {
        ...{ node: "a@svc.service.consul", state: "warning", here: false, isTwice: false },
        ...{ isPublished: true, hidden: false },
        places: ["10.0.0.4:43183", "[fd00::2]:43183"],
      },
    ]);
  });

  test("two nodes of one name are two, and marked at both places", () => {
    expect(lines(pictured(listing(at("a", "box2"), at("a", "box33"))))).toEqual([
      "box1*: ",
      "box2: a passing twice",
      "box33: a passing twice",
    ]);
  });

  test("an entry that Nomad made for the node here is the node here", () => {
    const nodes = [localNode({ publication: "off", serviceIds: [] })];
    const entry = at("node_a", "client7", { instance: "_nomad-task-0a1b2c3d-1111-group-svc-dist" });
    expect(lines(pictured({ nodes, instance: "0a1b2c3d", ...listing(entry) }))).toEqual([
      "client7*: node_a passing here",
    ]);
    // Another allocation of the same machine.
    const other = { ...entry, instance: "_nomad-task-ffffffff-1111-group-svc-dist" };
    expect(lines(pictured({ nodes, instance: "0a1b2c3d", ...listing(other) }))).toEqual([
      "box1*: node_a local here",
      "client7: node_a passing",
    ]);
  });

  test("a node that registered from another machine stands there, and its connection is held here", () => {
    const nodes = [localNode({ name: "legacy", address: "10.1.2.9" })];
    const entry = at("legacy", "box1", { address: "10.1.2.9" });
    const picture = pictured({ nodes, ...listing(entry) });
    expect(lines(picture)).toEqual(["box1*: ", "10.1.2.9: legacy passing here"]);
    expect(picture.links).toEqual([{ from: "box1", to: "legacy@svc.service.consul", kind: "held", count: 1 }]);
  });

  test("while the catalogue is silent they are those that it listed last", () => {
    expect(lines(clusterPicture(troubledStatus()))).toHaveLength(5);
    expect(lines(pictured({ cluster: { outcome: "unavailable", cause: "no" } }))).toEqual(["box1*: "]);
  });

  test("a hundred thousand nodes are no work that grows with their square: it would not end within the test's time", () => {
    const nodes = Array.from({ length: 100_000 }, (_, index) => at(`n${index}`, `box${index % 90}`));
    expect(pictured(listing(...nodes)).machines).toHaveLength(90);
  });
});

describe("links", () => {
  const { relays } = busyStatus();
  const relayed = (...open: (readonly [node: string, openLinks: number])[]): RelayStatus | undefined =>
    relays && {
      ...relays,
      relays: open.map(([node, openLinks], index) => ({
        ...{ node, openLinks, address: `127.100.0.${index}`, port: 61_000 + index, since: 0, links: 9 },
        ...{ endpoints: [{ address: "10.0.0.4", port: 20_002 }], bytesToNode: 0, bytesFromNode: 0 },
      })),
    };

  test("are those of the gateway that are open, from this machine to a node", () => {
    const picture = pictured({
      ...listing(at("a", "box2"), at("b", "box2")),
      relays: relayed(["a@svc.service.consul", 2], ["b@svc.service.consul", 0], ["a@svc.service.consul", 1]),
    });
    expect(picture.links).toEqual([{ from: "box1", to: "a@svc.service.consul", kind: "relay", count: 3 }]);
  });

  test("lead to a node that no catalogue here lists, too", () => {
    const picture = pictured({ relays: relayed(["rabbit@other.example", 1]) });
    expect(lines(picture)).toEqual(["box1*: ", "10.0.0.4: rabbit@other.example unknown"]);
    expect(picture.links).toMatchObject([{ to: "rabbit@other.example", count: 1 }]);
  });

  test("end at nodes that the picture has", () => {
    for (const status of [busyStatus(), troubledStatus()]) {
      const { machines, links } = clusterPicture(status);
      const names = machines.flatMap(({ nodes }) => nodes.map(({ node }) => node));
      for (const { to } of links) expect(names).toContain(to);
    }
  });
});

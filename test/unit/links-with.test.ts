import { describe, expect, test } from "vitest";
import { linksWith, type SeenConnection, type VmWord } from "../../src/doctor/core/links-with.js";

const vm = (aliveName: string, isLinked?: boolean): VmWord => ({ aliveName, isLinked });
const connection = (aliveName: string | undefined, more: Partial<SeenConnection> = {}): SeenConnection => ({
  ...{ aliveName, local: "10.0.0.1:40000", remote: "10.0.0.2:9100", isInbound: false, isFormer: false, ...more },
});
const into = (aliveName: string, port: number, isFormer = false) =>
  connection(aliveName, { local: "10.0.0.1:9200", remote: `10.0.0.2:${port}`, isInbound: true, isFormer });
const known = (vms: readonly VmWord[], connections: readonly SeenConnection[] = [], isPlaceKnown = true) =>
  linksWith({ vms, connections, isPlaceKnown });

describe("what is known of links with a node", () => {
  test("a link stands where the VM or the node says so, with its connection where one is seen", () => {
    expect(known([vm("a", true), vm("b", false)], [connection("a")])).toEqual({
      ...{
        state: "linked",
        linked: ["a"],
        unlinked: [],
        words: ["a link stands: from a to 10.0.0.2:9100", "b here has none"],
      },
    });
    // Its place is not known, or another one is published.
    expect(known([vm("a", true)], [], false)).toMatchObject({ state: "linked", words: ["a link stands: a says so"] });
  });

  test("a connection is no link where its VM says that it has none: a handshake under way", () => {
    const { state, unlinked, words } = known([vm("a", false)], [connection("a")]);
    expect([state, unlinked, words]).toEqual([
      "none",
      [],
      [
        "a connection stands that is no link: from a to 10.0.0.2:9100; its handshake is not done, or fails",
        "no link with the node stands here: so says a",
      ],
    ]);
  });

  test("a connection of a VM that does not tell, or of a relay, may be a link", () => {
    for (const [vms, owner] of [[[vm("a")], "a"] as const, [[vm("a", false)], undefined] as const]) {
      const { state, linked, words } = known(vms, [connection(owner)]);
      expect([state, linked]).toEqual(["connected", []]);
      expect(words).toEqual([
        expect.stringMatching(/^a connection stands: .*; whether it is a link or .* is not known$/),
      ]);
    }
  });

  test("which connection from the machine of the node is the link is said only where there is one", () => {
    const link = (...seen: readonly SeenConnection[]) => known([vm("a", true)], seen).words;
    expect(link(into("a", 1))).toEqual(["a link stands: from its machine (10.0.0.2:1) to a"]);
    expect(link(into("a", 1), into("a", 2))).toEqual([
      "a link stands: from its machine (one of 10.0.0.2:1, 10.0.0.2:2) to a",
    ]);
    // The VM has dialled: those from there are of other nodes.
    expect(link(into("a", 1), connection("a"))).toEqual(["a link stands: from a to 10.0.0.2:9100"]);
    expect(link(into("a", 1, true))).toEqual([
      "a link stands: from the machine where it was found before (10.0.0.2:1) to a",
    ]);
    expect(link(connection("a", { isFormer: true }))).toEqual([
      "a link stands: from a to 10.0.0.2:9100 (where it was found before)",
    ]);
  });

  test("a connection from the machine of the node may be that of another node there", () => {
    expect(known([vm("a")], [into("a", 1)])).toEqual({
      ...{ state: "connected", linked: [], unlinked: [] },
      words: [
        "a connection stands: from its machine (10.0.0.2:1) to a; whether it is a link, one with another node there or an unfinished handshake is not known",
      ],
    });
    expect(known([vm("a")], [into("a", 1), into("a", 2)]).words[0]).toMatch(
      /^a connection stands: from its machine \(10\.0\.0\.2:1, 10\.0\.0\.2:2\) to a; /,
    );
    // Its VM has no link with the node: it is of no account.
    expect(known([vm("a", false)], [into("a", 1)]).words).toEqual(["no link with the node stands here: so says a"]);
    expect(known([vm("a", false)], [into("a", 1), connection("a")]).words).toEqual([
      "a connection stands that is no link: from a to 10.0.0.2:9100; its handshake is not done, or fails",
      "no link with the node stands here: so says a",
    ]);
  });

  test("that there is none is said where all VMs say so, or connections were looked for at the right place", () => {
    expect(known([vm("a", false), vm("b", false)], [], false).words).toEqual([
      "no link with the node stands here: so says a, b",
    ]);
    expect(known([vm("a")]).words).toEqual(["no link with the node is seen here"]);
    expect(known([], [], false).state).toBe("none");
    const { state, words } = known([vm("a"), vm("b", false)], [], false);
    expect([state, words]).toEqual(["unknown", []]);
  });
});

import { describe, expect, test } from "vitest";
import { linksWith, type SeenConnection, type VmWord } from "../../src/doctor/core/links-with.js";

const vm = (aliveName: string, isLinked?: boolean): VmWord => ({ aliveName, isLinked });
const connection = (aliveName: string | undefined): SeenConnection => ({
  ...{ aliveName, words: `from ${aliveName ?? "10.0.0.1:40000"} to 10.0.0.2:9100` },
});
const known = (vms: readonly VmWord[], connections: readonly SeenConnection[] = [], isPlaceKnown = true) =>
  linksWith({ vms, connections, isPlaceKnown });

describe("what is known of links with a node", () => {
  test("a link stands where the VM or the node says so, with its connection where one is seen", () => {
    expect(known([vm("a", true), vm("b", false)], [connection("a")])).toEqual({
      ...{ state: "linked", linked: ["a"], words: ["a link stands: from a to 10.0.0.2:9100"] },
    });
    // Its place is not known, or another one is published.
    expect(known([vm("a", true)], [], false)).toMatchObject({ state: "linked", words: ["a link stands: a says so"] });
  });

  test("a connection is no link where its VM says that it has none: a handshake under way", () => {
    const { state, words } = known([vm("a", false)], [connection("a")]);
    expect([state, words]).toEqual([
      "none",
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

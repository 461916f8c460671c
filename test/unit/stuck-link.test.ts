import { describe, expect, test } from "vitest";
import { apart, type Finding, fail, ofNode, warn } from "../../src/doctor/core/finding.js";
import { apartFrom, explainStuck } from "../../src/doctor/core/stuck-link.js";
import { verdictOf } from "../../src/doctor/core/verdict.js";

const link = (unacknowledged: number, address = "10.0.0.2") => ({
  ...{ local: { address: "10.0.0.1", port: 40_000 }, remote: { address, port: 9_100 }, unacknowledged },
  ...{ repeats: 4, waitingMs: 12_340 },
});
const RULES = "nft list ruleset there (input) and here (output), security groups";

describe("octets of a link that are not acknowledged", () => {
  const explained = (octets: number, answers: boolean | undefined, address?: string) =>
    explainStuck({
      ...{ connection: link(octets, address), aliveName: "node_a" },
      epmdPort: answers === undefined ? undefined : { port: 4_369, answers },
    });

  test.each([8, 12, 228, 536])("%i of them fit any MTU: a firewall", (octets) => {
    expect(explained(octets, true)).toEqual({
      evidence: [
        `the link of node_a from 10.0.0.1:40000 to 10.0.0.2:9100 has ${octets} octets unacknowledged for 12.3 s (sent 5 times)`,
        "its machine answers, at 10.0.0.2:4369",
      ],
      advice: [
        `so few octets fit any MTU: look for a firewall that drops packets of this link: ${RULES}`,
        expect.stringMatching(/^see that the machine of 10\.0\.0\.2 runs/),
      ],
    });
    expect(explained(octets, undefined).advice.join()).not.toContain("ping -M");
  });

  test("that are more than fit any MTU: the MTU first", () => {
    expect(explained(537, true).advice).toEqual([
      expect.stringMatching(/^compare the MTU of the interfaces on the way to 10\.0\.0\.2: ping -M do/),
      expect.stringMatching(/^look for a firewall/),
    ]);
    // IPv6 carries 1280 octets everywhere.
    expect(explained(1_220, true, "fd00::2").advice[0]).toMatch(/^so few octets fit any MTU/);
    expect(explained(1_221, true, "fd00::2").advice[0]).toMatch(/^compare the MTU/);
  });

  test.each([8, 9_000])("%i of them, at a machine that does not answer: that machine", (octets) => {
    const { evidence, advice } = explained(octets, false);
    expect(evidence[1]).toBe("nothing answers at 10.0.0.2:4369 either");
    expect(advice).toEqual([
      expect.stringMatching(
        /^see that the machine of 10\.0\.0\.2 runs, .*: ping 10\.0\.0\.2; if it is, look for a firew/,
      ),
    ]);
  });
});

describe("a stuck link", () => {
  const asked = { isItsMachine: true, isCutOff: false };
  const shape = (peer: Finding, octets: number, of: Parameters<typeof apartFrom>[1]) => {
    const about = of.isItsMachine ? undefined : "node_a";
    const stuck = apart(apartFrom(link(octets), of), warn("LINK_STUCK", "8 octets", "the firewall", about));
    const told = [
      { id: "vm-links", ...stuck },
      { id: "peer", ...ofNode("node_b", peer) },
    ];
    return verdictOf(told).problems.map(({ check, effects }) => [check, effects.map((effect) => effect.check)]);
  };
  const FOLDED = [["peer", ["vm-links"]]];
  const APART = [
    ["peer", []],
    ["vm-links", []],
  ];

  test("to the machine of the node that was asked for follows from what keeps VMs from it", () => {
    for (const code of ["PEER_NO_ANSWER", "PEER_NO_ROUTE"] as const) {
      expect(shape(fail(code, "silent", "look"), 8, asked)).toEqual(FOLDED);
    }
    const critical = fail("PEER_CRITICAL", "Consul's servers do not reach the agent there", "see the machine");
    expect(shape(critical, 8, { ...asked, isCutOff: true })).toEqual(FOLDED);
    expect(shape(fail("PEER_LARGE_LOST", "large ones", "the MTU"), 9_000, asked)).toEqual(FOLDED);
  });

  test("does not follow from another check that is critical, or from an MTU where few octets stand", () => {
    expect(shape(fail("PEER_CRITICAL", "maintenance", "disable it"), 8, asked)).toEqual(APART);
    expect(shape(fail("PEER_LARGE_LOST", "large ones", "the MTU"), 8, asked)).toEqual(APART);
  });

  test("to another machine is a problem of its own", () => {
    expect(shape(fail("PEER_NO_ANSWER", "silent", "look"), 8, { ...asked, isItsMachine: false })).toEqual(APART);
  });
});

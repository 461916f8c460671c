import { describe, expect, test } from "vitest";
import { clusterLines, clusterObject } from "../../src/cli/cluster-report.js";
import type { VmState } from "../../src/distribution/core/vm-state.js";
import type { Joined, Probe } from "../../src/distribution/core/words.js";
import { type LookedFor, type Member, type MemberPlace, memberOf } from "../../src/doctor/core/cluster-links.js";
import { judgeCluster } from "../../src/doctor/core/cluster-verdict.js";
import { familyOf } from "../../src/net/ip.js";

const OTP25 = ["PUBLISHED", "BIG_CREATION", "HANDSHAKE_23", "UNLINK_ID", "MANDATORY_25_DIGEST", "V4_NC"];
const OTP23 = ["PUBLISHED", "BIG_CREATION", "HANDSHAKE_23"];
type Answer = Extract<Probe, { result: "node" | "other-node" }>;

const nodeProbe = (name: string, more: Partial<Answer> = {}): Answer =>
  ({
    ...{ result: "node", name, version: 6, creation: 7, hidden: false, flags: OTP25, release: "OTP 25, 26 or 27" },
    ...{ status: "ok", elapsedMs: 1, ...more },
  }) as Answer;

const state = (visible: readonly string[], more: Partial<VmState> = {}): Joined => ({
  cookie: "same",
  state: {
    ...{ release: "25", visible, hidden: [], connecting: [], ends: [], families: [4], connectAll: true },
    ...{ autoConnect: undefined, preventsPartitions: true, ...more },
  },
});

const placeAt = (address: string, port: number, probe: Probe): MemberPlace => {
  return { endpoint: { address, port, family: familyOf(address) ?? 4 }, probe };
};

const member = (node: string, probe: Probe, more: Partial<LookedFor> = {}): Member =>
  memberOf({ ...{ node, places: [placeAt("10.0.0.1", 20_001, probe)] }, ...more });

/** A node of the cluster that is joined and linked with these. */
const linked = (node: string, to: readonly string[], more: Partial<Answer> = {}, vm: Partial<VmState> = {}) =>
  member(node, nodeProbe(node, { joined: state(to, vm), ...more }));

const NAMES = ["a@svc.test", "b@svc.test", "c@svc.test", "d@svc.test"];
const [A = "", B = "", C = "", D = ""] = NAMES;
/** A whole cluster, but for these pairs. */
const without = (...pairs: readonly (readonly [string, string])[]) =>
  NAMES.map((node) => {
    const others = NAMES.filter(
      (other) => other !== node && !pairs.some((pair) => pair.includes(node) && pair.includes(other)),
    );
    return linked(node, others);
  });
const FAULT = {
  ...{ text: "Consul at box does not answer", brief: "Consul at box:8500 does not answer (refused)" },
  code: "CONSUL_UNAVAILABLE",
};
const codes = (members: readonly Member[]) => judgeCluster(members).problems.map(({ code }) => code);

describe("a cluster", () => {
  test("that is whole has nothing wrong, and a sentence that says so", () => {
    const verdict = judgeCluster(without());
    expect(verdict).toMatchObject({ isWell: true, links: { found: 6, expected: 6 }, problems: [], notes: [] });
    expect(verdict.summary).toBe("4 nodes, 6 of 6 links; nothing is wrong");
  });

  test("without a cookie is judged by who is there, and says how more is seen", () => {
    const verdict = judgeCluster(NAMES.map((node) => member(node, nodeProbe(node))));
    expect(verdict.isWell).toBe(true);
    expect(verdict.links).toBeUndefined();
    expect(verdict.summary).toBe("4 nodes are there; links and cookies were not looked at (--cookie-file)");
    expect(judgeCluster([member(A, nodeProbe(A))]).summary).toMatch(/^1 node is there; links and cookies were not/);
    const gone = member(B, { result: "refused", elapsedMs: 1 });
    expect(judgeCluster([member(A, nodeProbe(A)), gone]).summary).toMatch(
      /is not reached: .*; links and cookies were not looked at \(--cookie-file\)$/,
    );
  });

  test("of which nobody is there is not well", () => {
    expect(judgeCluster([])).toMatchObject({ isWell: false, summary: "0 nodes; no node matches" });
  });

  test("of one node has no links to miss", () => {
    expect(judgeCluster([linked(A, [])]).summary).toBe("1 node, 0 of 0 links; nothing is wrong");
  });

  test("of which name servers or the catalogue do not answer has one problem for all nodes that are hidden by it", () => {
    const hidden = (node: string, code = "DNS_TIMEOUT") =>
      memberOf({ node, missing: `no name server could answer for ${node}`, unavailable: code, places: [] });
    const all = [linked(A, []), ...[B, C, D].map((node) => hidden(node))];
    const [problem, ...others] = judgeCluster(all, { fault: FAULT }).problems;
    expect(others).toEqual([]);
    expect(problem).toMatchObject({
      ...{ code: "NO_ANSWER", nodes: [B, C, D] },
      text: `Consul at box does not answer; no name server could answer for ${B}; 3 nodes could not be looked up (${B}, ${C}, ${D})`,
    });
    // The details are told once, and what is not counted is not said to be nothing.
    expect(judgeCluster(all, { fault: FAULT }).summary).toBe(`${FAULT.brief}; 3 of 4 nodes were not looked for`);
    const two = [linked(A, [B, C]), linked(B, [A, C]), hidden(C)];
    expect(judgeCluster(two, { fault: FAULT }).summary).toBe(
      `${FAULT.brief}; 1 of 3 nodes was not looked for, 1 of 1 links`,
    );
    expect(judgeCluster(two.slice(0, 2), { fault: FAULT }).summary).toBe(
      `${FAULT.brief}; 2 nodes known here, 1 of 1 links`,
    );
    expect(judgeCluster([linked(A, [B]), hidden(B)]).summary).toBe(
      "look-ups have no answer; 1 of 2 nodes was not looked for",
    );
    const gone = member(B, { result: "refused", elapsedMs: 1 });
    expect(judgeCluster([linked(A, [B]), gone]).summary).toMatch(
      /^2 nodes, 1 of them there; b@svc\.test is not reached/,
    );
    // Name servers alone: what is different is told by itself.
    const told = judgeCluster([hidden(B), hidden(C, "LOOKUP_TIMEOUT"), hidden(D)]).problems;
    expect(told.map(({ nodes }) => nodes)).toEqual([[B, D], [C]]);
    // The list is not known to be whole, so it is not known that all is well.
    expect(judgeCluster([linked(A, [])], { fault: FAULT })).toMatchObject({
      ...{ isWell: false, problems: [{ code: "NO_ANSWER", text: "Consul at box does not answer" }] },
    });
    expect(codes([])).toEqual(["NOT_FOUND"]);
    expect(judgeCluster([], { fault: FAULT })).toMatchObject({
      ...{ isWell: false, summary: FAULT.brief, problems: [{ code: "NO_ANSWER" }] },
    });
    // A name server that answers tells nothing of a catalogue that does not.
    const unread = memberOf({ node: B, isUnread: true, missing: "it has no SRV record", places: [] });
    expect(judgeCluster([linked(A, []), unread], { fault: FAULT }).problems).toMatchObject([
      { code: "NO_ANSWER", nodes: [B], text: expect.stringContaining("1 node could not be looked up") },
    ]);
  });

  describe("of which Consul does not show all nodes", () => {
    const unread = {
      code: "TOKEN_CANNOT_READ",
      services: ["svc"],
      why: "the token lacks a policy",
      advice: "give it the policy",
      isBlank: false,
    };
    const hidden = (node: string) => memberOf({ node, isUnread: true, missing: "no SRV record", places: [] });

    test("is not known where it shows none, and nobody says that no node matches", () => {
      const text = "the token lacks a policy: which nodes svc has is not known";
      const verdict = judgeCluster([], { unread: { ...unread, isBlank: true } });
      expect(verdict).toMatchObject({ isWell: false, summary: text, notes: [] });
      expect(verdict.problems).toEqual([{ code: "UNREAD", nodes: [], text, advice: "give it the policy" }]);
      // Another service is shown.
      const other = judgeCluster([linked("a@other.test", [])], { unread: { ...unread, isBlank: true } });
      expect(other.problems).toMatchObject([{ code: "UNREAD", text }]);
    });

    test("is one problem with the nodes that are known otherwise", () => {
      const { problems, notes } = judgeCluster([linked(A, [B]), hidden(B), hidden(C)], { unread });
      expect(problems).toMatchObject([
        {
          ...{ code: "UNREAD", nodes: [B, C] },
          text: `the token lacks a policy: which nodes svc has is not known; 2 nodes could not be looked up (${B}, ${C}, with which ${A} is linked)`,
        },
      ]);
      expect(notes).toEqual([]);
    });

    test("has no cross in the matrix where a node may be there", () => {
      const members = [linked(A, []), hidden(B), member(C, { result: "refused", elapsedMs: 1 })];
      const verdict = judgeCluster(members, { unread });
      const lines = clusterLines({ members, verdict, from: "box" }).map(({ text }) => text);
      const of = (node: string) => lines.find((line) => line.includes(` ${node} `) && !line.startsWith("fail"));
      expect([of(A), of(B)]).toEqual([expect.stringMatching(/ {2}\? x +a@/), expect.stringMatching(/not looked up$/)]);
    });

    test("is well as far as it is seen where none is missed", () => {
      expect(judgeCluster([linked(A, [B]), linked(B, [A])], { unread })).toMatchObject({
        ...{ isWell: true, summary: "2 nodes, 1 of 1 links; nothing is wrong with the nodes that Consul shows" },
        notes: [{ code: "UNREAD", text: "the token lacks a policy: Consul may have more nodes of svc" }],
      });
    });
  });

  test("with a missing link names both, and what to run where", () => {
    const verdict = judgeCluster(without([A, D]));
    expect(verdict.summary).toBe(`4 nodes, 5 of 6 links; ${A} does not see ${D}`);
    expect(verdict.problems).toEqual([
      expect.objectContaining({
        code: "NO_LINK",
        nodes: [A, D],
        advice: expect.stringContaining(`doctor ${D} on the machine of ${A}`),
      }),
    ]);
  });

  test("whose links are missing at one node names that node once", () => {
    const verdict = judgeCluster(without([A, C], [B, C]));
    expect(verdict.problems).toHaveLength(1);
    expect(verdict.summary).toBe(`4 nodes, 4 of 6 links; ${C} does not see ${A}, ${B}`);
  });

  test("in two parts is one problem, not four", () => {
    const verdict = judgeCluster(without([A, C], [A, D], [B, C], [B, D]));
    expect(verdict.problems.map(({ code }) => code)).toEqual(["SPLIT"]);
    expect(verdict.problems[0]?.text).toBe(
      `the cluster is in 2 parts without a link between them: ${A}, ${B} | ${C}, ${D}`,
    );
  });

  test("of which a node does not answer has no number of parts: what is behind that node is not seen", () => {
    const gone: Probe = { result: "refused", elapsedMs: 1 };
    const texts = (members: readonly Member[]) => judgeCluster(members).problems.map(({ text }) => text);
    const apart = [linked(A, []), linked(B, [])];
    expect(texts([...apart, member(C, gone), member(D, gone)])).toContain(
      `no link is seen between ${A} | ${B}; in how many parts the cluster is, is not known: the links of ${C}, ${D} are not seen`,
    );
    expect(texts([...apart, member(C, gone)]).at(-1)).toContain(`is not known: the links of ${C} are not seen`);
    // Of nodes that no catalogue has told nothing is known at all.
    expect(judgeCluster(apart, { fault: FAULT }).problems.at(-1)?.text).toBe(
      `no link is seen between ${A} | ${B}; in how many parts the cluster is, is not known: not all nodes are known`,
    );
    // A VM whose links all others tell.
    const asked = linked(D, [C]);
    const unasked = member(C, nodeProbe(C, { joined: { cookie: "same", why: "silent" } }));
    expect(texts([...apart, asked, unasked])).toContainEqual(expect.stringMatching(/^the cluster is in 3 parts/));
    // One that has just ended is missed by nobody.
    const ended = memberOf({ node: C, missing: "withdrawn", withdrawn: true, places: [] });
    expect(texts([...apart, ended])).toEqual([`the cluster is in 2 parts without a link between them: ${A} | ${B}`]);
    expect(judgeCluster([linked(A, [B]), linked(B, [A]), ended]).summary).toBe(
      `3 nodes, 2 of them there (${C} has ended), 1 of 1 links; nothing is wrong`,
    );
  });

  test("is in one part where a node that does not answer here is linked with both sides", () => {
    const silent: Probe = { result: "silent", stage: "connect", elapsedMs: 2_000 };
    const members = [linked(A, [C]), linked(B, [C]), member(C, silent)];
    expect(judgeCluster(members).problems).toMatchObject([
      { code: "NOT_THERE", nodes: [C] },
      { code: "NO_LINK", nodes: [A, B] },
    ]);
  });

  describe("in which some reach a node that does not answer here, and some do not", () => {
    const silent: Probe = { result: "silent", stage: "connect", elapsedMs: 2_000 };

    // By turns: C links with those that it reaches until global of one of them ends that again.
    test.each([[[]], [[C]]])(
      "has one problem: global ends the links between those, while %j is linked with one",
      (to) => {
        const verdict = judgeCluster([linked(A, []), linked(B, to), member(C, silent)]);
        expect(verdict.summary).toMatch(new RegExp(`^3 nodes, 2 of them there, 0 of 1 links; ${C} is not reached: `));
        expect(verdict.summary).not.toContain("more problem");
        expect(verdict.problems).toMatchObject([
          {
            ...{ code: "NOT_THERE", nodes: [C, A, B] },
            advice: expect.stringMatching(
              new RegExp(
                `may follow from it, as global then ends links .*srv-epmd doctor ${B} on the machine of ${A}$`,
              ),
            ),
            effects: [
              { code: "SPLIT", nodes: [A, B], text: expect.stringContaining(`no link is seen between ${A} | ${B}`) },
            ],
          },
        ]);
      },
    );

    test("has the links with it that are missing on one side, and those to which nothing of that applies beside it", () => {
      const half = judgeCluster([linked(A, [B]), linked(B, [C]), member(C, silent)]).problems;
      expect(half).toMatchObject([{ code: "NOT_THERE", effects: [{ code: "ONE_SIDED", nodes: [A, B] }] }]);
      const refused: Probe = { result: "refused", elapsedMs: 1 };
      expect(codes([linked(A, []), linked(B, []), member(C, refused)])).toEqual(["NOT_THERE", "SPLIT"]);
      const free = { preventsPartitions: false };
      const kept = [linked(A, [], {}, free), linked(B, [C], {}, free)];
      expect(codes([...kept, member(C, silent)])).toEqual(["NOT_THERE", "SPLIT"]);
    });

    test("has those alone that it may have ended, where there are several", () => {
      const refused: Probe = { result: "refused", elapsedMs: 1 };
      const F = "node_f@svc.test";
      const gone = [member(D, refused), member(F, refused)];
      // Because of D the links of A are missing, because of F that of B and C.
      const { problems } = judgeCluster([linked(A, [D]), linked(B, []), linked(C, [F]), ...gone]);
      expect(problems).toMatchObject([
        { code: "NOT_THERE", nodes: expect.arrayContaining([D, A, B, C]), effects: [{ code: "SPLIT" }] },
        { code: "NOT_THERE", nodes: [F, B, C], effects: [{ code: "SPLIT", nodes: [B, C] }] },
      ]);
    });

    test("has all links that global ends then, and not one that lacks an address", () => {
      const six = linked(D, [B], {}, { families: [6] });
      const [first, ...others] = judgeCluster([linked(A, []), linked(B, [C, D]), six, member(C, silent)]).problems;
      expect(first).toMatchObject({ code: "NOT_THERE", effects: [{ code: "SPLIT", nodes: [B, A] }] });
      expect(others).toMatchObject([
        { code: "SPLIT", nodes: [D, A], text: expect.stringContaining("dials IPv6 alone") },
      ]);
      const four = [linked(A, []), linked(B, [C, D]), linked(D, [B]), member(C, silent)];
      expect(judgeCluster(four).problems).toMatchObject([
        { code: "NOT_THERE", effects: [{ code: "SPLIT", nodes: expect.arrayContaining([A, B, D]) }] },
      ]);
    });
  });

  test("says who tries in vain to reach whom", () => {
    const members = without([A, D]).map((one) => (one.node === D ? linked(D, [B, C], {}, { connecting: [A] }) : one));
    const [problem] = judgeCluster(members).problems;
    expect(problem?.text).toBe(`${A} does not see ${D}; ${D} is dialling ${A}, without an answer so far`);
    // It may wait for a look-up, or for a slow VM as well: only doctor there finds out.
    expect(problem?.advice).toBe(
      `run srv-epmd doctor ${A} on the machine of ${D}: it says what ${D} waits for (srv-epmd help cluster has what comes next)`,
    );
  });

  test("in which a VM dials another family than that of the addresses of another says so", () => {
    const six = (connecting: readonly string[], more = {}) => linked(B, [], {}, { families: [6], connecting, ...more });
    const [problem] = judgeCluster([linked(A, []), six([A])]).problems;
    expect(problem).toMatchObject({
      text: expect.stringMatching(
        `; ${B} dials IPv6 alone \\(-proto_dist inet6_tcp\\), and ${A} is published with IPv4 addresses alone; ${B} is dialling`,
      ),
      advice: expect.stringMatching(
        new RegExp(`^start ${B} with -proto_dist inet_tcp, publish an IPv6 address of ${A}`),
      ),
    });
    const textOf = (a: Member, b: Member) => judgeCluster([a, b]).problems[0]?.text;
    // Where each of the two families is there, or is not known, that is no cause.
    const both = linked(A, []);
    const places = [...both.places, placeAt("fd00::1", 20_001, { result: "refused", elapsedMs: 1 })];
    expect(textOf({ ...both, places }, six([]))).not.toContain("IPv6");
    expect(textOf(both, linked(B, [], {}, { families: [4, 6] }))).not.toContain("IPv6");
    expect(textOf(both, linked(B, [], {}, { families: [] }))).not.toContain("IPv6");
    // A gateway dials for its VMs, and what is found on this machine has a loopback address.
    const ends = [{ node: "c@svc.test", address: "127.9.9.9", port: 1 }];
    expect(textOf(both, six([], { ends }))).not.toContain("IPv6");
    const here = memberOf({ ...both, places: both.places.map(({ probe }) => placeAt("127.0.0.1", 20_001, probe)) });
    expect(textOf(here, six([]))).not.toContain("IPv6");
  });

  test("whose link is known to one of its ends only has it on one side", () => {
    const members = without().map((one) => (one.node === D ? linked(D, [B, C]) : one));
    const verdict = judgeCluster(members);
    expect(verdict.links).toEqual({ found: 5, expected: 6 });
    expect(verdict.problems).toMatchObject([
      {
        ...{ code: "ONE_SIDED", nodes: [A, D], text: `${A} lists ${D}, which does not list it` },
        advice: `look again after net_ticktime (75 s at most, if it is not set): the link has broken, and ${A} has noticed it by then`,
      },
    ]);
  });

  test("whose broken link is noticed by the end alone that dials in vain is told which way is looked at", () => {
    const [problem] = judgeCluster([linked(A, [B]), linked(B, [], {}, { connecting: [A] })]).problems;
    expect(problem).toMatchObject({
      ...{ code: "ONE_SIDED", text: expect.stringContaining(`${B} is dialling ${A}, without an answer so far`) },
      advice: expect.stringMatching(new RegExp(`^run srv-epmd doctor ${A} on the machine of ${B}: `)),
    });
  });

  test("with hidden links counts them as links", () => {
    const members = [linked(A, [], {}, { hidden: [B] }), linked(B, [], {}, { hidden: [A] })];
    expect(judgeCluster(members)).toMatchObject({ isWell: true, links: { found: 1, expected: 1 } });
  });
});

describe("a node", () => {
  const broken = (node: string, probe: Probe, more: Partial<LookedFor> = {}) => [
    ...without()
      .slice(0, 3)
      .map((one) =>
        linked(
          one.node,
          [A, B, C].filter((other) => other !== one.node),
        ),
      ),
    member(node, probe, more),
  ];
  const refused: Probe = { result: "refused", elapsedMs: 1 };

  test("that is not found, and one that is refused, come first", () => {
    const members = [
      ...broken(D, refused),
      memberOf({ node: "e@svc.test", missing: "it has no SRV record", places: [] }),
    ];
    const verdict = judgeCluster(members);
    expect(verdict.summary).toBe(
      "5 nodes, 3 of them there, 3 of 3 links; e@svc.test is not found: it has no SRV record; and 1 more problem",
    );
    expect(verdict.problems.map(({ code }) => code)).toEqual(["NOT_FOUND", "NOT_THERE"]);
    expect(verdict.problems[1]?.text).toBe(`${D} is not reached: refused at 10.0.0.1:20001`);
  });

  test("that is critical in the catalogue says so", () => {
    const [problem] = judgeCluster(broken(D, refused, { health: "critical" })).problems;
    expect(problem?.text).toBe(`${D} is not reached (critical in the catalogue): refused at 10.0.0.1:20001`);
  });

  test("that is refused here and linked with others lives, and is asked why it is not found at its place", () => {
    const [problem] = judgeCluster([linked(A, [B]), member(B, refused)]).problems;
    expect(problem?.text).toBe(`${B} is not reached: refused at 10.0.0.1:20001; ${A} is linked with it`);
    expect(problem?.advice).toContain("published-endpoint says whether the published place leads to it");
  });

  test("that does not answer here is told with those that are linked with it and those that are not", () => {
    const seen = (to: readonly string[]) => [linked(A, [B, ...to]), linked(B, [A])];
    const [unreached] = judgeCluster([...seen([D]), member(D, refused)]).problems;
    expect(unreached?.text).toBe(`${D} is not reached: refused at 10.0.0.1:20001; ${A} is linked with it, ${B} is not`);
    const lost = memberOf({ node: D, unlistedIn: "Consul", missing: "it has no SRV record", places: [] });
    expect(judgeCluster([...seen([D]), lost]).problems[0]?.text).toContain(
      `is linked with ${A}, not with ${B}, and is`,
    );
    // A hidden node is linked with those alone that a program has linked it with.
    const toHidden = linked(A, [B], {}, { hidden: [D] });
    expect(judgeCluster([toHidden, linked(B, [A]), member(D, refused)]).problems[0]?.text).toMatch(
      /is linked with it$/,
    );
  });

  test("that others have dialled at its place is kept from this machine alone", () => {
    const ends = [{ node: C, address: "10.0.0.1", port: 20_001 }];
    const silent: Probe = { result: "silent", stage: "connect", elapsedMs: 1 };
    const others = [
      linked(A, [B, C], {}, { ends }),
      linked(B, [A, C], {}, { ends: [{ ...ends[0], port: 40_001 }] as never }),
    ];
    const [problem] = judgeCluster([...others, member(C, silent)]).problems;
    expect(problem?.advice).toBe(
      `${A} dialled it at 10.0.0.1:20001, so that place is right: if it is the same at a second look, look for a firewall rule that drops packets of this machine, there or here (nft list ruleset on both, a security group)`,
    );
  });

  describe("whose machine", () => {
    const silent: Probe = { result: "silent", stage: "connect", elapsedMs: 2_000 };
    const noHost: Probe = { result: "unreachable", code: "EHOSTUNREACH", elapsedMs: 2_000 };
    const at = (address: string, probe: Probe, answers: boolean) => ({
      ...placeAt(address, 20_001, probe),
      epmdPort: { port: 4369, answers },
    });
    const on = (node: string, ...places: readonly MemberPlace[]) => memberOf({ node, places, machine: "box2" });
    const ends = [{ node: C, address: "10.0.0.2", port: 20_001 }];

    test("does not answer at all is down or cut off, and links that others list may be dead", () => {
      const here = memberOf({ ...linked(A, [B, C], {}, { ends }), isHere: true });
      const [problem, ...others] = judgeCluster([
        ...[here, linked(B, [A, C])],
        ...[C, D].map((node, index) => on(node, at("10.0.0.2", index === 0 ? silent : noHost, false))),
      ]).problems;
      expect(others).toEqual([]);
      expect(problem).toMatchObject({
        ...{ code: "NOT_THERE", nodes: [C, D] },
        text: `${C}, ${D} are not reached: nothing at 10.0.0.2 answers (TCP ports 4369, 20001), so the machine (box2) is down or cut off; ${A}, ${B} still list some of them, and such a link may be dead`,
        advice:
          "see that the machine runs, and that it is reached from here: ping 10.0.0.2; dead links are listed for net_ticktime (75 s at most, if it is not set): where they stay longer, look for a firewall that drops packets of this machine, there or here (nft list ruleset on both, a security group)",
      });
      const [alone] = judgeCluster([linked(A, []), on(C, at("10.0.0.2", silent, false))]).problems;
      expect(alone?.text).toBe(
        `${C} is not reached: nothing at 10.0.0.2 answers (TCP ports 4369, 20001), so the machine (box2) is down or cut off`,
      );
      expect(alone?.advice).toContain("if it does, compare its address with that, and look for a firewall");
      // No way to the other family from here says nothing of its machine.
      const six = placeAt("fd00::2", 20_001, { result: "unreachable", code: "ENETUNREACH", elapsedMs: 1 });
      const [both] = judgeCluster([linked(A, []), on(C, at("10.0.0.2", silent, false), six)]).problems;
      expect(both?.text).toContain("nothing at 10.0.0.2 answers");
      // Others see it at another address: it runs, and a wrong one is published.
      const seen = [{ node: C, address: "10.0.0.9", port: 40_001 }];
      const [wrong] = judgeCluster([linked(A, [C], {}, { ends: seen }), on(C, at("10.0.0.2", silent, false))]).problems;
      expect(wrong?.advice).toContain(`${A} sees it at 10.0.0.9, and it is published at 10.0.0.2`);
      // Two machines are two problems.
      const two = [on(C, at("10.0.0.2", silent, false)), on(D, at("10.0.0.3", silent, false))];
      expect(codes([linked(A, []), ...two])).toEqual(["NOT_THERE", "NOT_THERE"]);
    });

    test("is the only one that answers is cut off itself, or all the others are down", () => {
      const here = memberOf({ ...linked(A, [B, C], {}, { ends }), isHere: true });
      const two = [on(C, at("10.0.0.2", silent, false)), on(D, at("10.0.0.3", noHost, false))];
      expect(judgeCluster([here, ...two]).problems).toMatchObject([
        {
          ...{ code: "NOT_THERE", nodes: [C, D] },
          text: `${C}, ${D} are not reached: none of the 2 other machines answers (10.0.0.2, 10.0.0.3; TCP ports 4369, 20001), so this machine is cut off from them, or they are all down; ${A} still lists some of them, and such a link may be dead`,
          advice: expect.stringMatching(/^see that this machine has its network \(ping 10\.0\.0\.2; ip route get/),
        },
      ]);
      // With no node here it is the same: whoever looks does not need one.
      expect(judgeCluster(two).problems).toHaveLength(1);
      // One machine alone may as well be down, and one that refuses is reached.
      expect(judgeCluster([here, ...two.slice(0, 1)]).problems[0]?.text).toContain("so the machine (box2) is down");
      const refuses = placeAt("10.0.0.4", 20_001, { result: "refused", elapsedMs: 1 });
      expect(judgeCluster([here, ...two, on(B, refuses)]).problems).toHaveLength(3);
    });

    test("is passed by Consul is up: the way from here is blocked", () => {
      const passed = (node: string, address: string) =>
        memberOf({ ...on(node, at(address, silent, false)), health: "passing" });
      const [problem] = judgeCluster([linked(A, [C]), linked(B, []), passed(C, "10.0.0.2")]).problems;
      expect(problem).toMatchObject({
        text: `${C} is not reached: nothing at 10.0.0.2 answers (TCP ports 4369, 20001), and Consul's servers reach the agent of that machine (box2): unless it has just gone down, which Consul notices within half a minute, the way from this machine is blocked (a route, a firewall); ${A} is linked with it, ${B} is not`,
        advice: expect.stringMatching(
          /^see the route from here \(ip route get 10\.0\.0\.2\), and look for a firewall .* \(input\) and here \(output\), .* see that the machine runs/,
        ),
      });
      const both = [passed(C, "10.0.0.2"), passed(D, "10.0.0.3")];
      expect(judgeCluster(both).problems).toMatchObject([
        {
          text: `${C}, ${D} are not reached: none of the 2 other machines answers (10.0.0.2, 10.0.0.3; TCP ports 4369, 20001), and Consul's servers reach their agents: unless it has just gone down, which Consul notices within half a minute, the way from this machine is blocked (a route, a firewall)`,
          advice: expect.stringMatching(/if both are right, run srv-epmd doctor --cluster on one of the others$/),
        },
      ]);
      // Of one of them it is not known.
      const one = [passed(C, "10.0.0.2"), on(D, at("10.0.0.3", silent, false))];
      expect(judgeCluster(one).problems[0]?.text).toContain(
        "so this machine is cut off from them, or they are all down",
      );
      // It has an address of the other family, to which there is no way.
      const six = placeAt("fd00::2", 20_001, { result: "unreachable", code: "ENETUNREACH", elapsedMs: 1 });
      const [noWay] = judgeCluster([linked(A, []), memberOf({ ...on(C, six), health: "passing" })]).problems;
      expect(noWay?.advice).toMatch(
        /^the way to its machine is blocked, or it has no time to answer \(Consul's servers/,
      );
    });

    test("answers at the EPMD port has a firewall before that of the node, and an old link from here does not prove a way", () => {
      const here = memberOf({ ...linked(A, [C], {}, { ends }), isHere: true });
      const [problem] = judgeCluster([here, on(C, at("10.0.0.2", silent, true))]).problems;
      expect(problem).toMatchObject({
        text: `${C} is not reached: no answer at 10.0.0.2:20001; ${A} is linked with it`,
        advice: expect.stringMatching(
          /^its machine answers at 10\.0\.0\.2:4369: look for a firewall that drops TCP port 20001 for this machine, there or here/,
        ),
      });
      // That of another machine does.
      const there = judgeCluster([linked(A, [C], {}, { ends }), on(C, at("10.0.0.2", silent, true))]).problems[0];
      expect(there?.advice).toContain(`${A} dialled it at 10.0.0.2:20001, so that place is right`);
    });
  });

  test("that is found on its own machine alone is in no look-up elsewhere", () => {
    const words =
      "the machine is in Consul's maintenance mode (node maintenance, consul maint, check _node_maintenance)";
    const kept = {
      health: "critical",
      isHere: true,
      machine: "box1",
      obstacle: { kind: "maintenance", check: "_node_maintenance", words },
    } as const;
    const told = (more: Partial<Member>) => judgeCluster([{ ...linked(A, [B]), ...more }, linked(B, [A])]).problems;
    expect(told(kept)).toMatchObject([
      {
        ...{ code: "NOT_FOUND", nodes: [A] },
        text: `${A} is found on this machine alone: ${words}, so look-ups elsewhere leave it out`,
        advice: expect.stringMatching(/consul maint -disable on its machine \(box1\)/),
      },
    ]);
    expect(told({ ...kept, health: "passing" })).toEqual([]);
    const two = [linked(A, [B]), linked(B, [A])].map((member) => ({ ...member, ...kept }));
    expect(judgeCluster(two).problems.map(({ nodes }) => nodes)).toEqual([[A, B]]);
  });

  test("whose machine Consul's servers do not reach: links that others list may be dead", () => {
    const obstacle = { kind: "agent", check: "serfHealth", words: "the agent on box1 is not reached" } as const;
    const gone = {
      node: B,
      health: "critical",
      machine: "box1",
      missing: "no SRV record",
      places: [],
      obstacle,
    } as const;
    const told = (...others: readonly Member[]) => judgeCluster([...others, memberOf(gone)]).problems[0]?.text;
    expect(told(linked(A, [B]))).toMatch(
      /; a@\S+ is linked with it \(such a link may be dead, for 75 s at most if net/,
    );
    expect(told(linked(A, []))).toMatch(/so look-ups leave it out$/);
  });

  test("one node apart from all others: where it lives every way from there can be tried", () => {
    const split = [linked(A, [B]), linked(B, [A]), { ...linked(C, []), machine: "box3" }];
    expect(judgeCluster(split).problems[0]?.advice).toMatch(
      /run srv-epmd doctor --cluster on the machine of c@\S+ \(box3\), .*; then srv-epmd doctor c@\S+ on the machine of a@/,
    );
    // From this machine every way has been tried.
    const here = split.map((member) => (member.node === C ? { ...member, isHere: true as const } : member));
    expect(judgeCluster(here).problems[0]?.advice).toMatch(/run srv-epmd doctor --cluster on the machine of a@/);
  });

  test("that is kept out of look-ups with others of its machine is told with them", () => {
    const words =
      "the machine is in Consul's maintenance mode (node maintenance, consul maint, check _node_maintenance)";
    const kept = (node: string, more: Partial<LookedFor>) =>
      memberOf({ ...{ node, health: "critical", machine: "box1", missing: "no SRV record", places: [] }, ...more });
    const told = (more: Partial<LookedFor>, of: Partial<LookedFor> = more) =>
      judgeCluster([linked(A, [B, C]), kept(B, more), kept(C, of)]).problems;
    const maintenance = { kind: "maintenance", check: "_node_maintenance", words } as const;
    expect(told({ obstacle: maintenance })).toMatchObject([
      {
        ...{ code: "NOT_FOUND", nodes: [B, C] },
        text: `${B}, ${C} are not found: ${words}, so look-ups leave them out; ${A} is linked with them`,
        advice: expect.stringContaining("run consul maint -disable on its machine (box1)"),
      },
    ]);
    const agent = { kind: "agent", check: "serfHealth", words: "the machine's check serfHealth is critical" } as const;
    expect(told({ obstacle: agent })).toHaveLength(1);
    // No srv-epmd there refreshes its checks.
    expect(told({})).toMatchObject([
      {
        text: expect.stringMatching(/^b@\S+, c@\S+ are not found: their TTL checks in Consul are critical/),
        advice: expect.stringMatching(/^the VMs or their srv-epmd have ended, .*\(box1\)/),
      },
    ]);
    // Another machine, an entry alone, another cause.
    expect(told({ obstacle: agent }, { obstacle: agent, machine: "box2" })).toHaveLength(2);
    const entry = { obstacle: { ...maintenance, entry: "b" } };
    expect(told(entry, { obstacle: { ...maintenance, entry: "c" } })).toHaveLength(2);
    expect(told({}, { obstacle: agent })).toHaveLength(2);
  });

  test("that takes connections and answers nobody hangs, whoever is linked with it", () => {
    const hung: Probe = { result: "silent", stage: "handshake", elapsedMs: 2_000 };
    const ends = [{ node: B, address: "10.0.0.1", port: 20_001 }];
    const [problem] = judgeCluster([linked(A, [B], {}, { ends }), member(B, hung, { machine: "box2" })]).problems;
    expect(problem?.advice).toBe(
      "its machine answers and its VM does not: run srv-epmd doctor on its machine (box2); vm-state says whether the VM is stopped or hangs",
    );
  });

  test("that others have dialled at another place is published at the wrong one", () => {
    const at = (port: number) => ({ ends: [{ node: C, address: "10.0.0.9", port }] });
    const of = (one: number, other: number) =>
      judgeCluster([linked(A, [B, C], {}, at(one)), linked(B, [A, C], {}, at(other)), member(C, refused)]).problems[0];
    expect(of(20_009, 20_009)?.advice).toContain(
      `${A}, ${B} dialled it at 10.0.0.9:20009, so the place that is published`,
    );
    // It has dialled them, each from a port of the moment.
    expect(of(40_001, 40_002)?.advice).not.toContain("dialled");
    expect(of(40_001, 40_002)?.advice).toContain(`${A}, ${B} see it at 10.0.0.9, and it is published at 10.0.0.1: run`);
  });

  test("that no look-up finds is told with the check that keeps it out, and its machine", () => {
    const words = "its check service:x:tcp is critical: dial tcp 10.0.0.1:20001: i/o timeout";
    const entry = {
      health: "critical",
      machine: "box1",
      missing: "it has no SRV record",
      places: [],
    } as const;
    const found = (more: object) =>
      judgeCluster([linked(A, [B]), memberOf({ node: B, ...entry, ...more })]).problems[0];
    expect(found({ obstacle: { kind: "tcp", check: "service:x:tcp", words } })).toMatchObject({
      text: `${B} is not found: ${words}, so look-ups leave it out; ${A} is linked with it`,
      advice: expect.stringMatching(/^the agent cannot connect to that endpoint/),
    });
    expect(found({})?.advice).toContain(
      "doctor on its machine (box1); vm-listens says whether the VM runs, registration and",
    );
    expect(found({ health: "passing" })).toMatchObject({
      text: expect.stringContaining("it has no SRV record"),
      advice: `run srv-epmd doctor ${B} here: peer-records says why look-ups do not find it`,
    });
  });

  test("that matches, is linked, and is not in the catalogue is a problem, whether it is found by other ways or not", () => {
    const ends = [{ node: D, address: "10.0.0.4", port: 40_001 }];
    const others = [linked(A, [B, D], {}, { ends }), linked(B, [A, D])];
    const lost = memberOf({ node: D, unlistedIn: "Consul", missing: "it has no SRV record", places: [] });
    const verdict = judgeCluster([...others, lost]);
    expect(verdict.isWell).toBe(false);
    expect(verdict.problems).toMatchObject([
      {
        ...{ code: "NOT_LISTED", nodes: [D] },
        text: `${D} matches, is linked with ${A}, ${B}, and is not in Consul: look-ups do not find it`,
        advice: expect.stringContaining(
          "run srv-epmd doctor --all on its machine (10.0.0.4): registration says whether",
        ),
      },
    ]);
    const found = memberOf({ ...linked(D, [A, B]), unlistedIn: "Nomad" });
    expect(judgeCluster([...others, found]).problems.map(({ text }) => text)).toEqual([
      `${D} matches, is linked with ${A}, ${B}, and is not in Nomad`,
    ]);
    // Behind the gateway each node has a loopback address.
    const hidden = linked(A, [D], {}, { ends: [{ node: D, address: "127.9.9.9", port: 1 }] });
    expect(judgeCluster([hidden, lost]).problems[0]?.advice).toContain("doctor --all on its machine: registration");
  });

  test("whose VM has just ended is a note, if nobody is linked with it", () => {
    const left = { health: "critical", withdrawn: true, missing: "it has no SRV record", places: [] } as const;
    const ended = memberOf({ node: D, ...left });
    const verdict = judgeCluster([linked(A, [B]), linked(B, [A]), ended]);
    expect(verdict).toMatchObject({ isWell: true, problems: [], notes: [{ code: "ENDED", nodes: [D] }] });
    expect(verdict.notes[0]?.text).toBe(`${D} has just ended: its srv-epmd has withdrawn it`);
    const stale = member(D, refused, { withdrawn: true, health: "critical" });
    expect(judgeCluster([linked(A, []), stale]).isWell).toBe(true);
    expect(judgeCluster([ended])).toMatchObject({ isWell: false, problems: [{ code: "NOT_FOUND", nodes: [D] }] });
    // The connection of a live VM to its srv-epmd has ended.
    expect(judgeCluster([linked(A, [D]), ended]).problems).toMatchObject([
      { code: "NOT_FOUND", text: expect.stringContaining(`which has withdrawn it; ${A} is linked with it`) },
    ]);
    expect(judgeCluster([linked(A, []), memberOf({ node: D, ...left, withdrawn: undefined })]).isWell).toBe(false);
  });

  test("of another name than the published one is named with both", () => {
    const verdict = judgeCluster(broken(D, nodeProbe("d@other.test", { result: "other-node" })));
    expect(verdict.problems).toMatchObject([
      { code: "OTHER_NAME", text: `${D} is published at 10.0.0.1:20001, and the VM there is d@other.test` },
    ]);
    expect(verdict.problems[0]?.advice).toContain(`start that VM with -name ${D}, or publish it under its own`);
    const [short] = judgeCluster(broken(D, nodeProbe("d@box", { result: "other-node" }))).problems;
    expect(short?.advice).toMatch(
      new RegExp(`^start that VM with -name ${D}: nodes with short names .* never connect`),
    );
    expect(short?.advice).not.toContain("--node-host");
  });

  test("that is there twice is named with one place of each VM; one that has two addresses is not", () => {
    const at = (address: string, creation: number) => placeAt(address, 1, nodeProbe(A, { creation }));
    const places = [at("10.0.0.1", 7), at("fd00::1", 7), at("10.0.0.2", 7)];
    expect(judgeCluster([memberOf({ node: A, places })]).isWell).toBe(true);
    const vms = places.filter((_, index) => index !== 1);
    expect(judgeCluster([memberOf({ node: A, places, vms })]).problems).toMatchObject([
      { code: "TWICE", text: `${A} is there twice: at 10.0.0.1:1 and 10.0.0.2:1` },
    ]);
    // During an update the old place of a node refuses.
    const updated = [at("10.0.0.1", 7), placeAt("10.0.0.2", 1, refused)];
    expect(judgeCluster([memberOf({ node: A, places: updated })]).isWell).toBe(true);
  });

  test("that is there twice is linked with those that either of its VMs lists", () => {
    const at = (address: string, creation: number, joined: Joined) =>
      placeAt(address, 1, nodeProbe(B, { creation, joined }));
    const twins = (one: Joined, other: Joined) => {
      const vms = [at("10.0.0.1", 7, one), at("10.0.0.2", 8, other)];
      return memberOf({ node: B, places: vms, vms });
    };
    const others = [linked(A, [B, C]), linked(C, [A, B])];
    const told = (b: Member) => judgeCluster([...others, b]);
    const whole = told(twins(state([A]), state([C])));
    expect(whole).toMatchObject({ links: { found: 3, expected: 3 }, problems: [{ code: "TWICE", nodes: [B] }] });
    // One of them does not answer: it may be the one that is linked.
    const silent = { cookie: "same", why: "silent" } as const;
    expect(told(twins(state([A]), silent))).toMatchObject({ links: { found: 3 }, problems: [{ code: "TWICE" }] });
    const half = told(twins(state([A]), state([])));
    expect(half.problems).toMatchObject([
      { nodes: [B, C], effects: [{ code: "ONE_SIDED", text: `its links with ${C} are seen on one side only` }] },
    ]);
  });

  describe("that is there twice", () => {
    const at = (address: string, creation: number, to: readonly string[], vm: Partial<VmState> = {}) =>
      placeAt(address, 1, nodeProbe(B, { creation, joined: state(to, vm) }));
    const twin = (one: readonly string[], other: readonly string[], vm: Partial<VmState> = {}) => {
      const vms = [at("10.0.0.2", 7, one, vm), at("10.0.0.3", 8, other, vm)];
      return memberOf({ node: B, places: vms, vms });
    };

    test("is the cause of a cluster in parts: global keeps the others apart because of it", () => {
      const verdict = judgeCluster([linked(A, []), twin([C], []), linked(C, [B])]);
      expect(verdict.summary).toBe(`3 nodes, 1 of 3 links; ${B} is there twice: at 10.0.0.2:1 and 10.0.0.3:1`);
      expect(verdict.problems).toMatchObject([
        {
          ...{ code: "TWICE", nodes: [B, C, A] },
          advice: expect.stringMatching(/^end one of them: .*meanwhile global ends links of others/),
          effects: [
            { code: "SPLIT", text: `the cluster is in 2 parts without a link between them: ${B}, ${C} | ${A}` },
          ],
        },
      ]);
      const lines = clusterLines({ members: [], verdict, from: "box" }).map(({ text }) => text);
      expect(lines.find((line) => line.startsWith("      so:"))).toBe(
        `      so:  the cluster is in 2 parts without a link between them: ${B}, ${C} | ${A}`,
      );
    });

    test("is the cause of single links, and of those that are seen on one side, whichever nodes have them", () => {
      const all = [linked(A, [B, D]), twin([A], [C, D]), linked(C, [B, D]), linked(D, [B, C])];
      expect(judgeCluster(all).problems).toMatchObject([
        {
          code: "TWICE",
          effects: [
            { code: "NO_LINK", text: `${A} does not see ${C}` },
            { code: "ONE_SIDED", text: `${A} lists ${D}, which does not list it` },
          ],
        },
      ]);
    });

    test("is not the cause where global ends no links, or a node dials another family", () => {
      const free = { preventsPartitions: false };
      const others = [linked(A, [B], {}, free), linked(C, [B], {}, free)];
      expect(codes([...others, twin([A, C], [], free)])).toEqual(["TWICE", "NO_LINK"]);
      const six = linked(C, [B], {}, { families: [6] });
      expect(codes([linked(A, [B]), six, twin([A, C], [])])).toEqual(["TWICE", "NO_LINK"]);
    });

    test("is told for each name, with what follows once", () => {
      const d = [placeAt("10.0.0.4", 1, nodeProbe(D)), placeAt("10.0.0.5", 1, nodeProbe(D))];
      const other = memberOf({ node: D, places: d, vms: d });
      const { problems } = judgeCluster([linked(A, [B]), twin([A], []), linked(C, []), other]);
      expect(problems.map(({ code, effects }) => [code, effects?.length])).toEqual([
        ["TWICE", 1],
        ["TWICE", 0],
      ]);
    });
  });

  test.each(["refused", "other"] as const)("with another cookie (%s) is the cause of its missing links", (cookie) => {
    const verdict = judgeCluster(broken(D, nodeProbe(D, { joined: { cookie } })));
    expect(verdict.problems.map(({ code }) => code)).toEqual(["OTHER_COOKIE"]);
    expect(verdict.links).toEqual({ found: 3, expected: 6 });
  });

  test("and others that refuse the cookie are one problem, and if all do, the cookie that was given is wrong", () => {
    const refusing = (node: string) => member(node, nodeProbe(node, { joined: { cookie: "refused" } }));
    const [some] = judgeCluster([linked(A, [B]), linked(B, [A]), refusing(C), refusing(D)]).problems;
    expect(some).toMatchObject({
      code: "OTHER_COOKIE",
      nodes: [C, D],
      text: `${C}, ${D} refuse the cookie: theirs is another one`,
    });
    const verdict = judgeCluster(NAMES.map(refusing));
    expect(verdict.summary).toBe(
      "4 nodes; all 4 nodes that answer refuse the cookie: the one that was given here is another than theirs",
    );
    expect(verdict.links).toBeUndefined();
  });

  test("whose VM does not answer is told, and known by what the others say", () => {
    const members = broken(D, nodeProbe(D, { joined: { cookie: "same", why: "silent" } }));
    expect(codes(members)).toEqual(["SPLIT", "NOT_ASKED"]);
    const all = [
      ...[A, B, C].map((node) =>
        linked(
          node,
          NAMES.filter((other) => other !== node),
        ),
      ),
      ...members.slice(3),
    ];
    expect(judgeCluster(all)).toMatchObject({ links: { found: 6, expected: 6 }, problems: [{ code: "NOT_ASKED" }] });
  });

  test.each([
    ["an Erlang node that allows few", { result: "erlang", status: "not_allowed", elapsedMs: 1 }],
    ["TLS that wants a certificate", { result: "tls", code: "ERR_SSL_X", elapsedMs: 1 }],
  ] as const)("behind %s is not known", (_, probe) => {
    expect(codes([member(A, probe)])).toEqual(["NOT_ASKED"]);
  });
});

describe("nodes that cannot be linked", () => {
  const tls = { protocol: "TLSv1.3", names: ["n"] };

  test("because some speak TLS are one problem", () => {
    const members = [linked(A, [B], { tls }), linked(B, [A], { tls }), linked(C, [])];
    expect(judgeCluster(members).problems).toMatchObject([
      { code: "TLS_DIFFERS", text: `${A}, ${B} speak TLS, ${C} does not: they cannot be linked` },
    ]);
    // Without a cookie too.
    expect(codes([member(A, nodeProbe(A, { tls })), member(C, nodeProbe(C))])).toEqual(["TLS_DIFFERS"]);
  });

  test("because one has a short name", () => {
    expect(judgeCluster([linked(A, []), linked("b@box", [])]).problems).toMatchObject([
      { code: "NAMES_DIFFER", text: expect.stringContaining(`b@box has a short name, ${A} a long one`) },
    ]);
  });

  test("but an IPv6 address as host part is a long name", () => {
    expect(judgeCluster([linked(A, ["b@::1"]), linked("b@::1", [A])]).isWell).toBe(true);
    expect(codes([linked(A, []), linked("b@::1", [])])).toEqual(["SPLIT"]);
  });

  test.each([
    ["23", OTP23, "27", "DFLAG_UNLINK_ID, DFLAG_V4_NC, DFLAG_MANDATORY_25_DIGEST"],
    ["24", [...OTP23, "UNLINK_ID", "V4_NC"], "29", "DFLAG_MANDATORY_25_DIGEST"],
    ["23", OTP23, "26", "DFLAG_UNLINK_ID, DFLAG_V4_NC"],
  ])("because OTP %s is too old for %#", (old, flags, recent, missing) => {
    const members = [linked(A, [], { flags }, { release: old }), linked(B, [], {}, { release: recent })];
    const { problems, notes } = judgeCluster(members);
    expect(problems).toMatchObject([
      { code: "RELEASES_REFUSE", text: `${B} (OTP ${recent}) refuses ${A} (OTP ${old}), which lacks ${missing}` },
    ]);
    expect(notes.map(({ code }) => code)).toEqual(["RELEASES_DIFFER"]);
  });

  test("because of their releases are seen without a cookie, by the flags alone", () => {
    const vm = (node: string, flags: readonly string[], release: string) =>
      member(node, nodeProbe(node, { flags, release }));
    const old = vm(A, OTP23, "OTP 23");
    const recent = [...OTP25, "FRAGMENTS", "ALTACT_SIG", "NATIVE_RECORDS"];
    const lacks = "DFLAG_UNLINK_ID, DFLAG_V4_NC, DFLAG_MANDATORY_25_DIGEST";
    expect(judgeCluster([old, vm(B, recent, "OTP 29 or newer"), vm(C, OTP25, "OTP 25, 26 or 27")])).toMatchObject({
      isWell: false,
      summary: `3 nodes; ${B} (OTP 29 or newer) refuses ${A} (OTP 23), which lacks ${lacks}; links and cookies were not looked at (--cookie-file)`,
      problems: [{ code: "RELEASES_REFUSE", nodes: [B, A] }],
    });
    // OTP 26 would refuse it, OTP 25 accepts it, and both have the same flags.
    expect(codes([old, vm(C, OTP25, "OTP 25, 26 or 27")])).toEqual([]);
    // A C node demands other flags than a VM.
    const c = nodeProbe(C, { hidden: true, flags: ["HANDSHAKE_23", "MANDATORY_25_DIGEST"] });
    expect(codes([vm(A, ["PUBLISHED", "BIG_CREATION"], "OTP 22 or older"), member(C, c)])).toEqual([]);
  });

  test("are seen where others are asked for their links, and these two refuse the cookie", () => {
    const refuses = { joined: { cookie: "refused" } } as const;
    const plain = member(C, nodeProbe(C, refuses));
    const secured = member(D, nodeProbe(D, { tls, ...refuses }));
    expect(judgeCluster([linked(A, [B]), linked(B, [A]), plain, secured]).problems).toMatchObject([
      { code: "OTHER_COOKIE" },
      { code: "TLS_DIFFERS", nodes: [D, A, B, C] },
    ]);
    expect(codes([linked(A, []), plain, member(B, nodeProbe(B, { hidden: true, ...refuses }))])).toEqual([
      "OTHER_COOKIE",
    ]);
  });

  test("are the cause of links that global has ended because of them", () => {
    // As OTP 23, 25 and 27 stand when the one between them was linked with both.
    const [old, recent] = [{ release: "23", preventsPartitions: undefined }, { release: "27" }];
    const members = [linked(A, [], { flags: OTP23 }, old), linked(B, [C]), linked(C, [B], {}, recent)];
    expect(judgeCluster(members)).toMatchObject({
      links: { found: 1, expected: 3 },
      problems: [
        {
          ...{ code: "RELEASES_REFUSE", nodes: [C, A, B] },
          // Whether global has ended it is not seen: a firewall may drop its packets as well.
          text: expect.stringMatching(/DFLAG_MANDATORY_25_DIGEST$/),
          effects: [
            { code: "SPLIT", text: `the cluster is in 2 parts without a link between them: ${B}, ${C} | ${A}` },
          ],
          advice: expect.stringContaining(`is in their way too says srv-epmd doctor ${B} on the machine of ${A}`),
        },
      ],
    });
    const free = { preventsPartitions: false };
    const others = [linked(A, [], { flags: OTP23 }, old), linked(B, [C], {}, free), linked(C, [B], {}, recent)];
    expect(codes(others)).toEqual(["RELEASES_REFUSE", "SPLIT"]);
  });

  test("are the cause of all links that are missing meanwhile, also where no node is linked with both now", () => {
    const old = linked(A, [], { flags: OTP23 }, { release: "23", preventsPartitions: undefined });
    const members = [old, linked(B, []), linked(C, []), linked(D, [], {}, { release: "27" })];
    expect(judgeCluster(members).problems).toMatchObject([
      {
        code: "RELEASES_REFUSE",
        effects: [{ code: "SPLIT", text: expect.stringContaining(`${A} | ${B} | ${C} | ${D}`) }],
      },
    ]);
    // One that accepts neither, or has another cookie, is between no two.
    const between = nodeProbe(B, { joined: { cookie: "refused" } });
    const two = [
      old,
      member(B, between),
      linked("e@svc.test", [], {}, { release: "27" }),
      linked(D, [], {}, { release: "27" }),
    ];
    expect(codes(two)).toEqual(["OTHER_COOKIE", "RELEASES_REFUSE", "SPLIT"]);
  });

  test("are not among the parts whose cause is not seen", () => {
    const all = [linked(A, [], { tls }), linked(B, []), linked(C, [])];
    const texts = judgeCluster(all).problems.map(({ code, text }) => [code, text]);
    expect(texts).toEqual([
      ["TLS_DIFFERS", `${A} speaks TLS, ${B}, ${C} do not: they cannot be linked`],
      ["SPLIT", `no link is seen between ${B} | ${C}`],
    ]);
    // On both sides of it links are missing.
    const both = judgeCluster([...all, linked(D, [], { tls })]).problems;
    expect(both.map(({ text, nodes }) => [text, nodes]).slice(1)).toEqual([
      [`no link is seen between ${A} | ${D}`, [A, D]],
      [`no link is seen between ${B} | ${C}`, [B, C]],
    ]);
  });

  test("and those that can have notes that fit what is seen", () => {
    const advice = (members: readonly Member[]) => judgeCluster(members).notes.map((note) => note.advice);
    const of = (node: string, release: string, to: readonly string[] = [], flags = OTP25) =>
      linked(node, to, { flags }, { release });
    expect(advice([of(A, "25", [B]), of(B, "27", [A])])).toEqual([
      "right during an update; a release connects with the two before and after it",
    ]);
    expect(advice([of(A, "25", [B]), of(B, "29", [A])])).toEqual([
      expect.stringMatching(/^these accept each other, though OTP promises that only of releases/),
    ]);
    expect(advice([of(A, "23", [], OTP23), of(B, "29")])).toEqual([
      "right during an update, but for those that refuse each other",
    ]);
    // Without a cookie the flags tell them.
    const seen = [member(A, nodeProbe(A)), member(B, nodeProbe(B, { release: "OTP 28" }))];
    expect(judgeCluster(seen).notes).toMatchObject([{ text: `OTP 25, 26 or 27: ${A}; OTP 28: ${B}` }]);
  });

  test("of several releases are told each with its own flags", () => {
    const old = (node: string, release: string, flags: readonly string[]) => linked(node, [], { flags }, { release });
    const otp24 = [...OTP23, "UNLINK_ID", "V4_NC"];
    const members = [old(A, "23", OTP23), old(B, "24", otp24), linked(C, [], {}, { release: "27" })];
    const texts = judgeCluster(members).problems.flatMap(({ code, text }) => (code === "SPLIT" ? [] : [text]));
    expect(texts).toEqual([
      `${C} (OTP 27) refuses ${A} (OTP 23), which lacks DFLAG_UNLINK_ID, DFLAG_V4_NC, DFLAG_MANDATORY_25_DIGEST`,
      `${C} (OTP 27) refuses ${B} (OTP 24), which lacks DFLAG_MANDATORY_25_DIGEST`,
    ]);
  });

  test("do not include one inside Consul Connect and one that is asked on its own machine", () => {
    const inside = { tls: { protocol: "TLSv1.3", names: [], isConnect: true } } as const;
    expect(codes([linked(A, [], inside), linked(B, [])])).toEqual(["SPLIT"]);
  });

  test("but not OTP 23 and 25, which accept each other", () => {
    const members = [linked(A, [B], { flags: OTP23 }, { release: "23" }), linked(B, [A])];
    expect(judgeCluster(members)).toMatchObject({ isWell: true, notes: [{ code: "RELEASES_DIFFER" }] });
  });
});

describe("links that programs make", () => {
  test.each([{ connectAll: false }, { autoConnect: "never" }] as const)("are not missed where %j", (vm) => {
    const verdict = judgeCluster([linked(A, [], {}, vm), linked(B, [])]);
    expect(verdict).toMatchObject({
      isWell: true,
      links: { found: 0, expected: 0 },
      notes: [{ code: "NOT_CONNECTING", nodes: [A] }],
    });
  });

  test("are told with the setting because of which", () => {
    const off = linked(A, [], {}, { connectAll: false });
    const never = linked(B, [], {}, { autoConnect: "never" });
    const both = linked(C, [], {}, { connectAll: false, autoConnect: "never" });
    const notes = (members: readonly Member[]) => judgeCluster(members).notes.map(({ text }) => text);
    expect(notes([off, linked(D, [])])).toEqual([`${A} has connect_all false`]);
    expect(notes([off, never, both, linked("e@svc.test", [], {}, { connectAll: false })])).toEqual([
      `${A}, e@svc.test have connect_all false`,
      `${B} has dist_auto_connect never`,
      `${C} has connect_all false and dist_auto_connect never`,
    ]);
  });

  test("of one node among others that link themselves are told in the first line", () => {
    const never = linked(C, [], {}, { autoConnect: "never" });
    const verdict = judgeCluster([linked(A, [B]), linked(B, [A]), never]);
    expect(verdict).toMatchObject({ isWell: true, notes: [{ code: "NEVER_CONNECTS", nodes: [C] }] });
    expect(verdict.summary).toBe(
      `3 nodes, 1 of 1 links; no link is missing now, and ${C} has dist_auto_connect never, and others have not: global ends links between those because of it`,
    );
    // Where no link between others can be ended, or all have it, it is as programs want it.
    const alone = linked(B, [], {}, { autoConnect: "never" });
    expect(judgeCluster([linked(A, []), alone]).summary).toBe(
      `2 nodes, 0 of 0 links; nothing is wrong, if programs make the links of ${B}, which has dist_auto_connect never`,
    );
    expect(judgeCluster([linked(A, [B]), linked(B, [A], {}, { autoConnect: "never" })]).summary).toMatch(
      /nothing is wrong$/,
    );
    expect(judgeCluster([never, alone]).notes.map(({ code }) => code)).toEqual(["NOT_CONNECTING"]);
    const off = linked(C, [], {}, { autoConnect: "never", connectAll: false });
    expect(judgeCluster([linked(A, [B]), linked(B, [A]), off]).summary).toMatch(
      new RegExp(`nothing is wrong, if .* of ${C}, which has connect_all false and dist_auto_connect never$`),
    );
  });

  test("of one node among others are the cause of links that are missing between those", () => {
    const never = (to: readonly string[]) => linked(C, to, {}, { autoConnect: "never" });
    // As OTP 25 has it after a ping from A to C.
    const verdict = judgeCluster([linked(A, [C]), linked(B, [C]), never([A, B])]);
    expect(verdict.summary).toBe(
      `3 nodes, 2 of 3 links; ${C} has dist_auto_connect never, and others have not: global ends links between those because of it`,
    );
    expect(verdict).toMatchObject({
      isWell: false,
      notes: [],
      problems: [
        {
          ...{ code: "NEVER_CONNECTS", nodes: [C, A, B], advice: expect.stringMatching(/^give all nodes the same; /) },
          effects: [{ code: "SPLIT", nodes: [A, B] }],
        },
      ],
    });
    // One of them is linked with it, or another one.
    for (const others of [
      [linked(A, [C]), linked(B, []), never([A])],
      [linked(A, []), linked(B, [D]), linked(D, [B, C]), never([D])],
    ]) {
      expect(judgeCluster(others).problems.map(({ code }) => code)).toEqual(["NEVER_CONNECTS"]);
    }
    // Its own link with one of them is another matter.
    expect(judgeCluster([linked(A, [B, C]), linked(B, [A]), never([])])).toMatchObject({
      problems: [{ code: "ONE_SIDED", nodes: [A, C] }],
      notes: [{ code: "NEVER_CONNECTS" }],
    });
    // Nobody is linked with it, so nobody takes notice of it.
    expect(judgeCluster([linked(A, []), linked(B, []), never([])])).toMatchObject({
      problems: [{ code: "SPLIT", nodes: [A, B] }],
      notes: [{ code: "NEVER_CONNECTS" }],
    });
  });

  test("are missed with dist_auto_connect once, and that one was lost is not known", () => {
    const [problem] = judgeCluster([linked(A, [], {}, { autoConnect: "once" }), linked(B, [])]).problems;
    expect(problem).toMatchObject({
      code: "SPLIT",
      advice: expect.stringMatching(
        /^run srv-epmd doctor b@svc\.test on the machine of a@svc\.test; if all is well there, net_kernel:connect_node\('b@svc\.test'\) in a shell of a@.*: with dist_auto_connect once a link that was lost does not come back/,
      ),
    });
  });

  test("make no part of a cluster that is split, wherever they are missing", () => {
    const apart = [linked(A, [B]), linked(B, [A]), linked(C, [D]), linked(D, [C])];
    const more = [
      linked("h@svc.test", [], { hidden: true }),
      linked("m@svc.test", [], {}, { connectAll: false }),
      linked("n@svc.test", [], {}, { autoConnect: "never" }),
      member(
        "c-node@svc.test",
        nodeProbe("c-node@svc.test", { hidden: true, joined: { cookie: "same", why: "no-vm" } }),
      ),
    ];
    const { problems } = judgeCluster([...apart, ...more]);
    expect(problems.map(({ text }) => text)).toEqual([
      `the cluster is in 2 parts without a link between them: ${A}, ${B} | ${C}, ${D}`,
    ]);
  });

  test("are not missed at hidden nodes, and count where they are", () => {
    expect(judgeCluster([linked(A, [], { hidden: true }), linked(B, [])])).toMatchObject({
      ...{ isWell: true, links: { found: 0, expected: 0 }, notes: [{ code: "HIDDEN" }] },
    });
    const both = [linked(A, [], { hidden: true }, { hidden: [B] }), linked(B, [], {}, { hidden: [A] })];
    expect(judgeCluster(both).links).toEqual({ found: 1, expected: 1 });
  });

  test("with nodes that were not asked for are told", () => {
    expect(judgeCluster([linked(A, [B, "x@other.test"]), linked(B, [A])]).notes).toMatchObject([
      { code: "STRANGERS", nodes: ["x@other.test"] },
    ]);
  });
});

describe("the report", () => {
  const lines = (members: readonly Member[]) =>
    clusterLines({ members, verdict: judgeCluster(members), from: "box" }).map(({ text }) => text);

  test("is a matrix with the worst nodes first", () => {
    const [summary, empty, ...rest] = lines(without([C, D]));
    expect([summary, empty]).toEqual([`4 nodes, 5 of 6 links; ${C} does not see ${D}`, ""]);
    expect(rest.slice(0, 5)).toEqual([
      "     1 2 3 4",
      "  1    - + +  c@svc.test  10.0.0.1:20001  OTP 25",
      "  2  -   + +  d@svc.test  10.0.0.1:20001  OTP 25",
      "  3  + +   +  a@svc.test  10.0.0.1:20001  OTP 25",
      "  4  + + +    b@svc.test  10.0.0.1:20001  OTP 25",
    ]);
    expect(rest.slice(6)).toEqual([
      "",
      `fail  ${C} does not see ${D}`,
      expect.stringMatching(
        /^ {6}do: {2}no cause is seen from here: run srv-epmd doctor --cluster on the machine of d@\S+, which .*; then srv-epmd doctor d@\S+ on the machine of c@\S+ \(srv-epmd help/,
      ),
      "",
      "VMs were joined as hidden node srv-epmd-probe-<0..63>@box; each keeps that name in its atom table, 64 at most of this machine",
    ]);
  });

  test("shows no characters of a node's choosing as they are", () => {
    const evil = "a@\x1b[31mh";
    const seen = [linked(A, [evil]), linked(B, [A])];
    const json = JSON.stringify(clusterObject({ members: seen, verdict: judgeCluster(seen), from: "box" }));
    // Escaped where it is written: printable() and printableJson(); here it is data.
    expect(json).toContain("\\u001b");
    expect(lines(seen).join("\n")).toContain("linked with nodes that were not asked for");
  });

  const many = (count: number) => Array.from({ length: count }, (_, index) => `n${index}@svc.test`);
  /** A large cluster in which these nodes are not linked. */
  const large = (count: number, isLinked: (one: number, other: number) => boolean) => {
    const names = many(count);
    return names.map((node, one) =>
      linked(
        node,
        names.filter((_, other) => other !== one && isLinked(one, other)),
      ),
    );
  };

  test("without a cookie says nothing of what a join leaves behind", () => {
    const members = NAMES.map((node) => member(node, nodeProbe(node)));
    expect(lines(members).join()).not.toContain("atom table");
    expect(clusterObject({ members, verdict: judgeCluster(members), from: "box" })).toMatchObject({ joinedAs: null });
    const joined = without();
    expect(clusterObject({ members: joined, verdict: judgeCluster(joined), from: "box" })).toMatchObject({
      joinedAs: { names: "srv-epmd-probe-*@box", most: 64 },
    });
  });

  test("of two hundred nodes that are well is short", () => {
    const text = lines(large(200, () => true));
    expect(text.slice(0, 3)).toEqual([
      "200 nodes, 19900 of 19900 links; nothing is wrong",
      "",
      "  --json lists the nodes",
    ]);
    expect(text).toHaveLength(5);
  });

  test.each([40, 200])("of %i nodes shows the part of the matrix in which links are missing", (count) => {
    const cut = new Set(["7 30", "7 31"]);
    const text = lines(large(count, (a, b) => !cut.has(`${Math.min(a, b)} ${Math.max(a, b)}`)));
    expect(text.slice(2, 7)).toEqual([
      "     1 2 3",
      "  1    - -  n7@svc.test   10.0.0.1:20001  OTP 25",
      "  2  -   +  n30@svc.test  10.0.0.1:20001  OTP 25",
      "  3  - +    n31@svc.test  10.0.0.1:20001  OTP 25",
      `  ${count - 3} more nodes, nothing is wrong with them (--json lists all)`,
    ]);
  });

  test.each([40, 200])("of %i nodes in two halves shows both sides of the cut", (count) => {
    const text = lines(large(count, (a, b) => a < count / 2 === b < count / 2));
    expect(text.slice(2, 4)).toEqual([
      `      ${" ".repeat(9)}1${" ".repeat(9)}2${" ".repeat(9)}3`,
      `      ${"1234567890".repeat(3)}12`,
    ]);
    expect(text[4]).toBe(
      `   1   ${"+".repeat(15)}${"-".repeat(16)}  n0@svc.test ${count > 99 ? " " : ""}  10.0.0.1:20001  OTP 25`,
    );
    expect(text[35]).toMatch(/^ {2}32 {2}-{16}\+{15} {3}n/);
    expect(text[36]).toBe(`  ${count - 32} more nodes, ${count - 32} of them with something wrong (--json lists all)`);
  });

  test("of a large cluster that has come apart has the nodes that are not there too", () => {
    const silent: Probe = { result: "silent", stage: "connect", elapsedMs: 2_000 };
    const halves = large(60, (a, b) => a < 30 === b < 30);
    const text = lines([...halves, member("gone1@svc.test", silent), member("gone2@svc.test", silent)]);
    expect(text[4]).toMatch(/^ {3}1 {3}x{31} {2}gone1@svc\.test /);
    const row = (node: string) => text.find((line) => line.includes(` ${node}@svc.test `));
    expect(row("n0")).toMatch(/^ {3}2 {2}x \+{14}-{15}x {2}n0@/);
    expect(row("gone2")).toMatch(/^ {2}32 {2}x{31} {3}gone2@/);
  });

  test("of two hundred nodes that are not there tells some, and the names of others", () => {
    const silent: Probe = { result: "silent", stage: "connect", elapsedMs: 2_000 };
    const text = lines(many(200).map((node) => member(node, silent)));
    expect(text.filter((line) => line.includes("is not reached: no answer"))).toHaveLength(9);
    expect(text.at(-1)).toBe(
      "fail  192 more are NOT_THERE: n8@svc.test, n9@svc.test, n10@svc.test, n11@svc.test, n12@svc.test, n13@svc.test, n14@svc.test, n15@svc.test, and 184 more",
    );
    expect(text.length).toBeLessThan(60);
  });

  test("of two hundred nodes that one alone is linked with tells the worst, and how many more", () => {
    const names = Array.from({ length: 200 }, (_, index) => `n${index}@svc.test`);
    const [hub = ""] = names;
    const star = names.map((node) => linked(node, node === hub ? names.slice(1) : [hub]));
    const { problems, links } = judgeCluster(star);
    expect(links).toEqual({ found: 199, expected: 19_900 });
    expect(problems).toHaveLength(9);
    expect(problems.at(-1)?.text).toMatch(/^[0-9]+ more links are missing, between /);
  });

  test("of two hundred nodes without any link is one problem", () => {
    const names = Array.from({ length: 200 }, (_, index) => `n${index}@svc.test`);
    expect(judgeCluster(names.map((node) => linked(node, []))).problems.map(({ code }) => code)).toEqual(["SPLIT"]);
  });
});

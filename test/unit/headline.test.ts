import { describe, expect, test } from "vitest";
import { headlineOf, type WayKnown } from "../../src/doctor/core/headline.js";
import type { ProblemCode } from "../../src/doctor/core/problems.js";
import type { FoundProblem } from "../../src/doctor/core/verdict.js";

const ASKED = "node_b@svc.service.consul";
const problem = (code: ProblemCode, vms?: readonly string[], result: "fail" | "warn" = "fail"): FoundProblem => ({
  ...{ code, result, check: "peer", evidence: [], advice: [] },
  ...(vms && { vms }),
});
const headline = (over: Partial<WayKnown> = {}) =>
  headlineOf({
    ...{ asked: ASKED, vms: ["node_a", "node_s"], problems: [], handshake: "ok", cookie: "not-given" },
    ...{ isStillFound: false, isDoubtful: false, links: undefined, linked: [], lookUp: undefined },
    ...over,
  });
const text = (over: Partial<WayKnown>) => headline(over).text;

describe("the line on the way to a node says that VMs here do not reach it", () => {
  test("where something keeps all of them from it", () => {
    const problems = [problem("PEER_REFUSED"), problem("PEER_NO_WAY", ["node_s"])];
    expect(headline({ problems })).toEqual({ text: `VMs here do not reach ${ASKED}`, tone: "bad" });
    expect(text({ problems: [problem("PEER_TLS", ["node_a", "node_s"])] })).toBe(`VMs here do not reach ${ASKED}`);
    expect(text({ problems, handshake: undefined, vms: [] })).toBe(`VMs here do not reach ${ASKED}`);
  });

  test("and names the VM where others reach it", () => {
    for (const result of ["fail", "warn"] as const) {
      const problems = [problem("PEER_NO_WAY", ["node_s"], result)];
      expect(text({ problems, isDoubtful: result === "fail" })).toBe(
        `node_s here does not reach ${ASKED}; node_a does`,
      );
    }
  });

  test("and not where what is wrong concerns none of them: without stock VMs a gateway's relay process is in nobody's way", () => {
    for (const vms of [["node_a"], []]) {
      expect(text({ vms, problems: [problem("RELAY_DOWN", [])], cookie: "ok" })).toMatch(/here (would )?reach/);
    }
  });

  test("and that a link stands where one does: packets are dropped one way", () => {
    const over: Partial<WayKnown> = { problems: [problem("PEER_NO_ANSWER")], links: "linked", linked: ["node_a"] };
    expect(text(over)).toBe(`node_a here is linked with ${ASKED}, and VMs here do not reach it anew`);
  });

  test("and that a link stays where srv-epmd is down, and that no new one comes about", () => {
    const problems = [problem("EPMD_NOTHING"), problem("PEER_NO_WAY")];
    const rest = "which stays; no new link comes about until srv-epmd has the EPMD port here";
    expect(text({ vms: [], problems, links: "linked", linked: ["node_a"] })).toBe(
      `node_a here is linked with ${ASKED}, ${rest}`,
    );
    expect(text({ vms: [], problems, links: "connected" })).toBe(`a VM here has a connection with ${ASKED}, ${rest}`);
    expect(text({ vms: [], problems, links: "none" })).toBe(`VMs here do not reach ${ASKED}`);
  });

  test("and that it depends on its list where it lets in few", () => {
    expect(text({ problems: [problem("PEER_NOT_ALLOWED")], links: "none" })).toBe(
      `VMs here reach ${ASKED} only if they are on its list, and none of them is linked with it`,
    );
  });
});

test("a missing link with a node that answers is no way that is barred", () => {
  expect(headline({ isDoubtful: true, problems: [problem("PEER_UNLINKED")], links: "none" })).toEqual({
    text: `VMs here find ${ASKED}, and none is linked with it, though one asked for it lately`,
    tone: "bad",
  });
});

describe("VMs here that are stopped reach nothing, however well the node answers", () => {
  const stopped = (about: string) => ({ ...problem("VM_STOPPED"), about });

  test("and where there is no other, the line says that alone, with the connection that stands", () => {
    const over: Partial<WayKnown> = { vms: ["node_a"], problems: [stopped("node_a")] };
    expect(headline(over)).toEqual({ text: "node_a here is stopped, and reaches nothing", tone: "bad" });
    expect(text({ ...over, links: "connected" })).toBe(
      `node_a here is stopped, and reaches nothing; a connection with ${ASKED} stands`,
    );
    const both = [stopped("node_a"), { ...problem("VM_SILENT"), about: "node_s" }];
    expect(text({ problems: both })).toBe("node_a here is stopped, and reaches nothing; node_s here does not answer");
  });

  test("and where others run, it speaks of these first", () => {
    expect(headline({ problems: [stopped("node_a")], cookie: "ok" })).toEqual({
      text: `VMs here reach ${ASKED}; its cookie is the one that was given; but node_a here is stopped, and reaches nothing`,
      tone: "bad",
    });
    // Of those that run one does not reach it.
    expect(text({ problems: [stopped("node_a"), problem("PEER_NO_WAY", ["node_s"])] })).toBe(
      `VMs here do not reach ${ASKED}`,
    );
    // It is the node that was asked for.
    expect(text({ problems: [stopped("node_b")], cookie: "ok" })).toMatch(/was given$/);
  });
});

describe("the line on the way to a node says that it is not known", () => {
  test("where a check of the node failed otherwise, or nobody answered", () => {
    const unknown = { text: `whether VMs here reach ${ASKED} is not known`, tone: "doubtful" };
    expect(headline({ isDoubtful: true, problems: [problem("CHECK_LATE")] })).toEqual(unknown);
    expect(headline({ handshake: "skip" })).toEqual(unknown);
    // The token that would tell was not given.
    const problems = [problem("TOKEN_NOT_GIVEN", undefined, "warn"), problem("PEER_UNREAD")];
    expect(headline({ handshake: "skip", isDoubtful: true, problems })).toEqual(unknown);
    expect(text({ handshake: "skip", vms: [] })).toBe(`whether a VM here would reach ${ASKED} is not known`);
  });

  test("and which VM is linked with it all the same", () => {
    expect(text({ handshake: "skip", links: "linked", linked: ["node_a"] })).toBe(
      `node_a here is linked with ${ASKED}; whether VMs here reach it anew is not known`,
    );
  });

  test("with which of several VMs of its name, from their machines too", () => {
    const twice = [problem("PEER_TWICE")];
    expect(headline({ isDoubtful: true, problems: twice })).toEqual({
      ...{ text: `VMs here reach one of the VMs that are called ${ASKED}`, tone: "bad" },
    });
    expect(text({ isDoubtful: true, problems: twice, linked: ["node_a"] })).toBe(
      `node_a here is linked with one of the VMs that are called ${ASKED}`,
    );
    const named = (about: string) => text({ problems: [{ ...problem("NAME_TWICE"), about }] });
    expect(named("node_b")).toMatch(/one of the VMs that are called/);
    expect(named("node_c")).toMatch(/^VMs here reach node_b@svc/);
    // Neither of them answers.
    expect(text({ isDoubtful: true, handshake: "fail", problems: [...twice, problem("PEER_REFUSED")] })).toBe(
      `VMs here do not reach ${ASKED}`,
    );
  });
});

describe("the line on the way to a node says that VMs here reach it", () => {
  test("with what was not compared", () => {
    expect(headline({})).toEqual({
      ...{ text: `VMs here reach ${ASKED}; its cookie was not compared (--cookie-file FILE)`, tone: "good" },
    });
    expect(text({ cookie: "skip" })).toBe(`VMs here reach ${ASKED}; its cookie was not compared`);
    expect(text({ cookie: "ok" })).toBe(`VMs here reach ${ASKED}; its cookie is the one that was given`);
    expect(text({ problems: [problem("PEER_NAMELESS", undefined, "warn")], handshake: "warn", cookie: "skip" })).toBe(
      `VMs here reach ${ASKED}; neither its name nor its cookie was compared`,
    );
    expect(text({ vms: [] })).toMatch(/^a VM here would reach node_b@svc/);
  });

  test("with a problem of something else too", () => {
    expect(text({ problems: [problem("REGISTRATION_MISSING")] })).toMatch(/^VMs here reach node_b@svc/);
  });

  test("and which are linked with it, which shows the cookie too", () => {
    const links = { links: "linked", linked: ["node_a"], lookUp: { secondsAgo: 9, outcome: "found" } } as const;
    expect(text(links)).toBe(`VMs here reach ${ASKED}: node_a is linked with it`);
  });

  test("and asks for the cookie where one asked lately, and no link stands", () => {
    const lookUp = { secondsAgo: 12, outcome: "found" };
    expect(headline({ links: "none", lookUp })).toEqual({
      text: `VMs here find ${ASKED}, and none is linked with it, though one asked for it 12s ago: compare its cookie: --cookie-file FILE`,
      tone: "doubtful",
    });
    for (const over of [
      { links: "connected", lookUp },
      { links: "none", lookUp: { ...lookUp, secondsAgo: 601 } },
      { links: "none", lookUp: { ...lookUp, outcome: "not-found" } },
      { links: "none", lookUp, cookie: "ok" },
    ] as const) {
      expect(headline(over).tone).toBe("good");
    }
  });
});

test("a node that the srv-epmd here still finds while Consul does not answer: VMs reach it", () => {
  const problems = [{ ...problem("PEER_NOT_FOUND"), check: "peer-records" }];
  const still = { isStillFound: true, isDoubtful: true, problems };
  expect(text(still)).toMatch(/^the srv-epmd here still leads VMs to \S+, by what it knew before: when it moves/);
  expect(text({ ...still, linked: ["node_a"] })).toMatch(
    /^node_a here is linked with \S+, and the srv-epmd here still leads/,
  );
  expect(text({ ...still, problems: [...problems, problem("PEER_REFUSED")] })).toMatch(/do not reach/);
});

test("a node to which large packets are lost: links come about, and hang", () => {
  const problems = [problem("PEER_LARGE_LOST")];
  expect(text({ isDoubtful: true, problems, linked: ["node_a"] })).toMatch(
    /^VMs here connect with \S+, and large messages/,
  );
});

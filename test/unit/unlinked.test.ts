import { describe, expect, test } from "vitest";
import { type AskedAndUnlinked, unlinkedProblem } from "../../src/doctor/core/unlinked.js";

const problem = (over: Partial<AskedAndUnlinked> = {}) =>
  unlinkedProblem({
    ...{ asked: "node_w@svc.service.consul", unlinked: ["node_a"], askedAgo: 1_000, askedAgainAfter: 5_000 },
    ...{ cookie: "not-given", isByHand: false },
    ...over,
  });

describe("a node that a VM here asked for lately, and with which none is linked", () => {
  test("is a problem, which is answered by its cookie", () => {
    const { result, evidence, advice } = problem() ?? {};
    expect([result, evidence]).toEqual([
      "fail",
      [
        "a VM here asked for node_w@svc.service.consul again and again, last 1s ago and was told where it is, and none is linked with it: so says node_a",
      ],
    ]);
    expect(advice?.[0]).toMatch(
      /doctor node_w@svc\.service\.consul --cookie-file FILE here.*'Invalid challenge reply'/,
    );
    // The file has the cookie of the node, and the VMs here may have another.
    expect(problem({ cookie: "same" })?.advice[0]).toMatch(/^its cookie is the one that was given.*get_cookie/);
    expect(problem({ cookie: "unknown" })?.advice[0]).toMatch(/^look in the log/);
  });

  test("is none where a handshake may be under way, where the VMs do not tell, or link by hand alone", () => {
    expect(problem({ askedAgo: 100 })).toBeUndefined();
    expect(problem({ unlinked: [] })).toBeUndefined();
    expect(problem({ isByHand: true })).toBeUndefined();
  });

  test("is less certain where it was not asked for again at once: a link may have come about and ended", () => {
    expect(problem({ askedAgo: 54_000 })?.result).toBe("fail");
    expect(problem({ askedAgo: 56_000 })?.result).toBe("warn");
    const once = problem({ askedAgainAfter: undefined });
    expect([once?.result, once?.evidence[0]]).toEqual([
      "warn",
      "a VM here asked for node_w@svc.service.consul 1s ago and was told where it is, and none is linked with it (or a link that came about has ended): so says node_a",
    ]);
    expect(problem({ askedAgo: 601_000 })).toBeUndefined();
  });

  test("is none with one cookie: a link came about, and ended (erlang:disconnect_node)", () => {
    expect(problem({ cookie: "theirs" })).toBeUndefined();
  });
});

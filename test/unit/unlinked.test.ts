import { describe, expect, test } from "vitest";
import { type AskedAndUnlinked, unlinkedProblem } from "../../src/doctor/core/unlinked.js";

const problem = (over: Partial<AskedAndUnlinked> = {}) =>
  unlinkedProblem({
    ...{ asked: "node_w@svc.service.consul", unlinked: ["node_a"], askedAgo: 1_000, tries: 4 },
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

  test("is less certain after a few tries: a link may have come about each time, and ended", () => {
    const few = problem({ tries: 3 });
    expect([few?.result, few?.vms, few?.evidence[0]]).toEqual([
      "warn",
      undefined,
      "a VM here asked for node_w@svc.service.consul 1s ago and was told where it is, and none is linked with it (or a link that came about has ended): so says node_a",
    ]);
    expect(problem()?.vms).toEqual(["node_a"]);
    expect(problem({ askedAgo: 601_000 })).toBeUndefined();
  });
});

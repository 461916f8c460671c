import { expect, test } from "vitest";
import { comparison } from "../../src/doctor/peer-cookie.js";

const endpoint = { address: "10.0.0.2", port: 9100, family: 4, target: "box2", priority: 0, weight: 0 } as const;
const nobody = { accepting: [], refusing: [] };
const none = { state: "none", linked: [] } as const;
const compared = (links: Parameters<typeof comparison>[2], here: Parameters<typeof comparison>[3] = nobody) =>
  comparison({ endpoint }, { cookie: "refused" }, links, here);

test("a cookie that the node refuses while a VM here is linked with it is the wrong one, not theirs", () => {
  const finding = compared({ state: "linked", linked: ["node_a"] });
  expect(finding).toMatchObject({
    ...{ result: "warn", problems: [{ code: "COOKIE_GIVEN" }] },
    evidence: [
      "10.0.0.2:9100: it refuses the cookie: its own is another one",
      "node_a here and it are linked, so they have one cookie, and the one that was given is another",
    ],
    advice: [expect.stringMatching(/^give the cookie of the VM of node_a here: erlang:get_cookie\(\)/)],
  });
});

test("and where a connection stands that may be a link, the file is looked at first", () => {
  const adviceOf = (links: Parameters<typeof compared>[0]) => {
    const finding = compared(links);
    expect(finding.result).toBe("fail");
    return "advice" in finding ? finding.advice[0] : undefined;
  };
  expect(adviceOf({ state: "connected", linked: [] })).toMatch(/^see that the file here is the one/);
  expect(adviceOf({ state: "none", linked: [] })).toMatch(/^start both VMs with one cookie/);
});

test("a cookie that the node accepts and a VM here refuses: the two differ", () => {
  const joined = { cookie: "same", why: "no-vm" } as const;
  const here = { accepting: ["node_x"], refusing: ["node_a"] };
  expect(comparison({ endpoint }, joined, none, here)).toMatchObject({
    ...{ result: "fail", problems: [{ code: "PEER_COOKIE", vms: ["node_a"] }] },
    evidence: [
      expect.stringContaining("10.0.0.2:9100: "),
      "node_a here refuses the cookie that was given: its own is another one",
    ],
    advice: [expect.stringMatching(/^start both VMs with one cookie/)],
  });
  expect(comparison({ endpoint }, joined, none, nobody).result).toBe("ok");
});

test("a cookie that the node refuses: certain where a VM here accepts it, and the wrong one where all refuse it", () => {
  expect(compared(none, { accepting: ["node_a"], refusing: [] })).toMatchObject({
    ...{ result: "fail", problems: [{ code: "PEER_COOKIE" }] },
    evidence: [expect.any(String), "node_a here accepts the cookie that was given"],
  });
  expect(compared(none, { accepting: [], refusing: ["node_a", "node_c"] })).toMatchObject({
    ...{ result: "warn", problems: [{ code: "COOKIE_GIVEN" }] },
    evidence: [expect.any(String), expect.stringMatching(/^node_a, node_c here refuse the cookie that was given, too/)],
  });
});

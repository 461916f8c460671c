import { expect, test } from "vitest";
import { comparison } from "../../src/doctor/peer-cookie.js";

const endpoint = { address: "10.0.0.2", port: 9100, family: 4, target: "box2", priority: 0, weight: 0 } as const;
const compared = (links: Parameters<typeof comparison>[2]) => comparison({ endpoint }, { cookie: "refused" }, links);

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

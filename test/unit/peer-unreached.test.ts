import { describe, expect, test } from "vitest";
import { explainRefusal, explainUnreachable } from "../../src/doctor/core/peer-unreached.js";

const endpoint = { address: "10.0.0.2", port: 9_100 };
const RULES = "nft list ruleset there (input) and here (output), security groups";
const explained = (code: string, answers = false, address = endpoint.address) =>
  explainUnreachable({ endpoint: { ...endpoint, address }, code, epmdPort: { port: 4_369, answers } });

test("an endpoint that refuses: a firewall is the last cause, where all is ok on the machine of the node", () => {
  const { evidence, advice } = explainRefusal(endpoint);
  expect(evidence).toEqual([
    "10.0.0.2:9100 refuses connections: nothing listens there, or a firewall rejects them (reject with tcp reset)",
  ]);
  // What is ok there is shown with --all alone.
  expect(advice[0]).toMatch(
    /mapped wrongly: run srv-epmd doctor --all on its machine, .* vm-listens and port-mapping show there/,
  );
  expect(advice[0]).toContain(
    `if these and published-endpoint are ok there, look for a firewall that rejects TCP port 9100 for this machine: ${RULES}`,
  );
});

describe("an endpoint that cannot be reached", () => {
  test.each(["EHOSTUNREACH", "EACCES", "ENETUNREACH"])("(%s) at a machine that answers: a firewall", (code) => {
    expect(explained(code, true)).toEqual({
      evidence: [`10.0.0.2:9100 cannot be reached from here (${code})`, "its machine answers, at 10.0.0.2:4369"],
      advice: [
        `look for a firewall that rejects TCP port 9100 of 10.0.0.2 for this machine (reject with icmp): ${RULES}`,
      ],
    });
  });

  test.each([
    ["ENETUNREACH", /^this machine has no route to that address \(ip route get 10\.0\.0\.2\): was a private address/],
    [
      "EHOSTUNREACH",
      /^see that its machine runs \(ping 10\.0\.0\.2\).* firewall on the way rejects it .* was a private/,
    ],
    ["EACCES", /^this machine itself forbids it: see its route \(ip route get 10\.0\.0\.2: prohibit\?\)/],
  ])("(%s) at a machine that does not answer", (code, advice) => {
    const { evidence, advice: given } = explained(code);
    expect(evidence).toEqual([`10.0.0.2:9100 cannot be reached from here (${code})`]);
    expect(given).toEqual([expect.stringMatching(advice)]);
  });

  test("over IPv6, which this machine may not have", () => {
    expect(explained("ENETUNREACH", false, "fd00::2").advice[0]).toContain("publish an IPv4 address too");
    expect(explained("EHOSTUNREACH", false, "fd00::2").advice[0]).toContain("ping fd00::2");
  });
});

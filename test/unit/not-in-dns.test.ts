import { expect, test } from "vitest";
import { type NotInDns, notInDnsAdvice } from "../../src/doctor/core/not-in-dns.js";

const TOKEN = /^with ACLs the agent's default token/;
const GONE = /^or the token is gone/;
const OTHER = /^ask the DNS of that Consul/;

test.each<[string, NotInDns, RegExp[]]>([
  ["the agent's DNS is asked: its default token", { areAclsOff: false, asksAgent: true }, [TOKEN, GONE]],
  ["another name server: the token, then the server", { areAclsOff: false, asksAgent: false }, [TOKEN, GONE, OTHER]],
  ["without ACLs: the server, and no token", { areAclsOff: true, asksAgent: false }, [OTHER]],
  [
    "without ACLs, from the agent: the servers",
    { areAclsOff: true, asksAgent: true },
    [/^srv-epmd doctor --all shows in catalogue/],
  ],
])("a node that the agent has and DNS has not, %s", (_, known, expected) => {
  const advice = notInDnsAdvice(known);
  expect(advice).toHaveLength(expected.length);
  for (const [index, pattern] of expected.entries()) expect(advice[index]).toMatch(pattern);
});

test("where nothing is known both causes are told", () => {
  expect(notInDnsAdvice({ areAclsOff: undefined, asksAgent: false })[0]).toMatch(OTHER);
});

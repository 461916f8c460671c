import { expect, test } from "vitest";
import { preferAddresses } from "../../src/dns/core/order.js";

const DUAL = ["127.0.0.1", "::1", "192.0.2.2", "2001:db8:1::2", "fe80::1"];
const IPV4 = ["127.0.0.1", "::1", "192.0.2.2"];
const ULA = ["127.0.0.1", "::1", "192.0.2.2", "fd00::2"];

// RFC 6724 section 6, and what each machine can reach.
test.each<[string, string[], string[], string[]]>([
  [
    "IPv6 before IPv4 where the machine has both",
    DUAL,
    ["198.51.100.1", "2001:db8:2::1"],
    ["2001:db8:2::1", "198.51.100.1"],
  ],
  [
    "IPv4 first where the machine has no IPv6 source",
    IPV4,
    ["2001:db8:2::1", "198.51.100.1"],
    ["198.51.100.1", "2001:db8:2::1"],
  ],
  [
    "IPv4 before a global IPv6 address when the only source is a ULA",
    ULA,
    ["2001:db8:2::1", "198.51.100.1"],
    ["198.51.100.1", "2001:db8:2::1"],
  ],
  ["IPv4 before ULA: precedence 35 against 3", ULA, ["fd00::7", "198.51.100.1"], ["198.51.100.1", "fd00::7"]],
  ["loopback first", DUAL, ["2001:db8:2::1", "127.0.0.1"], ["127.0.0.1", "2001:db8:2::1"]],
  ["::1 before 127.0.0.1: precedence 50 against 35", DUAL, ["127.0.0.1", "::1"], ["::1", "127.0.0.1"]],
  [
    "the longest common prefix with the source among IPv6 addresses",
    DUAL,
    ["2001:db8:8::1", "2001:db8:1::9"],
    ["2001:db8:1::9", "2001:db8:8::1"],
  ],
  [
    "the given order among IPv4 addresses",
    DUAL,
    ["198.51.100.1", "192.0.2.9", "203.0.113.1"],
    ["198.51.100.1", "192.0.2.9", "203.0.113.1"],
  ],
  [
    "a link-local IPv6 address last: an answer cannot name its interface",
    DUAL,
    ["fe80::9", "198.51.100.1"],
    ["198.51.100.1", "fe80::9"],
  ],
  [
    "a global IPv4 address before a 169.254 one without a source of that scope",
    IPV4,
    ["169.254.1.1", "198.51.100.1"],
    ["198.51.100.1", "169.254.1.1"],
  ],
  [
    "the one for which the machine's best source is nearest, whatever the order of its interfaces",
    ["2001:db8:ffff::2", "rubbish", "fe80::1", "2001:db8:1::2", "::1"],
    ["2001:db8:8::1", "2001:db8:1::9"],
    ["2001:db8:1::9", "2001:db8:8::1"],
  ],
  [
    "an address of the machine itself before its neighbours: it is its own source",
    ["2001:db8:1::2", "2001:db8:2::5"],
    ["2001:db8:1::3", "2001:db8:2::5"],
    ["2001:db8:2::5", "2001:db8:1::3"],
  ],
  [
    "a link-local IPv4 address with a source of its scope, though another source shares more bits with it",
    ["169.255.1.1", "169.254.200.1"],
    ["198.51.100.1", "169.254.1.1"],
    ["169.254.1.1", "198.51.100.1"],
  ],
  [
    "what has a source before what has none: no IPv4 source makes no IPv6 address unusable",
    ["2001:db8:1::2"],
    ["198.51.100.1", "2001:db8:2::1"],
    ["2001:db8:2::1", "198.51.100.1"],
  ],
  ["127.0.0.1 although no interface lists it", ["192.0.2.2"], ["192.0.2.9", "127.0.0.1"], ["127.0.0.1", "192.0.2.9"]],
  ["an IPv4-mapped address as the IPv4 address it is", DUAL, ["::ffff:198.51.100.1", "198.51.100.1"], ["198.51.100.1"]],
  ["nothing that is no destination", DUAL, ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "rubbish"], []],
  [
    "the order of the answer when the machine's addresses are unknown and all else is equal",
    [],
    ["10.0.0.2", "10.0.0.1"],
    ["10.0.0.2", "10.0.0.1"],
  ],
])("gives %s", (_, sources, candidates, expected) => {
  expect(preferAddresses(candidates, { family: "any", sources })).toEqual(expected);
});

test("keeps to the wanted family, counting a mapped address as IPv4", () => {
  const candidates = ["2001:db8:2::1", "::ffff:198.51.100.1", "198.51.100.2"];
  expect(preferAddresses(candidates, { family: 4, sources: DUAL })).toEqual(["198.51.100.1", "198.51.100.2"]);
  expect(preferAddresses(candidates, { family: 6, sources: DUAL })).toEqual(["2001:db8:2::1"]);
});

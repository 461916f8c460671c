import { describe, expect, test } from "vitest";
import {
  canonicalIp,
  cidrContains,
  commonPrefixLength,
  familyOf,
  formatIp,
  isLoopback,
  isWildcard,
  parseCidr,
  parseIp,
} from "../../src/net/ip.js";

describe("an IP literal", () => {
  test.each([
    ["10.0.0.1", [10, 0, 0, 1]],
    ["255.255.255.255", [255, 255, 255, 255]],
    ["::", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["::1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ["fd00::7", [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]],
    ["1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ["1:2:3:4:5:6:7::", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0]],
    ["::ffff:10.0.0.1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]],
    ["64:ff9b::192.0.2.1", [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]],
  ])("%s has its octets in network order", (text, octets) => {
    expect(parseIp(text)).toEqual(octets);
  });

  test.each([
    ...["", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", "0x7f.0.0.1", "2130706433"],
    ...[":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "::1.2.3", "1.2.3.4::"],
    ...["::1.2.3.4:5", "1.2.3.4::1", "fe80::1%eth0", "[::1]", "1:2:3:4:5:6:7:1.2.3.4"],
    // Eight groups, and a "::" that would stand for none, or two of them.
    ...["1:2:3:4:5:6:7:8::", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:8::9", "1:2:3:4:5:6:7:8::9::a"],
  ])("%j is none", (text) => {
    expect(parseIp(text)).toBeUndefined();
    expect(familyOf(text)).toBeUndefined();
  });

  test.each([
    ["2001:DB8:0:0:0:0:2:1", "2001:db8::2:1"], // RFC 5952 section 4.2.1 and 4.3
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // 4.2.2: one group of zeros is not shortened
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"], // 4.2.3: the longest run
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // 4.2.3: the first of equal runs
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["::ffff:7f00:1", "127.0.0.1"],
    ["10.0.0.1", "10.0.0.1"],
  ])("%s is canonically %s", (text, canonical) => {
    expect(canonicalIp(text)).toBe(canonical);
  });

  test("of what is no address there is no canonical form", () => {
    expect(canonicalIp("localhost")).toBeUndefined();
  });

  test("has a family", () => {
    expect([familyOf("10.0.0.1"), familyOf("fd00::1"), familyOf("svc")]).toEqual([4, 6, undefined]);
  });

  test("is made from octets", () => {
    expect(formatIp([10, 1, 2, 3])).toBe("10.1.2.3");
    expect(formatIp(Buffer.from("20010db8000000000000000000000007", "hex"))).toBe("2001:db8::7");
  });
});

test("loopback is all of 127.0.0.0/8 and ::1 alone", () => {
  expect(["127.0.0.1", "127.64.3.2", "::1"].map(isLoopback)).toEqual([true, true, true]);
  expect(["128.0.0.1", "::2", "::", "localhost"].map(isLoopback)).toEqual([false, false, false, false]);
});

test("a wildcard stands for every address", () => {
  expect(["0.0.0.0", "::", "127.0.0.1"].map(isWildcard)).toEqual([true, true, false]);
});

describe("a network", () => {
  test.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.1", false],
    ["10.1.2.3/8", "10.9.9.9", true], // host bits do not matter
    ["10.0.0.128/25", "10.0.0.127", false],
    ["10.0.0.128/25", "10.0.0.200", true],
    ["10.0.0.1", "10.0.0.1", true],
    ["10.0.0.1", "10.0.0.2", false],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "fd00::1", false],
    ["fd00::/8", "fdff::1", true],
    ["fd00::/8", "fe80::1", false],
    ["::/0", "fd00::1", true],
    ["::/0", "10.0.0.1", false],
    ["::ffff:10.0.0.0/104", "10.2.3.4", true],
    ["::ffff:10.0.0.1", "10.0.0.1", true],
    // All IPv4 addresses; one bit less is a network of IPv6, in which no canonical address is IPv4.
    ["::ffff:0.0.0.0/96", "203.0.113.9", true],
    ["::ffff:10.0.0.0/95", "10.0.0.0", false],
    ["::ffff:10.0.0.0/95", "::fffe:10.0.0.0", true],
    ["10.0.0.0/8", "localhost", false],
  ])("%s contains %s: %s", (network, address, inside) => {
    const cidr = parseCidr(network);
    expect(cidr && cidrContains(cidr, address)).toBe(inside);
  });

  test.each(["10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/x", "/8", "svc/8"])(
    "%s is none",
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );
});

test.each([
  [[10, 0, 0, 1], [10, 0, 0, 1], 32],
  [[10, 0, 0, 1], [10, 0, 0, 0], 31],
  [[10, 0, 0, 1], [138, 0, 0, 1], 0],
  [[10, 0, 0x10, 0], [10, 0, 0x1f, 0], 20],
])("%j and %j share %i leading bits", (a, b, bits) => {
  expect(commonPrefixLength(a, b)).toBe(bits);
});

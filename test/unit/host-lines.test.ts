import { describe, expect, test } from "vitest";
import { GatewayAddresses, pairsFor } from "../../src/gateway/core/addresses.js";
import { hostsEntriesIn, hostsText, inetrcText } from "../../src/os/core/hosts-file.js";

const RANGE = { bytes: [127, 64, 0, 0], prefix: 10 };
const PAIR = { host: "svc.service.consul", address: "127.64.1.2" };

const pairs = (operands: string[], addresses = new GatewayAddresses(RANGE)) => pairsFor(operands, "consul", addresses);

describe("lines for hosts", () => {
  test("of a hosts file are two for each: IPv4, and IPv4-mapped for inet6_tcp", () => {
    expect(hostsText([PAIR, { host: "b.example", address: "127.65.0.1" }])).toBe(
      "127.64.1.2 svc.service.consul\n::ffff:127.64.1.2 svc.service.consul\n127.65.0.1 b.example\n::ffff:127.65.0.1 b.example\n",
    );
  });

  test("of an inetrc are a whole inetrc, which says what the daemon has to be told", () => {
    expect(inetrcText([PAIR]).split("\n")).toEqual([
      "% for a VM started with ERL_INETRC=<this file>",
      "% the VM does not ask the daemon for these names; start it with: srv-epmd serve --gateway --gateway-listen none",
      "%   --gateway-domain svc.service.consul",
      '{host, {127,64,1,2}, ["svc.service.consul"]}.',
      '{host, {0,0,0,0,0,65535,32576,258}, ["svc.service.consul"]}.',
      "{lookup, [file, native]}.",
      "",
    ]);
  });
});

describe("the hosts of a command line", () => {
  test("get the addresses that the daemon would give them, each host once, a bare word being a service", () => {
    const addresses = new GatewayAddresses(RANGE);
    expect(pairs(["svc", "SVC.service.consul.", "b.example"])).toEqual([
      { host: "svc.service.consul", address: addresses.assign("svc.service.consul") },
      { host: "b.example", address: addresses.assign("b.example") },
    ]);
  });

  test("keep the address that the hosts file has for them, and leave others' alone", () => {
    const derived = new GatewayAddresses(RANGE).assign("svc.service.consul") ?? "";
    const hostsFile = `${derived} somebody.else\n::ffff:127.64.7.7 b.example b\n127.0.0.1 localhost`;
    const addresses = new GatewayAddresses(RANGE);
    for (const pair of hostsEntriesIn(hostsFile, RANGE)) addresses.add(pair);
    const [svc, b] = pairs(["svc", "b.example"], addresses);
    expect(b?.address).toBe("127.64.7.7");
    expect(svc?.address).not.toBe(derived);
    expect(addresses.contains(svc?.address ?? "")).toBe(true);
  });

  test.each([
    ["node@svc", "is a node: give its host"],
    ["localhost", "is this machine"],
    ["127.0.0.1", "must be a domain name"],
    ["a..b", "must be a domain name"],
    ["", "must be a domain name"],
    ["a b", "must be a domain name"],
    [`${"x".repeat(64)}.example`, "must be a domain name"],
    [`${"x.".repeat(126)}xy`, "must be a domain name"],
    ["svc\n10.0.0.1 evil.example", "must be a domain name"],
  ])("cannot be %j", (operand, message) => {
    expect(() => pairs(["svc", operand])).toThrow(
      expect.objectContaining({
        name: "ConfigError",
        message: expect.stringContaining(`host ${JSON.stringify(operand)} ${message}`),
      }),
    );
  });

  test("cannot be more than the range has room for", () => {
    const small = new GatewayAddresses({ bytes: [127, 64, 0, 0], prefix: 24 });
    const many = Array.from({ length: 255 }, (_, index) => `n${index}`);
    expect(() => pairs(many, small)).toThrow("there is no room in --gateway-range for n254.service.consul");
  });
});

import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { gatewayDomains, isGatewayHost } from "../../src/gateway/core/addresses.js";
import { isOwnServer } from "../../src/net/ip.js";

const config = (flags: Record<string, string | string[]>) =>
  loadConfig({ command: "serve", flags: { gateway: "true", ...flags }, env: {} }).config;

describe("the hosts of the gateway", () => {
  test("lie under --domain, a bare word being a service", () => {
    const settings = config({ domain: ["a*=svc", "b*=b.example", "localhost"], consulDomain: "c" });
    expect(gatewayDomains(settings)).toEqual(["svc.service.c", "b.example"]);
  });

  test("lie under --gateway-domain where that is given", () => {
    const settings = config({ domain: "svc", gatewayDomain: ["other", "x.example", "other"] });
    expect(gatewayDomains(settings)).toEqual(["other.service.consul", "x.example"]);
  });
});

test.each([
  ["svc.test", true],
  ["n1.svc.test", true],
  ["n1.dc1.svc.test", true],
  ["othersvc.test", false],
  ["test", false],
  // RFC 8552: no hosts, wherever the underscore stands; one within a label is none of theirs.
  ["_epmd.svc.test", false],
  ["_epmd._tcp.n1.svc.test", false],
  ["n1._tcp.svc.test", false],
  ["node_b.svc.test", true],
])("%s is a host of the gateway: %s", (host, expected) => {
  expect(isGatewayHost(["svc.test", "_under.test"], host)).toBe(expected);
});

test("a domain with an underscore of its own may have hosts", () => {
  expect(isGatewayHost(["_under.test"], "n1._under.test")).toBe(true);
});

describe("a name server is ourselves", () => {
  const own = (listening: string, server: string, port = 53) =>
    isOwnServer({ address: listening, port: 53 }, { address: server, port }, (address) => address !== "10.0.0.9");

  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
    ["0.0.0.0", "10.0.0.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["::", "::1"],
    ["::", "127.0.0.1"],
  ])("when we listen on %s and it is %s", (listening, server) => {
    expect(own(listening, server)).toBe(true);
    expect(own(listening, server, 54)).toBe(false);
  });

  test.each([
    ["127.0.0.1", "127.0.0.53"],
    ["127.0.0.1", "::1"],
    ["0.0.0.0", "::1"],
    ["0.0.0.0", "10.0.0.9"],
    ["::", "10.0.0.9"],
  ])("but not when we listen on %s and it is %s", (listening, server) => {
    expect(own(listening, server)).toBe(false);
  });
});

describe("the gateway's DNS cannot be told", () => {
  const complaint = (flags: Record<string, string | string[]>) => {
    try {
      config({ domain: "svc", ...flags });
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  };

  test.each([
    [
      { gatewayForward: "127.0.0.1" },
      "--gateway-forward 127.0.0.1:53 is the gateway's own DNS (--gateway-listen 127.0.0.1:53)",
    ],
    [{ dns: ["10.0.0.1", "consul=127.0.0.1"] }, "--dns 127.0.0.1:53 is the gateway's own DNS"],
    [{ gatewayListen: "0.0.0.0:5300", gatewayForward: "127.0.0.7:5300" }, "--gateway-forward 127.0.0.7:5300"],
    [{ gatewayListen: "[::]:5300", dns: "[::1]:5300" }, "--dns [::1]:5300 is the gateway's own DNS"],
    [{ dnsListen: "127.0.0.1:53" }, "--dns-listen and --gateway-listen (127.0.0.1:53) are one address"],
    [{ dnsListen: "0.0.0.0:53" }, "--dns-listen and --gateway-listen (127.0.0.1:53) are one address"],
  ])("%j", (flags, message) => {
    expect(complaint(flags)).toContain(message);
  });

  test.each([
    { gatewayForward: "127.0.0.1:54", dns: "127.0.0.53" },
    { gatewayListen: "127.0.0.1:0", gatewayForward: "127.0.0.1" },
    { gatewayListen: "none", gatewayForward: "127.0.0.1", dns: "127.0.0.1", dnsListen: "127.0.0.1:53" },
    { gateway: "false", dns: "127.0.0.1" },
  ])("but may be told %j", (flags) => {
    expect(complaint(flags)).toBeUndefined();
  });
});

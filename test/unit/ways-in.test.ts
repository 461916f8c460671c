import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import type { Endpoint } from "../../src/net/endpoint.js";
import { familyOf } from "../../src/net/ip.js";
import { type WaysInput, waysIn, waysWords, wayWords } from "../../src/resolve/core/ways-in.js";

const HOST = "svc.service.consul";

const endpoint = (address: string, port: number): Endpoint => {
  return { address, port, family: familyOf(address) ?? 4, priority: 1, weight: 1, target: "x" };
};

function ways(over: Partial<WaysInput> = {}, flags: Parameters<typeof loadConfig>[0]["flags"] = {}) {
  const { config } = loadConfig({ command: "resolve", flags, env: {} });
  const found = waysIn({
    ...{ settings: config, host: HOST, endpoints: [endpoint("10.0.0.1", 1), endpoint("fd00::1", 2)], isLocal: false },
    ...{ ownAddresses: ["10.0.0.9"], hostAddresses: [], hostsEntries: [] },
    ...over,
  });
  return { module: found.slice(0, 2), host: found.slice(2, -1), gateway: found.at(-1), words: found.map(wayWords) };
}

describe("the module's way", () => {
  test("dials the first endpoint of the VM's family", () => {
    expect(ways().module).toEqual([
      { way: "module", family: 4, dials: "10.0.0.1:1" },
      { way: "module", family: 6, dials: "[fd00::1]:2" },
    ]);
  });

  test("reaches nothing where there is no endpoint of that family", () => {
    expect(ways({ endpoints: [endpoint("10.0.0.1", 1)] }).module[1]).toMatchObject({ reason: "no IPv6 endpoint" });
    expect(ways({ endpoints: [] }).module[0]).toMatchObject({ reason: "not found" });
  });
});

describe("the host's way", () => {
  test("dials the address that it asked at, if the node is there", () => {
    expect(ways({ hostAddresses: ["10.0.0.1", "fd00::1"] }).host).toEqual([
      { way: "host", family: 4, asks: "10.0.0.1:4369", dials: "10.0.0.1:1" },
      { way: "host", family: 6, asks: "[fd00::1]:4369", dials: "[fd00::1]:2" },
    ]);
  });

  test("reaches nothing when the host is another machine than the node's, and says where that is", () => {
    expect(ways({ hostAddresses: ["10.0.0.7", "10.0.0.1"] }).host).toEqual([
      {
        ...{ way: "host", family: 4, asks: "10.0.0.7:4369" },
        reason: "the node is at 10.0.0.1:1, [fd00::1]:2, and it would dial 10.0.0.7",
      },
    ]);
  });

  test("reaches a node that lives here at each address of this machine", () => {
    const over = { endpoints: [endpoint("127.0.0.1", 1)], isLocal: true, hostAddresses: ["10.0.0.9"] };
    expect(ways(over).host).toEqual([{ way: "host", family: 4, asks: "10.0.0.9:4369", dials: "10.0.0.9:1" }]);
    expect(ways({ ...over, isLocal: false }).host[0]).not.toHaveProperty("dials");
  });

  test("ends where the host has no address", () => {
    expect(ways().host).toEqual([{ way: "host", reason: `this machine's resolver has no address for ${HOST}` }]);
  });

  test("asks the EPMD at --port", () => {
    expect(ways({ hostAddresses: ["10.0.0.1"] }, { port: "4400" }).host[0]?.asks).toBe("10.0.0.1:4400");
  });
});

describe("the gateway's way", () => {
  test("dials the loopback address that the host resolves to", () => {
    const { gateway, host, words } = ways({ hostAddresses: ["127.100.220.76"] });
    expect(gateway).toEqual({ way: "gateway", asks: "127.100.220.76:4369", dials: "127.100.220.76" });
    expect(host[0]).toMatchObject({ reason: `${HOST} resolves to a gateway address here` });
    expect(words.at(-1)).toContain("dials 127.100.220.76, where a relay leads to the node");
  });

  test("names the address of a host under --domain, and that it does not resolve to it here", () => {
    expect(ways({}, { domain: ["svc"] }).gateway).toEqual({
      ...{ way: "gateway", asks: "127.100.220.76:4369" },
      reason: `${HOST} does not resolve to 127.100.220.76 here: no gateway is in use`,
    });
  });

  test("is not there for a host that no gateway is known to serve", () => {
    expect(ways().gateway?.reason).toMatch(/no loopback address is known .* give its --domain or --gateway-domain/);
    expect(ways({}, { gatewayDomain: ["other"] }).gateway?.reason).toContain("it has those of other.service.consul");
    expect(ways({ host: "localhost" }).gateway?.reason).toBe("no loopback address stands for localhost");
    expect(ways({ host: "10.0.0.1" }).gateway?.reason).toBe("no loopback address stands for 10.0.0.1");
  });

  test("takes the address that /etc/hosts has", () => {
    const hostsEntries = [{ host: HOST, address: "127.64.0.5" }];
    expect(ways({ hostsEntries, hostAddresses: ["127.64.0.5"] }).gateway?.dials).toBe("127.64.0.5");
  });
});

test("ways that lead nowhere for one reason share its words", () => {
  const reason = "no srv-epmd answers on 127.0.0.1:4369";
  expect(
    waysWords([
      { way: "module", family: 4, reason },
      { way: "module", family: 6, reason },
      { way: "host", family: 4, asks: "10.0.0.1:4369", dials: "10.0.0.1:9" },
      { way: "host", family: 6, asks: "[fd00::1]:4369", reason: "not found" },
      { way: "gateway", reason },
    ]),
  ).toEqual([
    `module, IPv4 and IPv6: a VM with -epmd_module srv_epmd reaches nothing: ${reason}`,
    "host, IPv4: a stock VM asks the EPMD at 10.0.0.1:4369 and dials 10.0.0.1:9",
    "host, IPv6: a stock VM asks the EPMD at [fd00::1]:4369 and reaches nothing: not found",
    `gateway: ${reason}`,
  ]);
});

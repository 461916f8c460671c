import { describe, expect, test } from "vitest";
import { parseAgentDns, reachedAt } from "../../src/consul/core/agent-dns.js";
import { decidingServer, type ServerState } from "../../src/dns/core/knowledge.js";

describe("what an agent says of its DNS", () => {
  test("is where it listens over UDP, and its domains", () => {
    const DebugConfig = {
      DNSAddrs: ["tcp://127.0.0.1:8600", "udp://127.0.0.1:8600", "udp://[::]:8601", "udp://0.0.0.0:53"],
      ...{ DNSDomain: "Consul.", DNSAltDomain: "corp." },
    };
    expect(parseAgentDns({ DebugConfig })).toEqual({
      listens: [
        { address: "127.0.0.1", port: 8600 },
        { address: "::", port: 8601 },
        { address: "0.0.0.0", port: 53 },
      ],
      domains: ["consul", "corp"],
    });
  });

  test("is nothing where its DNS is off", () => {
    expect(parseAgentDns({ DebugConfig: { DNSAddrs: null, DNSDomain: "consul.", DNSAltDomain: "" } })).toEqual({
      listens: [],
      domains: ["consul"],
    });
    expect(parseAgentDns({ DebugConfig: { DNSAddrs: [] } })).toEqual({ listens: [], domains: [] });
  });

  test.each([
    [undefined],
    ["text"],
    [{}],
    [{ DebugConfig: {} }],
    [{ DebugConfig: { DNSAddrs: "udp://127.0.0.1:8600" } }],
  ])("cannot be read from %j", (body) => {
    expect(parseAgentDns(body)).toBeUndefined();
  });

  test("that is no address is left out", () => {
    const DNSAddrs = ["udp://localhost:8600", "udp://127.0.0.1:x", 7, null, "unix:///dns", "udp://10.0.0.1:8600"];
    expect(parseAgentDns({ DebugConfig: { DNSAddrs } })?.listens).toEqual([{ address: "10.0.0.1", port: 8600 }]);
  });
});

describe("the agent's DNS is reached", () => {
  const own = ["10.0.0.1", "fd00::1"];
  const reached = (consul: string, ...listens: string[]) =>
    reachedAt({ listens: listens.map((address) => ({ address, port: 8600 })) }, consul, (address) =>
      own.includes(address),
    ).map(({ address }) => address);

  test.each<[string, string, string, string[]]>([
    ["its loopback, where it is asked on loopback", "http://127.0.0.1:8500", "127.0.0.1", ["127.0.0.1"]],
    ["its loopback, where it is asked by name", "http://localhost:8500", "127.0.0.1", ["127.0.0.1"]],
    ["its loopback, through a socket of this machine", "unix:///run/consul.sock", "127.0.0.1", ["127.0.0.1"]],
    ["its loopback, where its address is ours", "http://10.0.0.1:8500", "127.0.0.1", ["127.0.0.1"]],
    ["its loopback, on another machine: nowhere", "http://10.0.0.9:8500", "127.0.0.1", []],
    ["its loopback, on a machine that is not known: nowhere", "http://consul.example:8500", "127.0.0.1", []],
    ["everywhere: where it is asked", "http://10.0.0.9:8500", "0.0.0.0", ["10.0.0.9"]],
    ["everywhere, IPv6 too: where it is asked", "https://[fd00::9]:8501", "::", ["fd00::9"]],
    ["everywhere by IPv4, and asked by IPv6 from its own machine", "http://[::1]:8500", "0.0.0.0", ["127.0.0.1"]],
    ["everywhere by IPv4, and asked by IPv6 from elsewhere: nowhere", "http://[fd00::9]:8500", "0.0.0.0", []],
    ["everywhere, on a machine whose address is not known: nowhere", "http://consul.example:8500", "0.0.0.0", []],
    ["at its address", "http://consul.example:8500", "10.0.0.9", ["10.0.0.9"]],
  ])("%s", (_, consul, listens, expected) => {
    expect(reached(consul, listens)).toEqual(expected);
  });

  test("once at each place", () => {
    expect(reached("http://127.0.0.1:8500", "127.0.0.1", "0.0.0.0", "10.0.0.1")).toEqual(["127.0.0.1", "10.0.0.1"]);
  });
});

test.each<[ServerState["kind"][], ServerState["kind"] | undefined]>([
  [["dead", "refuses", "foreign", "knows"], "foreign"],
  [["dead", "knows", "foreign"], "knows"],
  [["vague", "knows"], "vague"],
  [["dead", "refuses"], undefined],
  [[], undefined],
])("of servers that are asked in the order %j, %s decides", (kinds, expected) => {
  expect(decidingServer(kinds.map((kind) => ({ kind, said: "" })))?.kind).toBe(expected);
});

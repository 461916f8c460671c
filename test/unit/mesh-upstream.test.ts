import { describe, expect, test } from "vitest";
import { nomadUpstreamsTo, readNomadEnvironment } from "../../src/config/nomad.js";
import { listDestinations, resolveUpstream, upstreamsTo } from "../../src/mesh/core/upstreams.js";

const upstream = (destination: string, port: number, address = "127.0.0.1") => ({ destination, address, port });
const ANY = { family: "any" } as const;

describe("Nomad's variables of an upstream", () => {
  /** As Nomad sets them for `destination_name = "svc-node-b"`, `local_bind_port = 21002`. */
  const NOMAD = {
    "NOMAD_UPSTREAM_ADDR_svc-node-b": "127.0.0.1:21002",
    "NOMAD_UPSTREAM_IP_svc-node-b": "127.0.0.1",
    "NOMAD_UPSTREAM_PORT_svc-node-b": "21002",
    NOMAD_UPSTREAM_ADDR_svc_node_b: "127.0.0.1:21002",
    NOMAD_UPSTREAM_IP_svc_node_b: "127.0.0.1",
    NOMAD_UPSTREAM_PORT_svc_node_b: "21002",
  };
  const find = (destination: string, env: Record<string, string>) =>
    nomadUpstreamsTo(destination, readNomadEnvironment(env).upstreams);
  const read = (env: Record<string, string>) => readNomadEnvironment(env).upstreams;

  test("are found under the destination as it is written", () => {
    expect(find("svc-node-b", NOMAD)).toEqual([upstream("svc-node-b", 21002)]);
  });

  test("are found under the cleaned name where an environment cannot hold the other", () => {
    expect(find("svc-node-b", { NOMAD_UPSTREAM_ADDR_svc_node_b: "127.0.0.1:21002" })).toMatchObject([{ port: 21002 }]);
  });

  test("are found under the cleaned name that keeps dots, which some versions make", () => {
    expect(find("svc-b.x", { "NOMAD_UPSTREAM_ADDR_svc_b.x": "127.0.0.1:21002" })).toMatchObject([{ port: 21002 }]);
    expect(find("svc-b.x", { NOMAD_UPSTREAM_ADDR_svc_b_x: "127.0.0.1:21002" })).toMatchObject([{ port: 21002 }]);
  });

  test("of a node with underscores, which no service name in Nomad has, are those of the name with hyphens", () => {
    expect(find("svc-node_b", NOMAD)).toMatchObject([{ port: 21002 }]);
  });

  test("as it is written wins over another destination's cleaned name", () => {
    const both = { ...NOMAD, NOMAD_UPSTREAM_ADDR_svc_node_b: "127.0.0.1:21009" };
    expect(find("svc-node-b", both)).toMatchObject([{ port: 21002 }]);
  });

  test("may be address and port in two variables, or the port alone", () => {
    const split = { NOMAD_UPSTREAM_IP_b: "127.0.0.7", NOMAD_UPSTREAM_PORT_b: "21002", NOMAD_UPSTREAM_PORT_c: "21003" };
    expect(read(split)).toEqual([upstream("b", 21002, "127.0.0.7"), upstream("c", 21003)]);
  });

  test("have the lowest port and the highest, IPv6 in brackets, and are not taken from variables that only look alike", () => {
    const env = {
      NOMAD_UPSTREAM_ADDR_low: "127.0.0.1:1",
      NOMAD_UPSTREAM_ADDR_high: "127.0.0.1:65535",
      NOMAD_UPSTREAM_ADDR_six: "[fd00::7]:21002",
      MY_NOMAD_UPSTREAM_ADDR_x: "127.0.0.1:2",
      NOMAD_UPSTREAM_ADDR_: "127.0.0.1:3",
    };
    const six = upstream("six", 21002, "fd00::7");
    expect(read(env)).toEqual([upstream("low", 1), upstream("high", 65_535), six]);
    expect(read({ NOMAD_UPSTREAM_PORT_b: "21002x", NOMAD_UPSTREAM_PORT_c: "x21002" })).toEqual([]);
  });

  test.each([
    "",
    "127.0.0.1",
    "127.0.0.1:0",
    "127.0.0.1:1x",
    "x[::1]:1",
    "[::1]x:1",
    "127.0.0.1:65536",
    "host:1",
    ":21002",
  ])("%j is none", (text) => {
    expect(read({ NOMAD_UPSTREAM_ADDR_b: text })).toEqual([]);
  });

  test("are listed once, as they are written", () => {
    expect(read(NOMAD)).toEqual([upstream("svc-node-b", 21002)]);
    expect(read(Object.fromEntries(Object.entries(NOMAD).reverse()))).toEqual([upstream("svc-node-b", 21002)]);
    expect(listDestinations(read(NOMAD))).toBe("there are svc-node-b");
  });

  test("of two destinations that are cleaned to one name are both there, and that name alone means neither", () => {
    // As Nomad sets them for svc-x.y and svc-x-y: the cleaned variable has the value of one of the two.
    const both = {
      "NOMAD_UPSTREAM_ADDR_svc-x.y": "127.0.0.1:21005",
      "NOMAD_UPSTREAM_ADDR_svc-x-y": "127.0.0.1:21006",
      NOMAD_UPSTREAM_ADDR_svc_x_y: "127.0.0.1:21006",
    };
    expect(read(both)).toEqual([upstream("svc-x.y", 21005), upstream("svc-x-y", 21006)]);
    expect([find("svc-x.y", both), find("svc-x-y", both), find("svc-x_y", both)]).toEqual([
      [upstream("svc-x.y", 21005)],
      [upstream("svc-x-y", 21006)],
      [],
    ]);
  });
});

test("a destination is found in any case, as Consul finds it", () => {
  expect(upstreamsTo("svc-Node1", [upstream("SVC-node1", 1)])).toHaveLength(1);
});

describe("what a look-up gets of a listener", () => {
  test("is its address and port, and the destination for those who read it", () => {
    expect(resolveUpstream(ANY, true, [upstream("svc-b", 21002)])).toEqual({
      ...{ outcome: "found", source: "upstream", ttl: 0, stale: false },
      endpoints: [{ address: "127.0.0.1", port: 21002, family: 4, priority: 0, weight: 0, target: "svc-b" }],
    });
  });

  test("is the IPv4-mapped address for an inet6_tcp VM", () => {
    expect(resolveUpstream({ family: 6 }, true, [upstream("svc-b", 21002)])).toMatchObject({
      endpoints: [{ address: "::ffff:7f00:1", port: 21002, family: 6 }],
    });
    expect(resolveUpstream({ family: 6 }, true, [upstream("svc-b", 21002, "::1")])).toMatchObject({
      endpoints: [{ address: "::1", family: 6 }],
    });
  });

  test.each([
    ["an inet_tcp VM and a listener on IPv6", { family: 4 } as const, true, "::1", "not an IPv4 address"],
    ["a client elsewhere", ANY, false, "127.0.0.1", "out of reach for a client on another machine"],
    ["a host part that is another address", { ...ANY, onlyAddress: "10.0.0.2" }, true, "127.0.0.1", "not at 10.0.0.2"],
  ])("is nothing for %s", (_, question, sameHost, address, reason) => {
    expect(resolveUpstream(question, sameHost, [upstream("svc-b", 21002, address)])).toEqual({
      outcome: "not-found",
      code: "UPSTREAM_NO_ADDRESS",
      reason: expect.stringContaining(reason),
    });
  });
});

test("a reason lists what there is, not without end", () => {
  expect(listDestinations([])).toBe("there are none");
  const many = Array.from({ length: 14 }, (_, index) => upstream(`d${String(index).padStart(2, "0")}`, 1));
  expect(listDestinations(many)).toMatch(/^there are d00, .*, d11, and 2 more$/);
});

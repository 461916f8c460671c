import { describe, expect, test } from "vitest";
import { type Zone, zoneAnswer } from "../../src/dns/core/zone.js";

const ZONE: Zone = {
  domains: ["demo.test", "deep.demo.test"],
  nodes: [
    { owner: "node_a.demo.test", port: 9100, weight: 5, addresses: ["127.0.0.1"] },
    { owner: "node_b.demo.test", port: 9200, weight: 1, addresses: ["10.0.0.1", "2001:db8::7"] },
    { owner: "node_b.demo.test", port: 9300, weight: 1, addresses: ["10.0.0.1"] },
    { owner: "x.sub.demo.test", port: 9400, weight: 1, addresses: ["10.0.0.4"] },
  ],
};
const ask = (qname: string, qtype: string, qclass = "IN") => zoneAnswer({ qname, qtype, qclass }, ZONE);
const addresses = (qname: string, qtype: string) =>
  ask(qname, qtype).answers.map((record) =>
    record.type === "A" || record.type === "AAAA" ? record.address : record.type,
  );

describe("the zone of the nodes here", () => {
  test("gives a node's SRV record, its target an address in hex, and that address along with it", () => {
    expect(ask("Node_A.Demo.Test", "SRV")).toEqual({
      rcode: "NOERROR",
      aa: true,
      answers: [
        {
          type: "SRV",
          owner: "node_a.demo.test",
          ttl: 0,
          priority: 1,
          weight: 5,
          port: 9100,
          target: "7f000001.addr.demo.test",
        },
      ],
      authorities: [],
      additionals: [{ type: "A", owner: "7f000001.addr.demo.test", ttl: 0, address: "127.0.0.1" }],
    });
  });

  test("gives one SRV record for every instance and address, and each address once", () => {
    const { answers, additionals } = ask("node_b.demo.test", "SRV");
    const v6 = "20010db8000000000000000000000007.addr.demo.test";
    expect(answers.map((record) => record.type === "SRV" && [record.port, record.target])).toEqual([
      [9200, "0a000001.addr.demo.test"],
      [9200, v6],
      [9300, "0a000001.addr.demo.test"],
    ]);
    expect(additionals).toEqual([
      { type: "A", owner: "0a000001.addr.demo.test", ttl: 0, address: "10.0.0.1" },
      { type: "AAAA", owner: v6, ttl: 0, address: "2001:db8::7" },
    ]);
  });

  test("gives the addresses of a node and of the hex names, by family", () => {
    expect(addresses("node_b.demo.test", "A")).toEqual(["10.0.0.1"]);
    expect(addresses("node_b.demo.test", "AAAA")).toEqual(["2001:db8::7"]);
    expect(addresses("0A000001.addr.demo.test", "A")).toEqual(["10.0.0.1"]);
    expect(addresses("20010db8000000000000000000000007.addr.demo.test", "AAAA")).toEqual(["2001:db8::7"]);
  });

  test.each([
    ["a node without IPv6", "node_a.demo.test", "AAAA"],
    ["a node asked for TXT", "node_a.demo.test", "TXT"],
    ["the domain itself", "demo.test", "A"],
    ["a second domain, which has no node", "deep.demo.test", "SRV"],
    ["the name above all hex names", "addr.demo.test", "A"],
    ["a name that has a node below it (RFC 8020)", "sub.demo.test", "SRV"],
    ["an IPv4 address's name asked for AAAA", "0a000001.addr.demo.test", "AAAA"],
    ["an address's name asked for SRV", "0a000001.addr.demo.test", "SRV"],
  ])("says NODATA for %s", (_, qname, qtype) => {
    const answer = ask(qname, qtype);
    expect(answer).toMatchObject({ rcode: "NOERROR", aa: true, answers: [], additionals: [] });
    expect(answer.authorities).toMatchObject([{ type: "SOA", ttl: 0, minimum: 0 }]);
  });

  test.each([
    ["no node's name", "node_z.demo.test"],
    ["a name below a node's", "x.node_a.demo.test"],
    ["hex of no address", "0a0000.addr.demo.test"],
    ["part of a node's name", "ode_a.demo.test"],
    ["hex with something before it", "x0a000001.addr.demo.test"],
    ["hex with something behind its label", "0a000001.addr.x.demo.test"],
  ])("says NXDOMAIN for %s, and that it is not to be kept", (_, qname) => {
    const answer = ask(qname, "SRV");
    expect(answer).toMatchObject({ rcode: "NXDOMAIN", aa: true, answers: [] });
    expect(answer.authorities).toMatchObject([{ type: "SOA", owner: "demo.test", ttl: 0, minimum: 0 }]);
  });

  test.each([
    ["a name outside", "node_a.other.test", "IN"],
    ["a name that only ends alike", "node_a.mydemo.test", "IN"],
    ["another class", "node_a.demo.test", "CLASS3"],
  ])("refuses %s", (_, qname, qclass) => {
    expect(ask(qname, "SRV", qclass)).toMatchObject({ rcode: "REFUSED", aa: false, answers: [], authorities: [] });
  });

  test("gives the SOA of its longest domain", () => {
    expect(ask("deep.demo.test", "SOA").answers).toMatchObject([{ type: "SOA", owner: "deep.demo.test" }]);
    expect(ask("nobody.deep.demo.test", "SRV").authorities).toMatchObject([{ owner: "deep.demo.test" }]);
    expect(ask("demo.test", "SOA")).toMatchObject({
      rcode: "NOERROR",
      answers: [{ owner: "demo.test", mname: "ns.demo.test", rname: "hostmaster.demo.test" }],
    });
    expect(ask("node_a.demo.test", "SOA")).toMatchObject({ rcode: "NOERROR", answers: [] });
  });

  test("passes over what is no address, and knows a node that has none", () => {
    const nodes = [{ owner: "odd.demo.test", port: 1, weight: 1, addresses: ["rubbish", "10.0.0.1"] }];
    const odd = (qtype: string) =>
      zoneAnswer({ qname: "odd.demo.test", qtype, qclass: "IN" }, { domains: ["demo.test"], nodes });
    expect(odd("SRV").answers).toMatchObject([{ target: "0a000001.addr.demo.test" }]);
    expect(odd("A").answers).toMatchObject([{ address: "10.0.0.1" }]);
    const bare = { domains: ["demo.test"], nodes: [{ owner: "bare.demo.test", port: 1, weight: 1, addresses: [] }] };
    expect(zoneAnswer({ qname: "bare.demo.test", qtype: "SRV", qclass: "IN" }, bare)).toMatchObject({
      rcode: "NOERROR",
      answers: [],
      authorities: [{ type: "SOA" }],
    });
  });
});

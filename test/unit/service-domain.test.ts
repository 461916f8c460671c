import { describe, expect, test } from "vitest";
import { domainRule } from "../../src/config/network-values.js";
import { domainOf, expandHost, parseServiceDomain, qualifiedDomain, readConsulName } from "../../src/names/domains.js";

describe("a host part", () => {
  const keep = new Set(["localhost", "box1"]);

  test.each([
    ["svc", "svc.service.consul"],
    ["svc.service.consul", "svc.service.consul"],
    ["other.example", "other.example"],
    ["localhost", "localhost"],
    ["box1", "box1"],
    ["10.0.0.1", "10.0.0.1"],
    ["::1", "::1"],
  ])("%s stands for %s", (host, expanded) => {
    expect(expandHost(host, "service.consul", keep)).toBe(expanded);
  });

  test("takes Consul's domain as it is configured", () => {
    expect(expandHost("svc", "service.cluster.example", keep)).toBe("svc.service.cluster.example");
  });
});

test.each([
  ["svc", "svc.service.consul"],
  ["demo.test", "demo.test"],
  ["localhost", "localhost"],
])("--domain %s means %s on every machine", (domain, qualified) => {
  expect(qualifiedDomain(domain, "consul")).toBe(qualified);
});

describe("the domain of an alive name", () => {
  const rules = ["web*=web.service.consul", "db?=db.service.consul", "rest.service.consul"].map(domainRule);

  test.each([
    ["web", "web.service.consul"],
    ["web_1", "web.service.consul"],
    ["db1", "db.service.consul"],
    ["db", "rest.service.consul"],
  ])("%s is the first rule's that matches: %s", (aliveName, domain) => {
    expect(domainOf(aliveName, rules)).toBe(domain);
  });

  test("is unknown when no rule matches", () => {
    expect(domainOf("other", rules.slice(0, 2))).toBeUndefined();
  });
});

describe("a domain of Consul", () => {
  test.each([
    ["svc.service.consul", { service: "svc", tagSuffix: undefined, datacenter: undefined }],
    ["svc.service.dc1.consul", { service: "svc", tagSuffix: undefined, datacenter: "dc1" }],
    ["n1.svc.service.consul", { service: "svc", tagSuffix: "n1", datacenter: undefined }],
    ["a.b.svc.service.dc1.consul", { service: "svc", tagSuffix: "a.b", datacenter: "dc1" }],
    ["service.service.consul", { service: "service", tagSuffix: undefined, datacenter: undefined }],
    ["node.service.consul", { service: "node", tagSuffix: undefined, datacenter: undefined }],
    ["svc.service.dc1.dc.consul", { service: "svc", tagSuffix: undefined, datacenter: "dc1" }],
    ["svc.service.p1.ap.dc1.dc.consul", { service: "svc", tagSuffix: undefined, datacenter: "dc1" }],
    ["n1.svc.service.default.ns.default.ap.consul", { service: "svc", tagSuffix: "n1", datacenter: undefined }],
  ])("%s is taken apart", (domain, parts) => {
    expect(parseServiceDomain(domain, "consul")).toEqual(parts);
  });

  test.each([
    "consul",
    "service.consul",
    "svc.example",
    "svc.service.notconsul",
    "svc.service.a.b.consul",
    "svc.consul",
  ])("%s names no service", (domain) => {
    expect(parseServiceDomain(domain, "consul")).toBeUndefined();
  });

  test.each([
    ["svc.query.consul", "prepared query"],
    ["svc.query.dc1.consul", "prepared query"],
    ["box1.node.consul", "machine"],
    ["svc.service.node.consul", "machine"],
    ["svc.connect.consul", "Connect proxies"],
    ["svc.virtual.consul", "virtual address"],
    ["svc.ingress.consul", "ingress gateways"],
    ["0a000001.addr.dc1.consul", "address"],
    ["svc.service.team.ns.consul", "the namespace team"],
    ["svc.service.team.ns.default.ap.dc1.dc.consul", "the namespace team"],
    ["svc.service.west.peer.consul", "the peer west"],
    ["svc.service.all.sg.consul", "sameness group all"],
    ["svc.service.team.dc1.consul", "neither a datacenter nor pairs such as dc1.dc: team.dc1"],
    ["_svc._tcp.service.consul", "RFC 2782"],
    ["svc.consul", "was svc.service.consul meant?"],
    ["constructor.consul", "was constructor.service.consul meant?"],
    ["service.consul", "names no service"],
    ["consul", "whole domain"],
  ])("%s is read as Consul's DNS reads it, and is not what nodes are published under", (domain, reason) => {
    expect(readConsulName(domain, "consul")).toEqual({ kind: "other", reason: expect.stringContaining(reason) });
    expect(parseServiceDomain(domain, "consul")).toBeUndefined();
  });

  test("is Consul's own only", () => {
    expect(readConsulName("svc.query.example", "consul")).toBeUndefined();
  });

  test("may have several labels", () => {
    expect(parseServiceDomain("svc.service.c.example", "c.example")?.service).toBe("svc");
  });
});

import { describe, expect, test } from "vitest";
import { Domains, serviceDomainOf } from "../../src/names/domains.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { isNomadHost, parseNomadService, readNomadName } from "../../src/names/nomad-domain.js";
import { publishesToConsul } from "../../src/publish/core/publication.js";
import { serveConfig } from "../support/registered-node.js";

const LABEL_63 = "a".repeat(63);

describe("a name under Nomad's domain", () => {
  test.each([
    ["svc.service.nomad", { service: "svc", namespace: undefined }],
    ["svc.prod.service.nomad", { service: "svc", namespace: "prod" }],
    ["svc.-x-.service.nomad", { service: "svc", namespace: "-x-" }],
    ["0.service.nomad", { service: "0", namespace: undefined }],
    [`${LABEL_63}.${LABEL_63}.service.nomad`, { service: LABEL_63, namespace: LABEL_63 }],
    ["service.service.nomad", { service: "service", namespace: undefined }],
  ])("%s is a service", (name, service) => {
    expect(parseNomadService(name, "consul")).toEqual(service);
    expect(isNomadHost(name, "consul")).toBe(true);
  });

  test.each([
    ["service.nomad", "it names no service"],
    ["a.b.c.service.nomad", "3 labels"],
    ["-svc.service.nomad", '"-svc" is no service'],
    ["svc-.service.nomad", '"svc-" is no service'],
    ["s_vc.service.nomad", '"s_vc" is no service'],
    ["svc.my_ns.service.nomad", '"my_ns" is no namespace'],
    [`${LABEL_63}a.service.nomad`, "at most 63"],
    [`svc.${LABEL_63}a.service.nomad`, "at most 63"],
  ])("%s is none: %s", (name, reason) => {
    expect(readNomadName(name, "consul")).toMatchObject({ kind: "other", reason: expect.stringContaining(reason) });
    expect(parseNomadService(name, "consul")).toBeUndefined();
    expect(isNomadHost(name, "consul")).toBe(true);
  });

  test.each(["svc.service.consul", "svc.nomad", "nomad", "svc.myservice.nomad", "svc.service.nomad.example", "svc"])(
    "%s is not under it",
    (name) => {
      expect(readNomadName(name, "consul")).toBeUndefined();
    },
  );

  test("is Consul's where Consul's own domain is nomad", () => {
    for (const consulDomain of ["nomad", "service.nomad"]) {
      expect(readNomadName("svc.service.nomad", consulDomain), consulDomain).toBeUndefined();
    }
  });
});

describe("a service that is written as a word", () => {
  const serviceDomain = (...domain: string[]) => serviceDomainOf(serveConfig({ domain }));

  test.each([
    [[], "service.consul"],
    [["svc"], "service.consul"],
    [["demo.test"], "service.consul"],
    [["svc.service.nomad"], "service.nomad"],
    [["svc.prod.service.nomad"], "prod.service.nomad"],
    [["a*=svc.prod.service.nomad", "b.service.nomad"], "prod.service.nomad"],
    // One that is Consul's, or unknown: as it always was.
    [["a*=svc.service.nomad", "svc"], "service.consul"],
  ])("with --domain %j is under %s", (domain, expected) => {
    expect(serviceDomain(...domain)).toBe(expected);
  });

  test("is looked up there, and the machine's own names stay as they are", () => {
    const machine = { names: new Set(["localhost", "box1"]), addresses: () => [] };
    const domains = new Domains(serveConfig({ domain: ["svc.service.nomad"] }), machine);
    expect(["other", "box1", "a.example", "10.0.0.1"].map((host) => domains.expand(host))).toEqual([
      "other.service.nomad",
      "box1",
      "a.example",
      "10.0.0.1",
    ]);
  });
});

test("names under Nomad's domain have no search list, whatever --domain is", () => {
  const domains = new Domains(serveConfig({ domain: ["svc"] }), { names: new Set(), addresses: () => [] });
  expect(domains.isRelative(parseNodeName("a@svc.service.nomad"))).toBe(false);
  expect(domains.isRelative(parseNodeName("a@svc.example"))).toBe(true);
});

test("nothing is published in Consul for a --domain of Nomad's", () => {
  expect(publishesToConsul(serveConfig({ domain: ["svc.service.nomad"] }))).toBe(false);
  expect(publishesToConsul(serveConfig({ domain: ["a*=svc.service.nomad", "svc"] }))).toBe(true);
});

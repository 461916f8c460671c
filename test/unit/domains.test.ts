import { describe, expect, test } from "vitest";
import { Domains } from "../../src/names/domains.js";
import type { Machine } from "../../src/os/machine.js";
import { serveConfig } from "../support/registered-node.js";

const MACHINE: Machine = {
  hostName: "box1",
  names: new Set(["localhost", "box1"]),
  addresses: () => ["127.0.0.1", "::1", "10.0.0.1"],
};
const ofMachine = ["localhost", "box1", "127.0.0.1", "127.64.0.3", "::1", "10.0.0.1"];

function isOurs(flags: Parameters<typeof serveConfig>[0]) {
  const domains = new Domains(serveConfig(flags), MACHINE);
  return (aliveName: string, host: string) => domains.isOurs(aliveName, host);
}

describe("a node here is the one that is meant", () => {
  test("under its domain, under --node-host, and at names and addresses of this machine", () => {
    const test = isOurs({ domain: ["svc"], nodeHost: "box1.example" });
    for (const host of [...ofMachine, "svc.service.consul", "box1.example"]) expect(test("web", host), host).toBe(true);
    for (const host of ["other.service.consul", "10.0.0.2"]) expect(test("web", host), host).toBe(false);
  });

  describe("unless --publish leaves its name out, where the host is a service's", () => {
    const test_ = isOurs({ domain: ["svc"], publish: ["web*", "cli"] });

    test.each([
      ["node_b", false],
      ["other", false],
      ["web_1", true],
      ["cli", true],
      // Nobody else has it, and RabbitMQ dials it.
      ["rabbitmqcli-12-rabbit", true],
    ])("%s: %s", (aliveName, ours) => {
      expect(test_(aliveName, "svc.service.consul")).toBe(ours);
      for (const host of ofMachine) expect(test_(aliveName, host), host).toBe(true);
    });

    test("in a zone of our own and by --node-host too", () => {
      expect(isOurs({ domain: ["demo.test"], dnsListen: "127.0.0.1:0", publish: ["web"] })("a", "demo.test")).toBe(
        false,
      );
      const hosted = isOurs({ domain: ["svc"], nodeHost: "mq.service.consul", publish: ["web"] });
      expect([hosted("a", "mq.service.consul"), hosted("web", "mq.service.consul")]).toEqual([false, true]);
    });

    test("but not by a name of this machine alone", () => {
      expect(isOurs({ domain: ["svc"], nodeHost: "box1.example", publish: ["web"] })("a", "box1.example")).toBe(true);
    });
  });
});

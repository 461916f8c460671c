import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { createResolver, type Resolver } from "../../src/dns/resolver.js";
import { AddressLookup } from "../../src/resolve/addresses.js";
import type { NodeQuestion, Resolution } from "../../src/resolve/core/resolution.js";
import type { Source } from "../../src/resolve/source.js";
import { createSrvSource } from "../../src/resolve/srv-source.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { requirePeer } from "../support/require-peer.js";

const log = createLogger({ level: "silent", format: "json", write: () => {} });
const HOST = "erl.service.consul";

requirePeer("consul")("the answers of a real Consul agent", () => {
  let consul: Consul;
  let resolver: Resolver;
  let source: Source;
  beforeAll(async () => {
    consul = await startConsul();
    resolver = createResolver({
      dns: [{ address: "127.0.0.1", port: consul.dnsPort, domain: "consul" }],
      maxTtl: 1_000,
      staleTtl: 0,
      log,
    });
    source = createSrvSource({
      resolver,
      addresses: new AddressLookup(resolver, { addressesOf: () => [] }),
      srvName: "{name}.{host}",
      family: "any",
      random: Math.random,
      localAddresses: () => ["127.0.0.1", "::1", "192.0.2.2", "2001:db8:1::2"],
      addressesToo: false,
    });
  });
  afterAll(async () => {
    await resolver?.close();
    await consul?.stop();
  });

  async function register(id: string, tag: string, service: object): Promise<void> {
    const body = { ID: id, Name: "erl", Tags: [tag], ...service };
    expect(await consul.request("PUT", "/v1/agent/service/register", body)).toMatchObject({ status: 200 });
  }
  async function lookUp(aliveName: string): Promise<Resolution & { queries: number }> {
    const question: NodeQuestion = { node: { aliveName, host: HOST, family: undefined, form: "full" }, family: "any" };
    let queries = 0;
    const trace = () => {
      queries += 1;
    };
    const resolution = await source.lookUp(question, { deadline: performance.now() + 4_000, sameHost: true, trace });
    return { ...resolution, queries };
  }

  test("lead to a node with one query, over IPv4 and IPv6, upper case and underscores included", async () => {
    await register("a", "Node_A", { Address: "10.1.2.3", Port: 20001 });
    await register("b", "node_b", { Address: "2001:db8::7", Port: 20002 });
    expect(await lookUp("Node_A")).toMatchObject({
      outcome: "found",
      endpoints: [{ address: "10.1.2.3", port: 20001, family: 4, target: "0a010203.addr.dc1.consul" }],
      queries: 1,
    });
    expect(await lookUp("node_b")).toMatchObject({ endpoints: [{ address: "2001:db8::7", family: 6 }], queries: 1 });
  });

  test("are complete with more than the three instances that Consul gives without EDNS(0)", async () => {
    for (let i = 0; i < 8; i++) await register(`many-${i}`, "many", { Address: `10.2.0.${i}`, Port: 9000 + i });
    const found = await lookUp("many");
    expect(found).toMatchObject({ outcome: "found", queries: 1 });
    expect(found.outcome === "found" && found.endpoints).toHaveLength(8);
  });

  test("name no port for a service registered without one", async () => {
    await register("portless", "portless", { Address: "10.1.2.3" });
    expect(await lookUp("portless")).toMatchObject({ outcome: "not-found", reason: expect.stringContaining("port 0") });
  });

  test("with a host name as address are followed to that name's addresses", async () => {
    await register("named", "named", { Address: `Node_A.${HOST}`, Port: 20009 });
    expect(await lookUp("named")).toMatchObject({
      outcome: "found",
      endpoints: [{ address: "10.1.2.3", port: 20009 }],
    });
  });

  test("are NXDOMAIN for a tag that nobody has, and that is what the reason says", async () => {
    expect(await lookUp("nobody")).toMatchObject({
      outcome: "not-found",
      reason: `nobody.${HOST} has no SRV record (NXDOMAIN from 127.0.0.1:${consul.dnsPort})`,
    });
  });
});

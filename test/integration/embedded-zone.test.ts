import { expect, test } from "vitest";
import { startEmbeddedDns } from "../../src/dns/embedded.js";
import { Registry } from "../../src/epmd/core/registry.js";
import { dnsClient } from "../support/dns-client.js";
import { collectLog } from "../support/log-lines.js";
import { registration, serveConfig } from "../support/registered-node.js";

test("a node that registered with port 0 is not in the embedded zone: nobody could dial it", async () => {
  const registry = new Registry();
  registry.register(registration("deaf", 0), 0);
  registry.register(registration("one", 20001), 0);
  const config = serveConfig({ domain: ["demo.test"], dnsListen: "127.0.0.1:0" });
  const zone = await startEmbeddedDns({ address: "127.0.0.1", port: 0 }, registry, config, collectLog().log);
  try {
    const dns = dnsClient(zone.port);
    expect((await dns.srv("one.demo.test")).map(({ port }) => port)).toEqual([20001]);
    expect(await dns.srv("deaf.demo.test")).toEqual([]);
  } finally {
    await zone.close();
  }
});

test("a name that --publish leaves out is not in the embedded zone", async () => {
  const registry = new Registry();
  for (const name of ["web", "other"]) registry.register(registration(name, 20001), 0);
  const config = serveConfig({ domain: ["demo.test"], dnsListen: "127.0.0.1:0", publish: ["web"] });
  const zone = await startEmbeddedDns({ address: "127.0.0.1", port: 0 }, registry, config, collectLog().log);
  try {
    const dns = dnsClient(zone.port);
    expect((await dns.srv("web.demo.test")).map(({ port }) => port)).toEqual([20001]);
    expect(await dns.srv("other.demo.test")).toEqual([]);
  } finally {
    await zone.close();
  }
});

import { describe, expect, test } from "vitest";
import type { Probe } from "../../src/distribution/core/words.js";
import { parseNodeName } from "../../src/names/node-name.js";
import type { Endpoint } from "../../src/net/endpoint.js";
import type { Resolution } from "../../src/resolve/core/resolution.js";
import type { PublishedDeps } from "../../src/resolve/published-elsewhere.js";
import { vmsNamed } from "../../src/resolve/twins.js";
import { serveConfig } from "../support/registered-node.js";

const FULL = "a@svc.service.consul";

const place = (address: string, family: 4 | 6 = 4): Endpoint => {
  return { address, port: 9100, family, priority: 0, weight: 1, target: address };
};
const nodeProbe = (creation: number): Probe => ({
  ...{
    result: "node",
    name: FULL,
    version: 6,
    creation,
    hidden: false,
    flags: ["PUBLISHED"],
    release: "",
    status: "ok",
  },
  elapsedMs: 1,
});

/** Where the VMs of a node that lives here are found, and which places were asked. */
async function look(published: readonly Endpoint[], over: Partial<PublishedDeps> = {}) {
  const found: Resolution = { outcome: "found", source: "srv", ttl: 0, stale: false, endpoints: published };
  const asked: string[] = [];
  const here = { endpoint: place("127.0.0.1"), probe: nodeProbe(7) };
  const vms = await vmsNamed(
    { name: parseNodeName(FULL), full: FULL, source: "registry", places: [here] },
    async ({ address }) => {
      asked.push(address);
      return nodeProbe(8);
    },
    {
      nodes: { resolve: async () => found },
      settings: serveConfig({ domain: ["svc"] }),
      ownAddresses: () => ["10.0.0.1", "fd00::1"],
      agent: async () => ({ members: async () => [] }),
      ...over,
    },
  );
  return { vms: vms.map(({ endpoint, origin }) => `${endpoint.address} ${origin}`), asked };
}

describe("the VMs of the name of a node that lives here", () => {
  test("are that node and the one elsewhere whose creation is another", async () => {
    const { vms, asked } = await look([place("10.0.0.1"), place("10.0.0.2")]);
    expect([vms, asked]).toEqual([["127.0.0.1 here", "10.0.0.2 elsewhere"], ["10.0.0.2"]]);
  });

  test("are looked for at four places, of which those that may be its own come last", async () => {
    const doubtful = [1, 2, 3, 4].map((last) => place(`192.0.2.${last}`));
    const { asked } = await look([...doubtful, place("fd00::1", 6), place("fd00::2", 6)]);
    expect(Array.from(new Set(asked))).toEqual(["fd00::2", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
  });

  test("are found within two seconds where the way to the agent hangs", async () => {
    const startedAt = performance.now();
    const { vms } = await look([place("10.0.0.2")], { agent: () => new Promise(() => {}) });
    expect(vms).toEqual(["127.0.0.1 here", "10.0.0.2 elsewhere"]);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });
});

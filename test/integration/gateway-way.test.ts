import { describe, expect, test } from "vitest";
import { Registry } from "../../src/epmd/core/registry.js";
import { identifyPeer } from "../../src/epmd/peer.js";
import { lookUpAtGateway } from "../../src/gateway/way.js";
import type { NodeName } from "../../src/names/node-name.js";
import type { Endpoint } from "../../src/net/endpoint.js";
import type { Resolution } from "../../src/resolve/core/resolution.js";
import type { ResolveOptions } from "../../src/resolve/node-resolver.js";
import { portPlease2, recorded } from "../support/looked-up.js";
import { registration } from "../support/registered-node.js";

const ADDRESS = "127.64.0.9";
const HOST = "svc.service.consul";
const PEER = identifyPeer("127.0.0.1", 40000, ADDRESS, []);
const NOT_FOUND = { type: "PORT2_RESP", result: 1 };

const endpoint: Endpoint = { address: "10.0.0.9", port: 20009, family: 4, priority: 1, weight: 1, target: "t.test" };
const found: Resolution = { outcome: "found", source: "srv", endpoints: [endpoint], ttl: 0, stale: false };

interface Situation {
  readonly resolution: Resolution;
  readonly registry?: Registry;
  readonly accepts?: boolean;
  readonly relayFailure?: string;
  readonly forwarded?: boolean;
}

/** What a client gets at the address of the gateway, what was resolved and relayed for it, and what the log says. */
async function ask(name: string, { resolution, registry = new Registry(), ...situation }: Situation, peer = PEER) {
  const resolved: { name: NodeName; options: ResolveOptions }[] = [];
  const relayed: unknown[] = [];
  const lookedUp = await lookUpAtGateway(portPlease2(name, situation.forwarded), peer, {
    registry,
    nodes: {
      resolve: (full, options) => {
        resolved.push({ name: full, options });
        return resolution;
      },
    },
    hostOf: (address) => (address === ADDRESS ? HOST : undefined),
    relay: async (target) => {
      relayed.push(target);
      const { relayFailure: reason } = situation;
      return reason === undefined ? { outcome: "relayed", port: 61000 } : { outcome: "failed", reason };
    },
    accepts: async () => situation.accepts ?? true,
  });
  return { ...lookedUp, resolved, relayed, lines: recorded(lookedUp, peer).lines };
}

const withLocal = (more: { address?: string } = {}) => {
  const registry = new Registry();
  const node = registry.register(registration("n", 9100, more), 0);
  if (!node) throw new Error("not registered");
  const local: Endpoint = { ...endpoint, address: "127.0.0.1", port: 9100 };
  return { registry, resolution: { ...found, source: "registry", endpoints: [local], description: node } as const };
};

describe("a look-up at an address that stands for a host", () => {
  test("is for the node of that host, and answered with the port of a relay at that address", async () => {
    const { response, resolved, relayed } = await ask("n", { resolution: found });
    expect(response).toMatchObject({ result: 0, port: 61000, aliveName: "n", nodeType: 77, highestVersion: 6 });
    expect(resolved).toMatchObject([{ name: { aliveName: "n", host: HOST }, options: { sameHost: true } }]);
    expect(relayed).toEqual([{ node: `n@${HOST}`, address: ADDRESS, endpoints: [endpoint] }]);
  });

  test("may name that host, and no other: a relay would lead anywhere", async () => {
    expect((await ask(`n.${HOST}`, { resolution: found })).relayed).toMatchObject([{ node: `n@${HOST}` }]);
    for (const name of ["n.other.test", "n.10.0.0.9", `n.x.${HOST}`]) {
      const { response, resolved, relayed, noPort } = await ask(name, { resolution: found });
      expect({ response, resolved, relayed, outcome: noPort?.outcome }).toEqual({
        ...{ response: NOT_FOUND, resolved: [], relayed: [], outcome: "refused" },
      });
    }
  });

  test("is refused from another machine, which route_localnet lets in", async () => {
    const { response, resolved, noPort } = await ask(
      "n",
      { resolution: found },
      identifyPeer("10.0.0.2", 1, ADDRESS, []),
    );
    expect([response, resolved, noPort?.outcome]).toEqual([NOT_FOUND, [], "refused"]);
  });

  test("says of the node what it said itself", async () => {
    const description = { nodeType: 72, protocol: 0, highestVersion: 6, lowestVersion: 6, extra: Buffer.alloc(0) };
    const { response } = await ask("n", { resolution: { ...found, description } });
    expect(response).toMatchObject({ nodeType: 72, lowestVersion: 6, port: 61000 });
  });

  test("is answered with a local node's own port where that accepts, without a relay", async () => {
    const { response, relayed } = await ask("n", withLocal());
    expect([response, relayed]).toMatchObject([{ port: 9100 }, []]);
  });

  test("leads to a local node that is bound to 127.0.0.1 through a relay", async () => {
    const { response, relayed } = await ask("n", { ...withLocal(), accepts: false });
    expect([response, relayed]).toMatchObject([
      { port: 61000 },
      [{ endpoints: [{ address: "127.0.0.1", port: 9100 }] }],
    ]);
  });

  test("leads to a node that registered from another machine through a relay", async () => {
    const { response } = await ask("n", withLocal({ address: "10.0.0.7" }));
    expect(response).toMatchObject({ port: 61000 });
  });

  test("leaves it to the relay to try the endpoints", async () => {
    const { resolved } = await ask("n", { resolution: found });
    expect(resolved[0]?.options.mayProbe).toBe(false);
  });

  test("that comes from another srv-epmd is not passed on", async () => {
    const asStranger = async (forwarded: boolean) => {
      const { resolved } = await ask("n", { resolution: found, forwarded });
      return resolved[0]?.options.forStranger;
    };
    expect([await asStranger(true), await asStranger(false)]).toEqual([true, false]);
  });

  test.each([
    ["not-found", { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "no such name" }, "node not found"],
    ["unavailable", { outcome: "unavailable", code: "DNS_TIMEOUT", cause: "DNS is silent" }, "look-up failed"],
  ] as const)("that is %s gets the answer of stock EPMD, and the log the reason", async (_how, resolution, msg) => {
    const { response, lines } = await ask("n", { resolution });
    expect(response).toEqual(NOT_FOUND);
    expect(lines).toMatchObject([{ msg, node: `n@${HOST}` }]);
  });

  test("that no relay can serve is not found; the log and the observers are told why", async () => {
    const { response, lines, noPort } = await ask("n", { resolution: found, relayFailure: "no port is free" });
    expect(response).toEqual(NOT_FOUND);
    expect(lines).toMatchObject([{ level: "warn", node: `n@${HOST}`, reason: "no port is free" }]);
    expect(noPort).toEqual({ outcome: "unreachable", reason: "no port is free" });
  });
});

test("a look-up at an address that stands for nothing is logged and not found", async () => {
  const { response, lines, resolved } = await ask("n", { resolution: found }, { ...PEER, dialled: "127.64.0.10" });
  expect([response, resolved]).toEqual([NOT_FOUND, []]);
  expect(lines).toMatchObject([
    { node: "n", reason: "127.64.0.10 is an address of the gateway that stands for no host" },
  ]);
});

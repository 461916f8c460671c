import { describe, expect, test } from "vitest";
import { Registry } from "../../src/epmd/core/registry.js";
import { type LookedUp, lookUp } from "../../src/epmd/look-up.js";
import { identifyPeer } from "../../src/epmd/peer.js";
import { decodeEndpoints } from "../../src/epmd/wire/responses.js";
import { lookUpAtGateway } from "../../src/gateway/way.js";
import type { Found, SourceName } from "../../src/resolve/core/resolution.js";
import type { ResolveOptions } from "../../src/resolve/node-resolver.js";
import { TRAITS } from "../../src/resolve/source.js";
import { portPlease2, recorded } from "../support/looked-up.js";
import { registration } from "../support/registered-node.js";

const upstream = (address: string, port: number): Found => ({
  ...{ outcome: "found", source: "upstream", ttl: 0, stale: false },
  endpoints: [{ address, port, family: 4, priority: 0, weight: 0, target: "svc-b" }],
});
const LOCAL = identifyPeer("127.0.0.1", 40000, "127.0.0.1", []);

/** What a client gets for a node behind this upstream. */
function ask(name: string, peer: typeof LOCAL, found = upstream("127.0.0.1", 21002), forwarded = false) {
  const registry = new Registry();
  registry.register(registration("a", 9100), 0);
  const asked: ResolveOptions[] = [];
  const resolve = (_: unknown, options: ResolveOptions) => {
    asked.push(options);
    return found;
  };
  const deps = { registry, nodes: { resolve }, advertisedPort: () => 9100, gateway: () => undefined };
  const lookedUp = lookUp(portPlease2(name, forwarded), peer, deps) as LookedUp;
  const isAllowed = (source: SourceName) => !asked[0]?.forStranger || TRAITS[source].forStrangers;
  return { response: lookedUp.response, lines: recorded(lookedUp, peer).lines, isAllowed };
}

describe("a node behind a Connect listener on 127.0.0.1", () => {
  test("is at the listener's port for a stock client whose peers resolve to 127.0.0.1", () => {
    expect(ask("b", LOCAL).response).toMatchObject({ result: 0, port: 21002 });
  });

  test("is nowhere for one that would dial another address, and the log says why", () => {
    const { response, lines } = ask("b", identifyPeer("10.0.0.1", 40000, "10.0.0.1", []));
    expect(response).toEqual({ type: "PORT2_RESP", result: 1 });
    const reason = "the node is at 127.0.0.1:21002, but this client would dial 10.0.0.1";
    expect(lines).toMatchObject([{ level: "info", node: "b", reason }]);
  });

  test("comes with the listener's address in Extra for a client that asked with a full name", () => {
    const { response } = ask("b@svc.service.consul", LOCAL);
    if (response.result !== 0) throw new Error("none");
    expect(decodeEndpoints(response.extra)).toEqual([{ family: 4, address: "127.0.0.1", port: 21002 }]);
  });

  test("is for clients of this machine: strangers, and an EPMD that asks for its own, are not told", () => {
    expect(ask("b", LOCAL).isAllowed("upstream")).toBe(true);
    expect(ask("b", LOCAL, undefined, true).isAllowed("upstream")).toBe(false);
    const stranger = ask("b", identifyPeer("10.0.0.2", 40000, "10.0.0.1", []));
    expect([stranger.isAllowed("upstream"), stranger.isAllowed("srv")]).toEqual([false, true]);
  });

  test("does not change what a node that lives here is answered with", () => {
    expect(ask("a", LOCAL).response).toMatchObject({ result: 0, port: 9100 });
  });
});

describe("at a gateway address", () => {
  const VIP = identifyPeer("127.0.0.1", 40000, "127.64.0.2", []);
  const relayed: string[] = [];
  const askGateway = async (found: Found) => {
    const { response } = await lookUpAtGateway(portPlease2("b"), VIP, {
      registry: new Registry(),
      nodes: { resolve: () => found },
      hostOf: () => "svc.service.consul",
      relay: async ({ endpoints }) => {
        relayed.push(...endpoints.map(({ address, port }) => `${address}:${port}`));
        return { outcome: "relayed", port: 61000 };
      },
      accepts: async () => false,
    });
    return response;
  };

  test("a relay leads to the listener", async () => {
    expect(await askGateway(upstream("127.0.0.1", 21002))).toMatchObject({ result: 0, port: 61000 });
    expect(relayed).toEqual(["127.0.0.1:21002"]);
  });

  test("a listener that is bound to that very address needs none", async () => {
    relayed.length = 0;
    expect(await askGateway(upstream("127.64.0.2", 21002))).toMatchObject({ result: 0, port: 21002 });
    expect(relayed).toEqual([]);
  });
});

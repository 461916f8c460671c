import { describe, expect, test } from "vitest";
import { Registry } from "../../src/epmd/core/registry.js";
import { type LookedUp, lookUp } from "../../src/epmd/look-up.js";
import { identifyPeer } from "../../src/epmd/peer.js";
import { decodeEndpoints } from "../../src/epmd/wire/responses.js";
import type { NodeName } from "../../src/names/node-name.js";
import type { Endpoint } from "../../src/net/endpoint.js";
import { advertised } from "../../src/publish/core/advertised.js";
import type { Resolution } from "../../src/resolve/core/resolution.js";
import { registrySource } from "../../src/resolve/local-sources.js";
import type { NodeResolver } from "../../src/resolve/node-resolver.js";
import { portPlease2, recorded } from "../support/looked-up.js";
import { registration, serveConfig } from "../support/registered-node.js";

const LOCAL = identifyPeer("127.0.0.1", 40000, "127.0.0.1", []);
const OWN_ADDRESS = identifyPeer("10.0.0.1", 40000, "10.0.0.1", []);
const STRANGER = identifyPeer("10.0.0.2", 40000, "10.0.0.1", []);

const endpoint = (address: string, port: number): Endpoint => ({
  ...{ address, port, family: 4, priority: 1, weight: 1, target: address },
});
const found = (...endpoints: Endpoint[]): Resolution => ({
  ...{ outcome: "found", source: "srv", endpoints, ttl: 0, stale: false },
});

/** What a client gets for a name that resolves like this, and what the log says. */
function ask(name: string, peer: typeof LOCAL, resolution: Resolution, registry = new Registry()) {
  const asked: string[] = [];
  const resolve = ({ aliveName }: NodeName) => {
    asked.push(aliveName);
    return resolution;
  };
  const deps = { registry, nodes: { resolve }, gateway: () => undefined };
  const lookedUp = lookUp(portPlease2(name), peer, { ...deps, advertisedPort: (node) => node.port + 1000 }) as LookedUp;
  return { response: lookedUp.response, lines: recorded(lookedUp, peer).lines, asked };
}

describe("the rule for answers", () => {
  const two = found(endpoint("10.0.0.9", 20009), endpoint("10.0.0.1", 20001));

  test("a stock client gets the port of the endpoint at the address that it dialled", () => {
    expect(ask("n", OWN_ADDRESS, two).response).toMatchObject({ result: 0, port: 20001 });
    expect(ask("n", STRANGER, two).response).toMatchObject({ result: 0, port: 20001 });
    expect(ask("n.svc.test", OWN_ADDRESS, two).response).toMatchObject({ result: 0, port: 20001 });
  });

  test("and none where no endpoint is; the log says where the node is and what would be dialled", () => {
    for (const peer of [LOCAL, identifyPeer("10.0.0.2", 1, "10.0.0.3", [])]) {
      const { response, lines } = ask("n", peer, two);
      expect(response).toEqual({ type: "PORT2_RESP", result: 1 });
      expect(lines).toMatchObject([
        {
          ...{ level: "info", node: "n" },
          reason: `the node is at 10.0.0.9:20009, 10.0.0.1:20001, but this client would dial ${peer.dialled}`,
        },
      ]);
    }
  });

  test("a client that asked with a full name gets all endpoints, in order, wherever they are", () => {
    const { response } = ask("n@svc.test", LOCAL, two);
    if (response.result !== 0) throw new Error("not found");
    expect(response.port).toBe(20009);
    expect(decodeEndpoints(response.extra)).toEqual([
      { family: 4, address: "10.0.0.9", port: 20009 },
      { family: 4, address: "10.0.0.1", port: 20001 },
    ]);
  });

  test("a client that asked with a full name is told why there is nothing", () => {
    expect(ask("n@svc.test", LOCAL, { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "no SRV" }).response).toEqual(
      {
        ...{ type: "PORT2_RESP", result: 1, reason: "no SRV" },
      },
    );
    expect(
      ask("n@svc.test", LOCAL, { outcome: "unavailable", code: "DNS_TIMEOUT", cause: "silence" }).response,
    ).toMatchObject({
      reason: "silence",
    });
    expect(
      ask("n", LOCAL, { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "no SRV" }).response,
    ).not.toHaveProperty("reason");
  });
});

describe("a node alive here", () => {
  const registry = new Registry();
  registry.register(registration("web", 9100), 0);
  registry.register(registration("odd@other.service.consul", 9200), 0);
  const absent: Resolution = { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "no SRV" };

  test("is answered at once, with its own port here and the advertised one for others", () => {
    expect(ask("web", LOCAL, absent, registry)).toMatchObject({ response: { port: 9100 }, asked: [] });
    expect(ask("web", STRANGER, absent, registry)).toMatchObject({ response: { port: 10100 }, asked: [] });
  });

  test("that calls itself by the full name of another is not that other", () => {
    expect(ask("odd@other.service.consul", LOCAL, absent, registry).response).toMatchObject({ result: 1 });
  });
});

describe("a node of another machine that --allow lets register here", () => {
  const registry = new Registry();
  registry.register({ ...registration("far", 9100), address: "10.0.0.5" }, 0);
  const source = registrySource({
    registry,
    domains: { isOurs: () => true },
    advertised: (node) => advertised(node, serveConfig()),
  });
  const askFor = (name: string, peer: typeof LOCAL) => {
    const deps = { registry, advertisedPort: () => 9100, gateway: () => undefined };
    const resolve: NodeResolver["resolve"] = (node, { sameHost }) =>
      source.lookUp(
        { node: { ...node, host: "svc.test" }, family: "any" },
        { deadline: 0, sameHost, dialled: peer.dialled },
      );
    const lookedUp = lookUp(portPlease2(name), peer, { ...deps, nodes: { resolve } }) as LookedUp;
    return { response: lookedUp.response, lines: recorded(lookedUp, peer).lines };
  };

  test("is answered with the address from which it came, to whoever reads addresses", () => {
    for (const peer of [LOCAL, OWN_ADDRESS, identifyPeer("10.0.0.5", 1, "10.0.0.1", [])]) {
      const { response } = askFor("far@svc.test", { ...peer, local: true });
      if (response.result !== 0) throw new Error("not found");
      expect(decodeEndpoints(response.extra)).toEqual([{ family: 4, address: "10.0.0.5", port: 9100 }]);
    }
  });

  test("is not answered to a stock client, which would dial this machine", () => {
    const { response, lines } = askFor("far", LOCAL);
    expect(response).toEqual({ type: "PORT2_RESP", result: 1 });
    expect(lines[0]?.reason).toContain("the node is at 10.0.0.5:9100");
  });

  test("is published with that address", () => {
    expect(advertised({ ...registration("far", 9100), address: "10.0.0.5" }, serveConfig())).toEqual({
      port: 9100,
      addresses: ["10.0.0.5"],
    });
  });
});

describe("strangers", () => {
  const absent: Resolution = { outcome: "not-found", code: "SRV_NXDOMAIN", reason: "no SRV" };

  test("have no look-up with a host part", () => {
    for (const name of ["n@svc.test", "n.svc.test", "n@10.0.0.1/4"]) {
      expect(ask(name, STRANGER, found(endpoint("10.0.0.1", 1))).asked, name).toEqual([]);
    }
  });

  test("do not fill the log with names that nobody has", () => {
    expect(ask("n", STRANGER, absent).lines).toMatchObject([{ level: "debug" }]);
    expect(ask("n", LOCAL, absent).lines).toMatchObject([{ level: "info" }]);
    const [line] = ask(`n@${"x".repeat(2900)}`, STRANGER, absent).lines;
    expect(String(line?.node).length).toBeLessThan(600);
  });
});

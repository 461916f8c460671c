import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import type { OptionKey } from "../../src/config/options.js";
import {
  asksAgent,
  destinationOf,
  heldByOthers,
  isMeshed,
  type LocalService,
  ownSidecars,
  type Sidecar,
  sidecarsOfNodes,
} from "../../src/mesh/core/upstreams.js";
import { serveConfig } from "../support/registered-node.js";

type Flags = Partial<Record<OptionKey, string | readonly string[]>>;
const NODE = { aliveName: "b", host: "svc.service.consul" };
const IN_NOMAD = { NOMAD_ALLOC_ID: "0123abcd-5f6e" };

const sidecar = (service: string, over: Partial<Sidecar> = {}): Sidecar => ({
  ...{ id: `${service}-sidecar-proxy`, service, serviceId: service, tags: [], upstreams: [] },
  ...over,
});

describe("a mesh", () => {
  test.each<[Flags, boolean, boolean]>([
    [{}, false, false],
    [{ mesh: "true" }, true, true],
    [{ upstreamService: "{name}" }, true, true],
    // Upstreams of the agent, and DNS for what has none.
    [{ upstreamService: "{name}", mesh: "false" }, false, true],
  ])("with %j: %s; the agent is asked: %s", (flags, meshed, asked) => {
    const config = serveConfig(flags);
    expect([isMeshed(config), asksAgent(config)]).toEqual([meshed, asked]);
  });

  test("in which Nomad names the upstreams has no need of the agent", () => {
    const config = serveConfig({ mesh: "true" }, { NOMAD_UPSTREAM_PORT_b: "21002" });
    expect([isMeshed(config), asksAgent(config)]).toEqual([true, false]);
  });

  test.each([
    ["{service}-{name}", "svc-b"],
    ["{name}", "b"],
    ["erl-{name}.{host}", "erl-b.svc.service.consul"],
  ])("with the template %s has a node behind %s", (upstreamService, expected) => {
    expect(destinationOf(serveConfig({ upstreamService }), NODE)).toBe(expected);
  });
});

describe("proxies of this place are", () => {
  const ours = (flags: Flags, sidecars: readonly Sidecar[], env = {}) =>
    sidecars.filter(ownSidecars(serveConfig({ mesh: "true", ...flags }, env))).map(({ id }) => id);

  test("those before the domain's service, or before one for a node of it", () => {
    const names = ["svc", "SVC-b", "svc-node_1", "svc2", "svc-", "web", "xsvc-b"];
    const all = names.map((name) => sidecar(name));
    const expected = ["svc", "SVC-b", "svc-node_1"].map((name) => `${name}-sidecar-proxy`);
    expect(ours({ domain: ["svc"] }, all)).toEqual(expected);
    expect(ours({ domain: ["x.svc.service.consul"], upstreamService: "svc-{name}" }, all)).toEqual(expected);
  });

  test("those before a service that a template names without the domain's", () => {
    const all = [sidecar("erl+b"), sidecar("erlxb"), sidecar("b")];
    expect(ours({ domain: ["svc"], upstreamService: "erl+{name}" }, all)).toEqual(["erl+b-sidecar-proxy"]);
  });

  test("with --service that one's alone, by name or by the id of the instance", () => {
    const all = [sidecar("svc-a"), sidecar("svc-b"), sidecar("svc", { id: "p", serviceId: "svc-b-1" })];
    expect(ours({ domain: ["svc"], service: "svc-b" }, all)).toEqual(["svc-b-sidecar-proxy"]);
    expect(ours({ domain: ["svc"], service: "svc-b-1" }, all)).toEqual(["p"]);
  });

  test("in a Nomad task those of the allocation", () => {
    const own = sidecar("svc-a", { id: "_nomad-task-0123abcd-5f6e-group-g-svc-a-9100-sidecar-proxy" });
    expect(ours({ domain: ["svc"] }, [sidecar("svc-b"), own], IN_NOMAD)).toEqual([own.id]);
  });

  test("all, when nothing says which", () => {
    expect(ours({}, [sidecar("x"), sidecar("y")])).toHaveLength(2);
  });
});

describe("of several proxies", () => {
  const config = serveConfig({ mesh: "true", domain: ["svc"] });
  const chosen = (sidecars: readonly Sidecar[], ...alive: string[]) =>
    sidecarsOfNodes(sidecars, alive, config).map(({ id }) => id);

  test("those count whose node is alive here: the others may be in another network namespace", () => {
    const both = [sidecar("svc-a"), sidecar("svc-b")];
    expect(chosen(both, "b")).toEqual(["svc-b-sidecar-proxy"]);
    expect(chosen(both, "b", "a")).toHaveLength(2);
  });

  test("before instances of one service the tag says whose it is", () => {
    const both = [sidecar("svc", { id: "p1", tags: ["a"] }), sidecar("svc", { id: "p2", tags: ["b"] })];
    expect(chosen(both, "b")).toEqual(["p2"]);
  });

  test("all count while none of their nodes is alive", () => {
    expect(chosen([sidecar("svc-a"), sidecar("svc-b")], "console")).toHaveLength(2);
  });
});

describe("nodes that the mesh has registered already are", () => {
  const local = (id: string, service: string, over: Partial<LocalService> = {}): LocalService => ({
    ...{ id, service, proxyOf: undefined, native: false },
    ...over,
  });
  const held = (services: LocalService[], allocId?: string) => heldByOthers(services, ["svc", "svc-a"], allocId);

  test("instances with a sidecar proxy, or that speak Connect themselves", () => {
    const proxy = local("p", "svc-a-sidecar-proxy", { proxyOf: "svc-a" });
    expect(held([local("svc-a", "svc-a"), proxy])).toEqual(["svc-a"]);
    expect(held([local("n", "SVC", { native: true })])).toEqual(["n"]);
  });

  test("instances that Nomad registered for our allocation", () => {
    const id = "_nomad-task-0123abcd-5f6e-group-g-svc-9100";
    expect(held([local(id, "svc")], "0123abcd-5f6e")).toEqual([id]);
    expect(held([local(id, "svc")], "another")).toEqual([]);
  });

  test("neither our own entries, nor other services, nor instances without a mesh", () => {
    const proxies = ["srv-epmd:box:a", "web", "plain"].map((proxyOf) => local(`${proxyOf}-p`, "p", { proxyOf }));
    expect(held([local("srv-epmd:box:a", "svc"), local("web", "web"), ...proxies])).toEqual([]);
    expect(held([local("plain", "svc")])).toEqual([]);
  });
});

test("what only a look-up outside of a mesh uses is said to have no effect in one", () => {
  const flags = { mesh: "true", fallback: ["9100", "epmd"], helpers: "ask" };
  expect(loadConfig({ command: "serve", flags, env: {} }).warnings).toEqual([
    "in a mesh (--mesh) nodes are reached through upstreams only: --fallback, --helpers will not be used",
  ]);
  expect(loadConfig({ command: "serve", flags: { mesh: "true" }, env: {} }).warnings).toEqual([]);
});

test("what only a look-up in plaintext uses is said to have no effect on a native end", () => {
  const native = { connectNative: "true", domain: ["svc"] };
  const flags = {
    ...native,
    fallback: ["epmd"],
    helpers: "ask",
    node: ["a@h=10.0.0.1:20001"],
    nodesFile: "nodes.yaml",
  };
  expect(loadConfig({ command: "serve", flags, env: {} }).warnings).toEqual([
    "with --connect-native nodes are looked up in Consul's catalogue only: --fallback, --node, --nodes-file will not be used",
  ]);
  expect(loadConfig({ command: "serve", flags: { ...native, helpers: "publish" }, env: {} }).warnings).toEqual([]);
});

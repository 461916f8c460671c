import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Environment } from "../../src/config/nomad.js";
import type { OptionKey } from "../../src/config/options.js";
import { ConsulClient } from "../../src/consul/client.js";
import { Domains } from "../../src/names/domains.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { composeResolution, type Resolving } from "../../src/resolve/compose.js";
import type { NotFoundCode, Resolution } from "../../src/resolve/core/resolution.js";
import { type Source, TRAITS } from "../../src/resolve/source.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { a as aRecord, srv, startFakeDns } from "../support/fake-dns-server.js";
import { collectLog } from "../support/log-lines.js";
import { serveConfig } from "../support/registered-node.js";
import { waitFor } from "../support/wait-for.js";

const NOBODY_HERE: Source = {
  name: "registry",
  ...TRAITS.registry,
  lookUp: () => ({ outcome: "not-found", code: "NODE_NOT_REGISTERED", reason: "nobody" }),
};
const LOCAL = { sameHost: true };

let fake: FakeConsul;
let dns: Awaited<ReturnType<typeof startFakeDns>>;
const open: Resolving[] = [];
beforeEach(async () => {
  fake = await startFakeConsul();
  dns = await startFakeDns(({ qname }) => ({
    answers: [srv(qname, "h.test", 20001)],
    additionals: [aRecord("h.test", "10.0.0.9")],
  }));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((resolving) => resolving.close()));
  await Promise.all([fake.close(), dns.close()]);
});

type Flags = Partial<Record<OptionKey, string | readonly string[]>>;

function start(flags: Flags, { env = {} as Environment, alive = [] as string[], follow = true } = {}) {
  const { log, messages, lines } = collectLog();
  const config = serveConfig({ domain: ["svc"], dns: [`127.0.0.1:${dns.port}`], consul: fake.url, ...flags }, env);
  const machine = { hostName: "box", names: new Set(["localhost", "box"]), addresses: () => [] };
  const resolving = composeResolution({
    settings: config,
    machine,
    domains: new Domains(config, machine),
    registry: NOBODY_HERE,
    servers: [],
    upstreams: {
      connect: async () => new ConsulClient({ url: fake.url, timeoutMs: 300, log }),
      aliveNames: () => alive,
      follow,
    },
    watchNodesFile: false,
    ownPort: () => undefined,
    log,
  });
  open.push(resolving);
  const find = async (name: string, options = LOCAL) => resolving.nodes.resolve(parseNodeName(name), options);
  return { find, messages, lines };
}

/** Registers the proxy of a service with the agent. @param upstreams port by destination */
function register(service: string, upstreams: Record<string, number>, id = service) {
  fake.services.set(`${id}-sidecar-proxy`, {
    ...{ ID: `${id}-sidecar-proxy`, Service: `${service}-sidecar-proxy`, Kind: "connect-proxy", Tags: [], Address: "" },
    ...{ Port: 21000, Meta: {}, Weights: { Passing: 1, Warning: 1 } },
    Proxy: {
      DestinationServiceName: service,
      DestinationServiceID: id,
      Upstreams: Object.entries(upstreams).map(([DestinationName, LocalBindPort]) => ({
        DestinationName,
        LocalBindPort,
      })),
    },
  });
  fake.index++;
}

const at = (...ports: number[]) => ({
  ...{ outcome: "found", source: "upstream" },
  endpoints: ports.map((port) => ({ address: "127.0.0.1", port })),
});
const inDns = { outcome: "found", source: "srv", endpoints: [{ address: "10.0.0.9", port: 20001 }] };
const notFound = (reason: string, code: NotFoundCode = "UPSTREAM_NONE"): Resolution => ({
  outcome: "not-found",
  code,
  reason,
});

describe("in a mesh that the agent knows", () => {
  test("a node is where the proxy listens for it, and one without an upstream is nowhere", async () => {
    register("svc-a", { "svc-b": 21002, "svc-c": 21003 });
    const { find } = start({ mesh: "true", fallback: "9100", helpers: "ask" });
    expect(await find("b@svc")).toMatchObject(at(21002));
    expect(await find("c")).toMatchObject(at(21003));
    expect(await find("d@svc")).toEqual(notFound("no upstream svc-d at svc-a-sidecar-proxy: there are svc-b, svc-c"));
    expect(await find("rpc-1a2b-d@svc")).toMatchObject({ outcome: "not-found" });
    expect(dns.queries).toEqual([]);
  });

  test("upstreams that come and go are seen at once", async () => {
    register("svc-a", { "svc-b": 21002 });
    const { find, messages } = start({ mesh: "true" });
    expect(await find("b@svc")).toMatchObject(at(21002));
    await waitFor(() => fake.held === 1, { what: "the blocking query" });
    const { length } = fake.requests;

    register("svc-a", { "svc-c": 21003 });
    await waitFor(async () => (await find("c@svc")).outcome === "found", { what: "svc-c" });
    expect(await find("b@svc")).toEqual(notFound("no upstream svc-b at svc-a-sidecar-proxy: there are svc-c"));
    expect(messages("info")).toEqual(
      ["svc-b", "svc-c"].map((destination) => `upstreams of the sidecar proxy: there are ${destination}`),
    );
    // The query that came back and the next one, and a look for further proxies with each of two misses.
    expect(fake.requests.length - length).toBeLessThanOrEqual(4);
  });

  test("a proxy that is registered a moment after the agent was looked at is found by the next look-up", async () => {
    const { find } = start({ mesh: "true" });
    for (const name of ["b", "c", "d"]) {
      expect(await find(`${name}@svc`)).toMatchObject({ outcome: "not-found" });
      register(`svc-of-${name}`, { [`svc-${name}`]: 21002 });
      expect(await find(`${name}@svc`)).toMatchObject(at(21002));
    }
  });

  test("misses of one moment cost the agent one look", async () => {
    const { find } = start({ mesh: "true" });
    await find("b@svc");
    const { length } = fake.requests;
    await Promise.all(Array.from({ length: 100 }, (_, index) => find(`n${index}@svc`)));
    expect(fake.requests.length - length).toBe(1);
  });

  test("a proxy that is registered later is found by a look-up, and one that has gone is not used", async () => {
    const { find, messages } = start({ mesh: "true" });
    expect(await find("b@svc")).toEqual(
      notFound(
        "no upstream svc-b: the Consul agent shows no sidecar proxy of the nodes here (with ACLs only to a token with service:read)",
        "UPSTREAM_NO_SIDECAR",
      ),
    );
    expect(messages("warn")).toEqual([expect.stringContaining("no upstream is known")]);
    register("svc-a", { "svc-b": 21002 });
    await waitFor(async () => (await find("b@svc")).outcome === "found", { what: "the proxy" });
    await waitFor(() => fake.held === 1, { what: "the blocking query" });
    fake.services.clear();
    fake.index++;
    await waitFor(async () => (await find("b@svc")).outcome === "not-found", { what: "its end" });
  });

  test("what is known serves while the agent is silent, and is followed again when it is back", async () => {
    register("svc-a", { "svc-b": 21002 });
    const { find, messages } = start({ mesh: "true" });
    expect(await find("b@svc")).toMatchObject(at(21002));
    await waitFor(() => fake.held === 1, { what: "the blocking query" });
    // The query under way is answered; those that follow are not.
    fake.misbehave(() => ({ status: 500, body: "no" }));
    register("svc-a", { "svc-b": 21005 });
    await waitFor(() => messages("warn").length === 1, { what: "the warning" });
    register("svc-a", { "svc-b": 21009 });
    expect(await find("b@svc")).toMatchObject(at(21005));
    fake.misbehave(undefined);
    await waitFor(async () => JSON.stringify(await find("b@svc")).includes("21009"), { what: "the new port" });
    expect(messages("warn")).toEqual(["the Consul agent does not answer about upstreams; the known ones are used"]);
    expect(messages("info")).toContain("the Consul agent answers again about upstreams");
  });

  test("nothing is known when the agent has never answered: a look-up says so, and the next tries again", async () => {
    fake.misbehave(() => ({ status: 500, body: "starting" }));
    register("svc-a", { "svc-b": 21002 });
    const { find } = start({ mesh: "true" });
    expect(await find("b@svc")).toEqual({
      outcome: "unavailable",
      code: "CONSUL_UNAVAILABLE",
      cause: expect.stringMatching(/^the upstream svc-b: .*starting/),
    });
    fake.misbehave(undefined);
    await waitFor(async () => (await find("b@svc")).outcome === "found", { what: "the upstream" });
  });

  test("of several proxies the one of a node alive here counts", async () => {
    register("svc-a", { "svc-c": 21003 });
    register("svc-b", { "svc-c": 21099, "svc-d": 21004 });
    const { find } = start({ mesh: "true" }, { alive: ["a"] });
    expect(await find("c@svc")).toMatchObject(at(21003));
    expect(await find("d@svc")).toEqual(notFound("no upstream svc-d at svc-a-sidecar-proxy: there are svc-c"));
  });

  test("a client elsewhere, and an EPMD that asks for its own, get nothing of it", async () => {
    register("svc-a", { "svc-b": 21002 });
    const { find } = start({ mesh: "true" });
    expect(await find("b@svc", { sameHost: false })).toEqual(
      notFound(
        "the upstream svc-b listens at 127.0.0.1:21002, out of reach for a client on another machine",
        "UPSTREAM_NO_ADDRESS",
      ),
    );
  });

  test("a host part that is an address is the listener's, or nobody's", async () => {
    register("svc-a", { "svc-b": 21002 });
    const { find } = start({ mesh: "true" });
    expect(await find("b@127.0.0.1")).toMatchObject(at(21002));
    expect(await find("b@10.0.0.9")).toEqual(
      notFound("the upstream svc-b listens at 127.0.0.1:21002, not at 10.0.0.9", "UPSTREAM_NO_ADDRESS"),
    );
  });

  test("a command reads the registrations with each look-up", async () => {
    const { find, messages } = start({ mesh: "true" }, { follow: false });
    expect(await find("b@svc")).toMatchObject({ outcome: "not-found" });
    register("svc-a", { "svc-b": 21002 });
    expect(await find("b@svc")).toMatchObject(at(21002));
    expect(fake.requests.map(({ path }) => path)).toEqual(
      Array(2).fill('/v1/agent/services?filter=Kind == "connect-proxy"'),
    );
    expect(messages("info")).toEqual([]);
  });
});

describe("in a mesh that Nomad's variables name", () => {
  const env = { NOMAD_ALLOC_ID: "0123abcd-5f6e", NOMAD_UPSTREAM_ADDR_svc_b: "127.0.0.1:21002" };

  test("a node is at its upstream, a missing one nowhere, and nobody asks the agent", async () => {
    const { find } = start({ mesh: "true" }, { env });
    expect(await find("b@svc")).toMatchObject(at(21002));
    expect(await find("c@svc")).toEqual(notFound("no upstream svc-c in NOMAD_UPSTREAM_*: there are svc_b"));
    expect([fake.requests, dns.queries]).toEqual([[], []]);
  });

  test("an upstream wins over DNS without --mesh too, and a node that has none is looked up there", async () => {
    const { find } = start({}, { env });
    expect(await find("b@svc")).toMatchObject(at(21002));
    expect(await find("c@svc")).toMatchObject(inDns);
    expect(fake.requests).toEqual([]);
  });
});

test("without a mesh nobody asks the agent", async () => {
  register("svc-a", { "svc-b": 21002 });
  const { find } = start({});
  expect(await find("b@svc")).toMatchObject(inDns);
  expect(fake.requests).toEqual([]);
});

test("with --mesh=false and --upstream-service what has no upstream is looked up in DNS", async () => {
  register("b", { c: 21003 });
  const { find } = start({ mesh: "false", upstreamService: "{name}" });
  expect(await find("c@svc")).toMatchObject(at(21003));
  expect(await find("d@svc")).toMatchObject(inDns);
});

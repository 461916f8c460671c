import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Catalogue } from "../../src/catalogue/catalogue.js";
import { consulQuestion } from "../../src/catalogue/core/question.js";
import type { CatalogueTimings } from "../../src/catalogue/followed.js";
import { loadConfig } from "../../src/config/config.js";
import { consulBackend } from "../../src/consul/backend.js";
import { ConsulClient } from "../../src/consul/client.js";
import { ConsulSide, loadConsulSide } from "../../src/consul/side.js";
import { Domains } from "../../src/names/domains.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { createCatalogueSource } from "../../src/resolve/catalogue-source.js";
import { composeForLookUps } from "../../src/resolve/compose.js";
import { notFound, type Resolution, srvOwner, unavailable } from "../../src/resolve/core/resolution.js";
import { NodeResolver } from "../../src/resolve/node-resolver.js";
import { type Source, TRAITS } from "../../src/resolve/source.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { startFakeDns } from "../support/fake-dns-server.js";
import { freePort } from "../support/free-port.js";
import { collectLog } from "../support/log-lines.js";
import { serviceEntry } from "../support/service-entry.js";
import { waitFor } from "../support/wait-for.js";

const NODE = parseNodeName("node_a@svc.service.consul");
const ABSENT = notFound("SRV_NXDOMAIN", "no such name");
const IN_DNS: Resolution = {
  ...{ outcome: "found", source: "srv", ttl: 0, stale: false },
  endpoints: [{ address: "10.8.8.8", port: 8888, family: 4, priority: 1, weight: 1, target: "dns" }],
};

let fake: FakeConsul;
let client: ConsulClient;
let logged: ReturnType<typeof collectLog>;

beforeEach(async () => {
  fake = await startFakeConsul();
  logged = collectLog();
  client = new ConsulClient({ url: fake.url, timeoutMs: 2_000, log: logged.log });
});
afterEach(async () => {
  client.close();
  await fake.close();
});

const register = async (name: string, over: Parameters<typeof serviceEntry>[1] = {}) => {
  const { service = "svc", address = "10.0.0.1" } = over;
  await client.register(serviceEntry(name, { id: `srv-epmd:box1:${service}:${name}`, service, address, ...over }));
};
const queries = () => fake.requests.filter(({ path }) => path.startsWith("/v1/health/")).map(({ path }) => path);

/** Look-ups over a catalogue, with `dns` behind it. */
function lookUps(
  timings: Partial<CatalogueTimings> = {},
  dns: () => Resolution | Promise<Resolution> = () => ABSENT,
  random = () => 0.5,
  now?: () => number,
  timeout = 20_000,
) {
  const catalogue = new Catalogue({
    backend: consulBackend(client),
    log: logged.log,
    random: () => 0.5,
    ...(now && { now }),
    timings: { firstAnswer: 5_000, ...timings },
  });
  const askedDns: string[] = [];
  const srv: Source = {
    name: "srv",
    ...TRAITS.srv,
    lookUp: ({ node }) => {
      askedDns.push(node.host);
      return dns();
    },
  };
  const source = createCatalogueSource({
    title: "Consul",
    access: { catalogue, openCatalogue: async () => catalogue },
    read: (node) => consulQuestion(srvOwner("{name}.{host}", node), "consul"),
    ...{ family: "any", staleTtl: 60_000, random, localAddresses: () => [] },
    now: () => performance.now(),
  });
  const { config } = loadConfig({ command: "resolve", flags: { domain: ["svc"] }, env: {} });
  const nodes = new NodeResolver({
    sources: [source, srv],
    domains: new Domains(config, { names: new Set(["localhost"]), addresses: () => [] }),
    ...{ family: "any", preferReachable: true, timeout, now: () => performance.now() },
  });
  onTestFinished(() => catalogue.close());
  return { catalogue, nodes, askedDns, lookUp: (name = NODE) => nodes.resolve(name, { sameHost: true }) };
}

/** `catalogue 10.0.0.1:20001`, or the code. */
const words = (result: Resolution) =>
  result.outcome === "found"
    ? `${result.source}${result.stale ? " stale" : ""} ${result.endpoints.map(({ address, port }) => `${address}:${port}`)}`
    : result.code;
const elapsedOf = async (work: () => unknown) => {
  const before = performance.now();
  await work();
  return performance.now() - before;
};

test("the first look-up waits for the first answer, and later ones are answered at once, from memory", async () => {
  await register("node_a", { port: 20001 });
  const { catalogue, lookUp, askedDns } = lookUps();
  expect(words(await lookUp())).toBe("catalogue 10.0.0.1:20001");
  await waitFor(() => fake.held === 1, { what: "the blocking query" });
  // Where it left a few milliseconds after the answer, look-ups wait for what it may bring.
  const view = () => catalogue.known({ service: "svc", datacenter: undefined });
  await waitFor(() => !view()?.isPaused, { what: "the time for that" });
  fake.misbehave(() => "hang");
  for (let i = 0; i < 100; i++) {
    const result = lookUp();
    expect(result).not.toBeInstanceOf(Promise);
    expect(words(await result)).toBe("catalogue 10.0.0.1:20001");
  }
  expect(queries()).toHaveLength(2);
  expect(askedDns).toEqual([]);
});

test("many first look-ups share one query, also of several nodes of the service", async () => {
  await register("node_a");
  await register("node_b");
  const { lookUp } = lookUps();
  const names = ["node_a@svc", "node_b@svc", "node_a@svc.service.consul"].map((text) => parseNodeName(text));
  const results = await Promise.all(names.flatMap((name) => [lookUp(name), lookUp(name)]));
  expect(results.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 6 }, () => "found"));
  expect(queries().filter((path) => !path.includes("index="))).toHaveLength(1);
});

test("a node that comes, moves, falls ill or goes is known as soon as Consul has it", async () => {
  const { lookUp } = lookUps();
  const becomes = (expected: string) =>
    waitFor(async () => words(await lookUp()) === expected, { what: expected, interval: 2 });
  await becomes("SRV_NXDOMAIN");
  await register("node_a", { port: 1111 });
  await becomes("catalogue 10.0.0.1:1111");
  await register("node_a", { port: 2222 });
  await becomes("catalogue 10.0.0.1:2222");
  await client.fail("srv-epmd:box1:svc:node_a");
  await becomes("SRV_NXDOMAIN");
  await client.pass("srv-epmd:box1:svc:node_a");
  await becomes("catalogue 10.0.0.1:2222");
  await client.deregister("srv-epmd:box1:svc:node_a");
  await becomes("SRV_NXDOMAIN");
});

test("what the catalogue does not hold is asked of DNS", async () => {
  await register("node_b");
  const { lookUp, askedDns } = lookUps({}, () => IN_DNS);
  expect(words(await lookUp())).toBe("srv 10.8.8.8:8888");
  expect(askedDns).toEqual(["svc.service.consul"]);
});

/** Changes the service until the follow pauses, and the last list is no longer of the last moment. */
async function changeUntilPaused(catalogue: Catalogue): Promise<void> {
  const view = () => catalogue.known({ service: "svc", datacenter: undefined });
  const first = view()?.instances.length ?? 0;
  for (let others = 1; !view()?.isPaused; others++) {
    await register(`other_${others}`);
    await waitFor(() => view()?.instances.length === first + others, { what: "the change" });
    await waitFor(() => fake.held === 1 || view()?.isPaused, { what: "the next query, or a pause" });
  }
}

test("a service that changes all the time is asked for once in a while, and at once by look-ups", async () => {
  await register("node_a", { port: 1111 });
  // DNS would give what its cache has.
  const { catalogue, lookUp, askedDns } = lookUps({ pace: 60_000 }, () => IN_DNS);
  expect(words(await lookUp())).toBe("catalogue 10.0.0.1:1111");
  await changeUntilPaused(catalogue);
  await register("node_a", { port: 2222 });
  const found = await Promise.all(Array.from({ length: 5 }, () => lookUp()));
  expect(found.map(words)).toEqual(Array.from({ length: 5 }, () => "catalogue 10.0.0.1:2222"));
  expect(askedDns).toEqual([]);
});

test("what has changed during a pause is waited for, too, while the query after it is on its way", async () => {
  await register("node_a", { port: 1111 });
  const { catalogue, lookUp, askedDns } = lookUps({ pace: 600 }, () => IN_DNS);
  await lookUp();
  await changeUntilPaused(catalogue);
  const before = queries().length;
  await register("node_a", { port: 2222 });
  fake.misbehave(({ path }) => (path.startsWith("/v1/health/") ? { delay: 200 } : undefined));
  await waitFor(() => queries().length > before, { what: "the query after the pause", interval: 1 });
  expect(words(await lookUp())).toBe("catalogue 10.0.0.1:2222");
  expect(askedDns).toEqual([]);
});

test("what has changed during a pause is waited for, too, where the list takes its time", async () => {
  await register("node_a", { port: 1111 });
  const { catalogue, lookUp, askedDns } = lookUps({ pace: 60_000 }, () => IN_DNS);
  await lookUp();
  await changeUntilPaused(catalogue);
  await register("node_a", { port: 2222 });
  fake.misbehave(({ path }) => (path.startsWith("/v1/health/") ? { delay: 800 } : undefined));
  expect(words(await lookUp())).toBe("catalogue 10.0.0.1:2222");
  expect(askedDns).toEqual([]);
});

test("look-ups that wait for what has changed during a pause have each their own time", async () => {
  await register("node_a", { port: 1111 });
  const { catalogue, lookUp } = lookUps({ pace: 60_000 });
  await lookUp();
  await changeUntilPaused(catalogue);
  await register("node_a", { port: 2222 });
  fake.misbehave(({ path }) => (path.startsWith("/v1/health/") ? { delay: 600 } : undefined));
  const ports = async (limit: number) => {
    const view = await catalogue.look({ service: "svc", datacenter: undefined }, limit);
    return view?.isPaused ? "unknown" : view?.instances.map(({ port }) => port);
  };
  const [first, longest, last] = await Promise.all([ports(100), ports(15_000), ports(200)]);
  expect([first, last]).toEqual(["unknown", "unknown"]);
  expect(longest).toContain(2222);
});

test("where nothing has changed during a pause the list is used", async () => {
  await register("node_a", { port: 1111 });
  const { catalogue, lookUp, askedDns } = lookUps({ pace: 60_000 }, () => IN_DNS);
  await lookUp();
  await changeUntilPaused(catalogue);
  expect(words(await lookUp())).toBe("catalogue 10.0.0.1:1111");
  await waitFor(() => fake.held === 1, { what: "the query that the look-up has sent" });
  expect(askedDns).toEqual([]);
});

describe("an agent", () => {
  test("that never answers costs the first look-ups 300 ms and a question together, and later ones nothing", async () => {
    fake.misbehave(() => "hang");
    const { lookUp } = lookUps({ firstAnswer: 300 }, () => IN_DNS);
    const first = await elapsedOf(async () => {
      const results = await Promise.all(Array.from({ length: 20 }, () => lookUp()));
      expect(results.map(words)).toEqual(Array.from({ length: 20 }, () => "srv 10.8.8.8:8888"));
    });
    expect(first).toBeGreaterThan(250);
    expect(first).toBeLessThan(2_000);
    // Another service, too: the agent is known to be slow.
    for (const text of ["node_a@svc", "node_a@other", "node_a@third"]) {
      expect(lookUp(parseNodeName(text))).not.toBeInstanceOf(Promise);
    }
  });

  test("that hangs when a pause ends costs the look-ups of then one wait together, and later ones nothing", async () => {
    await register("node_a");
    const { catalogue, lookUp } = lookUps({ pace: 60_000, firstAnswer: 150, otherAnswer: 100 }, () => IN_DNS);
    await lookUp();
    await waitFor(() => catalogue.known({ service: "svc", datacenter: undefined }), { what: "the first answer" });
    await changeUntilPaused(catalogue);
    fake.misbehave(() => "hang");
    const results = await Promise.all(Array.from({ length: 20 }, () => lookUp()));
    expect(results.map(words)).toEqual(Array.from({ length: 20 }, () => "srv 10.8.8.8:8888"));
    for (let later = 0; later < 3; later++) expect(lookUp()).not.toBeInstanceOf(Promise);
    expect(fake.requests.filter(({ path }) => path === "/v1/status/leader")).toHaveLength(1);
  });

  test("that hangs when a pause ends is waited for where no name server answers", async () => {
    await register("node_a", { port: 1111 });
    const down = unavailable("DNS_UNREACHABLE", "no name server answers");
    const { catalogue, lookUp } = lookUps({ pace: 60_000, firstAnswer: 150, otherAnswer: 100 }, () => down);
    await lookUp();
    await waitFor(() => catalogue.known({ service: "svc", datacenter: undefined }), { what: "the first answer" });
    await changeUntilPaused(catalogue);
    await register("node_a", { port: 2222 });
    fake.misbehave(({ path }) => (path.startsWith("/v1/health/") ? { delay: 900 } : "hang"));
    expect(words(await lookUp())).toBe("catalogue 10.0.0.1:2222");
  });

  test("that is busy, and answers another question, is waited for: its name server would be as busy", async () => {
    await register("node_a");
    const isList = (path: string) => path.startsWith("/v1/health/");
    fake.misbehave(({ path }) => (isList(path) ? { delay: 1_500 } : undefined));
    const busy = lookUps({ firstAnswer: 100, otherAnswer: 200 }, () => IN_DNS);
    const results = await Promise.all(Array.from({ length: 20 }, () => busy.lookUp()));
    expect(results.map(words)).toEqual(Array.from({ length: 20 }, () => "catalogue 10.0.0.1:20001"));
    expect(busy.askedDns).toEqual([]);
    // One question for all of them, again and again.
    const asked = () => fake.requests.filter(({ path }) => path === "/v1/status/leader").length;
    expect(asked()).toBeGreaterThan(1);
    expect(asked()).toBeLessThan(20);

    // Where the list does not come, later sources have time left.
    fake.misbehave(({ path }) => (isList(path) ? "hang" : undefined));
    const silent = lookUps({ firstAnswer: 100, otherAnswer: 100 }, () => IN_DNS, undefined, undefined, 2_000);
    expect(words(await silent.lookUp())).toBe("srv 10.8.8.8:8888");
    await silent.catalogue.close();
    // The servers here say nothing about those of another datacenter.
    const before = asked();
    const elsewhere = lookUps({ firstAnswer: 100, otherAnswer: 100 }, () => IN_DNS);
    expect(words(await elsewhere.lookUp(parseNodeName("node_a@svc.service.dc2.consul")))).toBe("srv 10.8.8.8:8888");
    expect(asked()).toBe(before);
    // The question takes no time that later sources need.
    fake.misbehave(() => "hang");
    const short = lookUps({ firstAnswer: 100, otherAnswer: 5_000 }, () => IN_DNS, undefined, undefined, 1_000);
    expect(words(await short.lookUp())).toBe("srv 10.8.8.8:8888");
    // Questions that were given up are no sign that the servers are out of reach.
    fake.misbehave(({ path }) => (path.startsWith("/v1/agent/") ? undefined : "hang"));
    for (let round = 0; round < 3; round++) {
      await client.services();
      const mute = lookUps({ firstAnswer: 50, otherAnswer: 50 }, () => IN_DNS);
      expect(words(await mute.lookUp())).toBe("srv 10.8.8.8:8888");
    }
    expect(client.servers.trouble).toBeUndefined();
  });

  test("that is slow is waited for where no name server answers, and heard where DNS is slower and has no such node", async () => {
    await register("node_a");
    fake.misbehave(() => ({ delay: 600 }));
    const down = unavailable("DNS_UNREACHABLE", "no name server answers");
    expect(words(await lookUps({ firstAnswer: 100 }, async () => down).lookUp())).toBe("catalogue 10.0.0.1:20001");
    const slower = lookUps({ firstAnswer: 100 }, async () => {
      await waitFor(() => slower.catalogue.known({ service: "svc", datacenter: undefined }), { what: "the catalogue" });
      return ABSENT;
    });
    expect(words(await slower.lookUp())).toBe("catalogue 10.0.0.1:20001");
    // A name that DNS does not have costs no more than these 100 ms.
    fake.misbehave(() => "hang");
    const none = lookUps({ firstAnswer: 50, otherAnswer: 50 }, async () => ABSENT);
    expect(words(await none.lookUp())).toBe("SRV_NXDOMAIN");
    fake.misbehave(() => ({ status: 403, body: "Permission denied" }));
    expect(words(await lookUps({}, async () => down).lookUp())).toBe("DNS_UNREACHABLE");
  });

  test("that is slow is believed, too, where the next query left a moment after its first answer", async () => {
    await register("node_a");
    fake.misbehave(({ path }) => (path.includes("index=") ? undefined : { delay: 300 }));
    // A machine under load: 3 ms pass between any two steps, so that the node may have changed before the next query.
    let steps = 0;
    const now = () => performance.now() + ++steps * 3;
    const dns = async () => {
      await waitFor(() => fake.held === 1, { what: "the query after the first answer", interval: 1 });
      return ABSENT;
    };
    const { lookUp } = lookUps({ firstAnswer: 100 }, dns, () => 0.5, now);
    expect(words(await lookUp())).toBe("catalogue 10.0.0.1:20001");
  });

  test("that was slow once is waited for again after a prompt first answer", async () => {
    fake.misbehave(({ path }) => (path.includes("/svc?") ? "hang" : undefined));
    await register("node_a", { service: "other" });
    await register("node_a", { service: "third" });
    const { catalogue, lookUp } = lookUps({ firstAnswer: 300 });
    await lookUp();
    await waitFor(() => catalogue.failure({ service: "svc", datacenter: undefined }), { what: "the end of its query" });
    const other = parseNodeName("node_a@other");
    expect(lookUp(other)).not.toBeInstanceOf(Promise);
    await waitFor(async () => words(await lookUp(other)).startsWith("catalogue"), { what: "the answer" });
    // On a machine under load one more of them may be late.
    const third = parseNodeName("node_a@third");
    await waitFor(async () => words(await lookUp(third)).startsWith("catalogue"), { what: "the next service" });
  });

  test.each([
    ["refuses (403)", { status: 403, body: "Permission denied" }],
    ["fails (500)", { status: 500, body: "No cluster leader" }],
    ["answers no JSON", { status: 200, body: "<html>" }],
    ["answers an object", { status: 200, body: '{"Node":1}' }],
    ["answers a list of nonsense", { status: 200, body: '[1,null,{"Service":7},{"Service":{"ID":"x","Tags":7}},[]]' }],
    ["answers more than a list can be", { status: 200, body: `["${"x".repeat(20 * 1024 * 1024)}"]` }],
    ["breaks the connection", "reset"],
  ] as const)("that %s is as none: DNS is asked, and the log is not filled", async (_, how) => {
    fake.misbehave(({ path }) => (path.startsWith("/v1/health/") ? how : undefined));
    const { lookUp } = lookUps({ firstRetry: 20, maxRetry: 40, pace: 20 }, () => IN_DNS);
    for (let i = 0; i < 20; i++) expect(words(await lookUp())).toBe("srv 10.8.8.8:8888");
    await waitFor(() => queries().length >= 3, { what: "further tries" });
    expect(logged.messages("warn").length).toBeLessThanOrEqual(1);
    fake.misbehave(undefined);
    await register("node_a");
    await waitFor(async () => words(await lookUp()).startsWith("catalogue"), { what: "the agent to be used" });
  });

  test("that is not there costs nothing worth mentioning, and says nothing", async () => {
    await fake.close();
    const { lookUp } = lookUps({}, () => IN_DNS);
    expect(words(await lookUp())).toBe("srv 10.8.8.8:8888");
    expect(await elapsedOf(() => lookUp())).toBeLessThan(1_000);
    expect(logged.messages("warn")).toEqual([]);
  });

  test("whose index goes backwards is asked anew, and its new state is used", async () => {
    fake.index = 500;
    await register("node_a", { port: 1111 });
    const { lookUp } = lookUps();
    expect(words(await lookUp())).toBe("catalogue 10.0.0.1:1111");
    await waitFor(() => fake.held === 1, { what: "the blocking query" });
    fake.loseState();
    fake.index = 3;
    await waitFor(async () => words(await lookUp()) === "SRV_NXDOMAIN", { what: "the empty catalogue" });
  });
});

describe("a follow that is broken", () => {
  /** Looks up until the answer is as expected. */
  const becomes = (lookUp: () => Resolution | Promise<Resolution>, expected: string) =>
    waitFor(async () => words(await lookUp()) === expected, { what: expected, interval: 5 });

  test("is not trusted when DNS has the node, serves a while what DNS does not have, then nothing, and comes back", async () => {
    await register("node_a");
    let inDns: Resolution = IN_DNS;
    const { lookUp, catalogue } = lookUps({ wait: 300, firstRetry: 20, maxRetry: 20 }, () => inDns);
    expect(words(await lookUp())).toBe("catalogue 10.0.0.1:20001");
    fake.misbehave(() => ({ status: 500, body: "No cluster leader" }));
    await becomes(lookUp, "srv 10.8.8.8:8888");
    inDns = ABSENT;
    // For as long as a query may be held, and no longer.
    const states = new Map<string, string>();
    await waitFor(
      async () => {
        const result = words(await lookUp());
        const state = catalogue.status()[0]?.state ?? "none";
        states.set(state, result);
        return state === "behind" && result === "SRV_NXDOMAIN";
      },
      { what: "the end of the trust", interval: 5 },
    );
    expect(states.get("broken")).toBe("catalogue stale 10.0.0.1:20001");
    // Where DNS does not answer either, the last answer is better than none, as with stale records.
    inDns = unavailable("DNS_TIMEOUT", "silent");
    expect(words(await lookUp())).toBe("catalogue stale 10.0.0.1:20001");
    fake.misbehave(undefined);
    await becomes(lookUp, "catalogue 10.0.0.1:20001");
    expect(logged.messages("warn")).toHaveLength(1);
    expect(logged.messages("info")).toContain("Consul tells again which nodes the service has");
  });

  test("is noticed when the agent says nothing any more, not even that nothing has changed", async () => {
    client.close();
    // The call itself does not end.
    client = new ConsulClient({ url: fake.url, timeoutMs: 60_000, log: logged.log });
    await register("node_a");
    const { lookUp, catalogue } = lookUps({ wait: 200, margin: 100 });
    expect(words(await lookUp())).toBe("catalogue 10.0.0.1:20001");
    fake.misbehave(() => "hang");
    await waitFor(() => catalogue.status()[0]?.state === "broken", { what: "the silence to be noticed" });
    await waitFor(() => catalogue.status()[0]?.state === "behind", { what: "the silence to last" });
    expect(catalogue.failure({ service: "svc" })).toBeUndefined();
    expect(words(await lookUp())).toBe("SRV_NXDOMAIN");
  });

  test("answers a client after 1.8 s when name servers are silent too (RFC 8767)", async () => {
    await register("node_a");
    const { lookUp } = lookUps({ firstRetry: 20, maxRetry: 20 }, () => new Promise(() => {}));
    expect(words(await lookUp())).toBe("catalogue 10.0.0.1:20001");
    await fake.close();
    await waitFor(() => logged.messages("warn").length > 0, { what: "the outage" });
    let result: Resolution | undefined;
    const elapsed = await elapsedOf(async () => {
      result = await lookUp();
    });
    expect(words(result as Resolution)).toBe("catalogue stale 10.0.0.1:20001");
    expect(elapsed).toBeGreaterThan(1_700);
    expect(elapsed).toBeLessThan(3_500);
  });

  test("is logged once, however many services are followed", async () => {
    const { lookUp } = lookUps({ firstRetry: 10, maxRetry: 20 });
    for (let i = 0; i < 20; i++) {
      await register("node_a", { service: `s${i}` });
      await lookUp(parseNodeName(`node_a@s${i}`));
    }
    await waitFor(() => fake.held === 20, { what: "the blocking queries" });
    const { port } = fake;
    await fake.close();
    await waitFor(() => logged.messages("warn").length > 0, { what: "the warning" });
    fake = await startFakeConsul(port);
    await waitFor(() => logged.messages("info").includes("Consul tells again which nodes the service has"), {
      what: "the recovery",
    });
    expect(logged.messages("warn")).toHaveLength(1);
    expect(logged.messages("info").filter((line) => line.includes("tells again"))).toHaveLength(1);
  });
});

describe("an endpoint that refused a connection", () => {
  test("is left out until its entry changes, and DNS is asked when none is left", async () => {
    await register("node_a", { id: "old", port: 1111 });
    await register("node_a", { id: "new", port: 2222 });
    const { lookUp, nodes } = lookUps({}, () => IN_DNS);
    const ports = async () => words(await nodes.resolve(NODE, { sameHost: true, mayProbe: false }));
    await lookUp();
    nodes.refused(NODE, { address: "10.0.0.1", port: 1111 });
    expect(await ports()).toBe("catalogue 10.0.0.1:2222");
    // Another instance changes: that says nothing about this one.
    await register("node_b");
    await waitFor(() => fake.held === 1, { what: "the next query" });
    expect(await ports()).toBe("catalogue 10.0.0.1:2222");
    nodes.refused(NODE, { address: "10.0.0.1", port: 2222 });
    expect(await ports()).toBe("srv 10.8.8.8:8888");
    // Registered anew with the same values: its VM was started again.
    await register("node_a", { id: "old", port: 1111 });
    await waitFor(async () => (await ports()) === "catalogue 10.0.0.1:1111", { what: "the entry that has changed" });
  });

  test("is back after a while: an entry without a check never changes", async () => {
    await register("node_a", { port: 1111 });
    const { lookUp, nodes } = lookUps({ refusal: 500 });
    expect(words(await lookUp())).toBe("catalogue 10.0.0.1:1111");
    nodes.refused(NODE, { address: "10.0.0.1", port: 1111 });
    expect(words(await lookUp())).toBe("SRV_NXDOMAIN");
    await waitFor(async () => words(await lookUp()) === "catalogue 10.0.0.1:1111", { what: "its return" });
  });

  test("is found by the probe of a look-up", async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    await register("node_a", { id: "old", address: "127.0.0.1", port: await freePort() });
    await register("node_a", { id: "new", address: "127.0.0.1", port });
    // The first instance comes first, and is probed first.
    const { lookUp } = lookUps(
      {},
      () => ABSENT,
      () => 0,
    );
    expect(words(await lookUp())).toMatch(new RegExp(`^catalogue 127.0.0.1:${port},127.0.0.1:[0-9]+$`));
    expect(words(await lookUp())).toBe(`catalogue 127.0.0.1:${port}`);
  });
});

test("of more than 64 services those in use stay followed, and look-ups of others go to DNS", async () => {
  const { lookUp, catalogue } = lookUps({}, () => IN_DNS);
  for (let i = 0; i < 70; i++) {
    await register("node_a", { service: `s${i}` });
    expect(words(await lookUp(parseNodeName(`node_a@s${i}`)))).toMatch(i < 64 ? /^catalogue/ : /^srv/);
  }
  expect(catalogue.status()).toHaveLength(64);
  expect(catalogue.status().every(({ state }) => state === "current")).toBe(true);
});

test("a list that is empty while DNS has nodes is logged once: the token may not read it", async () => {
  const { lookUp } = lookUps({ settle: 50 }, () => IN_DNS);
  await lookUp();
  // A node that registers is in DNS a moment before it is in the catalogue.
  await lookUp();
  expect(logged.messages("warn")).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 60));
  for (let i = 0; i < 5; i++) expect(words(await lookUp())).toBe("srv 10.8.8.8:8888");
  expect(logged.messages("warn")).toEqual([expect.stringMatching(/the token may not read them \(service:read/)]);
  // Nodes that have left a service are no such thing.
  await register("node_a", { service: "other" });
  const other = parseNodeName("node_a@other");
  await lookUp(other);
  await client.deregister("srv-epmd:box1:other:node_a");
  await waitFor(async () => words(await lookUp(other)).startsWith("srv"), { what: "the node to be gone" });
  await new Promise((resolve) => setTimeout(resolve, 60));
  await lookUp(other);
  expect(logged.messages("warn")).toHaveLength(1);
});

describe("put together", () => {
  const settings = (flags: Record<string, string | readonly string[]>) =>
    loadConfig({ command: "resolve", flags: { consul: fake.url, ...flags }, env: {} }).config;

  test("a command asks once for each service, and leaves nothing open", async () => {
    await register("node_a");
    await register("node_b");
    // The first answer is waited for only briefly.
    await loadConsulSide();
    const resolving = composeForLookUps(settings({ dns: ["127.0.0.1:1"] }), logged.log);
    const names = ["node_a@svc", "node_b@svc", "node_c@svc"].map((text) => parseNodeName(text));
    const results = await Promise.all(names.map((name) => resolving.nodes.resolve(name, { sameHost: true })));
    expect(results.map(words)).toEqual(["catalogue 10.0.0.1:20001", "catalogue 10.0.0.1:20001", "DNS_UNREACHABLE"]);
    expect(queries()).toEqual(["/v1/health/service/svc?stale="]);
    expect(await elapsedOf(() => resolving.close())).toBeLessThan(500);
  });

  test.each([
    ["--catalogue none", { catalogue: "none" }, "node_a@svc"],
    ["a mesh", { mesh: "true" }, "node_a@svc"],
    ["--srv-target", { srvTarget: "{name}.{host}" }, "node_a@svc"],
    ["a host that is not Consul's", {}, "node_a@db.example"],
  ])("with %s the agent is not asked for services", async (_, flags, name) => {
    await register("node_a");
    const dns = await startFakeDns(() => ({ rcode: 3 }));
    onTestFinished(() => dns.close());
    const resolving = composeForLookUps(settings({ dns: [`127.0.0.1:${dns.port}`], ...flags }), logged.log);
    onTestFinished(() => resolving.close());
    const result = await resolving.nodes.resolve(parseNodeName(name), { sameHost: true });
    expect(result.outcome).not.toBe("found");
    expect(queries()).toEqual([]);
  });

  test("a host of the zone that the daemon serves is not asked of Consul", async () => {
    const config = { ...settings({ domain: ["svc"] }), dnsListen: { address: "127.0.0.1", port: 1 } };
    const resolving = composeForLookUps(config, logged.log);
    onTestFinished(() => resolving.close());
    await register("node_a");
    await resolving.nodes.resolve(parseNodeName("node_a@svc"), { sameHost: true });
    expect(queries()).toEqual([]);
  });

  test("closing while the catalogue is being opened ends it", async () => {
    const side = new ConsulSide(settings({}), logged.log);
    const opening = side.openCatalogue().catch((error: Error) => error.message);
    await side.close();
    expect(await opening).toBe("srv-epmd is stopping");
  });
});

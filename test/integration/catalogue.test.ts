import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Catalogue } from "../../src/catalogue/catalogue.js";
import type { CatalogueBackend } from "../../src/catalogue/core/backend.js";
import type { ServiceInstance } from "../../src/catalogue/core/instances.js";
import type { CatalogueTimings } from "../../src/catalogue/followed.js";
import { consulBackend } from "../../src/consul/backend.js";
import { ConsulClient } from "../../src/consul/client.js";
import { parseHealth } from "../../src/consul/replies.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { collectLog } from "../support/log-lines.js";
import { serviceEntry } from "../support/service-entry.js";
import { waitFor } from "../support/wait-for.js";

const SVC = { service: "svc", datacenter: undefined };
/** Milliseconds that a first asker waits. */
const LIMIT = 2_000;

let fake: FakeConsul;
let client: ConsulClient;
let open: Catalogue[];
let logged: ReturnType<typeof collectLog>;

beforeEach(async () => {
  fake = await startFakeConsul();
  logged = collectLog();
  client = new ConsulClient({ url: fake.url, timeoutMs: 2_000, log: logged.log });
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map((catalogue) => catalogue.close()));
  client.close();
  await fake.close();
});

function catalogueOf(
  timings: Partial<CatalogueTimings> = {},
  more: { readonly client?: ConsulClient } = {},
): Catalogue {
  const catalogue = new Catalogue({
    backend: consulBackend(more.client ?? client),
    log: logged.log,
    random: () => 0.5,
    timings,
  });
  open.push(catalogue);
  return catalogue;
}

const register = async (name: string, service = "svc") => {
  await client.register(serviceEntry(name, { service, id: `srv-epmd:box1:${service}:${name}` }));
};
/** Tags of the instances that are not critical. */
const tags = async (catalogue: Catalogue, query: { service: string; datacenter: string | undefined } = SVC) =>
  (await catalogue.instances(query, LIMIT))?.filter(({ critical }) => !critical).flatMap((instance) => instance.tags);
const queries = () => fake.requests.filter(({ path }) => path.startsWith("/v1/health/")).map(({ path }) => path);

test("the first who asks waits for Consul's answer, and later ones are answered from memory", async () => {
  await register("a");
  const catalogue = catalogueOf();
  fake.misbehave(() => ({ delay: 50 }));
  expect(await tags(catalogue)).toEqual(["a"]);
  fake.misbehave(undefined);
  await waitFor(() => fake.held === 1, { what: "the blocking query" });
  // Consul would not answer any more: it is not asked.
  fake.misbehave(() => "hang");
  for (let i = 0; i < 100; i++) expect(await catalogue.instances(SVC, 0)).toHaveLength(1);
  expect(queries()).toEqual([
    "/v1/health/service/svc?stale=",
    `/v1/health/service/svc?stale=&index=${fake.index}&wait=60000ms`,
  ]);
});

test("that a pattern is matched with a service again and again is told, and not that a command was typed now and then", async () => {
  await register("a");
  let elapsed = 0;
  const catalogue = new Catalogue({
    ...{ backend: consulBackend(client), log: logged.log, now: () => performance.now() + elapsed },
  });
  open.push(catalogue);
  const match = async (times: number, interval: number) => {
    for (let i = 0; i < times; i++) {
      elapsed += interval;
      await catalogue.instances(SVC, LIMIT);
    }
    return catalogue.status()[0]?.forPatterns;
  };
  await catalogue.look(SVC, LIMIT);
  expect(catalogue.status()).toMatchObject([{ service: "svc", instances: 1 }]);
  expect(await match(20, 11_000)).toBeUndefined();
  expect(await match(6, 1_000)).toBeUndefined();
  expect(await match(1, 1_000)).toBe(true);
  // It has ended, though look-ups have the service followed on.
  elapsed += 61_000;
  await catalogue.look(SVC, LIMIT);
  expect(catalogue.status()[0]).not.toHaveProperty("forPatterns");
});

test("many who ask first share one query", async () => {
  await register("a");
  fake.misbehave(() => ({ delay: 30 }));
  const catalogue = catalogueOf();
  const answers = await Promise.all(Array.from({ length: 20 }, () => tags(catalogue)));
  expect(answers).toEqual(Array.from({ length: 20 }, () => ["a"]));
  expect(queries().filter((path) => !path.includes("index="))).toHaveLength(1);
});

test("a change is in memory as soon as Consul has it: a node comes, falls ill, is well again, and goes", async () => {
  const catalogue = catalogueOf();
  expect(await tags(catalogue)).toEqual([]);
  const becomes = (expected: readonly string[]) =>
    waitFor(async () => JSON.stringify(await tags(catalogue)) === JSON.stringify(expected), {
      what: `[${expected}]`,
      interval: 2,
    });
  await register("a");
  await becomes(["a"]);
  await client.fail("srv-epmd:box1:svc:a");
  await becomes([]);
  await client.pass("srv-epmd:box1:svc:a");
  await becomes(["a"]);
  await client.deregister("srv-epmd:box1:svc:a");
  await becomes([]);
});

test("services and datacenters are followed each on its own", async () => {
  await register("a");
  await register("b", "other");
  const catalogue = catalogueOf();
  expect(await tags(catalogue)).toEqual(["a"]);
  expect(await tags(catalogue, { service: "other", datacenter: "dc2" })).toEqual(["b"]);
  expect(queries()).toContain("/v1/health/service/other?stale=&dc=dc2");
  // Consul finds a service whatever its case.
  expect(await tags(catalogue, { service: "SVC", datacenter: undefined })).toEqual(["a"]);
  expect(queries().filter((path) => !path.includes("index="))).toHaveLength(2);
});

test("an index that goes backwards is forgotten: the next query does not wait for the old one", async () => {
  await register("a");
  fake.index = 500;
  const catalogue = catalogueOf();
  await tags(catalogue);
  await waitFor(() => fake.held === 1, { what: "the blocking query" });
  // The servers lost their state and count anew.
  fake.index = 3;
  await waitFor(() => queries().some((path) => path.includes("index=3&")), { what: "a query with the new index" });
  expect(queries().slice(-2)).toEqual([
    "/v1/health/service/svc?stale=",
    "/v1/health/service/svc?stale=&index=3&wait=60000ms",
  ]);
});

test("a server whose index holds no query is not asked without a pause", async () => {
  const pace = 20;
  const catalogue = catalogueOf({ pace });
  fake.index = 0;
  const since = performance.now();
  await tags(catalogue);
  await waitFor(() => queries().length >= 40, { what: "more queries than the allowance" });
  // 20 may follow each other at once, and each pace allows one more.
  expect(performance.now() - since).toBeGreaterThan((40 - 20 - 2) * pace);
});

describe("an empty list", () => {
  /** Answers as Consul's servers do: with what the token might read when the query began. */
  const backend = (emptyMeans: boolean) => {
    const asked: { readonly index: number; readonly wait: number }[] = [];
    const rights = { instances: [] as readonly ServiceInstance[] };
    const follow: CatalogueBackend["follow"] = async (_, index, wait, signal) => {
      asked.push({ index, wait });
      const { instances } = rights;
      if (index > 0) await sleep(wait, undefined, { signal });
      return { instances, index: 7, hasLeader: true };
    };
    const { emptyMeans: words = "", ...rest } = consulBackend(client);
    return { asked, rights, backend: { ...rest, ...(emptyMeans && { emptyMeans: words }), follow } };
  };
  const start = (followed: CatalogueBackend) => {
    const timings = { firstEmptyWait: 20, maxEmptyWait: 80 };
    const catalogue = new Catalogue({ backend: followed, log: logged.log, timings });
    open.push(catalogue);
    return catalogue;
  };

  test("is asked for again without an index, after holds that grow: a right to read that is given later ends no query", async () => {
    const { asked, rights, backend: consul } = backend(true);
    const catalogue = start(consul);
    expect(await tags(catalogue)).toEqual([]);
    await waitFor(() => asked.length >= 10, { what: "ten queries" });
    expect(asked.slice(0, 10).map(({ index }) => index)).toEqual([0, 7, 0, 7, 0, 7, 0, 7, 0, 7]);
    const holds = asked.slice(0, 10).flatMap(({ index, wait }) => (index > 0 ? [wait] : []));
    expect([holds[0], holds.at(-1)]).toEqual([20, 80]);
    expect(holds).toEqual(holds.map(Math.round).sort((a, b) => a - b));
    rights.instances = parseHealth([{ Node: {}, Service: { ID: "a", Tags: ["a"], Address: "10.0.0.1", Port: 1 } }]);
    await waitFor(async () => (await tags(catalogue))?.join() === "a", { what: "the node" });
    await waitFor(() => asked.at(-1)?.index === 7, { what: "the blocking query" });
    expect(asked.at(-1)?.wait).toBe(60_000);
  });

  test("of a catalogue that refuses who may not read is followed as any other", async () => {
    const { asked, backend: nomad } = backend(false);
    await tags(start(nomad));
    await waitFor(() => asked.length === 2, { what: "the blocking query" });
    expect(asked[1]).toEqual({ index: 7, wait: 60_000 });
  });
});

test("a list of very many nodes is not asked for again with each change, but after pauses", async () => {
  const pace = 60;
  const catalogue = catalogueOf({ pace });
  await Promise.all(Array.from({ length: 300 }, (_, index) => register(`n${index}`)));
  fake.index = 0;
  await tags(catalogue);
  await waitFor(() => queries().length >= 5, { what: "queries with pauses between them" });
  const times: number[] = [];
  fake.misbehave(({ path }) => {
    if (path.startsWith("/v1/health/")) times.push(performance.now());
    return undefined;
  });
  await waitFor(() => times.length >= 3, { what: "more queries with pauses between them" });
  const [first = 0, second = 0, third = 0] = times;
  // The longest pause is five times the pace.
  expect(Math.min(second - first, third - second)).toBeGreaterThan(4 * pace);
});

describe("an agent in trouble", () => {
  test("that is not there leaves nothing known, at once, and is told of once", async () => {
    const { port } = fake;
    await fake.close();
    const catalogue = catalogueOf();
    const before = performance.now();
    expect(await tags(catalogue)).toBeUndefined();
    expect(await tags(catalogue)).toBeUndefined();
    expect(performance.now() - before).toBeLessThan(LIMIT / 2);
    expect(logged.messages("warn")).toEqual([
      "Consul does not tell which nodes the service has: patterns get the nodes here",
    ]);
    fake = await startFakeConsul(port);
    await register("a");
    // It is found by the first who asks, whatever the pause before the next retry is.
    expect(await tags(catalogue)).toEqual(["a"]);
    expect(logged.messages()).toContain("Consul tells again which nodes the service has");
  });

  test("that fails is asked again sooner only by who waits for the answer", async () => {
    fake.misbehave(() => ({ status: 500, body: "No cluster leader" }));
    const catalogue = catalogueOf({ firstRetry: 60_000, maxRetry: 60_000 });
    const asked = () => fake.requests.filter(({ path }) => path.startsWith("/v1/health/")).length;
    expect(await catalogue.instances(SVC, LIMIT)).toBeUndefined();
    for (let i = 0; i < 20; i++) expect(await catalogue.instances(SVC, 0)).toBeUndefined();
    expect(asked()).toBe(1);
    expect(await catalogue.instances(SVC, LIMIT)).toBeUndefined();
    expect(asked()).toBe(2);
  });

  test("that hangs costs the first who asks no more than the time that was given", async () => {
    fake.misbehave(() => "hang");
    const catalogue = catalogueOf();
    expect(await catalogue.instances(SVC, 50)).toBeUndefined();
    // The call itself is still under way.
    expect(logged.messages("warn")).toEqual([]);
  });

  test("that goes away leaves the last answer in force, which is given at once", async () => {
    await register("a");
    const catalogue = catalogueOf();
    expect(await tags(catalogue)).toEqual(["a"]);
    const { port } = fake;
    await fake.close();
    await waitFor(() => logged.messages("warn").length > 0, { what: "the warning" });
    expect(await tags(catalogue)).toEqual(["a"]);
    expect(logged.messages("warn")).toEqual([
      "Consul does not tell which nodes the service has: patterns get what was known, look-ups are not answered from it",
    ]);
    fake = await startFakeConsul(port);
    await register("b");
    await waitFor(async () => (await tags(catalogue))?.join() === "b", { what: "what the new agent says" });
  });

  test("whose server knows no leader: its list counts only where nothing is known yet", async () => {
    fake.hasLeader = false;
    const catalogue = catalogueOf({ firstRetry: 5, maxRetry: 10 });
    // A server that has just started: it has not read its log yet, or has nothing.
    expect(await tags(catalogue)).toBeUndefined();
    await register("a");
    await waitFor(async () => (await tags(catalogue))?.join() === "a", { what: "the first list with a node" });

    await client.deregister("srv-epmd:box1:svc:a");
    await waitFor(() => catalogue.failure(SVC) !== undefined, { what: "the refusal of the next list" });
    expect(catalogue.failure(SVC)).toMatchObject({ code: "CATALOGUE_NO_LEADER" });
    expect(await tags(catalogue)).toEqual(["a"]);
    expect(catalogue.known(SVC)?.state).toBe("broken");
    fake.hasLeader = true;
    await waitFor(async () => (await tags(catalogue))?.length === 0, { what: "the list of a server with a leader" });
    expect(catalogue.known(SVC)?.state).toBe("current");
  });

  test("is asked again after pauses that grow, from the start of the index", async () => {
    const catalogue = catalogueOf({ firstRetry: 40, maxRetry: 100 });
    await tags(catalogue);
    await waitFor(() => fake.held === 1, { what: "the blocking query" });
    const times: number[] = [];
    fake.misbehave(() => {
      times.push(performance.now());
      return { status: 500, body: "No cluster leader" };
    });
    fake.index = 11;
    // random is 0.5: three quarters of 40, 80, 100, 100.
    await waitFor(() => times.length >= 5, { what: "five tries" });
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? at));
    for (const [index, least] of [30, 60, 75, 75].entries()) expect(gaps[index]).toBeGreaterThan(least - 5);
    expect(queries().at(-1)).toBe("/v1/health/service/svc?stale=");
    expect(logged.messages("warn")).toHaveLength(1);
  });
});

test("a service that nobody asks for is followed no more, and anew when somebody asks", async () => {
  await register("a");
  // Long enough for a machine under load to see the query before it is given up.
  const catalogue = catalogueOf({ idle: 500 });
  await tags(catalogue);
  await waitFor(() => fake.held === 1, { what: "the blocking query" });
  const before = queries().length;
  // The agent sees that the connection has gone only with its next answer.
  await new Promise((resolve) => setTimeout(resolve, 600));
  fake.index = 99;
  expect(queries()).toHaveLength(before);
  expect(await tags(catalogue)).toEqual(["a"]);
  expect(queries()[before]).toBe("/v1/health/service/svc?stale=");
});

test("of more than 64 services the one that was asked longest ago is given up", async () => {
  const followed = new Set<string>();
  const counting = {
    ...client,
    followService: (query: { service: string }, index: number, _wait: number, signal?: AbortSignal) => {
      if (index === 0) {
        followed.add(query.service);
        return Promise.resolve({ instances: [], index: 1, hasLeader: true });
      }
      return new Promise<never>((_, reject) => {
        signal?.addEventListener("abort", () => {
          followed.delete(query.service);
          reject(new Error("given up"));
        });
      });
    },
  };
  const catalogue = catalogueOf({}, { client: counting as unknown as ConsulClient });
  const ask = (service: string) => catalogue.instances({ service, datacenter: undefined }, LIMIT);
  for (let i = 0; i < 64; i++) await ask(`s${i}`);
  await ask("s0");
  await ask("s64");
  await waitFor(() => !followed.has("s1"), { what: "s1 to be given up" });
  expect(followed.size).toBe(64);
  expect(followed.has("s0")).toBe(true);
});

test("closing gives up what is under way, and who waits is told that nothing is known", async () => {
  fake.misbehave(() => "hang");
  const catalogue = catalogueOf();
  const waiting = tags(catalogue);
  await waitFor(() => queries().length === 1, { what: "the query" });
  const before = performance.now();
  await catalogue.close();
  expect(await waiting).toBeUndefined();
  expect(await tags(catalogue)).toBeUndefined();
  expect(performance.now() - before).toBeLessThan(LIMIT / 2);
  expect(logged.messages("warn")).toEqual([]);
});

test("queries that wait keep no call of the registrar waiting", async () => {
  const catalogue = catalogueOf();
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => catalogue.instances({ service: `s${i}`, datacenter: undefined }, LIMIT)),
  );
  await waitFor(() => fake.held === 20, { what: "20 blocking queries" });
  // It would fail after its 2 s if it had to wait for a connection.
  expect(await client.services()).toEqual([]);
});

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as packet from "dns-packet";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { createResolver, type Resolver, type ResolverOptions } from "../../src/dns/resolver.js";
import type { DnsResult } from "../../src/dns/wire/answer.js";
import type { ResourceRecord } from "../../src/dns/wire/record.js";
import type { TraceEvent } from "../../src/resolve/core/resolution.js";
import {
  a,
  cname,
  type FakeDnsServer,
  type FakeHandler,
  type FakeReply,
  FORMERR,
  NXDOMAIN,
  REFUSED,
  SERVFAIL,
  soa,
  srv,
  startFakeDns,
  txt,
} from "../support/fake-dns-server.js";
import { freePort } from "../support/free-port.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const NAME = "node_a.svc.service.consul";
const log = createLogger({ level: "silent", format: "json", write: () => {} });
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function fakeDns(handler: FakeHandler, address?: string): Promise<FakeDnsServer> {
  const server = await startFakeDns(handler, address);
  closers.push(server.close);
  return server;
}

const at = (server: { address: string; port: number }, domain?: string) => ({ ...server, domain });

function resolverFor(dns: ResolverOptions["dns"], more: Partial<ResolverOptions> = {}): Resolver {
  const resolver = createResolver({ dns, maxTtl: 60_000, staleTtl: 3_600_000, log, ...more });
  closers.push(resolver.close);
  return resolver;
}

function ask(
  resolver: Resolver,
  budget = 4_000,
  qname = NAME,
  trace?: (event: TraceEvent) => void,
): Promise<DnsResult> {
  return resolver.query(qname, "SRV", { deadline: performance.now() + budget, trace });
}

const FOUND: FakeReply = { answers: [srv(NAME, "h.addr.consul", 9100)], additionals: [a("h.addr.consul", "10.0.0.1")] };
const UNREACHABLE = { address: "127.0.0.1", port: await freePort(), domain: undefined };

describe("one question", () => {
  test("costs one datagram, with EDNS(0) of 1232 octets and recursion desired", async () => {
    const server = await fakeDns(() => FOUND);
    const result = await ask(resolverFor([at(server)]));
    expect(result).toMatchObject({
      kind: "records",
      records: [{ type: "SRV", port: 9100, target: "h.addr.consul" }],
      additionals: [{ type: "A", address: "10.0.0.1" }],
      stale: false,
      server: `127.0.0.1:${server.port}`,
    });
    expect(server.queries).toMatchObject([
      { transport: "udp", qname: NAME, qtype: "SRV", ednsSize: 1232, flags: 0x0100 },
    ]);
  });

  test("comes from another port and with another id each time", async () => {
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(server)]);
    for (let i = 0; i < 8; i++) await ask(resolver);
    expect(new Set(server.queries.map(({ id }) => id)).size).toBeGreaterThan(1);
    expect(new Set(server.queries.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(1);
  });

  test("is asked of a server on IPv6", async () => {
    const server = await fakeDns(() => FOUND, "::1");
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records", server: `[::1]:${server.port}` });
  });

  test.each<[string, FakeReply]>([
    ["another id", { ...FOUND, wrongId: true }],
    ["another question", { ...FOUND, question: { name: "other.consul", type: "SRV" } }],
    ["no question", { ...FOUND, noQuestion: true }],
    ["another type", { ...FOUND, question: { name: NAME, type: "A" } }],
    ["another source", { ...FOUND, wrongSource: true }],
    ["rubbish in it", { raw: Buffer.from("this is no DNS message at all") }],
  ])("ignores an answer with %s and takes the right one that follows", async (_, wrong) => {
    const right = { answers: [srv(NAME, "right.consul", 1234)], delay: 60 };
    const server = await fakeDns(() => [wrong, right]);
    const result = await ask(resolverFor([at(server)]));
    expect(result).toMatchObject({ kind: "records", records: [{ target: "right.consul" }] });
    expect(server.queries).toHaveLength(1);
  });

  test("takes an answer whose question differs in letter case only", async () => {
    const server = await fakeDns(() => ({ ...FOUND, question: { name: NAME.toUpperCase(), type: "SRV" } }));
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records" });
  });

  test("truncated is asked again over TCP, of the same server, and its answer read in single octets", async () => {
    const server = await fakeDns(({ transport }) =>
      transport === "udp" ? { ...FOUND, truncated: true } : { ...FOUND, dribble: true },
    );
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records" });
    expect(server.queries.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
  });

  test("is asked of the next server when TCP after a truncated answer fails", async () => {
    const first = await fakeDns(({ transport }) => (transport === "udp" ? { truncated: true } : { hangUp: true }));
    const second = await fakeDns(() => FOUND);
    expect(await ask(resolverFor([at(first), at(second)]))).toMatchObject({ server: `127.0.0.1:${second.port}` });
  });

  describe("whose answer all but fills a datagram, without TC, may lack something", () => {
    const many = (count: number): FakeReply => ({
      answers: Array.from({ length: count }, (_, n) => srv(NAME, `h${n}.a-rather-long-name.addr.consul`, 9000 + n)),
    });

    test("and is asked again over TCP", async () => {
      const server = await fakeDns(({ transport }) => many(transport === "udp" ? 21 : 40));
      const result = await ask(resolverFor([at(server)]));
      expect(result.kind === "records" && result.records).toHaveLength(40);
      expect(server.queries.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
    });

    test("and stands when the server does not speak TCP", async () => {
      const server = await fakeDns(({ transport }) => (transport === "udp" ? many(21) : { hangUp: true }));
      const result = await ask(resolverFor([at(server)]));
      expect(result.kind === "records" && result.records).toHaveLength(21);
    });

    /** A response of that many octets. */
    const sized = (octets: number): FakeReply => {
      const reply = { answers: [srv(NAME, "h.addr.consul", 9100)], additionals: [] as packet.Answer[] };
      const question: packet.Question = { name: NAME, type: "SRV" };
      const left = () => octets - packet.encode({ type: "response", questions: [question], ...reply }).length;
      // A TXT record named `f.` takes 14 octets, and those of its text.
      while (left() > 0) reply.additionals.push(txt("f", "x".repeat(left() > 269 ? 200 : left() - 14)));
      return reply;
    };

    test.each([
      [976, ["udp"]],
      [977, ["udp", "tcp"]],
      [1232, ["udp", "tcp"]],
    ] as const)("where %i octets of the 1232 came, it is asked over %j", async (octets, transports) => {
      const server = await fakeDns(() => sized(octets));
      expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records" });
      expect(server.queries.map(({ transport }) => transport)).toEqual(transports);
    });
  });

  test("is asked once without EDNS(0) of a server that does not know it", async () => {
    const server = await fakeDns(({ ednsSize }) =>
      ednsSize === undefined ? FOUND : { rcode: FORMERR, noQuestion: true },
    );
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records" });
    expect(server.queries.map(({ ednsSize }) => ednsSize)).toEqual([1232, undefined]);
  });

  test("is asked over TCP without EDNS(0) too of a server that does not know it", async () => {
    const server = await fakeDns(({ transport, ednsSize }) => {
      if (ednsSize !== undefined) return { rcode: FORMERR };
      return transport === "udp" ? { truncated: true } : FOUND;
    });
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records" });
    expect(server.queries.map(({ transport, ednsSize }) => [transport, ednsSize])).toEqual([
      ["udp", 1232],
      ["udp", undefined],
      ["tcp", undefined],
    ]);
  });

  test("follows a CNAME that came without its target's records, and stops in a maze of them", async () => {
    const server = await fakeDns(({ qname }) => {
      if (qname === NAME) return { answers: [cname(NAME, "alias.consul", 7)] };
      return { answers: [srv("alias.consul", "h.addr.consul", 9100, { ttl: 30 })] };
    });
    const resolver = resolverFor([at(server)]);
    expect(await ask(resolver)).toMatchObject({ kind: "records", canonicalName: "alias.consul", ttl: 7 });
    server.handle(({ qname }) => ({ answers: [cname(qname, `x${qname}`)] }));
    expect(await ask(resolver, 4_000, "maze.consul")).toMatchObject({
      kind: "unavailable",
      cause: expect.stringContaining("CNAME"),
    });
  });

  test("with a label that DNS cannot carry is answered without asking anybody", async () => {
    const server = await fakeDns(() => FOUND);
    expect(await ask(resolverFor([at(server)]), 4_000, `${"x".repeat(64)}.consul`)).toEqual({
      kind: "nxdomain",
      ttl: 0,
      server: undefined,
    });
    expect(server.queries).toEqual([]);
  });

  test("tells a trace what was asked, of whom, and what came", async () => {
    const server = await fakeDns(({ transport }) => (transport === "udp" ? { truncated: true } : FOUND));
    const events: TraceEvent[] = [];
    await ask(resolverFor([at(server)]), 4_000, NAME, (event) => events.push(event));
    const common = { step: "query", server: `127.0.0.1:${server.port}`, qname: NAME, qtype: "SRV" };
    expect(events).toMatchObject([
      { ...common, transport: "udp", result: "truncated" },
      { ...common, transport: "tcp", result: "NOERROR", records: [`${NAME}. 0 SRV 1 1 9100 h.addr.consul.`] },
    ]);
  });
});

describe("several servers", () => {
  test.each([
    ["REFUSED", REFUSED],
    ["SERVFAIL", SERVFAIL],
    ["NOTIMP", 4],
  ])("are asked one after the other when one says %s", async (_, rcode) => {
    const first = await fakeDns(() => ({ rcode }));
    const second = await fakeDns(() => FOUND);
    expect(await ask(resolverFor([at(first), at(second)]))).toMatchObject({ server: `127.0.0.1:${second.port}` });
  });

  test("are asked one after the other when one is silent, and that one is asked last the next time", async () => {
    const silent = await fakeDns(() => undefined);
    const second = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(silent), at(second)]);
    expect(await ask(resolver)).toMatchObject({ kind: "records" });
    expect(silent.queries).toHaveLength(1);
    expect(await ask(resolver)).toMatchObject({ kind: "records" });
    expect(silent.queries).toHaveLength(1);
    expect(second.queries).toHaveLength(2);
  });

  test("are chosen by the longest domain that the name lies under", async () => {
    const found: FakeHandler = ({ qname }) => ({ answers: [srv(qname, "h.addr.consul", 9100)] });
    const [everything, consul, service] = [await fakeDns(found), await fakeDns(found), await fakeDns(found)];
    const resolver = resolverFor([at(everything), at(consul, "consul"), at(service, "svc.service.consul")]);
    await ask(resolver);
    expect([everything, consul, service].map(({ queries }) => queries.length)).toEqual([0, 0, 1]);
    await ask(resolver, 4_000, "node.other.service.consul");
    expect([everything, consul, service].map(({ queries }) => queries.length)).toEqual([0, 1, 1]);
    await ask(resolver, 4_000, "node.notconsul");
    expect([everything, consul, service].map(({ queries }) => queries.length)).toEqual([1, 1, 1]);
  });

  test("that share the longest domain are all asked, and others never", async () => {
    const others = await fakeDns(() => FOUND);
    const first = await fakeDns(() => ({ rcode: SERVFAIL }));
    const second = await fakeDns(() => ({ rcode: SERVFAIL }));
    await ask(resolverFor([at(others), at(first, "consul"), at(second, "consul")]), 300);
    expect(others.queries).toEqual([]);
    expect(first.queries.length).toBeGreaterThan(0);
    expect(second.queries.length).toBeGreaterThan(0);
  });
});

describe("when no server answers", () => {
  const causeOf = (result: DnsResult) => (result.kind === "unavailable" ? result.cause : result.kind);
  const datagramsTo = ({ queries }: FakeDnsServer) => queries.filter(({ transport }) => transport === "udp").length;
  /** Those that ended, and the one that had yet to be answered when the budget was used up. */
  function triesIn(cause: string): number {
    const ended = Array.from(cause.matchAll(/ after (\d+) tr(?:y|ies)/g), ([, count]) => Number(count));
    return ended.reduce((sum, count) => sum + count, cause.includes("has yet to answer") ? 1 : 0);
  }

  test("the question is repeated within the budget and the cause names servers and tries", async () => {
    const server = await fakeDns(() => undefined);
    const result = await ask(resolverFor([at(server)]), 1_200);
    expect(result).toMatchObject({ kind: "unavailable", code: "DNS_TIMEOUT" });
    const cause = causeOf(result);
    expect(cause).toContain(`no name server could answer for ${NAME}: 127.0.0.1:${server.port} timed out after `);
    expect(triesIn(cause)).toBeGreaterThan(1);
    // The server may read the last datagram after the resolver has given up.
    await waitFor(() => datagramsTo(server) === triesIn(cause), { what: "the server to read each try" });
  });

  test("a second datagram is enough when the first is lost", async () => {
    let lost = 1;
    const server = await fakeDns(() => (lost-- > 0 ? undefined : FOUND));
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records" });
  });

  test("because nobody listens there, that is said long before the budget is used up", async () => {
    const started = performance.now();
    const result = await ask(resolverFor([UNREACHABLE]));
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(result).toMatchObject({ kind: "unavailable", code: "DNS_UNREACHABLE" });
    expect(result).toHaveProperty(
      "cause",
      expect.stringContaining("refused the connection (ECONNREFUSED) after 3 tries"),
    );
  });

  test("because all refuse, that is said long before the budget is used up", async () => {
    const server = await fakeDns(() => ({ rcode: REFUSED }));
    const started = performance.now();
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "unavailable", code: "DNS_REFUSED" });
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(server.queries).toHaveLength(3);
  });

  test("because it fails at once each time, it is asked with growing pauses up to the deadline, and no storm ends it", async () => {
    const server = await fakeDns(() => ({ rcode: SERVFAIL }));
    const started = performance.now();
    const result = await ask(resolverFor([at(server)], { random: () => 0.5 }), 1_000);
    // At 0, 200 and 600 ms, and once more shortly before the end; a machine under load may miss some.
    expect(performance.now() - started).toBeGreaterThan(800);
    expect(result).toMatchObject({ code: "DNS_SERVFAIL", cause: expect.stringContaining("said SERVFAIL after ") });
    const tries = triesIn(causeOf(result));
    expect(tries).toBeGreaterThanOrEqual(2);
    expect(tries).toBeLessThanOrEqual(5);
    await waitFor(() => datagramsTo(server) === tries, { what: "the server to read each try" });
  });

  test("because nobody listens there, a short time-out is no storm either", async () => {
    const events: TraceEvent[] = [];
    const resolver = resolverFor([UNREACHABLE], { random: () => 0.5 });
    const overUdp = (event: TraceEvent) => event.step === "query" && event.transport === "udp";
    const result = await ask(resolver, 300, NAME, (event) => overUdp(event) && events.push(event));
    expect(events.length).toBeLessThanOrEqual(3);
    const tries = events.length === 1 ? "1 try" : `${events.length} tries`;
    expect(result).toHaveProperty("cause", expect.stringContaining(`after ${tries}`));
  });

  test("the resolver can be closed at once, and those who wait are told", async () => {
    const server = await fakeDns(() => undefined);
    const resolver = resolverFor([at(server)]);
    const waiting = ask(resolver);
    await waitFor(() => server.queries.length > 0, { what: "the query" });
    const started = performance.now();
    await resolver.close();
    expect(await waiting).toMatchObject({ kind: "unavailable" });
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe("those who ask the same at the same time", () => {
  test("share one query, whatever the letter case", async () => {
    const server = await fakeDns(() => ({ ...FOUND, delay: 50 }));
    const resolver = resolverFor([at(server)]);
    const results = await Promise.all([ask(resolver), ask(resolver), ask(resolver, 4_000, `${NAME.toUpperCase()}.`)]);
    expect(results.map(({ kind }) => kind)).toEqual(["records", "records", "records"]);
    expect(server.queries).toHaveLength(1);
  });

  test("each wait no longer than their own deadline, and no shorter", async () => {
    const server = await fakeDns(() => undefined);
    const resolver = resolverFor([at(server)]);
    const started = performance.now();
    const short = ask(resolver, 200).then((result) => ({ result, after: performance.now() - started }));
    const long = ask(resolver, 2_000);
    expect((await short).result).toMatchObject({ kind: "unavailable" });
    expect((await short).after).toBeLessThan(1_500);
    server.handle(() => FOUND);
    expect(await long).toMatchObject({ kind: "records" });
  });

  test("share the queries of the first even when the second has more time", async () => {
    const server = await fakeDns(() => ({ ...FOUND, delay: 300 }));
    const resolver = resolverFor([at(server)]);
    const short = ask(resolver, 150);
    const long = ask(resolver, 4_000);
    expect(await short).toMatchObject({ kind: "unavailable", code: "DNS_TIMEOUT" });
    expect(await long).toMatchObject({ kind: "records" });
  });
});

describe("queries under way at once", () => {
  test("are no more than there are descriptors for; the others wait for their turn", async () => {
    const arrivals: number[] = [];
    const server = await fakeDns(({ qname }) => {
      arrivals.push(performance.now());
      return { answers: [srv(qname, "h.consul", 1)], delay: 40 };
    });
    // One server alone has half of them.
    const resolver = resolverFor([at(server)], { maxExchanges: 4 });
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, index) => ask(resolver, 4_000, `node_${index}.consul`)),
    );
    expect(results.map(({ kind }) => kind)).toEqual(Array.from({ length: 6 }, () => "records"));
    expect(arrivals).toHaveLength(6);
    for (const [index, arrival] of arrivals.slice(2).entries())
      expect(arrival - (arrivals[index] ?? 0)).toBeGreaterThan(35);
  });

  describe("of names that a silent name server has to do with do not hold up others", () => {
    const SILENT: FakeHandler = () => undefined;
    const found: FakeHandler = ({ qname }) => ({ answers: [srv(qname, "h.consul", 1)] });
    /** More than there are slots for, for names under so many domains. */
    async function crowd(resolver: Resolver, server: FakeDnsServer, domains: number): Promise<void> {
      for (let index = 0; index < 80; index++) {
        void ask(resolver, 3_000, `node_${index}.svc.dead${index % domains}.example`);
      }
      await waitFor(() => server.queries.length > 0, { what: "the first query" });
    }
    async function expectSoon(resolver: Resolver): Promise<void> {
      const started = performance.now();
      expect(await ask(resolver)).toMatchObject({ kind: "records" });
      expect(performance.now() - started).toBeLessThan(1_500);
    }

    test("of another server", async () => {
      const dead = await fakeDns(SILENT);
      const healthy = await fakeDns(found);
      const resolver = resolverFor([at(dead, "dead0.example"), at(healthy)], { maxExchanges: 8 });
      await crowd(resolver, dead, 1);
      await expectSoon(resolver);
    });

    test("of another domain behind the same server", async () => {
      const server = await fakeDns((query) => (query.qname.endsWith(".example") ? undefined : found(query)));
      const resolver = resolverFor([at(server)], { maxExchanges: 8 });
      await crowd(resolver, server, 1);
      await expectSoon(resolver);
    });

    test("of several domains behind the same server", async () => {
      const server = await fakeDns((query) => (query.qname.endsWith(".example") ? undefined : found(query)));
      const resolver = resolverFor([at(server)], { maxExchanges: 16 });
      await crowd(resolver, server, 5);
      await expectSoon(resolver);
    });

    test("of the same name, when another server knows it", async () => {
      const dead = await fakeDns(SILENT);
      const healthy = await fakeDns(found);
      const resolver = resolverFor([at(dead), at(healthy)], { maxExchanges: 8 });
      await crowd(resolver, dead, 1);
      const started = performance.now();
      expect(await ask(resolver, 4_000, "another.svc.dead0.example")).toMatchObject({ kind: "records" });
      expect(performance.now() - started).toBeLessThan(2_000);
    });
  });

  test("leave those who wait for a turn no longer than their deadline", async () => {
    const server = await fakeDns(() => undefined);
    const resolver = resolverFor([at(server)], { maxExchanges: 1 });
    const first = ask(resolver, 1_000, "first.consul");
    await waitFor(() => server.queries.length > 0, { what: "the first query" });
    const started = performance.now();
    expect(await ask(resolver, 150, "second.consul")).toEqual({
      kind: "unavailable",
      code: "DNS_TIMEOUT",
      cause: "no name server could answer for second.consul: there was no time to ask",
    });
    expect(performance.now() - started).toBeLessThan(900);
    server.handle(({ qname }) => ({ answers: [srv(qname, "h.consul", 1)] }));
    expect(await ask(resolver, 4_000, "third.consul")).toMatchObject({ kind: "records" });
    expect(await first).toMatchObject({ kind: "records" });
  });
});

describe("a wall clock that is set", () => {
  const HOUR = 3_600_000;
  const realNow = Date.now;
  let ahead = 0;
  beforeEach(() => {
    ahead = 0;
    vi.spyOn(Date, "now").mockImplementation(() => realNow() + ahead);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("back by an hour keeps no answer for an hour", async () => {
    const server = await fakeDns(() => ({ answers: [srv(NAME, "h.consul", 1, { ttl: 60 })] }));
    const resolver = resolverFor([at(server)], { maxTtl: 30 });
    await ask(resolver);
    ahead = -HOUR;
    await sleep(50);
    await ask(resolver);
    expect(server.queries).toHaveLength(2);
  });

  test("forward by an hour does not end the question that is under way", async () => {
    const server = await fakeDns(() => {
      if (server.queries.length > 1) return FOUND;
      ahead = HOUR;
      return { rcode: SERVFAIL };
    });
    expect(await ask(resolverFor([at(server)]))).toMatchObject({ kind: "records" });
  });
});

test("many questions at once raise no warning of the runtime", async () => {
  const warnings: Error[] = [];
  const take = (warning: Error) => warnings.push(warning);
  process.on("warning", take);
  closers.push(async () => void process.off("warning", take));
  const server = await fakeDns(() => ({ ...FOUND, rcode: NXDOMAIN, answers: [], delay: 20 }));
  const resolver = resolverFor([at(server)]);
  await Promise.all(Array.from({ length: 40 }, (_, index) => ask(resolver, 4_000, `node_${index}.consul`)));
  expect(warnings).toEqual([]);
});

describe("the cache", () => {
  /** A clock that can be moved. */
  function clock() {
    const state = { ahead: 0 };
    return { state, now: () => performance.now() + state.ahead };
  }
  const query = (resolver: Resolver, now: () => number, budget = 4_000) =>
    resolver.query(NAME, "SRV", { deadline: now() + budget });

  test("gives an answer for its TTL, counting down, and with TTL 0 not at all", async () => {
    const { state, now } = clock();
    const server = await fakeDns(() => ({ answers: [srv(NAME, "h.consul", 1, { ttl: 10 })] }));
    const resolver = resolverFor([at(server)], { now });
    expect(await query(resolver, now)).toMatchObject({ ttl: 10 });
    state.ahead += 4_000;
    expect(await query(resolver, now)).toMatchObject({ kind: "records", ttl: 6, stale: false });
    expect(server.queries).toHaveLength(1);
    server.handle(() => ({ answers: [srv(NAME, "h.consul", 1, { ttl: 0 })] }));
    state.ahead += 6_000;
    await query(resolver, now);
    await query(resolver, now);
    expect(server.queries).toHaveLength(3);
  });

  test("keeps an answer no longer than the addresses that came with it", async () => {
    const { state, now } = clock();
    const server = await fakeDns(() => ({
      answers: [srv(NAME, "h.consul", 1, { ttl: 30 })],
      additionals: [a("h.consul", "10.0.0.1", 5)],
    }));
    const resolver = resolverFor([at(server)], { now });
    await query(resolver, now);
    state.ahead += 5_000;
    await query(resolver, now);
    expect(server.queries).toHaveLength(2);
  });

  test("keeps an absence as long as its SOA says, at most --max-ttl", async () => {
    const { state, now } = clock();
    const server = await fakeDns(() => ({ rcode: NXDOMAIN, authorities: [soa("consul", 60, 60)] }));
    const resolver = resolverFor([at(server)], { now, maxTtl: 1_000 });
    expect(await query(resolver, now)).toMatchObject({ kind: "nxdomain" });
    expect(await query(resolver, now)).toMatchObject({ kind: "nxdomain" });
    expect(server.queries).toHaveLength(1);
    state.ahead += 1_000;
    await query(resolver, now);
    expect(server.queries).toHaveLength(2);
  });

  test("gives the last good answer when every server refuses, marked stale, and not after --stale-ttl", async () => {
    const { state, now } = clock();
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(server)], { now, staleTtl: 60_000 });
    await query(resolver, now);
    server.handle(() => ({ rcode: REFUSED }));
    state.ahead += 59_000;
    expect(await query(resolver, now)).toMatchObject({ kind: "records", stale: true, ttl: 0 });
    state.ahead += 1_000;
    expect(await query(resolver, now)).toMatchObject({ kind: "unavailable" });
  });

  test("gives the last good answer after 1.8 s of silence, while the server goes on being asked", async () => {
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(server)]);
    await ask(resolver);
    server.handle(() => undefined);
    const started = performance.now();
    // Time for a try after that moment, however long the ones before it happen to be.
    expect(await ask(resolver, 6_000)).toMatchObject({ kind: "records", stale: true });
    const waited = performance.now() - started;
    expect(waited).toBeGreaterThan(1_750);
    expect(waited).toBeLessThan(2_900);
    const before = server.queries.length;
    server.handle(() => ({ answers: [srv(NAME, "new.consul", 9200, { ttl: 60 })] }));
    await waitFor(() => server.queries.length > before, { what: "a further query" });
    // The answer that came after the stale one was given is in the cache.
    expect(await ask(resolver)).toMatchObject({ records: [{ target: "new.consul" }], stale: false });
    const events: TraceEvent[] = [];
    await ask(resolver, 4_000, NAME, (event) => events.push(event));
    expect(events).toMatchObject([{ transport: "cache" }]);
  });

  test("has an absence confirmed when the name was known a moment ago: Consul's followers lag", async () => {
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(server)]);
    await ask(resolver);
    let absences = 1;
    server.handle(() => (absences-- > 0 ? { rcode: NXDOMAIN } : FOUND));
    expect(await ask(resolver)).toMatchObject({ kind: "records", stale: false });
    expect(server.queries).toHaveLength(3);
  });

  test("believes an absence that is confirmed, never answers it from stale, and does not ask twice again", async () => {
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(server)]);
    await ask(resolver);
    server.handle(() => ({ rcode: NXDOMAIN }));
    expect(await ask(resolver)).toMatchObject({ kind: "nxdomain", server: `127.0.0.1:${server.port}` });
    expect(server.queries).toHaveLength(3);
    expect(await ask(resolver)).toMatchObject({ kind: "nxdomain" });
    expect(server.queries).toHaveLength(4);
    server.handle(() => ({ rcode: REFUSED }));
    expect(await ask(resolver)).toMatchObject({ kind: "unavailable" });
  });

  test("tells an absence to whoever has no time for its confirmation", async () => {
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(server)]);
    await ask(resolver);
    server.handle(() => ({ rcode: NXDOMAIN }));
    const [short, long] = await Promise.all([ask(resolver, 100), ask(resolver)]);
    expect(short).toMatchObject({ kind: "nxdomain" });
    expect(long).toMatchObject({ kind: "nxdomain" });
  });

  test("has an absence confirmed with --stale-ttl 0 too: that is about giving old answers only", async () => {
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([at(server)], { staleTtl: 0 });
    await ask(resolver);
    let absences = 1;
    server.handle(() => (absences-- > 0 ? { rcode: NXDOMAIN } : FOUND));
    expect(await ask(resolver)).toMatchObject({ kind: "records" });
    server.handle(() => ({ rcode: REFUSED }));
    expect(await ask(resolver)).toMatchObject({ kind: "unavailable" });
  });

  test("forgets a record that turned out wrong under the name that the search list gave it", async () => {
    const resolvConf = join(await temporaryFolder("search"), "resolv.conf");
    await writeFile(resolvConf, "search corp.example\noptions ndots:5\n");
    const server = await fakeDns(({ qname }) => ({
      answers: [srv(qname, "old.example", 1, { ttl: 60 }), srv(qname, "new.example", 2, { ttl: 60 })],
    }));
    const resolver = resolverFor([at(server, "corp.example")], { resolvConf });
    const search = () => resolver.query("node_a.svc", "SRV", { deadline: performance.now() + 4_000, search: true });
    await search();
    const isWrong = (record: ResourceRecord) => record.type === "SRV" && record.port === 1;
    resolver.dropRecords("node_a.svc", "SRV", isWrong, { search: true });
    server.handle(() => ({ rcode: REFUSED }));
    expect(await search()).toMatchObject({
      records: [{ owner: "node_a.svc.corp.example", target: "new.example" }],
      stale: true,
    });
  });

  test("forgets a record that turned out wrong, and asks anew", async () => {
    const server = await fakeDns(() => ({
      answers: [srv(NAME, "old.consul", 1, { ttl: 60 }), srv(NAME, "new.consul", 2, { ttl: 60 })],
    }));
    const resolver = resolverFor([at(server)]);
    await ask(resolver);
    resolver.dropRecords(NAME, "SRV", (record) => record.type === "SRV" && record.port === 1);
    server.handle(() => ({ rcode: REFUSED }));
    expect(await ask(resolver)).toMatchObject({ records: [{ target: "new.consul" }], stale: true });
  });
});

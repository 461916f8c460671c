import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { createResolver, type Resolver, type ResolverOptions } from "../../src/dns/resolver.js";
import type { DnsResult } from "../../src/dns/wire/answer.js";
import type { TraceEvent } from "../../src/resolve/core/resolution.js";
import {
  a,
  type FakeDnsServer,
  type FakeHandler,
  type FakeReply,
  NXDOMAIN,
  srv,
  startFakeDns,
} from "../support/fake-dns-server.js";
import { collectLog } from "../support/log-lines.js";
import { temporaryFolder } from "../support/temporary.js";

const NAME = "node_a.svc.service.consul";
const log = createLogger({ level: "silent", format: "json", write: () => {} });

async function fakeDns(handler: FakeHandler): Promise<FakeDnsServer> {
  const server = await startFakeDns(handler);
  onTestFinished(server.close);
  return server;
}

function resolverFor(servers: readonly FakeDnsServer[], more: Partial<ResolverOptions> = {}): Resolver {
  const dns = servers.map(({ address, port }) => ({ address, port, domain: undefined }));
  const resolver = createResolver({ dns, maxTtl: 60_000, staleTtl: 3_600_000, log, ...more });
  onTestFinished(resolver.close);
  return resolver;
}

/** The servers stand for those of a resolv.conf with these options. */
async function resolverOfConf(options: string, servers: readonly FakeDnsServer[]): Promise<Resolver> {
  const resolvConf = join(await temporaryFolder("resolv-conf"), "resolv.conf");
  await writeFile(resolvConf, `nameserver 192.0.2.53\noptions ${options}\n`);
  return resolverFor([], { resolvConf, isOwnServer: () => true, otherServers: servers });
}

function ask(resolver: Resolver, budget = 4_000, trace?: (event: TraceEvent) => void): Promise<DnsResult> {
  return resolver.query(NAME, "SRV", { deadline: performance.now() + budget, trace });
}

const FOUND: FakeReply = { answers: [srv(NAME, "h.addr.consul", 9100, { ttl: 60 })] };
const transports = ({ queries }: FakeDnsServer) => queries.map(({ transport }) => transport);
const causeOf = (result: DnsResult) => (result.kind === "unavailable" ? result.cause : result.kind);

describe("a truncated answer whose rest cannot be had over TCP", () => {
  const PART: FakeReply = { ...FOUND, truncated: true };

  test.each<[string, FakeReply | undefined, number]>([
    ["refuses it", { hangUp: true }, 4_000],
    ["is silent over it", undefined, 4_000],
    ["is silent over it, and time is short", undefined, 500],
    ["truncates it too", PART, 4_000],
  ])("stands when the server %s; the trace says so, and it is not kept", async (_, overTcp, budget) => {
    const server = await fakeDns(({ transport }) => (transport === "udp" ? PART : overTcp));
    const resolver = resolverFor([server]);
    const events: TraceEvent[] = [];
    const result = await ask(resolver, budget, (event) => events.push(event));
    expect(result).toMatchObject({ kind: "records", records: [{ port: 9100 }], ttl: 0, stale: false });
    const where = { server: `127.0.0.1:${server.port}`, qname: NAME, qtype: "SRV" };
    expect(events.at(-1)).toEqual({ step: "partial", ...where, records: 1 });
    const before = server.queries.length;
    await ask(resolver, budget);
    expect(server.queries.length).toBeGreaterThan(before);
  });

  test("gives way to the whole one of another server", async () => {
    const first = await fakeDns(({ transport }) => (transport === "udp" ? PART : { hangUp: true }));
    const second = await fakeDns(() => ({ answers: [srv(NAME, "h.addr.consul", 9200)] }));
    expect(await ask(resolverFor([first, second]))).toMatchObject({ records: [{ port: 9200 }] });
  });

  test("without a record says nothing", async () => {
    const server = await fakeDns(({ transport }) => (transport === "udp" ? { truncated: true } : { hangUp: true }));
    expect(await ask(resolverFor([server]), 600)).toMatchObject({ kind: "unavailable" });
  });
});

describe("a server that is silent over UDP and answers over TCP", () => {
  const TCP_ONLY: FakeHandler = ({ transport }) =>
    transport === "tcp" ? { ...FOUND, answers: [srv(NAME, "h", 1)] } : undefined;

  test.each([4_000, 1_500, 400])("is heard within a budget of %d ms", async (budget) => {
    expect(await ask(resolverFor([await fakeDns(TCP_ONLY)]), budget)).toMatchObject({ kind: "records" });
  });

  test("is heard when resolv.conf allows one attempt", async () => {
    const resolver = await resolverOfConf("attempts:1 timeout:1", [await fakeDns(TCP_ONLY)]);
    expect(await ask(resolver)).toMatchObject({ kind: "records" });
  });

  test("is asked over TCP at once for a while, and over UDP again when that fails", async () => {
    const server = await fakeDns(TCP_ONLY);
    const resolver = resolverFor([server]);
    await ask(resolver);
    server.queries.length = 0;
    const events: TraceEvent[] = [];
    await ask(resolver, 4_000, (event) => events.push(event));
    expect(events).toMatchObject([{ transport: "tcp", because: "over UDP the server was silent a moment ago" }]);
    expect(transports(server)).toEqual(["tcp"]);
    server.handle(({ transport }) => (transport === "udp" ? FOUND : { hangUp: true }));
    expect(await ask(resolver)).toMatchObject({ kind: "records" });
  });

  test("is not asked over TCP while UDP works", async () => {
    const server = await fakeDns(() => ({ answers: [srv(NAME, "h", 1)], delay: 100 }));
    const resolver = resolverFor([server]);
    for (let i = 0; i < 3; i++) await ask(resolver);
    expect(transports(server)).toEqual(["udp", "udp", "udp"]);
  });
});

describe("options of resolv.conf", () => {
  test("use-vc: TCP alone", async () => {
    const server = await fakeDns(() => FOUND);
    expect(await ask(await resolverOfConf("use-vc", [server]))).toMatchObject({ kind: "records" });
    expect(transports(server)).toEqual(["tcp"]);
  });

  test("rotate: each server is the first in its turn", async () => {
    const found: FakeHandler = () => ({ answers: [srv(NAME, "h", 1)] });
    const servers = [await fakeDns(found), await fakeDns(found), await fakeDns(found)];
    const resolver = await resolverOfConf("rotate", servers);
    for (let i = 0; i < 6; i++) await ask(resolver);
    expect(servers.map(({ queries }) => queries.length)).toEqual([2, 2, 2]);
  });

  test("that are ignored are said in the log, once", async () => {
    const { log: collected, lines } = collectLog();
    const resolvConf = join(await temporaryFolder("resolv-conf"), "resolv.conf");
    await writeFile(resolvConf, "nameserver 192.0.2.53\noptions edns0 trust-ad single-request timeout:1\n");
    const server = await fakeDns(() => FOUND);
    const resolver = resolverFor([], { resolvConf, isOwnServer: () => true, otherServers: [server], log: collected });
    await ask(resolver);
    await resolver.query("other.example", "A", { deadline: performance.now() + 300 });
    const said = lines.filter(({ msg }) => msg === "resolv.conf has options that are ignored");
    expect(said).toMatchObject([{ file: resolvConf, options: ["trust-ad", "single-request"] }]);
  });
});

describe("an answer for another name is called that, not silence and no absence", () => {
  const REWRITTEN: FakeReply = { ...FOUND, question: { name: "node_a.svc.corp.example", type: "SRV" } };
  const OTHER_OWNER: FakeReply = { answers: [srv("node_a.svc.corp.example", "h.addr.consul", 9100)] };

  test.each<[string, FakeHandler, string]>([
    ["its question was rewritten", () => REWRITTEN, "gave an answer for another name (node_a.svc.corp.example)"],
    [
      "its question was rewritten, over TCP",
      ({ transport }) => (transport === "udp" ? { truncated: true } : REWRITTEN),
      "gave an answer for another name (node_a.svc.corp.example)",
    ],
    ["the owner of its records was", () => OTHER_OWNER, "gave an answer for another name (node_a.svc.corp.example)"],
    ["its type was", () => ({ question: { name: NAME, type: "A" } }), "gave an answer to another question"],
    ["it has no question", () => ({ ...FOUND, noQuestion: true }), "gave an answer without its question"],
    [
      "it is cut off",
      ({ id }) => ({ raw: Buffer.from([id >> 8, id & 0xff, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 4]) }),
      "gave a malformed answer",
    ],
  ])("when %s", async (_, handler, words) => {
    const server = await fakeDns(handler);
    const result = await ask(resolverFor([server]), 900);
    expect(result).toMatchObject({ kind: "unavailable", code: "DNS_BAD_ANSWER" });
    expect(causeOf(result)).toContain(`127.0.0.1:${server.port} ${words} after `);
  });

  test("by the trace too", async () => {
    const events: TraceEvent[] = [];
    await ask(resolverFor([await fakeDns(() => OTHER_OWNER)]), 500, (event) => events.push(event));
    expect(events[0]).toMatchObject({ result: "another name: node_a.svc.corp.example" });
  });

  test("but one with another id may come from anybody: that is silence", async () => {
    const server = await fakeDns(() => ({ ...REWRITTEN, wrongId: true }));
    expect(causeOf(await ask(resolverFor([server]), 500))).toContain("timed out");
  });
});

test("of an answer with thousands of records the first ones are taken, and the trace says how many are not", async () => {
  const answers = Array.from({ length: 1_100 }, (_, index) => srv(NAME, "h.test", index + 1));
  const server = await fakeDns(({ transport }) => (transport === "udp" ? { truncated: true } : { answers }));
  const events: TraceEvent[] = [];
  const result = await ask(resolverFor([server]), 4_000, (event) => events.push(event));
  expect(result.kind === "records" && result.records.length).toBe(1_024);
  expect(events.at(-1)).toMatchObject({
    transport: "tcp",
    additionals: ["and 76 more, which are not read: too many"],
  });
});

describe("the next server is asked, and the last good answer kept, after", () => {
  test.each<[string, FakeReply]>([
    ["a lame answer", { lame: true }],
    ["a lame answer with a referral", { lame: true, additionals: [a("ns.example", "192.0.2.1")] }],
    ["an answer for another name", { answers: [srv("up.example", "h", 1)] }],
  ])("%s", async (_, reply) => {
    const first = await fakeDns(() => FOUND);
    const resolver = resolverFor([first], { maxTtl: 0 });
    expect(await ask(resolver)).toMatchObject({ kind: "records", stale: false });
    first.handle(() => reply);
    expect(await ask(resolver)).toMatchObject({ kind: "records", stale: true });
    expect(await ask(resolver)).toMatchObject({ kind: "records", stale: true });
    const second = await fakeDns(() => FOUND);
    expect(await ask(resolverFor([first, second]))).toMatchObject({ server: `127.0.0.1:${second.port}` });
    expect(await ask(resolverFor([first]), 1_500)).toMatchObject({ kind: "unavailable" });
  });

  test("but not after NXDOMAIN, which a server that is neither may have from its cache", async () => {
    const first = await fakeDns(() => ({ lame: true, rcode: NXDOMAIN }));
    const second = await fakeDns(() => FOUND);
    expect(await ask(resolverFor([first, second]))).toMatchObject({ kind: "nxdomain" });
  });
});

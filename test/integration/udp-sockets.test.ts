import dgram from "node:dgram";
import { readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { createResolver, type Resolver } from "../../src/dns/resolver.js";
import {
  a,
  type FakeDnsServer,
  type FakeHandler,
  type FakeReply,
  srv,
  startFakeDns,
} from "../support/fake-dns-server.js";

const log = createLogger({ level: "silent", format: "json", write: () => {} });
const found = (qname: string): FakeReply => ({
  answers: [srv(qname, "h.consul", 9100)],
  additionals: [a("h.consul", "10.0.0.1")],
});
const FOUND: FakeHandler = ({ qname }) => found(qname);

const closers: (() => Promise<void>)[] = [];
let created: MockInstance<typeof dgram.createSocket>;
beforeEach(() => {
  created = vi.spyOn(dgram, "createSocket");
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.restoreAllMocks();
});

async function fakeDns(handler: FakeHandler, address?: string, port?: number): Promise<FakeDnsServer> {
  const server = await startFakeDns(handler, address, port);
  closers.push(server.close);
  created.mockClear();
  return server;
}

function resolverFor(...servers: readonly FakeDnsServer[]): Resolver {
  const dns = servers.map(({ address, port }) => ({
    address,
    port,
    domain: servers.length > 1 ? domainOf(address) : undefined,
  }));
  const resolver = createResolver({ dns, maxTtl: 0, staleTtl: 0, log });
  closers.push(resolver.close);
  return resolver;
}

const domainOf = (address: string) => (address.includes(":") ? "six" : `of-${address.replaceAll(".", "-")}`);

async function ask(resolver: Resolver, qname: string, milliseconds = 4_000) {
  const result = await resolver.query(qname, "SRV", { deadline: performance.now() + milliseconds });
  // The end of this turn of the event loop, at which a socket is kept.
  await turn();
  return result;
}

/** The sockets for queries that were made, those of fake servers left out. */
const sockets = () => created.mock.results.map(({ value }) => value as dgram.Socket);

function isClosed(socket: dgram.Socket): boolean {
  try {
    socket.address();
    return false;
  } catch {
    return true;
  }
}

describe("what has to be guessed to forge an answer (RFC 5452)", () => {
  const QUERIES = 4_000;

  /** So many values are distinct on average, of so many that are drawn evenly; and by how much it varies. */
  function distinct(drawn: number, values: number) {
    const missed = values * Math.exp(-drawn / values);
    return {
      mean: values - missed,
      deviation: Math.sqrt(missed * (1 - (1 + drawn / values) * Math.exp(-drawn / values))),
    };
  }

  function expectEven(drawn: readonly number[], values: number): void {
    const { mean, deviation } = distinct(drawn.length, values);
    // Five deviations: once in three million runs.
    expect(Math.abs(new Set(drawn).size - mean)).toBeLessThan(5 * deviation);
  }

  test("is a port and an id for each query, both drawn evenly, also when its socket is an old one", async () => {
    const server = await fakeDns(FOUND);
    const resolver = resolverFor(server);
    const askAll = async (first: number) => {
      for (let index = first; index < QUERIES; index += 8) await ask(resolver, `n${index}.consul`);
    };
    await Promise.all(Array.from({ length: 8 }, (_, first) => askAll(first)));
    // More where the machine is busy: a query without an answer in time is sent again, from another port.
    expect(server.queries.length).toBeGreaterThanOrEqual(QUERIES);
    expect(sockets().length).toBeLessThan(QUERIES / 100);
    const [low = 0, high = 0] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")
      .trim()
      .split(/\s+/)
      .map(Number);
    const ports = server.queries.map(({ fromPort }) => fromPort);
    expectEven(ports, high - low + 1);
    const ids = server.queries.map(({ id }) => id);
    expectEven(ids, 0x10000);
    // Neither says anything of the other, nor of those of the next query.
    const pairs = server.queries.map(({ fromPort, id }) => (fromPort << 16) ^ id);
    expect(new Set(pairs).size).toBeGreaterThan(pairs.length - 2);
    for (const values of [ids, ports.map((port) => port - low)]) {
      const next = values.slice(1).map((value, index) => (value - (values[index] ?? 0)) & 0x3fff);
      expectEven(next, 0x4000);
    }
  });

  test("has no port that stays: no two queries of one socket have the same", async () => {
    const server = await fakeDns(FOUND);
    const resolver = resolverFor(server);
    for (let index = 0; index < 50; index++) await ask(resolver, `n${index}.consul`);
    expect(sockets()).toHaveLength(1);
    // Two of fifty may be drawn alike.
    expect(new Set(server.queries.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(45);
  });

  test("goes with the socket where the system keeps the port of a socket that is disconnected", async () => {
    vi.spyOn(dgram.Socket.prototype, "address").mockReturnValue({ address: "127.0.0.1", family: "IPv4", port: 40_000 });
    const server = await fakeDns(FOUND);
    const resolver = resolverFor(server);
    for (let index = 0; index < 3; index++) await ask(resolver, `n${index}.consul`);
    vi.mocked(dgram.Socket.prototype.address).mockRestore();
    expect(sockets()).toHaveLength(3);
    expect(sockets().map(isClosed)).toEqual([true, true, true]);
  });
});

describe("a forged answer to a query from a kept socket", () => {
  test.each<[string, (qname: string) => FakeReply]>([
    ["with another id", (qname) => ({ ...found(qname), wrongId: true })],
    ["to another question", (qname) => ({ ...found(qname), question: { name: "other.consul", type: "SRV" } })],
    ["to the question before", (qname) => ({ ...found(qname), question: { name: "first.consul", type: "SRV" } })],
    ["to another type", (qname) => ({ ...found(qname), question: { name: qname, type: "A" } })],
    ["from another port", (qname) => ({ ...found(qname), wrongSource: true })],
  ])("%s is never taken, and its socket is not used again", async (_, forged) => {
    const server = await fakeDns(FOUND);
    const resolver = resolverFor(server);
    expect(await ask(resolver, "first.consul")).toMatchObject({ kind: "records" });
    server.handle(({ qname, transport }) => (transport === "udp" ? forged(qname) : undefined));
    expect(await ask(resolver, "second.consul", 700)).toMatchObject({ kind: "unavailable" });
    expect(isClosed(sockets()[0] as dgram.Socket)).toBe(true);
  });

  test.each<[string, (right: FakeReply) => FakeReply[]]>([
    ["before", (right) => [{ ...right, wrongId: true }, right]],
    ["behind", (right) => [right, { ...right, wrongId: true }]],
  ])("that came %s the right one is no guess at the next query: that has another socket", async (_, replies) => {
    const server = await fakeDns(({ qname }) => replies(found(qname)));
    const resolver = resolverFor(server);
    for (let index = 0; index < 3; index++) {
      expect(await ask(resolver, `n${index}.consul`)).toMatchObject({ kind: "records" });
      // What stands behind the answer may come a moment later, and closes the socket then.
      await vi.waitFor(() => expect(isClosed(sockets()[index] as dgram.Socket)).toBe(true));
    }
    expect(sockets()).toHaveLength(3);
  });
});

describe("kept sockets", () => {
  /** Sockets that keep the process alive. A fake server has two. */
  const alive = () => process.getActiveResourcesInfo().filter((kind) => kind === "UDPWrap").length;
  const OF_FAKE = 2;
  const othersGone = () => vi.waitFor(() => expect(alive()).toBe(OF_FAKE));

  test("serve servers of their family, one query at a time", async () => {
    const first = await fakeDns(FOUND);
    const second = await fakeDns(FOUND, "127.0.0.2");
    const six = await fakeDns(FOUND, "::1");
    const resolver = resolverFor(first, second, six);
    for (let index = 0; index < 4; index++) {
      for (const server of [first, second, six]) {
        const result = await ask(resolver, `n${index}.${domainOf(server.address)}`);
        expect(result).toMatchObject({ kind: "records", server: expect.stringContaining(`:${server.port}`) });
      }
    }
    expect(sockets()).toHaveLength(2);
    await Promise.all(Array.from({ length: 5 }, (_, index) => ask(resolver, `m${index}.${domainOf("127.0.0.1")}`)));
    expect(sockets()).toHaveLength(6);
  });

  test("break alone: a server that is gone is told to each query, and to none of another server", async () => {
    const gone = await fakeDns(FOUND);
    const there = await fakeDns(({ qname }) => ({ ...found(qname), delay: 50 }), "127.0.0.2");
    const resolver = resolverFor(gone, there);
    for (const { address } of [gone, there]) await ask(resolver, `n.${domainOf(address)}`);
    await gone.close();
    closers.splice(closers.indexOf(gone.close), 1);
    const questions = Array.from({ length: 4 }, (_, index) => [
      `m${index}.${domainOf(gone.address)}`,
      `m${index}.${domainOf(there.address)}`,
    ]).flat();
    const results = await Promise.all(questions.map((question) => ask(resolver, question, 1_500)));
    for (const [index, result] of results.entries()) {
      if (index % 2 === 1) expect(result).toMatchObject({ kind: "records" });
      else expect(result).toMatchObject({ kind: "unavailable", cause: expect.stringContaining("ECONNREFUSED") });
    }
    expect(there.queries).toHaveLength(5);
    await fakeDns(FOUND, gone.address, gone.port);
    expect(await ask(resolver, `again.${domainOf(gone.address)}`)).toMatchObject({ kind: "records" });
  });

  test("do not keep the process alive, and are closed with the resolver", async () => {
    const server = await fakeDns(FOUND);
    const resolver = resolverFor(server);
    await othersGone();
    await Promise.all(Array.from({ length: 3 }, (_, index) => ask(resolver, `n${index}.consul`)));
    expect(sockets().map(isClosed)).toEqual([false, false, false]);
    expect(alive()).toBe(OF_FAKE);
    await resolver.close();
    expect(sockets().map(isClosed)).toEqual([true, true, true]);
  });

  test("keep the process alive while their query is under way", async () => {
    let answer = () => {};
    const server = await fakeDns(FOUND);
    const resolver = resolverFor(server);
    await ask(resolver, "n1.consul");
    await othersGone();
    const when = new Promise<void>((resolve) => {
      answer = resolve;
    });
    server.handle(({ qname }) => ({ ...found(qname), when }));
    const asked = ask(resolver, "n2.consul");
    await vi.waitFor(() => expect(server.queries).toHaveLength(2));
    expect(alive()).toBe(OF_FAKE + 1);
    answer();
    expect(await asked).toMatchObject({ kind: "records" });
    expect(sockets()).toHaveLength(1);
  });

  test("that are needed no more are closed, those that are needed are not", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    closers.push(async () => void vi.useRealTimers());
    const server = await fakeDns(FOUND);
    const resolver = resolverFor(server);
    await Promise.all(Array.from({ length: 5 }, (_, index) => ask(resolver, `n${index}.consul`)));
    const open = () => sockets().filter((socket) => !isClosed(socket)).length;
    expect(open()).toBe(5);
    vi.advanceTimersByTime(10_000);
    await ask(resolver, "alone.consul");
    vi.advanceTimersByTime(10_000);
    expect(open()).toBe(1);
    vi.advanceTimersByTime(20_000);
    expect(open()).toBe(0);
  });
});

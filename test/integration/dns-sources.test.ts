import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { createResolver } from "../../src/dns/resolver.js";
import type { Endpoint } from "../../src/net/endpoint.js";
import { AddressLookup } from "../../src/resolve/addresses.js";
import type { NodeQuestion, NotFoundCode, Resolution, TraceEvent } from "../../src/resolve/core/resolution.js";
import { createFallbackSource, type FallbackOptions } from "../../src/resolve/fallback-source.js";
import type { LookupContext } from "../../src/resolve/source.js";
import { createSrvSource, type SrvSourceOptions } from "../../src/resolve/srv-source.js";
import {
  a,
  aaaa,
  cname,
  type FakeDnsServer,
  type FakeHandler,
  type FakeReply,
  NXDOMAIN,
  REFUSED,
  srv,
  startFakeDns,
  txt,
} from "../support/fake-dns-server.js";
import { waitFor } from "../support/wait-for.js";

const HOST = "svc.service.consul";
const OWNER = `node_b.${HOST}`;
const TARGET = "0a010204.addr.dc1.consul";
const QUESTION: NodeQuestion = {
  node: { aliveName: "node_b", host: HOST, family: undefined, form: "full" },
  family: "any",
};
/** What an EPMD says of a node. */
const DESCRIPTION = { nodeType: 77, protocol: 0, highestVersion: 6, lowestVersion: 5, extra: Buffer.alloc(0) };
const log = createLogger({ level: "silent", format: "json", write: () => {} });
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Setup {
  readonly server: FakeDnsServer;
  readonly steps: readonly TraceEvent[];
  readonly srvLookUp: (question?: NodeQuestion, client?: Partial<LookupContext>) => Promise<Resolution>;
  readonly bothLookUp: (question?: NodeQuestion) => Promise<Resolution>;
  readonly drop: (endpoint: Pick<Endpoint, "address" | "port">) => void;
}

async function setup(
  handler: FakeHandler,
  {
    srvOptions = {},
    fallback = {},
    hosts = {},
  }: {
    srvOptions?: Partial<SrvSourceOptions>;
    fallback?: Partial<FallbackOptions>;
    /** /etc/hosts. */
    hosts?: Readonly<Record<string, readonly string[]>>;
  } = {},
): Promise<Setup> {
  const server = await startFakeDns(handler);
  closers.push(server.close);
  const resolver = createResolver({
    dns: [{ address: server.address, port: server.port, domain: undefined }],
    maxTtl: 60_000,
    staleTtl: 3_600_000,
    log,
  });
  closers.push(resolver.close);
  const addresses = new AddressLookup(resolver, { addressesOf: (name) => hosts[name] ?? [] });
  const common = {
    srvName: "{name}.{host}",
    family: "any" as const,
    localAddresses: () => ["127.0.0.1", "::1", "192.0.2.2", "2001:db8:1::2"],
  };
  const source = createSrvSource({
    ...common,
    resolver,
    addresses,
    random: () => 0,
    addressesToo: false,
    ...srvOptions,
  });
  const second = createFallbackSource({ ...common, addresses, isOwn: () => false, ...fallback });
  const steps: TraceEvent[] = [];
  const context = () => ({
    deadline: performance.now() + 4_000,
    sameHost: true,
    trace: (event: TraceEvent) => void steps.push(event),
  });
  return {
    server,
    steps,
    srvLookUp: async (question = QUESTION, client = {}) => source.lookUp(question, { ...context(), ...client }),
    bothLookUp: async (question = QUESTION) => {
      const shared = context();
      const first = await source.lookUp(question, shared);
      return first.outcome === "found" ? first : second.lookUp(question, shared);
    },
    drop: (endpoint) => source.onRefused?.(QUESTION, endpoint),
  };
}

/** Answers by name and type; everything else does not exist. */
function records(table: Record<string, FakeReply>): FakeHandler {
  return ({ qname, qtype }) => table[`${qname} ${qtype}`] ?? { rcode: NXDOMAIN };
}
const asked = ({ queries }: FakeDnsServer) => queries.map(({ qname, qtype }) => `${qname} ${qtype}`).sort();
const places = (resolution: Resolution) =>
  resolution.outcome === "found" ? resolution.endpoints.map(({ address, port }) => `${address} ${port}`) : resolution;

describe("a node is found", () => {
  test("with one query when the additional section has the address, as Consul's has", async () => {
    const { server, srvLookUp } = await setup(
      records({
        [`${OWNER} SRV`]: {
          answers: [srv(OWNER, TARGET, 20002, { weight: 3, priority: 1, ttl: 5 })],
          additionals: [a(TARGET, "10.1.2.4", 4), txt(OWNER, "consul-network-segment=")],
        },
      }),
    );
    expect(await srvLookUp()).toEqual({
      outcome: "found",
      source: "srv",
      stale: false,
      ttl: 4,
      endpoints: [{ address: "10.1.2.4", port: 20002, family: 4, priority: 1, weight: 3, target: TARGET }],
    });
    expect(server.queries).toHaveLength(1);
  });

  test("with A and AAAA of every target that came without addresses, all at once", async () => {
    const here = new Set<string>();
    let open = () => {};
    const allHere = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { server, srvLookUp } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: [srv(OWNER, "h1.example", 1), srv(OWNER, "h2.example", 2)] };
      // Nobody is answered before all four queries are here.
      if (here.add(`${qname} ${qtype}`).size === 4) open();
      return qtype === "A"
        ? { answers: [a(qname, qname === "h1.example" ? "10.0.0.1" : "10.0.0.2")], when: allHere }
        : { answers: [aaaa(qname, "2001:db8:1::7")], when: allHere };
    });
    expect(places(await srvLookUp())).toEqual(["2001:db8:1::7 1", "10.0.0.1 1", "2001:db8:1::7 2", "10.0.0.2 2"]);
    expect(asked(server)).toEqual([
      "h1.example A",
      "h1.example AAAA",
      "h2.example A",
      "h2.example AAAA",
      `${OWNER} SRV`,
    ]);
  });

  test("the next time with SRV, A and AAAA in the same moment, when the last answer had no addresses", async () => {
    let delay = 0;
    const { server, srvLookUp } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: [srv(OWNER, "h.example", 1)], delay };
      return qtype === "A" ? { answers: [a(qname, "10.0.0.1")] } : {};
    });
    await srvLookUp();
    server.queries.length = 0;
    delay = 400;
    const second = srvLookUp();
    // The answer to SRV has not come by then.
    await waitFor(() => server.queries.length === 3, { what: "all queries", timeout: 350 });
    expect(asked(server)).toEqual(["h.example A", "h.example AAAA", `${OWNER} SRV`]);
    expect(places(await second)).toEqual(["10.0.0.1 1"]);
    expect(server.queries).toHaveLength(3);
  });

  // Each alone: an address that is known waits 50 ms for others (RFC 8305 section 3), less than a busy machine may need.
  test("through CNAMEs of the owner and in the additional section", async () => {
    const { srvLookUp } = await setup(
      records({
        [`${OWNER} SRV`]: {
          answers: [cname(OWNER, "real.example"), srv("real.example", "t1.example", 1)],
          additionals: [cname("t1.example", "t1b.example"), a("t1b.example", "10.0.0.1")],
        },
      }),
    );
    expect(places(await srvLookUp())).toEqual(["10.0.0.1 1"]);
  });

  test("through CNAMEs of the owner and of the target", async () => {
    const { srvLookUp } = await setup(
      records({
        [`${OWNER} SRV`]: { answers: [cname(OWNER, "real.example"), srv("real.example", "t2.example", 2)] },
        "t2.example A": { answers: [cname("t2.example", "t2b.example")] },
        "t2b.example A": { answers: [a("t2b.example", "10.0.0.2")] },
      }),
    );
    expect(places(await srvLookUp())).toEqual(["10.0.0.2 2"]);
  });

  test("at its targets by priority and then weight, each place once", async () => {
    const { srvLookUp } = await setup(
      records({
        [`${OWNER} SRV`]: {
          answers: [
            srv(OWNER, "late.example", 3, { priority: 2 }),
            srv(OWNER, "first.example", 1, { priority: 1, weight: 0 }),
            srv(OWNER, "next.example", 2, { priority: 1, weight: 9 }),
            srv(OWNER, "same.example", 2, { priority: 3 }),
          ],
          additionals: [
            a("late.example", "10.0.0.3"),
            a("first.example", "10.0.0.1"),
            a("next.example", "10.0.0.2"),
            a("same.example", "10.0.0.2"),
          ],
        },
      }),
    );
    expect(places(await srvLookUp())).toEqual(["10.0.0.1 1", "10.0.0.2 2", "10.0.0.3 3"]);
  });

  test("with the addresses of the family asked for only, and only that family is asked", async () => {
    const { server, srvLookUp } = await setup(
      records({
        [`${OWNER} SRV`]: { answers: [srv(OWNER, "h.example", 1)], additionals: [a("h.example", "10.0.0.1")] },
        "h.example AAAA": { answers: [aaaa("h.example", "2001:db8::1")] },
      }),
    );
    expect(places(await srvLookUp({ ...QUESTION, family: 6 }))).toEqual(["2001:db8::1 1"]);
    expect(asked(server)).toEqual(["h.example AAAA", `${OWNER} SRV`]);
  });

  test("at the address that stood for the host, among several", async () => {
    const { srvLookUp } = await setup(
      records({
        [`${OWNER} SRV`]: {
          answers: [srv(OWNER, "h1.example", 1), srv(OWNER, "h2.example", 2)],
          additionals: [a("h1.example", "10.0.0.1"), a("h2.example", "10.0.0.2")],
        },
      }),
    );
    expect(places(await srvLookUp({ ...QUESTION, onlyAddress: "10.0.0.2" }))).toEqual(["10.0.0.2 2"]);
    expect(await srvLookUp({ ...QUESTION, onlyAddress: "10.0.0.3" })).toEqual({
      outcome: "not-found",
      code: "SRV_OTHER_ADDRESS",
      reason: `the SRV records of ${OWNER} lead to 10.0.0.1, 10.0.0.2, not to 10.0.0.3`,
    });
  });

  test("in the last good answer when every server fails, and the endpoint that refused is no longer in it", async () => {
    const { server, srvLookUp, drop } = await setup(
      records({
        [`${OWNER} SRV`]: {
          answers: [srv(OWNER, "h1.example", 1), srv(OWNER, "h2.example", 2)],
          additionals: [a("h1.example", "10.0.0.1"), a("h2.example", "10.0.0.2")],
        },
      }),
    );
    await srvLookUp();
    server.handle(() => ({ rcode: REFUSED }));
    drop({ address: "10.0.0.1", port: 1 });
    expect(await srvLookUp()).toMatchObject({
      outcome: "found",
      stale: true,
      ttl: 0,
      endpoints: [{ address: "10.0.0.2" }],
    });
  });
});

describe("a node is not found, and the reason says why", () => {
  test.each<[string, Record<string, FakeReply>, NotFoundCode, string]>([
    ["there is no such name", {}, "SRV_NXDOMAIN", `${OWNER} has no SRV record (NXDOMAIN from`],
    ["the name has no SRV record", { [`${OWNER} SRV`]: {} }, "SRV_NODATA", `${OWNER} has no SRV record (NODATA from`],
    [
      "it is not offered",
      { [`${OWNER} SRV`]: { answers: [srv(OWNER, ".", 9)] } },
      "SRV_NOT_OFFERED",
      `${OWNER} is not offered: its SRV record has the target "."`,
    ],
    [
      "it was registered without a port",
      { [`${OWNER} SRV`]: { answers: [srv(OWNER, TARGET, 0)] } },
      "SRV_NO_PORT",
      `the SRV record of ${OWNER} has port 0`,
    ],
    [
      "its target has no address",
      { [`${OWNER} SRV`]: { answers: [srv(OWNER, "h.example", 1)] } },
      "SRV_NO_ADDRESS",
      `${OWNER} has no address: its SRV target h.example has none`,
    ],
    [
      "its address became garbage in Consul",
      { [`${OWNER} SRV`]: { answers: [srv(OWNER, "fe80::1%eth0", 1)] } },
      "SRV_NO_ADDRESS",
      "its SRV target fe80::1%eth0 has none",
    ],
  ])("when %s", async (_, table, code, reason) => {
    const { srvLookUp } = await setup(records(table));
    expect(await srvLookUp()).toEqual({ outcome: "not-found", code, reason: expect.stringContaining(reason) });
  });

  test("when its alive name does not fit into a label", async () => {
    const { server, srvLookUp } = await setup(records({}));
    const question = { ...QUESTION, node: { ...QUESTION.node, aliveName: "n".repeat(64) } };
    expect(await srvLookUp(question)).toEqual({
      outcome: "not-found",
      code: "NAME_NOT_DNS",
      reason: expect.stringContaining("64 octets; DNS allows 63"),
    });
    expect(server.queries).toEqual([]);
  });

  test("when it has no IPv6 address and IPv6 was asked for", async () => {
    const { srvLookUp } = await setup(
      records({ [`${OWNER} SRV`]: { answers: [srv(OWNER, TARGET, 1)], additionals: [a(TARGET, "10.0.0.1")] } }),
    );
    expect(await srvLookUp({ ...QUESTION, family: 6 })).toMatchObject({
      reason: `${OWNER} has no IPv6 address: its SRV target ${TARGET} has none`,
    });
  });

  test("and is unavailable, not absent, when no server answers for its target", async () => {
    const { srvLookUp } = await setup(({ qtype }) =>
      qtype === "SRV" ? { answers: [srv(OWNER, "h.example", 1)] } : { rcode: REFUSED },
    );
    expect(await srvLookUp()).toMatchObject({ code: "DNS_REFUSED", cause: expect.stringContaining("h.example") });
  });
});

describe("the fallback", () => {
  const description = DESCRIPTION;

  test("gives the host's addresses with a fixed port; all its queries went out with that for SRV, and none twice", async () => {
    const { server, bothLookUp } = await setup(
      records({ [`${HOST} A`]: { answers: [a(HOST, "10.0.0.1", 9)] }, [`${HOST} AAAA`]: {} }),
      { srvOptions: { addressesToo: true }, fallback: { port: 9100 } },
    );
    expect(await bothLookUp()).toEqual({
      outcome: "found",
      source: "fallback",
      stale: false,
      ttl: 9,
      endpoints: [{ address: "10.0.0.1", port: 9100, family: 4, priority: 0, weight: 0, target: HOST }],
    });
    expect(asked(server)).toEqual([`${OWNER} A`, `${OWNER} AAAA`, `${OWNER} SRV`, `${HOST} A`, `${HOST} AAAA`]);
  });

  test("prefers the addresses of the node's own name over those of its host", async () => {
    const { bothLookUp } = await setup(
      records({
        [`${HOST} A`]: { answers: [a(HOST, "10.0.0.1")] },
        [`${OWNER} A`]: { answers: [a(OWNER, "10.0.0.2")] },
      }),
      { fallback: { port: 9100 } },
    );
    expect(places(await bothLookUp())).toEqual(["10.0.0.2 9100"]);
  });

  test("does so too when the node's own name is answered some time after its host", async () => {
    const fallback = { port: 9100 };
    const answersAfter = (delays: Readonly<Record<string, number>>): FakeHandler => {
      return ({ qname, qtype }) => {
        if (qtype === "SRV") return { rcode: NXDOMAIN };
        if (qtype === "AAAA") return {};
        return { answers: [a(qname, qname === OWNER ? "10.0.0.2" : "10.0.0.1")], delay: delays[qname] ?? 0 };
      };
    };
    const ownerLate = await setup(answersAfter({ [OWNER]: 180 }), { fallback });
    expect(places(await ownerLate.bothLookUp())).toEqual(["10.0.0.2 9100"]);
    const hostLate = await setup(answersAfter({ [HOST]: 180 }), { fallback });
    expect(places(await hostLate.bothLookUp())).toEqual(["10.0.0.2 9100"]);
  });

  test("asks the EPMD at every address but our own, and passes on what the node said of itself", async () => {
    const epmds: string[] = [];
    const { bothLookUp } = await setup(
      records({ [`${HOST} A`]: { answers: [a(HOST, "10.0.0.1"), a(HOST, "10.0.0.2"), a(HOST, "10.0.0.3")] } }),
      {
        fallback: {
          isOwn: (address) => address === "10.0.0.3",
          epmd: async (address, aliveName) => {
            epmds.push(`${aliveName} ${address}`);
            return address === "10.0.0.2" ? { port: 20002, description } : undefined;
          },
        },
      },
    );
    const resolution = await bothLookUp();
    expect(places(resolution)).toEqual(["10.0.0.2 20002"]);
    expect(resolution).toMatchObject({ description });
    expect(epmds).toEqual(["node_b 10.0.0.1", "node_b 10.0.0.2"]);
  });

  test("says of the node what the EPMD of the first endpoint said, not the quickest one", async () => {
    const { bothLookUp } = await setup(
      records({ [`${HOST} A`]: { answers: [a(HOST, "10.0.0.1"), a(HOST, "10.0.0.2")] } }),
      {
        fallback: {
          epmd: async (address) => {
            if (address === "10.0.0.2") return { port: 2, description: { ...description, nodeType: 72 } };
            await sleep(10);
            return { port: 1, description };
          },
        },
      },
    );
    const resolution = await bothLookUp();
    expect(places(resolution)).toEqual(["10.0.0.1 1", "10.0.0.2 2"]);
    expect(resolution).toMatchObject({ description: { nodeType: 77 } });
  });

  test("is unavailable when nobody answers for the node's own name, though its host has no address", async () => {
    const { bothLookUp } = await setup(
      ({ qname, qtype }) => (qname === HOST ? {} : qtype === "SRV" ? { rcode: NXDOMAIN } : { rcode: REFUSED }),
      { fallback: { port: 9100 } },
    );
    expect(await bothLookUp()).toMatchObject({ outcome: "unavailable", cause: expect.stringContaining(OWNER) });
  });

  test("does not wait for a silent EPMD when another knows the node", async () => {
    const { bothLookUp } = await setup(
      records({ [`${HOST} A`]: { answers: [a(HOST, "10.0.0.1"), a(HOST, "10.0.0.2")] } }),
      {
        fallback: {
          epmd: (address) =>
            address === "10.0.0.1" ? new Promise(() => {}) : Promise.resolve({ port: 1, description }),
        },
      },
    );
    expect(places(await bothLookUp())).toEqual(["10.0.0.2 1"]);
  });

  test.each<[string, FallbackOptions["epmd"], object]>([
    [
      "not found when no EPMD knows the node",
      async () => undefined,
      { outcome: "not-found", code: "EPMD_NO_NODE", reason: "the EPMD at 10.0.0.1 does not know node_b" },
    ],
    [
      "unavailable when the EPMD cannot be asked",
      async () => {
        throw new Error("connection refused");
      },
      { outcome: "unavailable", code: "EPMD_UNREACHABLE", cause: "EPMD at 10.0.0.1: connection refused" },
    ],
  ])("is %s", async (_, epmd, expected) => {
    const { bothLookUp } = await setup(records({ [`${HOST} A`]: { answers: [a(HOST, "10.0.0.1")] } }), {
      fallback: { epmd },
    });
    expect(await bothLookUp()).toEqual(expected);
  });

  test("takes the fixed port where no EPMD knows the node and both are on", async () => {
    const { bothLookUp } = await setup(records({ [`${HOST} A`]: { answers: [a(HOST, "10.0.0.1")] } }), {
      fallback: { epmd: async () => undefined, port: 9100 },
    });
    expect(places(await bothLookUp())).toEqual(["10.0.0.1 9100"]);
  });

  test("has nothing for a host without addresses, and needs no DNS for one that is an address", async () => {
    const { server, bothLookUp } = await setup(records({}), { fallback: { port: 9100 } });
    expect(await bothLookUp()).toEqual({
      outcome: "not-found",
      code: "FALLBACK_NO_ADDRESS",
      reason: `${HOST} has no address to fall back to`,
    });
    server.queries.length = 0;
    const question = { ...QUESTION, node: { ...QUESTION.node, host: "10.0.0.5" } };
    expect(places(await bothLookUp(question))).toEqual(["10.0.0.5 9100"]);
  });

  test("answers with IPv4 shortly after it came when a broken server never answers for AAAA", async () => {
    const { bothLookUp } = await setup(
      ({ qname, qtype }) => {
        if (qtype === "AAAA") return undefined;
        return qname === HOST && qtype === "A" ? { answers: [a(HOST, "10.0.0.1")] } : { rcode: NXDOMAIN };
      },
      { srvOptions: { addressesToo: false, srvName: "{host}" }, fallback: { port: 9100, srvName: "{host}" } },
    );
    const started = performance.now();
    expect(places(await bothLookUp())).toEqual(["10.0.0.1 9100"]);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe("/etc/hosts comes before DNS", () => {
  test("for the target of an SRV record, which DNS need not know", async () => {
    const reply = { answers: [srv(OWNER, "db1", 20002)] };
    const { server, srvLookUp, steps } = await setup(records({ [`${OWNER} SRV`]: reply }), {
      hosts: { db1: ["10.9.0.1"] },
    });
    expect(places(await srvLookUp())).toEqual(["10.9.0.1 20002"]);
    expect(asked(server)).toEqual([`${OWNER} SRV`]);
    expect(steps).toContainEqual({ step: "hosts-file", name: "db1", addresses: ["10.9.0.1"] });
  });

  test("and before the addresses that came with the record", async () => {
    const reply = { answers: [srv(OWNER, TARGET, 20002)], additionals: [a(TARGET, "10.1.2.4")] };
    const { srvLookUp } = await setup(records({ [`${OWNER} SRV`]: reply }), { hosts: { [TARGET]: ["10.9.0.1"] } });
    expect(places(await srvLookUp())).toEqual(["10.9.0.1 20002"]);
  });

  test("for the host of a fallback; a family that the file has not is asked for in DNS", async () => {
    const table = { [`${HOST} AAAA`]: { answers: [aaaa(HOST, "2001:db8:1::7")] } };
    const options = { fallback: { port: 9100 }, hosts: { [HOST]: ["10.9.0.1"] } };
    const { bothLookUp } = await setup(records(table), options);
    expect(places(await bothLookUp())).toEqual(["10.9.0.1 9100"]);
    expect(places(await bothLookUp({ ...QUESTION, family: 6 }))).toEqual(["2001:db8:1::7 9100"]);
  });

  test("and a short host name is looked up as a host before the service of that name", async () => {
    const node = { aliveName: "mq", host: "mq1.service.consul", family: undefined, form: "full" } as const;
    const question: NodeQuestion = { node, family: "any", shortHost: "mq1" };
    const service = { "mq1.service.consul A": { answers: [a("mq1.service.consul", "10.0.0.5")] } };
    const options = { fallback: { port: 25672 } };
    const { bothLookUp } = await setup(records(service), { ...options, hosts: { mq1: ["10.9.0.1"] } });
    expect(places(await bothLookUp(question))).toEqual(["10.9.0.1 25672"]);
    const unknown = await setup(records(service), options);
    expect(places(await unknown.bothLookUp(question))).toEqual(["10.0.0.5 25672"]);
    const inDns = await setup(records({ ...service, "mq1 A": { answers: [a("mq1", "10.9.0.2")] } }), options);
    expect(places(await inDns.bothLookUp(question))).toEqual(["10.9.0.2 25672"]);
  });
});

describe("one answer does not make a flood", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => index);

  test("of endpoints: 32 of the records are taken, by priority, and the rest is said to be left out", async () => {
    const answers = many(400).map((index) => srv(OWNER, TARGET, 1000 + index, { priority: 400 - index }));
    const { srvLookUp, steps } = await setup(
      records({ [`${OWNER} SRV`]: { answers, additionals: [a(TARGET, "10.1.2.4")] } }),
    );
    const found = places(await srvLookUp());
    expect(found).toEqual(many(32).map((index) => `10.1.2.4 ${1399 - index}`));
    expect(steps).toContainEqual({ step: "left-out", what: "SRV records", count: 368, of: 400 });
  });

  test("of address queries: 16 at once, for 32 targets", async () => {
    let underWay = 0;
    let most = 0;
    const { server, srvLookUp } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: many(200).map((index) => srv(OWNER, `h${index}.example`, 1000)) };
      most = Math.max(most, ++underWay);
      const when = sleep(5).then(() => {
        underWay--;
      });
      return qtype === "A" ? { answers: [a(qname, "10.0.0.1")], when } : { when };
    });
    expect(places(await srvLookUp())).toEqual(["10.0.0.1 1000"]);
    expect(most).toBeLessThanOrEqual(16);
    expect(server.queries.filter(({ qtype }) => qtype !== "SRV").length).toBeLessThanOrEqual(64);
  });

  test("of addresses: a target has at most 64 endpoints", async () => {
    const additionals = many(200).map((index) => a(TARGET, `10.1.2.${index}`));
    const { srvLookUp, steps } = await setup(
      records({ [`${OWNER} SRV`]: { answers: [srv(OWNER, TARGET, 1)], additionals } }),
    );
    expect(places(await srvLookUp())).toHaveLength(64);
    expect(steps).toContainEqual({ step: "left-out", what: "endpoints", count: 136, of: 200 });
  });

  test("and the one record that leads to the address in the node's name is not left out", async () => {
    const answers = many(200).map((index) => srv(OWNER, `h${index}.example`, 1000 + index, { priority: index }));
    const additionals = many(200).map((index) => a(`h${index}.example`, `10.1.2.${index}`));
    const { srvLookUp } = await setup(records({ [`${OWNER} SRV`]: { answers, additionals } }));
    expect(places(await srvLookUp({ ...QUESTION, onlyAddress: "10.1.2.190" }))).toEqual(["10.1.2.190 1190"]);
  });
});

describe("a target without an answer", () => {
  test("does not hold back one that is known", async () => {
    let answerLate: (() => void) | undefined;
    const { srvLookUp, steps } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: [srv(OWNER, "dead.example", 1), srv(OWNER, "live.example", 2)] };
      if (qname === "live.example") return qtype === "A" ? { answers: [a(qname, "10.0.0.2")] } : {};
      return { answers: [], when: new Promise<void>((resolve) => (answerLate = resolve)) };
    });
    const startedAt = performance.now();
    expect(places(await srvLookUp())).toEqual(["10.0.0.2 2"]);
    // The whole of a look-up has 4 s.
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(steps).toContainEqual({ step: "not-awaited", targets: ["dead.example"] });
    answerLate?.();
  });

  test("has its answer kept for the next look-up", async () => {
    let release: (() => void) | undefined;
    const late = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { server, srvLookUp } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: [srv(OWNER, "late.example", 1), srv(OWNER, "live.example", 2)] };
      if (qtype !== "A") return {};
      const known = { answers: [a(qname, qname === "late.example" ? "10.0.0.1" : "10.0.0.2", 30)] };
      return qname === "late.example" ? { ...known, when: late } : known;
    });
    expect(places(await srvLookUp())).toEqual(["10.0.0.2 2"]);
    release?.();
    await waitFor(async () => expect(places(await srvLookUp())).toEqual(["10.0.0.1 1", "10.0.0.2 2"]), {
      what: "the late target",
    });
    expect(server.queries.filter(({ qname, qtype }) => qname === "late.example" && qtype === "A")).toHaveLength(1);
  });

  test("is waited for when it may be the one at the address that the client means", async () => {
    const { srvLookUp } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: [srv(OWNER, "slow.example", 1), srv(OWNER, "quick.example", 2)] };
      if (qtype !== "A") return {};
      return qname === "slow.example"
        ? { answers: [a(qname, "10.0.0.1")], delay: 200 }
        : { answers: [a(qname, "10.0.0.2")] };
    });
    expect(places(await srvLookUp({ ...QUESTION, onlyAddress: "10.0.0.1" }))).toEqual(["10.0.0.1 1"]);
    // A stock client dials the address at which it asked, and no other.
    const bare = { ...QUESTION, node: { ...QUESTION.node, form: "bare" } } as const;
    expect(places(await srvLookUp(bare, { dialled: "10.0.0.1" }))).toContain("10.0.0.1 1");
    // With a host part the client takes any address.
    expect(places(await srvLookUp(QUESTION, { dialled: "10.0.0.1" }))).toEqual(["10.0.0.2 2"]);
  });

  test("in the other family is not asked, where the client can dial one address alone", async () => {
    const { server, srvLookUp } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: [srv(OWNER, "h.example", 1), srv(OWNER, "six.example", 2)] };
      if (qtype === "AAAA") return { answers: [aaaa(qname, "2001:db8:1::7")] };
      return qname === "h.example" ? { answers: [a(qname, "10.0.0.1")], delay: 150 } : {};
    });
    const bare = { ...QUESTION, node: { ...QUESTION.node, form: "bare" } } as const;
    expect(places(await srvLookUp(bare, { dialled: "10.0.0.1" }))).toEqual(["10.0.0.1 1"]);
    expect(asked(server)).toEqual(["h.example A", `${OWNER} SRV`, "six.example A"]);
  });

  test("in the family of the client is asked for, where one of the other family came along", async () => {
    const reply = { answers: [srv(OWNER, TARGET, 1)], additionals: [aaaa(TARGET, "2001:db8:1::7")] };
    const bare = { ...QUESTION, node: { ...QUESTION.node, form: "bare" } } as const;
    const both = await setup(
      records({ [`${OWNER} SRV`]: reply, [`${TARGET} A`]: { answers: [a(TARGET, "10.0.0.1")] } }),
    );
    expect(places(await both.srvLookUp(bare, { dialled: "10.0.0.1" }))).toEqual(["10.0.0.1 1"]);
    // That the node is elsewhere says more than that it has no address.
    const six = await setup(records({ [`${OWNER} SRV`]: reply }));
    expect(places(await six.srvLookUp(bare, { dialled: "10.0.0.1" }))).toEqual(["2001:db8:1::7 1"]);
    const allowed = await setup(records({ [`${OWNER} SRV`]: reply }), { srvOptions: { family: 6 } });
    expect(places(await allowed.srvLookUp(bare, { dialled: "10.0.0.1" }))).toEqual(["2001:db8:1::7 1"]);
  });

  test("leaves its place among the queries to the targets behind it", async () => {
    const dead = Array.from({ length: 25 }, (_, index) => srv(OWNER, `dead${index}.example`, 1, { priority: 1 }));
    const { srvLookUp } = await setup(({ qname, qtype }) => {
      if (qtype === "SRV") return { answers: [...dead, srv(OWNER, "live.example", 2, { priority: 2 })] };
      if (qname.startsWith("dead")) return undefined;
      return qtype === "A" ? { answers: [a(qname, "10.0.0.2")] } : {};
    });
    expect(places(await srvLookUp())).toEqual(["10.0.0.2 2"]);
  });
});

test("the address of a target is asked for when only a link-local one came along", async () => {
  const { srvLookUp } = await setup(
    records({
      [`${OWNER} SRV`]: { answers: [srv(OWNER, TARGET, 1)], additionals: [aaaa(TARGET, "fe80::1")] },
      [`${TARGET} A`]: { answers: [a(TARGET, "10.1.2.4")] },
    }),
  );
  expect(places(await srvLookUp())).toEqual(["10.1.2.4 1"]);
});

describe("a name without an answer does not hold back the fallback", () => {
  const SILENT: FakeHandler = () => undefined;
  const short = { ...QUESTION, node: { ...QUESTION.node, host: "mq1.service.consul" }, shortHost: "mq1" } as const;

  test("to a short host name that /etc/hosts knows", async () => {
    const { bothLookUp } = await setup(SILENT, {
      srvOptions: { addressesToo: true },
      hosts: { mq1: ["10.9.0.1"] },
      fallback: {
        epmd: async (_address, _name, deadline) => {
          // An EPMD on another machine needs some time to answer.
          expect(deadline - performance.now()).toBeGreaterThan(1_000);
          return { port: 25672, description: DESCRIPTION };
        },
      },
    });
    expect(places(await bothLookUp(short))).toEqual(["10.9.0.1 25672"]);
  });

  test("to a host that DNS knows, where questions for SRV are dropped", async () => {
    const { bothLookUp } = await setup(
      ({ qname, qtype }) => {
        if (qtype === "SRV") return undefined;
        return qname === HOST && qtype === "A" ? { answers: [a(HOST, "10.0.0.1")] } : { rcode: NXDOMAIN };
      },
      { srvOptions: { addressesToo: true }, fallback: { port: 9100 } },
    );
    const startedAt = performance.now();
    expect(places(await bothLookUp())).toEqual(["10.0.0.1 9100"]);
    // All of a look-up has 4 s.
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test("to its host, where the node's own name is silent", async () => {
    const { bothLookUp } = await setup(
      ({ qname, qtype }) => {
        if (qtype === "SRV") return { rcode: NXDOMAIN };
        if (qname === OWNER) return undefined;
        return qtype === "A" ? { answers: [a(qname, "10.0.0.1")] } : {};
      },
      { fallback: { port: 9100 } },
    );
    const startedAt = performance.now();
    expect(places(await bothLookUp())).toEqual(["10.0.0.1 9100"]);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

test("loopback lines of /etc/hosts are for clients on this machine", async () => {
  const reply = { answers: [srv(OWNER, "box1.example", 1)], additionals: [a("box1.example", "10.0.0.5")] };
  const { srvLookUp } = await setup(records({ [`${OWNER} SRV`]: reply }), {
    hosts: { "box1.example": ["127.0.1.1"] },
  });
  expect(places(await srvLookUp(QUESTION, { sameHost: true }))).toEqual(["127.0.1.1 1"]);
  expect(places(await srvLookUp(QUESTION, { sameHost: false, dialled: "10.0.0.5" }))).toEqual(["10.0.0.5 1"]);
});

test("a fallback says which of the names of a host had the address, or that none had one", async () => {
  const question = { ...QUESTION, node: { ...QUESTION.node, host: "mq1.service.consul" }, shortHost: "mq1" } as const;
  const { bothLookUp } = await setup(records({}), { fallback: { port: 9100 }, hosts: { mq1: ["10.9.0.1"] } });
  expect(await bothLookUp(question)).toMatchObject({ endpoints: [{ address: "10.9.0.1", target: "mq1" }] });
  const unknown = await setup(records({}), { fallback: { port: 9100 } });
  expect(await unknown.bothLookUp(question)).toEqual({
    outcome: "not-found",
    code: "FALLBACK_NO_ADDRESS",
    reason: "neither mq1 nor mq1.service.consul has an address to fall back to",
  });
});

test("what a bound leaves out is in the answer, for JSON and the log", async () => {
  const answers = Array.from({ length: 40 }, (_, index) => srv(OWNER, TARGET, 1000 + index));
  const many = await setup(records({ [`${OWNER} SRV`]: { answers, additionals: [a(TARGET, "10.1.2.4")] } }));
  expect(await many.srvLookUp()).toMatchObject({ leftOut: [{ what: "SRV records", count: 8, of: 40 }] });
  const addresses = Array.from({ length: 70 }, (_, index) => a(HOST, `10.1.2.${index}`));
  const fallback = { epmd: async () => ({ port: 1, description: DESCRIPTION }) };
  const hosts = await setup(records({ [`${HOST} A`]: { answers: addresses } }), { fallback });
  expect(await hosts.bothLookUp()).toMatchObject({
    leftOut: [
      { what: "endpoints", count: 6, of: 70 },
      { what: "EPMDs", count: 56, of: 64 },
    ],
  });
  expect(hosts.steps).toContainEqual({ step: "left-out", what: "EPMDs", count: 56, of: 64 });
  const few = await setup(
    records({ [`${OWNER} SRV`]: { answers: answers.slice(0, 3), additionals: [a(TARGET, "10.1.2.4")] } }),
  );
  expect(await few.srvLookUp()).not.toHaveProperty("leftOut");
});

test("a link-local address without a zone is no endpoint", async () => {
  const answers = [srv(OWNER, TARGET, 1)];
  const alone = await setup(records({ [`${OWNER} SRV`]: { answers, additionals: [aaaa(TARGET, "fe80::1")] } }));
  expect(await alone.srvLookUp()).toMatchObject({ code: "SRV_LINK_LOCAL", reason: expect.stringContaining("fe80::1") });
  const additionals = [aaaa(TARGET, "febf::7"), aaaa(TARGET, "2001:db8:1::7")];
  const both = await setup(records({ [`${OWNER} SRV`]: { answers, additionals } }));
  expect(places(await both.srvLookUp())).toEqual(["2001:db8:1::7 1"]);
});

describe("--srv-target chooses among the records of a whole service, as Kubernetes has them", () => {
  const SERVICE = "svc.ns.svc.cluster.local";
  const pods = ["app-0", "app-1", "app-2"];
  const table = {
    [`_dist._tcp.${SERVICE} SRV`]: {
      answers: pods.map((pod) => srv(`_dist._tcp.${SERVICE}`, `${pod}.${SERVICE}`, 9100)),
      additionals: pods.map((pod, index) => a(`${pod}.${SERVICE}`, `10.2.0.${index}`)),
    },
  };
  const question = (aliveName: string, host: string): NodeQuestion => ({
    ...{ node: { aliveName, host, family: undefined, form: "full" }, family: "any" },
  });

  test("the one whose target is the node", async () => {
    const srvOptions = { srvName: "_dist._tcp.{host}", srvTarget: "{name}.{host}" };
    const { srvLookUp } = await setup(records(table), { srvOptions });
    expect(places(await srvLookUp(question("app-1", SERVICE)))).toEqual(["10.2.0.1 9100"]);
    expect(await srvLookUp(question("app-9", SERVICE))).toMatchObject({
      code: "SRV_OTHER_TARGET",
      reason: expect.stringMatching(/target app-9\.svc\.ns\.svc\.cluster\.local/),
    });
  });

  test("the one whose target is the host of the node", async () => {
    const srvOptions = { srvName: `_dist._tcp.${SERVICE}`, srvTarget: "{host}" };
    const { srvLookUp } = await setup(records(table), { srvOptions });
    expect(places(await srvLookUp(question("rabbit", `app-2.${SERVICE}`)))).toEqual(["10.2.0.2 9100"]);
  });

  test("the one at the address that stands for the host; a target with the node's name in it must fit too", async () => {
    const asked = { ...question("rabbit", SERVICE), onlyAddress: "10.2.0.1" };
    const byHost = await setup(records(table), { srvOptions: { srvName: "_dist._tcp.{host}", srvTarget: "{host}" } });
    expect(places(await byHost.srvLookUp(asked))).toEqual(["10.2.0.1 9100"]);
    const srvOptions = { srvName: "_dist._tcp.{host}", srvTarget: "{name}.{host}" };
    const byName = await setup(records(table), { srvOptions });
    expect(await byName.srvLookUp(asked)).toMatchObject({ outcome: "not-found" });
  });
});

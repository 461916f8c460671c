import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { createResolver, type Resolver } from "../../src/dns/resolver.js";
import { Domains } from "../../src/names/domains.js";
import { parseNodeName } from "../../src/names/node-name.js";
import { AddressLookup } from "../../src/resolve/addresses.js";
import type { Resolution } from "../../src/resolve/core/resolution.js";
import { createFallbackSource } from "../../src/resolve/fallback-source.js";
import { NodeResolver } from "../../src/resolve/node-resolver.js";
import { createSrvSource } from "../../src/resolve/srv-source.js";
import { bestOf } from "../support/best-of.js";
import {
  a,
  type FakeDnsServer,
  type FakeHandler,
  type FakeReply,
  NXDOMAIN,
  REFUSED,
  SERVFAIL,
  srv,
  startFakeDns,
} from "../support/fake-dns-server.js";
import { serveConfig } from "../support/registered-node.js";
import { temporaryFolder } from "../support/temporary.js";

const log = createLogger({ level: "silent", format: "json", write: () => {} });

interface Machine {
  readonly server: FakeDnsServer;
  readonly dns: Resolver;
  /** As PORT_PLEASE2 and `resolve` do, with `--domain svc`. */
  readonly resolve: (node: string) => Promise<Resolution>;
  readonly nodes: NodeResolver;
  readonly asked: () => string[];
}

/** A machine whose resolv.conf has this search list, and whose name server is the fake one. */
async function machine(search: string, handler: FakeHandler): Promise<Machine> {
  const server = await startFakeDns(handler);
  onTestFinished(server.close);
  const resolvConf = join(await temporaryFolder("search-list"), "resolv.conf");
  await writeFile(resolvConf, `nameserver 192.0.2.53\nsearch ${search}\noptions ndots:5\n`);
  const dns = createResolver({
    dns: [],
    resolvConf,
    // Port 53 is not for every test: another server stands for the one of resolv.conf.
    isOwnServer: () => true,
    otherServers: [server],
    maxTtl: 60_000,
    staleTtl: 3_600_000,
    log,
  });
  onTestFinished(dns.close);
  const addresses = new AddressLookup(dns, { addressesOf: () => [] });
  const common = { addresses, srvName: "{name}.{host}", family: 4, localAddresses: () => ["192.0.2.2"] } as const;
  const source = createSrvSource({ ...common, resolver: dns, random: () => 0, addressesToo: false });
  const fallback = createFallbackSource({ ...common, port: 9100, isOwn: () => false });
  const nodes = new NodeResolver({
    sources: [source, fallback],
    domains: new Domains(serveConfig({ domain: ["svc"] }), { names: new Set(["localhost"]), addresses: () => [] }),
    family: 4,
    preferReachable: false,
    timeout: 4_000,
    now: () => performance.now(),
  });
  return {
    server,
    dns,
    nodes,
    resolve: async (node) => nodes.resolve(parseNodeName(node), { sameHost: true }),
    asked: () => Array.from(new Set(server.queries.map(({ qname }) => qname))),
  };
}

const places = (resolution: Resolution) =>
  resolution.outcome === "found" ? resolution.endpoints.map(({ address, port }) => `${address} ${port}`) : resolution;

describe("with a wildcard under a search domain", () => {
  /** `*.corp.example` is a web server; the node is where Consul says. */
  const WILDCARD: FakeHandler = ({ qname, qtype }) => {
    if (qname.endsWith(".corp.example"))
      return qtype === "SRV" ? { answers: [srv(qname, "www.corp.example", 80)] } : { answers: [a(qname, "10.6.6.6")] };
    if (qtype === "SRV" && qname.endsWith(".consul")) return { answers: [srv(qname, "db1.example", 20001)] };
    if (qtype === "A" && qname === "db1.example") return { answers: [a(qname, "10.0.0.1")] };
    return { rcode: NXDOMAIN };
  };

  test.each([
    ["a bare name, looked up under --domain", "node_a"],
    ["a service that stands for a Consul domain", "node_a@other"],
    ["a name under the Consul domain", "node_a@svc.service.dc1.consul"],
    ["an address as host part", "node_a@10.0.0.1"],
  ])("%s is dialled where its own SRV record says, and nobody is asked about the search domain", async (_, node) => {
    const { resolve, asked } = await machine("corp.example", WILDCARD);
    expect(places(await resolve(node))).toEqual(["10.0.0.1 20001"]);
    // The second time the addresses of the targets are asked for in the same moment.
    expect(places(await resolve(node))).toEqual(["10.0.0.1 20001"]);
    expect(asked().filter((name) => name.endsWith("corp.example"))).toEqual([]);
  });

  test("the target of a relative name's SRV record is absolute all the same", async () => {
    const { resolve, asked } = await machine("svc.cluster.local", ({ qname, qtype }) => {
      if (qtype === "SRV" && qname === "n1.db.prod.svc.cluster.local") return { answers: [srv(qname, "pod-1.net", 1)] };
      if (qtype === "A") return { answers: [a(qname, qname === "pod-1.net" ? "10.0.0.1" : "10.6.6.6")] };
      return { rcode: NXDOMAIN };
    });
    expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.1 1"]);
    expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.1 1"]);
    expect(asked()).toEqual(["n1.db.prod.svc.cluster.local", "pod-1.net"]);
  });

  test("a host that was written with a trailing dot is complete, for its SRV record and for a fallback", async () => {
    const { resolve, asked } = await machine("corp.example", ({ qname, qtype }) => {
      if (qname.endsWith("corp.example")) return { answers: [a(qname, "10.6.6.6")] };
      return qname === "db1.example" && qtype === "A" ? { answers: [a(qname, "10.0.0.1")] } : { rcode: NXDOMAIN };
    });
    expect(places(await resolve("n1@db1.example."))).toEqual(["10.0.0.1 9100"]);
    expect(asked().sort()).toEqual(["db1.example", "n1.db1.example"]);
  });

  test("a record that refused is forgotten under the name that was asked", async () => {
    const { nodes, server, resolve } = await machine("corp.example", ({ qname, qtype }) =>
      qtype === "SRV"
        ? { answers: [srv(qname, "h.example", 1, { ttl: 60 })], additionals: [a("h.example", "10.0.0.1", 60)] }
        : { rcode: NXDOMAIN },
    );
    for (const node of ["n1@other", "n1@relative.host"]) {
      await resolve(node);
      const before = server.queries.length;
      await resolve(node);
      expect(server.queries.length).toBe(before);
      nodes.refused(parseNodeName(node), { address: "10.0.0.1", port: 1 });
      await resolve(node);
      expect(server.queries.length).toBe(before + 1);
    }
  });
});

test("a relative name that a user wrote is searched, in the order of the list", async () => {
  const { resolve, asked } = await machine("a.example b.example", ({ qname, qtype }) =>
    qname.endsWith("b.example") && qtype === "SRV"
      ? { answers: [srv(qname, "h.example", 7)], additionals: [a("h.example", "10.0.0.7")] }
      : { rcode: NXDOMAIN },
  );
  expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.7 7"]);
  expect(asked()).toEqual(["n1.db.prod.a.example", "n1.db.prod.b.example"]);
});

describe("a search domain for which the name server fails disables no look-up", () => {
  const FAILURES: [string, FakeReply | undefined][] = [
    ["SERVFAIL", { rcode: SERVFAIL }],
    ["REFUSED", { rcode: REFUSED }],
    ["NOTIMP", { rcode: 4 }],
    ["silence", undefined],
  ];
  /** The node is under good.example; whatever lies under bad.example fails. */
  const failing =
    (failure: FakeReply | undefined): FakeHandler =>
    ({ qname, qtype }) => {
      if (qname.endsWith("bad.example")) return failure;
      if (qtype !== "SRV" || qname !== "n1.db.prod.good.example") return { rcode: NXDOMAIN };
      return { answers: [srv(qname, "h.example", 7)], additionals: [a("h.example", "10.0.0.7")] };
    };

  describe.each(FAILURES)("with %s", (_, failure) => {
    test.each(["bad.example good.example", "other.example bad.example good.example", "good.example bad.example"])(
      "in the list %s, and costs little time from the second look-up on",
      async (list) => {
        const { resolve } = await machine(list, failing(failure));
        expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.7 7"]);
        const again = await bestOf(3, async () => {
          const started = performance.now();
          expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.7 7"]);
          return performance.now() - started;
        });
        expect(again).toBeLessThan(400);
      },
    );

    test("nor one of a name that is complete as it stands", async () => {
      const { dns } = await machine("bad.example worse.bad.example", ({ qname }) => {
        if (qname.endsWith("bad.example")) return failure;
        return qname === "db.prod" ? { answers: [a(qname, "10.0.0.1")] } : { rcode: NXDOMAIN };
      });
      const query = { deadline: performance.now() + 4_000, search: true };
      expect(await dns.query("db.prod", "A", query)).toMatchObject({ records: [{ address: "10.0.0.1" }] });
    });

    test("and of a name that is nowhere else it is said that it could not be asked for", async () => {
      const { dns } = await machine("bad.example good.example", failing(failure));
      const query = { deadline: performance.now() + 700, search: true };
      expect(await dns.query("n2.db.prod", "SRV", query)).toMatchObject({
        kind: "unavailable",
        cause: expect.stringContaining("n2.db.prod.bad.example"),
      });
    });
  });

  test("a failure that passes is asked about again when the name is nowhere else", async () => {
    let failures = 2;
    const { resolve } = await machine("good.example", ({ qname, qtype }) => {
      if (!qname.endsWith("good.example") || qtype !== "SRV") return { rcode: NXDOMAIN };
      if (failures-- > 0) return { rcode: SERVFAIL };
      return { answers: [srv(qname, "h.example", 7)], additionals: [a("h.example", "10.0.0.7")] };
    });
    expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.7 7"]);
  });

  test("a domain that is slow to answer is waited for when the name is nowhere else", async () => {
    let delay = 1_200;
    const { dns } = await machine("slow.example other.example", ({ qname }) => {
      if (!qname.endsWith("slow.example")) return { rcode: NXDOMAIN };
      // A recursive server knows the answer when it is asked again.
      const reply = { answers: [a(qname, "10.0.0.1")], delay };
      delay = 0;
      return reply;
    });
    const query = { deadline: performance.now() + 4_000, search: true };
    expect(await dns.query("db.prod", "A", query)).toMatchObject({ records: [{ address: "10.0.0.1" }] });
  });

  test("a fallback is not kept from its turn: the SRV record of a relative name is nowhere else", async () => {
    const { resolve } = await machine("bad.example good.example", ({ qname, qtype }) => {
      if (qname.endsWith("bad.example")) return undefined;
      return qname === "db.prod.good.example" && qtype === "A"
        ? { answers: [a(qname, "10.0.0.1")] }
        : { rcode: NXDOMAIN };
    });
    for (const within of [3_800, 1_500]) {
      const started = performance.now();
      expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.1 9100"]);
      expect(performance.now() - started).toBeLessThan(within);
    }
  });

  test("a list that names a domain twice is searched to its end", async () => {
    const { dns } = await machine("a.example a.example", () => ({ rcode: NXDOMAIN }));
    const query = { deadline: performance.now() + 4_000, search: true };
    expect(await dns.query("db.prod", "A", query)).toMatchObject({ kind: "nxdomain" });
  });

  test("the first domain has the last word again once it answers", async () => {
    const at = (qname: string, port: number): FakeReply => ({
      answers: [srv(qname, "h.example", port)],
      additionals: [a("h.example", "10.0.0.7")],
    });
    const { server, resolve } = await machine("first.example second.example", ({ qname }) =>
      qname.endsWith("second.example") ? at(qname, 2) : undefined,
    );
    expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.7 2"]);
    server.handle(({ qname }) => at(qname, qname.endsWith("second.example") ? 2 : 1));
    const first = async () => expect(places(await resolve("n1@db.prod"))).toEqual(["10.0.0.7 1"]);
    await vi.waitFor(first, { timeout: 4_000 });
  });

  test("NODATA in one domain is what is said when no other has more", async () => {
    const { dns } = await machine("a.example b.example", ({ qname }) =>
      qname.endsWith("a.example") ? {} : { rcode: NXDOMAIN },
    );
    const query = { deadline: performance.now() + 4_000, search: true };
    expect(await dns.query("db.prod", "A", query)).toMatchObject({ kind: "nodata" });
  });
});

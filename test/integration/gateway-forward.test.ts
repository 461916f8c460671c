import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { NameServers } from "../../src/dns/name-servers.js";
import { createResolver } from "../../src/dns/resolver.js";
import { withId } from "../../src/gateway/core/message.js";
import { createForwarder } from "../../src/gateway/forward.js";
import { isOwnServer } from "../../src/net/ip.js";
import { message, nameOf, optRecord, queryFor, questionOf } from "../support/dns-query.js";
import { freePort } from "../support/free-port.js";
import { askTcp, askUdp, gatewayDns, rawNameServer, rcode } from "../support/gateway-dns.js";
import type { RawHandler, RawQuery } from "../support/raw-name-server.js";
import { temporaryFolder } from "../support/temporary.js";

const hasName = (text: string) => (query: RawQuery) => query.bytes.includes(text);

/** The query turned into a response, with something of our own behind it. */
function responseTo({ bytes }: RawQuery, flags: number, behind = ""): Buffer {
  const response = Buffer.concat([bytes, Buffer.from(behind)]);
  response.writeUInt16BE(flags, 2);
  return response;
}

const says =
  (flags: number, behind = ""): RawHandler =>
  (query) =>
    responseTo(query, flags, behind);

const GOOD = says(0x8180, "good");

/** NOERROR with nothing but another server's name. */
const referral: RawHandler = (query) => {
  const response = responseTo(query, 0x8100, "\0\0\x02\0\x01\0\0\0\x3c\0\x01\0");
  response.writeUInt16BE(1, 8);
  return response;
};

describe("a question that is not the gateway's goes on and its answer comes back", () => {
  const option = Buffer.from("fde900046f646421", "hex");
  test.each<[string, Buffer]>([
    [
      "with DO, and an option that nobody knows",
      queryFor("a.example", { type: 48, additionals: [optRecord(4096, 0x8000, option)] }),
    ],
    ["with CD, AD and no RD", queryFor("a.example", { flags: 0x0030 })],
    ["in odd letter case", queryFor("wWw.eXaMpLe", { type: 28 })],
    ["of the gateway's own name, for HTTPS", queryFor("n1.svc.test", { type: 65 })],
    ["of the gateway's own name, for ANY", queryFor("svc.test", { type: 255 })],
    ["of the gateway's own name, in class CH", queryFor("svc.test", { class: 3 })],
    ["for what is known about a host", queryFor("_svc._tcp.svc.test")],
    ["with odd octets", message(9, 0x100, [questionOf(nameOf("o\0d d.", "example"))])],
    ["with two questions", message(9, 0x100, [questionOf(nameOf("svc", "test")), questionOf(nameOf("b"))])],
    ["without a question", message(9, 0x100, [], [optRecord(1232)])],
    [
      "as an update",
      queryFor("example", { flags: 0x2800, type: 6, additionals: [Buffer.from("0000010003000000000000", "hex")] }),
    ],
    ["as a notification", queryFor("example", { flags: 0x2000, type: 6 })],
    ["for the root", queryFor("", { type: 2 })],
  ])("octet by octet but for the id: %s", async (what, query) => {
    const flags = 0x8583 | (query.readUInt16BE(2) & 0x7800);
    // RFC 8020: NXDOMAIN would say that a host of ours has no addresses either, and caches would believe it.
    const passedOn = what.includes("own name, for") ? flags & 0xfff0 : flags;
    const server = await rawNameServer(says(flags, "behind \x00\xff"));
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    for (const transport of ["udp", "tcp"] as const) {
      const before = server.queries.length;
      const [answer] = transport === "udp" ? [await askUdp(dns, query)] : await askTcp(dns, query);
      const [seen] = server.queries.slice(before);
      expect(seen?.transport).toBe(transport);
      expect(withId(seen?.bytes ?? Buffer.alloc(2), query.readUInt16BE(0))).toEqual(query);
      expect(answer).toEqual(responseTo({ ...(seen as RawQuery), bytes: query }, passedOn, "behind \x00\xff"));
    }
  });

  test("with an id and a port that the asker does not choose", async () => {
    const server = await rawNameServer(says(0x8180));
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    for (let i = 0; i < 8; i++) await askUdp(dns, queryFor("a.example", { id: 7 }));
    const seen = server.queries.filter(hasName("example"));
    expect(new Set(seen.map(({ bytes }) => bytes.readUInt16BE(0))).size).toBeGreaterThan(6);
    expect(new Set(seen.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(4);
  });

  test("with TC set, for the asker to come back over TCP", async () => {
    const long = "x".repeat(5_000);
    const server = await rawNameServer((query) =>
      query.transport === "udp" ? responseTo(query, 0x8380) : responseTo(query, 0x8180, long),
    );
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    const query = queryFor("a.example", { type: 16 });
    expect((await askUdp(dns, query))?.readUInt16BE(2)).toBe(0x8380);
    const [whole] = await askTcp(dns, query);
    expect(whole?.subarray(query.length).toString()).toBe(long);
  });

  test("as long as the asker allows, and truncated when another server heeds that less than we do", async () => {
    const server = await rawNameServer(says(0x8180, "x".repeat(3_000)));
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    const query = (size: number) => queryFor("a.example", { additionals: [optRecord(size)] });
    expect((await askUdp(dns, query(4_096)))?.length).toBe(query(0).length + 3_000);
    const short = await askUdp(dns, query(1_232));
    expect(short?.toString("hex")).toBe(
      `4d4d8380000100000000000001${Buffer.from("a").toString("hex")}076578616d706c650000010001`,
    );
  });

  test("several on one connection, in their order", async () => {
    const server = await rawNameServer((query) => responseTo(query, 0x8180));
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    const queries = ["a.example", "svc.test", "b.example"].map((name, index) => queryFor(name, { id: index }));
    const answers = await askTcp(dns, ...queries);
    expect(answers.map((answer) => answer.readUInt16BE(0))).toEqual([0, 1, 2]);
    expect(answers[1]?.subarray(-4).toString("hex")).toBe("7f400094");
  });

  test("but a transfer over TCP is refused: it would be many messages", async () => {
    const server = await rawNameServer(says(0x8180));
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    expect((await askTcp(dns, queryFor("a.example", { type: 252 }))).map(rcode)).toEqual([5]);
    expect(server.queries.filter(hasName("example"))).toEqual([]);
  });
});

describe("a name server that is silent over UDP and answers over TCP", () => {
  const tcpOnly: RawHandler = (query) => (query.transport === "tcp" ? responseTo(query, 0x8180, "good") : undefined);

  test("is heard within the time, and at once from then on", async () => {
    const server = await rawNameServer(tcpOnly);
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    expect((await askUdp(dns, queryFor("a.example")))?.subarray(-4).toString()).toBe("good");
    expect((await askUdp(dns, queryFor("b.example")))?.subarray(-4).toString()).toBe("good");
    expect(server.queries.filter(hasName("\x01b\x07example")).map(({ transport }) => transport)).toEqual(["tcp"]);
  });

  test("is asked over UDP once more when TCP is silent too: the first datagram may have been lost", async () => {
    let lost = 1;
    const udpOnly: RawHandler = (query) => {
      if (!hasName("example")(query)) return undefined;
      return query.transport === "udp" && lost-- <= 0 ? responseTo(query, 0x8180, "good") : undefined;
    };
    const { dns } = await gatewayDns({ forward: { servers: [await rawNameServer(udpOnly)] } });
    expect((await askUdp(dns, queryFor("a.example")))?.subarray(-4).toString()).toBe("good");
  });

  test("is asked over TCP alone where resolv.conf says use-vc", async () => {
    const server = await rawNameServer(GOOD);
    const resolvConf = join(await temporaryFolder("resolv-conf"), "resolv.conf");
    await writeFile(resolvConf, "nameserver 127.0.0.1\noptions use-vc\n");
    const { log } = (await gatewayDns()).log;
    const nameServers = new NameServers({ rules: [], resolvConf, isOwn: () => true, otherwise: [server], log });
    const forwarder = createForwarder({ nameServers, log });
    expect(await forwarder.forward(queryFor("a.example"), "a.example", "udp")).toBeDefined();
    forwarder.close();
    expect(server.queries.map(({ transport }) => transport)).toEqual(["tcp"]);
  });
});

describe("the next name server is asked", () => {
  const SILENT: RawHandler = () => undefined;

  test.each<[string, RawHandler]>([
    ["refuses", says(0x8185)],
    ["fails", says(0x8182)],
    ["refuses without repeating the question", ({ bytes }) => message(bytes.readUInt16BE(0), 0x8185, [])],
    ["is silent", SILENT],
    [
      "answers something else",
      ({ bytes }) => responseTo({ bytes: withId(bytes, bytes.readUInt16BE(0) ^ 1) } as RawQuery, 0x8180),
    ],
    ["sends junk", () => Buffer.from("junk")],
    ["is lame", says(0x8100)],
    ["is lame, and refers to others", referral],
  ])("when one %s", async (_, first) => {
    const [bad, good] = [await rawNameServer(first), await rawNameServer(GOOD)];
    const { dns } = await gatewayDns({ forward: { servers: [bad, good], limit: 2_000 } });
    const started = performance.now();
    expect((await askUdp(dns, queryFor("a.example")))?.subarray(-4).toString()).toBe("good");
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(bad.queries.filter(hasName("example")).length).toBe(1);
  });

  test("when nobody is there", async () => {
    const good = await rawNameServer(GOOD);
    const gone = { address: "127.0.0.1", port: await freePort() };
    const { dns } = await gatewayDns({ forward: { servers: [gone, good] } });
    for (const answer of [await askUdp(dns, queryFor("a.example")), ...(await askTcp(dns, queryFor("a.example")))]) {
      expect(answer?.subarray(-4).toString()).toBe("good");
    }
  });

  test("and one that was silent still heard when it answers at last, and asked last the next time", async () => {
    let go = () => {};
    const late = new Promise<void>((resolve) => {
      go = resolve;
    });
    const slow = await rawNameServer(async (query) => late.then(() => responseTo(query, 0x8180, "slow")));
    const silent = await rawNameServer((query) => {
      if (hasName("example")(query)) go();
      return undefined;
    });
    const { dns } = await gatewayDns({ forward: { servers: [slow, silent], limit: 1_600 } });
    expect((await askUdp(dns, queryFor("a.example")))?.subarray(-4).toString()).toBe("slow");
  });

  test("and its refusal passed on when all refuse", async () => {
    const servers = [await rawNameServer(says(0x8182, "one")), await rawNameServer(says(0x8185, "two"))];
    const { dns } = await gatewayDns({ forward: { servers } });
    const answer = await askUdp(dns, queryFor("a.example"));
    expect(rcode(answer)).toBe(5);
    expect(answer?.subarray(-3).toString()).toBe("two");
    expect(servers.map(({ queries }) => queries.filter(hasName("example")).length)).toEqual([1, 1]);
  });

  test("but not after NXDOMAIN or FORMERR, or an absence that somebody vouches for: those are answers", async () => {
    for (const flags of [0x8183, 0x8181, 0x8500, 0x8180]) {
      const servers = [await rawNameServer(says(flags)), await rawNameServer(GOOD)];
      const { dns } = await gatewayDns({ forward: { servers } });
      expect(rcode(await askUdp(dns, queryFor("a.example")))).toBe(flags & 0xf);
    }
  });
});

describe("the same question of several at once", () => {
  test("is asked once, and each gets the answer with its own id", async () => {
    let go = () => {};
    const late = new Promise<void>((resolve) => {
      go = resolve;
    });
    const server = await rawNameServer(async (query) => late.then(() => responseTo(query, 0x8180, "one")));
    const { dns } = await gatewayDns({ forward: { servers: [server] } });
    const asking = [1, 2, 3].map((id) => askUdp(dns, queryFor("a.example", { id })));
    const other = askUdp(dns, queryFor("a.example", { id: 4, flags: 0x0110 }));
    await vi.waitFor(() => expect(server.queries.filter(hasName("example")).length).toBe(2));
    go();
    const ids = (await Promise.all([...asking, other])).map((answer) => answer?.readUInt16BE(0));
    expect(ids).toEqual([1, 2, 3, 4]);
    expect(server.queries.filter(hasName("example")).length).toBe(2);
  });

  test("does not go round more than once in a loop that came to be after the start", async () => {
    let looping: { address: string; port: number } | undefined;
    const server = await rawNameServer(async ({ bytes }) => looping && askUdp(looping, bytes, 2_000));
    const { dns } = await gatewayDns({ forward: { servers: [server], limit: 500 } });
    looping = dns;
    expect(rcode(await askUdp(dns, queryFor("a.example")))).toBe(2);
    // Asked and asked again, as of a silent server.
    expect(server.queries.filter(hasName("example")).length).toBeLessThanOrEqual(3);
  });
});

describe("when nobody answers", () => {
  test("the asker is told SERVFAIL before it gives up after 5 s, lost datagrams having been repeated", async () => {
    const silent = await rawNameServer(() => undefined);
    const { dns } = await gatewayDns({ forward: { servers: [silent] } });
    const started = performance.now();
    const [udp, [tcp]] = await Promise.all([askUdp(dns, queryFor("a.example")), askTcp(dns, queryFor("b.example"))]);
    expect([rcode(udp), rcode(tcp)]).toEqual([2, 2]);
    expect(performance.now() - started).toBeLessThan(4_900);
    expect(performance.now() - started).toBeGreaterThan(4_000);
    expect(silent.queries.filter(hasName("\x01a\x07example")).length).toBe(3);
    expect(silent.queries.filter(hasName("\x01b\x07example")).length).toBe(1);
  });

  test("for names of one domain, those of others behind the same server are answered all the same", async () => {
    const server = await rawNameServer((query) => (hasName("dead")(query) ? undefined : responseTo(query, 0x8180)));
    const { dns } = await gatewayDns({ forward: { servers: [server], limit: 2_000 } });
    const crowd = Array.from({ length: 150 }, (_, id) => askUdp(dns, queryFor(`n${id}.dead.example`, { id })));
    await vi.waitFor(() => expect(server.queries.some(hasName("dead"))).toBe(true));
    expect(rcode(await askUdp(dns, queryFor("a.example")))).toBe(0);
    await Promise.all(crowd);
  });

  test("because nobody is there, SERVFAIL comes at once", async () => {
    const gone = { address: "127.0.0.1", port: await freePort() };
    const { dns } = await gatewayDns({ forward: { servers: [gone] } });
    const started = performance.now();
    expect(rcode(await askUdp(dns, queryFor("a.example")))).toBe(2);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test("and too many ask, the gateway's own hosts are answered all the same, and the others told SERVFAIL at once", async () => {
    const silent = await rawNameServer(() => undefined);
    const { dns, log } = await gatewayDns({ forward: { servers: [silent], limit: 1_500, maxForwards: 20 } });
    const started = performance.now();
    const crowd = Array.from({ length: 60 }, async (_, id) => {
      const answer = await askUdp(dns, queryFor(`n${id}.example`, { id }));
      return { rcode: rcode(answer), ms: performance.now() - started };
    });
    expect((await askUdp(dns, queryFor("svc.test")))?.subarray(-4).toString("hex")).toBe("7f400094");
    expect(performance.now() - started).toBeLessThan(1_000);
    const answers = await Promise.all(crowd);
    expect(answers.every((answer) => answer.rcode === 2)).toBe(true);
    expect(answers.filter(({ ms }) => ms < 1_200).length).toBe(40);
    expect(log.messages("warn")).toEqual(["DNS questions get SERVFAIL: too many wait for other name servers"]);
  });
});

describe("which name server is asked", () => {
  const named = (name: string) => rawNameServer(says(0x8180, name));
  const at = { address: "127.0.0.1", port: 53 };

  test("is the one whose domain matches, the longest first, and --gateway-forward for the rest", async () => {
    const [consul, svc, forward, unused] = await Promise.all([named("aaa"), named("bbb"), named("ccc"), named("ddd")]);
    const dnsRules = [
      { ...unused, domain: undefined },
      { ...consul, domain: "test" },
      { ...svc, domain: "svc.test" },
    ];
    const { dns } = await gatewayDns({ forward: { servers: [forward], dns: dnsRules } });
    const ask = async (query: Buffer) => (await askUdp(dns, query))?.subarray(-3).toString();
    expect(await ask(queryFor("a.svc.test", { type: 33 }))).toBe("bbb");
    expect(await ask(queryFor("A.SVC.TEST", { type: 33 }))).toBe("bbb");
    expect(await ask(queryFor("a.other.test", { type: 33 }))).toBe("aaa");
    expect(await ask(queryFor("a.example"))).toBe("ccc");
    // One label, with dots in it: no name under test.
    expect(await ask(message(1, 0x100, [questionOf(nameOf("a.svc.test"))]))).toBe("ccc");
    expect(unused.queries).toEqual([]);
  });

  test("is --dns without a domain where resolv.conf names only ourselves", async () => {
    const dns = await named("ddd");
    const resolvConf = join(await temporaryFolder("resolv-conf"), "resolv.conf");
    await writeFile(resolvConf, "nameserver 127.0.0.1\n");
    // Binding port 53 is not for every machine: what it would be there is asked of the pure part.
    const rules = [{ ...dns, domain: undefined }];
    const servers = new NameServers({
      rules: [],
      resolvConf,
      isOwn: (server) => isOwnServer(at, server, () => false),
      otherwise: rules,
      log: (await gatewayDns()).log.log,
    });
    expect((await servers.serversFor("a.example", 0)).servers).toEqual(rules);
    await writeFile(`${resolvConf}.new`, "nameserver 127.0.0.1\nnameserver 10.0.0.1\n");
    await rename(`${resolvConf}.new`, resolvConf);
    expect((await servers.serversFor("a.example", 0)).servers).toEqual([{ address: "10.0.0.1", port: 53 }]);
  });
});

test("our own resolver does not ask ourselves either, and says so when there is nobody else", async () => {
  const resolvConf = join(await temporaryFolder("resolv-conf"), "resolv.conf");
  await writeFile(resolvConf, "nameserver 127.0.0.1\n");
  const record = Buffer.from("c00c000100010000000000040a000001", "hex");
  const server = await rawNameServer(({ bytes }) => {
    const [response] = [Buffer.concat([bytes.subarray(0, bytes.length - 11), record])];
    response.writeUInt16BE(0x8180, 2);
    response.writeUInt16BE(1, 6);
    response.writeUInt16BE(0, 10);
    return response;
  });
  const options = { dns: [], resolvConf, maxTtl: 0, staleTtl: 0 };
  const log = (await gatewayDns()).log.log;
  const isOurs = ({ address }: { address: string }) => address === "127.0.0.1";
  const deadline = () => ({ deadline: performance.now() + 3_000 });
  const alone = createResolver({ ...options, isOwnServer: isOurs, log });
  const started = performance.now();
  expect(await alone.query("a.example", "A", deadline())).toMatchObject({
    kind: "unavailable",
    cause: expect.stringContaining("resolv.conf names only the gateway itself; give one with --gateway-forward"),
  });
  expect(performance.now() - started).toBeLessThan(1_000);
  const helped = createResolver({ ...options, isOwnServer: isOurs, otherServers: [server], log });
  expect(await helped.query("a.example", "A", deadline())).toMatchObject({ records: [{ address: "10.0.0.1" }] });
  await Promise.all([alone.close(), helped.close()]);
});

test("without any name server the answer is SERVFAIL, and one log line says what to give", async () => {
  const resolvConf = join(await temporaryFolder("resolv-conf"), "resolv.conf");
  await writeFile(resolvConf, "nameserver 127.0.0.1\n");
  const { log } = await gatewayDns();
  const nameServers = new NameServers({ rules: [], resolvConf, isOwn: () => true, log: log.log });
  const forwarder = createForwarder({ nameServers, log: log.log });
  for (let i = 0; i < 3; i++)
    expect(await forwarder.forward(queryFor("a.example"), "a.example", "udp")).toBeUndefined();
  forwarder.close();
  expect(log.messages("warn")).toEqual([expect.stringContaining("give one with --gateway-forward")]);
});

import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { message, nameOf, optRecord, queryFor, questionOf } from "../support/dns-query.js";
import { askTcp, askUdp, gatewayDns, rawNameServer, rcode } from "../support/gateway-dns.js";

const tail = (response: Buffer | undefined, octets: number) => response?.subarray(-octets).toString("hex");

/** A name server that must not be asked. */
async function untouched() {
  const server = await rawNameServer(() => undefined);
  return { server, forward: { servers: [server] } };
}

/** Questions that came after the gateway had looked for loops. */
const asked = ({ queries }: { queries: readonly { bytes: Buffer }[] }, text: string) =>
  queries.filter(({ bytes }) => bytes.includes(text));

describe("a host of the gateway", () => {
  test("has its address and the IPv4-mapped form of it, over UDP and TCP, and nobody else is asked", async () => {
    const { server, forward } = await untouched();
    const { dns } = await gatewayDns({ forward });
    for (const name of ["svc.test", "n1.SVC.test", "only.example"]) {
      const query = queryFor(name);
      const answer = await askUdp(dns, query);
      expect(answer?.subarray(12, query.length)).toEqual(query.subarray(12));
      expect(tail(answer, 10)).toBe("0000000000047f400094");
      const query6 = queryFor(name, { type: 28 });
      expect(tail(await askUdp(dns, query6), 22)).toBe("00000000001000000000000000000000ffff7f400094");
      expect(await askTcp(dns, query, query6)).toEqual([answer, await askUdp(dns, query6)]);
      expect(asked(server, name.split(".")[0] ?? "")).toEqual([]);
    }
  });

  test("is SERVFAIL when it cannot get an address", async () => {
    const { dns } = await gatewayDns({ addressFor: async () => undefined });
    expect(rcode(await askUdp(dns, queryFor("full.svc.test")))).toBe(2);
  });

  test("is answered while its address is awaited for another", async () => {
    let go = () => {};
    const slow = new Promise<void>((resolve) => {
      go = resolve;
    });
    const { dns } = await gatewayDns({
      addressFor: (host) => (host === "slow.svc.test" ? slow.then(() => "127.64.0.1") : Promise.resolve("127.64.0.2")),
    });
    const waiting = askUdp(dns, queryFor("slow.svc.test"));
    expect(tail(await askUdp(dns, queryFor("quick.svc.test")), 4)).toBe("7f400002");
    go();
    expect(tail(await waiting, 4)).toBe("7f400001");
  });

  test("never is one with an odd name: there is no data, nobody is asked, and nothing is remembered", async () => {
    const { server, forward } = await untouched();
    const addressFor = vi.fn(async () => "127.64.0.1");
    const { dns } = await gatewayDns({ forward, addressFor });
    for (const label of ["odd x", "odd\0", "odd.x", "odd\xff", "-odd", "odd\n"]) {
      for (const type of [1, 28]) {
        const query = message(1, 0x100, [questionOf(nameOf(label, "svc", "test"), type)]);
        expect((await askUdp(dns, query))?.toString("hex")).toBe(
          query.toString("hex").replace(/^00010100/, "00018580"),
        );
      }
    }
    expect(addressFor).not.toHaveBeenCalled();
    expect(asked(server, "odd")).toEqual([]);
  });
});

describe("an address of the gateway", () => {
  const REVERSE = [
    "148.0.64.127.in-addr.arpa",
    "4.9.0.0.0.4.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
  ];

  test.each(REVERSE)("has its host by %s, and nothing of another type; nobody else is asked", async (name) => {
    const { server, forward } = await untouched();
    const { dns } = await gatewayDns({ forward });
    const answer = await askUdp(dns, queryFor(name, { type: 12 }));
    expect(answer?.readUInt16BE(2)).toBe(0x8580);
    expect(answer?.subarray(-13).toString("hex")).toBe(nameOf("n1", "svc", "test").toString("hex"));
    expect((await askTcp(dns, queryFor(name, { type: 12 })))[0]).toEqual(answer);
    for (const type of [1, 16, 28, 33, 255]) {
      const query = queryFor(name, { type });
      expect((await askUdp(dns, query))?.toString("hex")).toBe(query.toString("hex").replace(/^4d4d0100/, "4d4d8580"));
    }
    expect(asked(server, "arpa")).toEqual([]);
  });

  test("that stands for no host does not exist", async () => {
    const { dns } = await gatewayDns();
    expect(rcode(await askUdp(dns, queryFor("7.7.64.127.in-addr.arpa", { type: 12 })))).toBe(3);
  });

  test("is all that is ours: those of others are others' to name", async () => {
    const { server, forward } = await untouched();
    const { dns } = await gatewayDns({ forward });
    void askUdp(dns, queryFor("1.0.0.127.in-addr.arpa", { type: 12 }), 100);
    await vi.waitFor(() => expect(asked(server, "arpa").length).toBe(1));
  });
});

describe("bad input", () => {
  test.each([
    ["octets that end in the question", "0001010000010000000000000373766300"],
    ["a label of 64 octets", `00010100000100000000000040${"78".repeat(64)}0000010001`],
    ["a pointer that leads to itself", "000101000001000000000000c00c00010001"],
    ["a pointer into the header", "000101000001000000000000c00400010001"],
    ["more questions than it has", "00010100ffff000000000000037376630000010001"],
  ])("with %s is FORMERR, over UDP and TCP", async (_, hex) => {
    const { dns } = await gatewayDns();
    const query = Buffer.from(hex, "hex");
    expect((await askUdp(dns, query))?.toString("hex")).toBe("000181010000000000000000");
    expect((await askTcp(dns, query)).map((response) => response.toString("hex"))).toEqual([
      "000181010000000000000000",
    ]);
  });

  test("that is a response, or no header, is never answered, and the next query is", async () => {
    const { server, forward } = await untouched();
    const { dns } = await gatewayDns({ forward });
    const response = queryFor("svc.test", { flags: 0x8180 });
    expect(await askUdp(dns, response, 100)).toBeUndefined();
    expect(await askUdp(dns, queryFor("back.example", { flags: 0x8180 }), 100)).toBeUndefined();
    expect(await askUdp(dns, Buffer.from("junk"), 100)).toBeUndefined();
    expect(await askUdp(dns, Buffer.alloc(0), 100)).toBeUndefined();
    expect(asked(server, "back")).toEqual([]);
    expect(rcode(await askUdp(dns, queryFor("svc.test")))).toBe(0);
  });

  test("of a version of EDNS that nobody speaks yet is BADVERS", async () => {
    const { dns } = await gatewayDns();
    const query = queryFor("svc.test", { additionals: [optRecord(1232, 0, Buffer.alloc(0), 1)] });
    expect(tail(await askUdp(dns, query), 11)).toBe("00002904d0010000000000");
  });

  test("from another machine is REFUSED, whatever it asks", async () => {
    const { dns } = await gatewayDns({ isLocal: (address) => address !== "127.0.0.1" });
    for (const query of [queryFor("svc.test"), queryFor("a.example", { type: 16 })]) {
      expect((await askUdp(dns, query))?.toString("hex")).toBe(query.toString("hex").replace(/^4d4d0100/, "4d4d8185"));
    }
    expect((await askTcp(dns, queryFor("svc.test"))).map(rcode)).toEqual([5]);
  });
});

describe("where the gateway's DNS cannot listen", () => {
  test("because the port is taken, the error names who has it and what to do", async () => {
    const taken = net.createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void taken.close());
    await once(taken, "listening");
    const { port } = taken.address() as net.AddressInfo;
    await expect(gatewayDns({ at: { address: "127.0.0.1", port } })).rejects.toMatchObject({
      name: "ListenError",
      code: "LISTEN_IN_USE",
      at: { address: "127.0.0.1", port },
      message: expect.stringMatching(
        new RegExp(
          `^the gateway's DNS cannot listen on 127\\.0\\.0\\.1:${port}: another name server listens there \\(process ${process.pid}: .*\\); stop it, or use --gateway-listen 127\\.0\\.0\\.1:5300 .* --gateway-listen none .*srv-epmd hosts`,
        ),
      ),
    });
  });

  test("the one who has the port at another address is not blamed", async () => {
    const other = net.createServer().listen(0, "127.0.0.2");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const { port } = other.address() as net.AddressInfo;
    // Nobody listens over TCP here, and that is all that is looked at.
    const taken = dgram.createSocket("udp4").bind(port, "127.0.0.3");
    onTestFinished(() => void taken.close());
    await once(taken, "listening");
    await expect(gatewayDns({ at: { address: "127.0.0.3", port } })).rejects.toMatchObject({
      code: "LISTEN_IN_USE",
      message: expect.stringContaining(`127.0.0.3:${port}: another name server listens there; stop it`),
    });
    await expect(gatewayDns({ at: { address: "127.0.0.2", port } })).rejects.toMatchObject({
      message: expect.stringContaining(`(process ${process.pid}: `),
    });
  });

  test("because the machine has no such address, the error says so", async () => {
    await expect(gatewayDns({ at: { address: "192.0.2.200", port: 5300 } })).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: expect.stringContaining("this machine has no such address"),
    });
  });
});

test("after close the port is free again, questions under way included", async () => {
  const server = await rawNameServer(() => undefined);
  const { dns } = await gatewayDns({ forward: { servers: [server] } });
  void askUdp(dns, queryFor("a.example"), 200);
  void askTcp(dns, queryFor("b.example")).catch(() => undefined);
  await vi.waitFor(() => expect(asked(server, "example").length).toBe(2));
  await dns.close();
  const { dns: again } = await gatewayDns({ at: dns });
  expect(again.port).toBe(dns.port);
});

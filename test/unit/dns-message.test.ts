import { describe, expect, test } from "vitest";
import {
  decodeMessage,
  encodeQuery,
  encodeResponse,
  formatErrorFor,
  truncateResponse,
  udpSizeOf,
} from "../../src/dns/wire/message.js";
import { ProtocolError } from "../../src/errors.js";

/** Bytes written by hand: groups of hex digits, and words in quotes as a label with its length. */
function bytes(text: string): Buffer {
  const parts = text.match(/"[^"]*"|[0-9a-f]+/g) ?? [];
  return Buffer.concat(
    parts.map((part) => {
      if (!part.startsWith('"')) return Buffer.from(part, "hex");
      const label = Buffer.from(part.slice(1, -1), "latin1");
      return Buffer.concat([Buffer.from([label.length]), label]);
    }),
  );
}

const OPT_1232 = "00 0029 04d0 00000000 0000";

describe("a query", () => {
  test("asks for recursion, one question, class IN, and says with EDNS(0) that 1232 octets are welcome", () => {
    const query = encodeQuery({ id: 0x1234, qname: "Node_A.demo.test.", qtype: "SRV", edns: true });
    const expected = `1234 0100 0001 0000 0000 0001 "node_a" "demo" "test" 00 0021 0001 ${OPT_1232}`;
    expect(query.toString("hex")).toBe(bytes(expected).toString("hex"));
  });

  test("goes without EDNS(0) where a server has said that it does not know it", () => {
    const query = encodeQuery({ id: 1, qname: "a.b", qtype: "AAAA", edns: false });
    expect(query.toString("hex")).toBe(bytes(`0001 0100 0001 0000 0000 0000 "a" "b" 00 001c 0001`).toString("hex"));
  });

  test.each([
    ["a label of 64 octets", `${"x".repeat(64)}.demo.test`, /64 octets/],
    ["a label of 63 characters and more octets", `${"é".repeat(32)}.demo.test`, /64 octets/],
    ["an empty label", "a..b", /empty label/],
    ["a name of 256 octets", `${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(62)}`, /256 octets/],
  ])("is refused for %s", (_, qname, reason) => {
    const encode = () => encodeQuery({ id: 1, qname, qtype: "A", edns: true });
    expect(encode).toThrow(ProtocolError);
    expect(encode).toThrow(reason);
  });

  test("takes a label of 63 octets and a name of 255", () => {
    const qname = `${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(61)}`;
    expect(encodeQuery({ id: 1, qname, qtype: "A", edns: false })).toHaveLength(12 + 255 + 4);
  });
});

describe("an answer", () => {
  /** As Consul gives it: compressed names, SRV, its A record and a TXT in the additional section. */
  const CONSUL = bytes(
    `1234 8580 0001 0001 0000 0002
     "Node_A" "svc" "service" "consul" 00 0021 0001
     c00c 0021 0001 00000007 001a 0001 000a 4e21 "0a010203" "addr" "dc1" c01f
     c03d 0001 0001 00000005 0004 0a010203
     c00c 0010 0001 00000000 0003 "xy"`,
  );

  test("of Consul is read with its additional section, names in lower case and compression undone", () => {
    const message = decodeMessage(CONSUL);
    expect(message).toMatchObject({
      id: 0x1234,
      kind: "response",
      aa: true,
      tc: false,
      rd: true,
      ra: true,
      rcode: "NOERROR",
    });
    expect(message.questions).toEqual([{ qname: "node_a.svc.service.consul", qtype: "SRV", qclass: "IN" }]);
    const target = "0a010203.addr.dc1.consul";
    expect(message.answers).toEqual([
      { type: "SRV", owner: "node_a.svc.service.consul", ttl: 7, priority: 1, weight: 10, port: 20001, target },
    ]);
    expect(message.additionals).toEqual([
      { type: "A", owner: target, ttl: 5, address: "10.1.2.3" },
      { type: "other", owner: "node_a.svc.service.consul", ttl: 0, typeCode: 16 },
    ]);
  });

  test("cut off after any octet is malformed, never something else", () => {
    for (let length = 0; length < CONSUL.length; length++) {
      expect(() => decodeMessage(CONSUL.subarray(0, length))).toThrow(ProtocolError);
    }
  });

  test("with IPv6, SOA, CNAME and the root as SRV target keeps what they say", () => {
    const message = decodeMessage(
      bytes(
        `0001 8400 0000 0003 0001 0000
         "h" 00 001c 0001 00000000 0010 20010db8000000000000000000000007
         "c" 00 0005 0001 00000000 0003 "h" 00
         "s" 00 0021 0001 00000000 0007 0000 0000 0000 00
         "z" 00 0006 0001 0000003c 001a "n" 00 "m" 00 00000001 00000002 00000003 00000004 00000005`,
      ),
    );
    expect(message.answers).toEqual([
      { type: "AAAA", owner: "h", ttl: 0, address: "2001:db8::7" },
      { type: "CNAME", owner: "c", ttl: 0, target: "h" },
      { type: "SRV", owner: "s", ttl: 0, priority: 0, weight: 0, port: 0, target: "" },
    ]);
    expect(message.authorities).toEqual([
      {
        type: "SOA",
        owner: "z",
        ttl: 60,
        mname: "n",
        rname: "m",
        serial: 1,
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: 5,
      },
    ]);
  });

  test("carries the upper bits of its response code and the payload size in the OPT record", () => {
    const message = decodeMessage(bytes("0001 8000 0000 0000 0000 0001 00 0029 1000 01020000 0000"));
    expect(message).toMatchObject({ rcode: "BADVERS", edns: { udpPayloadSize: 4096, version: 2 }, additionals: [] });
  });

  test("is not spoilt by a record that nobody here reads, however odd its rdata", () => {
    // DNSKEY with protocol 9, and a TXT whose string is longer than its rdata.
    const odd = `"k" 00 0030 0001 00000000 0004 0000 09 00   "t" 00 0010 0001 00000000 0001 ff`;
    const message = decodeMessage(
      bytes(`0001 8000 0000 0003 0000 0000 ${odd} "a" 00 0001 0001 00000000 0004 7f000001`),
    );
    expect(message.answers).toEqual([
      { type: "other", owner: "k", ttl: 0, typeCode: 48 },
      { type: "other", owner: "t", ttl: 0, typeCode: 16 },
      { type: "A", owner: "a", ttl: 0, address: "127.0.0.1" },
    ]);
  });

  test("of class CHAOS or with the cache-flush bit of mDNS is no address of the Internet", () => {
    const message = decodeMessage(
      bytes(
        `0001 8000 0000 0002 0000 0000 "a" 00 0001 0003 00000000 0004 7f000001 "a" 00 0001 8001 00000000 0004 7f000001`,
      ),
    );
    expect(message.answers.map((record) => record.type)).toEqual(["other", "other"]);
  });

  test("with a TTL above 2^31-1 is not to be kept (RFC 2181)", () => {
    const message = decodeMessage(bytes(`0001 8000 0000 0001 0000 0000 "a" 00 0001 0001 80000000 0004 7f000001`));
    expect(message.answers[0]?.ttl).toBe(0);
  });

  test.each([
    ["a pointer to itself", "0001 8000 0001 0000 0000 0000 c00c 0001 0001"],
    ["a pointer forward", `0001 8000 0001 0000 0000 0000 c010 0001 0001 "a" 00`],
    ["two pointers in a circle", `0001 8000 0001 0001 0000 0000 "a" c00e 0001 0001 c00c 0001 0001 00000000 0000`],
    ["a label type that does not exist", `0001 8000 0001 0000 0000 0000 4161 00 0001 0001 00`],
    ["counts that do not fit", "0001 8000 ffff ffff ffff ffff"],
    ["an A record of 5 octets", `0001 8000 0000 0001 0000 0000 "a" 00 0001 0001 00000000 0005 7f00000100`],
    ["an AAAA record of 4 octets", `0001 8000 0000 0001 0000 0000 "a" 00 001c 0001 00000000 0004 7f000001`],
    [
      "an SRV record that ends before its target",
      `0001 8000 0000 0001 0000 0000 "a" 00 0021 0001 00000000 0006 000000000000`,
    ],
    ["rdata longer than the message", `0001 8000 0000 0001 0000 0000 "a" 00 0010 0001 00000000 00ff 00`],
  ])("with %s is malformed", (_, text) => {
    expect(() => decodeMessage(bytes(text))).toThrow(ProtocolError);
  });

  test("with a pointer that does not lead back is told from one that does", () => {
    expect(() => decodeMessage(bytes("0001 8000 0001 0000 0000 0000 c00c 0001 0001"))).toThrow("leads nowhere");
    const back = decodeMessage(bytes(`0001 8000 0002 0000 0000 0000 "a" 00 0001 0001 c00c 0001 0001`));
    expect(back.questions.map(({ qname }) => qname)).toEqual(["a", "a"]);
  });

  test("with a name of more than 255 octets is malformed", () => {
    const label = `"${"x".repeat(63)}"`;
    const name = (labels: string[]) =>
      decodeMessage(bytes(`0001 8000 0001 0000 0000 0000 ${labels.join(" ")} 00 0001 0001`));
    expect(name([label, label, label, `"${"x".repeat(61)}"`]).questions[0]?.qname).toHaveLength(253);
    expect(() => name([label, label, label, `"${"x".repeat(62)}"`])).toThrow(ProtocolError);
  });

  test("with a chain of more pointers than a name has labels is refused instead of followed", () => {
    const hex = (value: number) => value.toString(16).padStart(4, "0");
    /** The name of the second record is a chain through the rdata of the first, which starts at octet 23 with a root. */
    const chained = (pointers: number) => {
      const rdata = Array.from({ length: pointers - 1 }, (_, index) =>
        hex(0xc000 + (index === 0 ? 23 : 22 + 2 * index)),
      );
      const first = `00 0010 0001 00000000 ${hex(1 + 2 * rdata.length)} 00 ${rdata.join(" ")}`;
      const last = hex(0xc000 + 22 + 2 * rdata.length);
      return bytes(`0001 8000 0000 0002 0000 0000 ${first} ${last} 0001 0001 00000000 0004 7f000001`);
    };
    expect(decodeMessage(chained(100)).answers[1]).toEqual({ type: "A", owner: "", ttl: 0, address: "127.0.0.1" });
    expect(() => decodeMessage(chained(200))).toThrow("a compression pointer leads nowhere");
  });
});

describe("a message with more records than anybody needs is read in part", () => {
  const records = (count: number) =>
    Array.from({ length: count }, () => "c00c 0001 0001 0000000a 0004 0a000001").join(" ");
  const hex = (count: number) => count.toString(16).padStart(4, "0");
  const withRecords = (flags: string, answers: number, additionals: number) =>
    decodeMessage(
      bytes(
        `0001 ${flags} 0001 ${hex(answers)} 0000 ${hex(additionals + 1)} "a" "b" 00 0001 0001 ${records(answers + additionals)} ${OPT_1232}`,
      ),
    );

  test("of a response 1,024, the first ones, and its OPT record wherever it stands", () => {
    const whole = withRecords("8180", 1_000, 23);
    expect([whole.answers.length, whole.additionals.length, whole.leftOut]).toEqual([1_000, 23, 0]);
    const cut = withRecords("8180", 1_000, 500);
    expect([cut.answers.length, cut.additionals.length, cut.leftOut]).toEqual([1_000, 24, 477]);
    const long = withRecords("8180", 4_000, 10);
    expect([long.answers.length, long.additionals.length, long.leftOut]).toEqual([1_024, 0, 2_987]);
    expect(long.answers.at(-1)).toEqual({ type: "A", owner: "a.b", ttl: 10, address: "10.0.0.1" });
    for (const message of [whole, cut, long]) expect(message.edns).toEqual({ udpPayloadSize: 1232, version: 0 });
  });

  test("of a query eight", () => {
    const query = withRecords("0100", 0, 1_000);
    expect([query.additionals.length, query.edns?.udpPayloadSize, query.leftOut]).toEqual([8, 1232, 993]);
  });
});

describe("a response of ours", () => {
  const QUERY = bytes(`abcd 0110 0001 0000 0000 0001 "NoDe_A" "demo" "test" 00 0021 0001 ${OPT_1232}`);

  test("repeats id, opcode, RD and the question octet by octet, and has OPT because the query had it", () => {
    const response = encodeResponse(decodeMessage(QUERY), {
      rcode: "NOERROR",
      aa: true,
      answers: [
        {
          type: "SRV",
          owner: "node_a.demo.test",
          ttl: 0,
          priority: 1,
          weight: 5,
          port: 9100,
          target: "7f000001.addr.demo.test",
        },
      ],
      authorities: [],
      additionals: [{ type: "A", owner: "7f000001.addr.demo.test", ttl: 0, address: "127.0.0.1" }],
    });
    const expected = `abcd 8500 0001 0001 0000 0002 "NoDe_A" "demo" "test" 00 0021 0001
      "node_a" "demo" "test" 00 0021 0001 00000000 001f 0001 0005 238c "7f000001" "addr" "demo" "test" 00
      "7f000001" "addr" "demo" "test" 00 0001 0001 00000000 0004 7f000001 ${OPT_1232}`;
    expect(response.toString("hex")).toBe(bytes(expected).toString("hex"));
  });

  test("has no OPT record when the query had none", () => {
    const query = decodeMessage(bytes(`abcd 0000 0001 0000 0000 0000 "a" 00 0001 0001`));
    const response = encodeResponse(query, {
      rcode: "REFUSED",
      aa: false,
      answers: [],
      authorities: [],
      additionals: [],
    });
    expect(response.toString("hex")).toBe(bytes(`abcd 8005 0001 0000 0000 0000 "a" 00 0001 0001`).toString("hex"));
  });

  test("too long for UDP keeps header and question and sets TC", () => {
    const long = bytes(`abcd 8500 0001 0001 0000 0000 "a" 00 0001 0001 "a" 00 0001 0001 00000000 0004 7f000001`);
    const short = bytes(`abcd 8700 0001 0000 0000 0000 "a" 00 0001 0001`);
    expect(truncateResponse(long).toString("hex")).toBe(short.toString("hex"));
  });

  test.each([
    ["without EDNS(0)", `0001 0000 0001 0000 0000 0000 "a" 00 0001 0001`, 512],
    ["with a size of 100", `0001 0000 0001 0000 0000 0001 "a" 00 0001 0001 00 0029 0064 00000000 0000`, 512],
    ["with a size of 800", `0001 0000 0001 0000 0000 0001 "a" 00 0001 0001 00 0029 0320 00000000 0000`, 800],
    ["with a size of 4096", `0001 0000 0001 0000 0000 0001 "a" 00 0001 0001 00 0029 1000 00000000 0000`, 1232],
  ])("to a query %s may have that many octets over UDP", (_, query, size) => {
    expect(udpSizeOf(bytes(query))).toBe(size);
  });

  test("to bytes that are no message is FORMERR when they have the header of a query, and nothing otherwise", () => {
    expect(formatErrorFor(bytes("abcd 0100 0001 0000 0000 0000 ff"))?.toString("hex")).toBe("abcd81010000000000000000");
    expect(formatErrorFor(bytes("abcd 8100 0001 0000 0000 0000 ff"))).toBeUndefined();
    expect(formatErrorFor(bytes("abcd 01"))).toBeUndefined();
  });
});

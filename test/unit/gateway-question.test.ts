import { describe, expect, test } from "vitest";
import { isGatewayHost } from "../../src/gateway/core/addresses.js";
import { readGatewayQuestion } from "../../src/gateway/core/message.js";
import { message, nameOf, optRecord, queryFor, questionOf } from "../support/dns-query.js";

const NAMES = ["svc.service.consul", "only.example.org"];
const read = (query: Buffer) => readGatewayQuestion(query, (host) => isGatewayHost(NAMES, host));
const labelled = (...labels: (string | Buffer)[]) => message(1, 0x100, [questionOf(nameOf(...labels))]);
const other = (qname: string, isInternet = true) => ({ kind: "other", qname, transfer: false, isInternet });

describe("a question for an address", () => {
  test.each([
    ["svc.service.consul", "svc.service.consul"],
    ["n1.svc.service.consul", "n1.svc.service.consul"],
    ["a.b_c.d-e.SVC.Service.CONSUL", "a.b_c.d-e.svc.service.consul"],
    ["only.example.org", "only.example.org"],
  ])("of %s is the gateway's, whatever the letter case", (name, host) => {
    expect(read(queryFor(name))).toEqual({ kind: "host", host, qtype: "A" });
    expect(read(queryFor(name, { type: 28 }))).toEqual({ kind: "host", host, qtype: "AAAA" });
  });

  test.each(["service.consul", "othersvc.service.consul", "example.org", "localhost", "svc", ""])(
    "of %j, which is neither a host nor under a domain of the gateway, is another's",
    (name) => {
      expect(read(queryFor(name))).toEqual(other(name));
    },
  );

  test("of a name that holds what is known about a host is another's: it is no host (RFC 8552)", () => {
    expect(read(queryFor("_svc._tcp.svc.service.consul"))).toEqual(other("_svc._tcp.svc.service.consul"));
    expect(read(queryFor("_x.svc.service.consul"))).toEqual(other("_x.svc.service.consul"));
  });

  test.each([
    ["a blank", "n 1"],
    ["a NUL", "n1\0"],
    ["a dot inside the label", "n1.x"],
    ["an octet above 127", "n\xfc"],
    ["a letter whose lower case is ASCII elsewhere", "\xcf"],
    ["a hyphen first", "-n1"],
    ["a hyphen last", "n1-"],
    ["a slash", "../x"],
  ])("of a name with %s has no host to answer with", (_, label) => {
    expect(read(labelled(label, "svc", "service", "consul"))).toEqual({ kind: "no-host" });
    expect(read(labelled("a", label, "svc", "service", "consul"))).toEqual({ kind: "no-host" });
  });

  test("of an odd name elsewhere is another's, its octets escaped so that it looks like no other name", () => {
    expect(read(labelled("n 1", "example", "org"))).toEqual(other("n\\0321.example.org"));
    expect(read(labelled("x.consul"))).toEqual(other("x\\046consul"));
    expect(read(labelled("svc.service.consul"))).toEqual(other("svc\\046service\\046consul"));
    expect(read(labelled("svc", "service.consul"))).toEqual(other("svc.service\\046consul"));
    expect(read(labelled("O dd", "other", "example", "org"))).toEqual(other("o\\032dd.other.example.org"));
  });

  test("of the longest name there is (255 octets, RFC 1035) is answered, and of a longer one malformed", () => {
    const long = "x".repeat(63);
    // 3 times 64, 42, and 20 for .svc.service.consul and the root.
    const fits = labelled(long, long, long, "x".repeat(41), "svc", "service", "consul");
    expect(read(fits)).toMatchObject({ kind: "host", qtype: "A" });
    const tooLong = labelled(long, long, long, "x".repeat(43), "svc", "service", "consul");
    expect(() => read(tooLong)).toThrow("more than 255 octets");
  });
});

describe("what is not the gateway's to answer", () => {
  test.each([
    ["SRV", 33],
    ["TXT", 16],
    ["HTTPS", 65],
    ["SOA", 6],
    ["ANY", 255],
    ["a type that nobody knows", 0xfffe],
  ])("is %s of its hosts", (_, type) => {
    expect(read(queryFor("n1.svc.service.consul", { type }))).toEqual(other("n1.svc.service.consul"));
  });

  test("is another class, and another opcode with records of a form that queries have not", () => {
    expect(read(queryFor("svc.service.consul", { class: 3 }))).toEqual(other("svc.service.consul", false));
    // RFC 2136 section 2.4.4: an A record without an address, in class NONE.
    const record = Buffer.from("03737663000001 00fe 00000000 0000".replaceAll(" ", ""), "hex");
    const update = queryFor("svc.service.consul", { flags: 0x2800, type: 6, additionals: [record] });
    expect(read(update)).toEqual(other("svc.service.consul", false));
    expect(() => read(queryFor("svc.service.consul", { additionals: [record] }))).toThrow("rdata of type 1");
  });

  test("is a message with two questions, and one with none", () => {
    const question = questionOf(nameOf("svc", "service", "consul"));
    expect(read(message(1, 0x100, [question, question]))).toEqual(other("svc.service.consul", false));
    expect(read(message(1, 0x100, [], [optRecord(1232)]))).toEqual(other("", false));
  });

  test("is a transfer", () => {
    for (const type of [251, 252]) {
      expect(read(queryFor("svc.service.consul", { type }))).toMatchObject({ kind: "other", transfer: true });
    }
  });
});

describe("a query that is none", () => {
  test.each([
    ["ends in its header", "000101000001"],
    ["ends in its name", "000101000001000000000000 037376"],
    ["ends in its question", "000101000001000000000000 0373766300 0001"],
    ["has a label of 64 octets", `000101000001000000000000 40${"78".repeat(64)}00 00010001`],
    ["has a label of a kind that does not exist", "000101000001000000000000 8378 00 00010001"],
    ["points to itself", "000101000001000000000000 c00c 00010001"],
    ["points forward", "000101000001000000000000 c020 00010001"],
    ["takes its name from the header", "000101000001000000000000 c004 00010001"],
    ["tells of more questions than it has", "000101000009000000000000 0373766300 00010001"],
    ["tells of more records than it has", "000101000001000000000001 0373766300 00010001"],
  ])("%s", (_, hex) => {
    expect(() => read(Buffer.from(hex.replaceAll(" ", ""), "hex"))).toThrow(
      expect.objectContaining({ name: "ProtocolError", code: "DNS_MESSAGE" }),
    );
  });

  test("but a second question may point to the first one's name", () => {
    const first = questionOf(nameOf("example", "org"));
    expect(read(message(1, 0, [first, questionOf(Buffer.from([0xc0, 12]))]))).toEqual(other("example.org", false));
  });
});

const PTR = 12;
const reverseOf = (query: Buffer) => {
  const question = read(query);
  return question.kind === "other" ? question.reverse : undefined;
};
const nibbles = (hex: string) => `${Array.from(hex).reverse().join(".")}.ip6.arpa`;

describe("a question about an address", () => {
  test.each([
    ["148.0.64.127.in-addr.arpa", "127.64.0.148"],
    ["1.0.0.127.IN-ADDR.ARPA", "127.0.0.1"],
    [nibbles("00000000000000000000ffff7f400094"), "127.64.0.148"],
    [nibbles("00000000000000000000FFFF7F400094"), "127.64.0.148"],
  ])("%s is about the IPv4 address", (name, address) => {
    expect(reverseOf(queryFor(name, { type: PTR }))).toEqual({ address, isPtr: true });
    expect(reverseOf(queryFor(name, { type: 16 }))).toEqual({ address, isPtr: false });
  });

  test.each([
    "0.64.127.in-addr.arpa",
    "1.148.0.64.127.in-addr.arpa",
    "in-addr.arpa",
    "256.0.64.127.in-addr.arpa",
    "01.0.64.127.in-addr.arpa",
    "1%25.0.64.127.in-addr.arpa",
    "-1.0.64.127.in-addr.arpa",
    "148.0.64.127.in-addr.arpa.example",
    nibbles("20010db8000000000000000000000001"),
    nibbles("0000000000000000ffff7f400094"),
    "svc.test",
    "",
  ])("%j is none about an IPv4 address", (name) => {
    expect(reverseOf(queryFor(name, { type: PTR }))).toBeUndefined();
  });

  test("never is one with a dot inside a label, in another class or opcode, or one of two", () => {
    const name = nameOf("148", "0", "64", "127", "in-addr", "arpa");
    const dotted = nameOf("148.0", "64", "127", "in-addr", "arpa");
    expect(reverseOf(message(1, 0x100, [questionOf(dotted, PTR)]))).toBeUndefined();
    expect(reverseOf(message(1, 0x100, [questionOf(name, PTR, 3)]))).toBeUndefined();
    expect(reverseOf(message(1, 0x2900, [questionOf(name, PTR)]))).toBeUndefined();
    expect(reverseOf(message(1, 0x100, [questionOf(name, PTR), questionOf(name, PTR)]))).toBeUndefined();
    expect(reverseOf(message(1, 0x100, []))).toBeUndefined();
  });
});

test("a query of the Internet class has one question, and is no update", () => {
  expect(read(queryFor("a.example", { type: 255 }))).toMatchObject({ isInternet: true });
  expect(read(queryFor("a.example", { class: 255 }))).toMatchObject({ isInternet: false });
  expect(read(queryFor("a.example", { flags: 0x2800 }))).toMatchObject({ isInternet: false });
});

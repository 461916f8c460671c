import { describe, expect, test } from "vitest";
import { answersQuery, readAnswer, whyNoAnswer } from "../../src/dns/wire/answer.js";
import type { Message } from "../../src/dns/wire/message.js";
import type { ResourceRecord } from "../../src/dns/wire/record.js";
import { message as bytesOf, nameOf, queryFor, questionOf } from "../support/dns-query.js";

const ASKED = { id: 7, qname: "Node.Example", qtype: "A" } as const;

function message(fields: Partial<Message>): Message {
  return {
    id: 7,
    kind: "response",
    opcode: 0,
    aa: true,
    tc: false,
    rd: true,
    ra: true,
    rcode: "NOERROR",
    questions: [{ qname: "node.example", qtype: "A", qclass: "IN" }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
    leftOut: 0,
    questionSection: Buffer.alloc(0),
    ...fields,
  };
}

const a = (owner: string, ttl = 30): ResourceRecord => ({ type: "A", owner, ttl, address: "10.0.0.1" });
const cname = (owner: string, target: string, ttl = 30): ResourceRecord => ({ type: "CNAME", owner, ttl, target });
const soa = (ttl: number, minimum: number): ResourceRecord => {
  return {
    type: "SOA",
    owner: "example",
    ttl,
    mname: "",
    rname: "",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum,
  };
};

describe("a response is the answer to a query", () => {
  const query = queryFor("Svc.Example", { type: 65 });
  const answer = (change: (bytes: Buffer) => void = () => {}, base = query) => {
    const bytes = Buffer.concat([base, Buffer.from("whatever comes behind")]);
    bytes.writeUInt16BE(0x8180, 2);
    change(bytes);
    return bytes;
  };

  test("when id, opcode and question are its own, in whatever letter case, and whatever stands behind", () => {
    expect(answersQuery(answer(), query)).toBe(true);
    expect(
      answersQuery(
        answer((bytes) => bytes.write("sVC", 13)),
        query,
      ),
    ).toBe(true);
  });

  test.each<[string, (bytes: Buffer) => void]>([
    ["another id", (bytes) => bytes.writeUInt16BE(1, 0)],
    ["no response", (bytes) => bytes.writeUInt16BE(0x0100, 2)],
    ["another opcode", (bytes) => bytes.writeUInt16BE(0x8980, 2)],
    ["another name", (bytes) => bytes.write("tvc", 13)],
    ["another type, though it differs as upper case does from lower", (bytes) => bytes.writeUInt16BE(97, 26)],
    ["another class", (bytes) => bytes.writeUInt16BE(3, 28)],
    ["no question and no code that explains it", (bytes) => bytes.writeUInt16BE(0, 4)],
    ["two questions", (bytes) => bytes.writeUInt16BE(2, 4)],
    ["a label longer than the message", (bytes) => bytes.writeUInt8(63, 12)],
  ])("not with %s", (_, change) => {
    expect(answersQuery(answer(change), query)).toBe(false);
  });

  test("without its question where it could not be read or was refused", () => {
    for (const rcode of [1, 2, 4, 5]) expect(answersQuery(bytesOf(0x4d4d, 0x8180 | rcode, []), query)).toBe(true);
    expect(answersQuery(bytesOf(0x4d4d, 0x8183, []), query)).toBe(false);
    expect(answersQuery(Buffer.from("4d4d81800000"), query)).toBe(false);
    expect(answersQuery(Buffer.alloc(0), query)).toBe(false);
  });

  test("for two questions when both are the same", () => {
    const two = bytesOf(7, 0x100, [questionOf(nameOf("a")), questionOf(nameOf("b"))]);
    expect(answersQuery(answer(undefined, two), two)).toBe(true);
    expect(
      answersQuery(
        answer((bytes) => bytes.write("c", 20), two),
        two,
      ),
    ).toBe(false);
  });
});

describe("an answer is read as", () => {
  test("the records of the type asked for, with the lowest TTL on the way to them", () => {
    const answers = [cname("node.example", "b.example", 20), cname("b.example", "c.example", 10), a("c.example", 15)];
    expect(readAnswer(message({ answers }), ASKED)).toMatchObject({
      kind: "records",
      records: [a("c.example", 15)],
      ttl: 10,
      canonicalName: "c.example",
    });
  });

  test.each<[string, readonly ResourceRecord[]]>([
    ["records", [a("evil.example")]],
    ["an alias", [cname("evil.example", "node.example")]],
    [
      "records behind others of the name",
      [{ type: "other", owner: "node.example", ttl: 1, typeCode: 46 }, a("up.example")],
    ],
  ])("an answer for another name when that is the owner of %s: no absence of ours", (_, answers) => {
    expect(readAnswer(message({ answers }), ASKED)).toEqual({
      kind: "failed",
      reason: "another name",
      detail: answers.at(-1)?.owner,
    });
  });

  test("nodata when only records of other types are there", () => {
    const answers: ResourceRecord[] = [{ type: "other", owner: "node.example", ttl: 1, typeCode: 46 }];
    expect(readAnswer(message({ answers, aa: false, ra: false }), ASKED)).toEqual({ kind: "nodata", ttl: 0 });
  });

  test.each<[string, Partial<Message>]>([
    ["nothing at all", {}],
    ["a referral", { authorities: [{ type: "other", owner: "", ttl: 1, typeCode: 2 }] }],
    ["a referral with addresses", { additionals: [a("ns.example")] }],
  ])("lame with neither AA nor RA and %s: another server may know more", (_, fields) => {
    expect(readAnswer(message({ aa: false, ra: false, ...fields }), ASKED)).toEqual({ kind: "failed", reason: "lame" });
  });

  test.each<[string, Partial<Message>]>([
    ["authoritative", { aa: true, ra: false }],
    ["from a recursive server", { aa: false, ra: true }],
    ["with the SOA that denies it", { aa: false, ra: false, authorities: [soa(0, 0)] }],
  ])("nodata when nothing is there and the answer is %s", (_, fields) => {
    expect(readAnswer(message(fields), ASKED)).toEqual({ kind: "nodata", ttl: 0 });
  });

  test("an alias when a CNAME is all there is, as Consul answers for services with a host name as address", () => {
    const answers = [cname("node.example", "host-7.example", 5)];
    expect(readAnswer(message({ answers }), ASKED)).toEqual({ kind: "alias", target: "host-7.example", ttl: 5 });
  });

  test("nodata when a SOA says that the end of the CNAME chain has no such record", () => {
    const answers = [cname("node.example", "host-7.example", 5)];
    expect(readAnswer(message({ answers, authorities: [soa(60, 60)] }), ASKED)).toEqual({ kind: "nodata", ttl: 5 });
  });

  test("nxdomain even when a CNAME leads to the name that does not exist", () => {
    const answers = [cname("node.example", "gone.example")];
    const authorities = [soa(60, 20)];
    expect(readAnswer(message({ rcode: "NXDOMAIN", answers, authorities }), ASKED)).toEqual({
      kind: "nxdomain",
      ttl: 20,
    });
  });

  test("an absence for the lower of SOA TTL and minimum, and not to be kept without a SOA (RFC 2308)", () => {
    expect(readAnswer(message({ authorities: [soa(5, 60)] }), ASKED)).toEqual({ kind: "nodata", ttl: 5 });
    expect(readAnswer(message({ rcode: "NXDOMAIN", authorities: [soa(60, 0)] }), ASKED)).toEqual({
      kind: "nxdomain",
      ttl: 0,
    });
    expect(readAnswer(message({ rcode: "NXDOMAIN" }), ASKED)).toEqual({ kind: "nxdomain", ttl: 0 });
  });

  test("truncated when TC is set, with what can be had of it, which is not to be kept", () => {
    const tc = (fields: Partial<Message>) => readAnswer(message({ tc: true, ...fields }), ASKED);
    expect(tc({ answers: [a("node.example", 60)] })).toMatchObject({
      kind: "truncated",
      partial: { kind: "records", records: [a("node.example", 60)], ttl: 0 },
    });
    expect(tc({ answers: [cname("node.example", "b.example")] })).toMatchObject({ partial: { kind: "alias", ttl: 0 } });
    expect(tc({ rcode: "NXDOMAIN", authorities: [soa(60, 60)] })).toMatchObject({ partial: { kind: "nxdomain" } });
  });

  test.each<[string, Partial<Message>]>([
    ["nothing", {}],
    ["nothing, from a lame server", { aa: false, ra: false }],
    ["records of another name", { answers: [a("evil.example")] }],
  ])("truncated to %s says nothing", (_, fields) => {
    expect(readAnswer(message({ tc: true, ...fields }), ASKED)).toEqual({ kind: "truncated", partial: undefined });
  });

  test("failed for every other response code", () => {
    expect(readAnswer(message({ rcode: "REFUSED" }), ASKED)).toEqual({ kind: "failed", reason: "REFUSED" });
    expect(readAnswer(message({ rcode: "RCODE9", tc: true }), ASKED)).toEqual({ kind: "failed", reason: "RCODE9" });
  });

  test("failed when CNAMEs go in a circle, or name themselves", () => {
    const circle = [cname("node.example", "b.example"), cname("b.example", "node.example")];
    expect(readAnswer(message({ answers: circle }), ASKED)).toEqual({ kind: "failed", reason: "CNAME loop" });
    const self = [cname("node.example", "node.example")];
    expect(readAnswer(message({ answers: self }), ASKED)).toEqual({ kind: "failed", reason: "CNAME loop" });
  });
});

describe("why a message is not the answer is said of one that has its id", () => {
  const question = (fields: object) => ({
    questions: [{ qname: "node.example", qtype: "A", qclass: "IN", ...fields }],
  });
  test.each<[string, Partial<Message>, object]>([
    ["the name was rewritten", question({ qname: "up.example" }), { reason: "another name", detail: "up.example" }],
    ["the type is another", question({ qtype: "AAAA" }), { reason: "another question" }],
    ["the class is another", question({ qclass: "CLASS3" }), { reason: "another question" }],
    ["there is no question", { questions: [] }, { reason: "no question" }],
  ])("%s", (_, fields, expected) => expect(whyNoAnswer(message(fields), ASKED)).toEqual(expected));

  test.each<[string, Partial<Message>]>([
    ["with another id", { id: 8, ...question({ qname: "up.example" }) }],
    ["that is a query", { kind: "query", ...question({ qname: "up.example" }) }],
  ])("and nothing of one %s", (_, fields) => expect(whyNoAnswer(message(fields), ASKED)).toBeUndefined());
});

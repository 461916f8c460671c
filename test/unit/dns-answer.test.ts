import { describe, expect, test } from "vitest";
import { isAnswerTo, readAnswer } from "../../src/core/dns/answer.js";
import type { Message } from "../../src/core/dns/message.js";
import type { ResourceRecord } from "../../src/core/dns/record.js";

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

describe("an answer is taken", () => {
  test("when id, question and direction match, whatever the letter case", () => {
    expect(isAnswerTo(message({}), ASKED)).toBe(true);
  });

  test.each<[string, Partial<Message>]>([
    ["another id", { id: 8 }],
    ["a query", { kind: "query" }],
    ["another opcode", { opcode: 4 }],
    ["another name", { questions: [{ qname: "other.example", qtype: "A", qclass: "IN" }] }],
    ["another type", { questions: [{ qname: "node.example", qtype: "AAAA", qclass: "IN" }] }],
    ["another class", { questions: [{ qname: "node.example", qtype: "A", qclass: "CLASS3" }] }],
    [
      "two questions",
      { questions: [message({}).questions[0], message({}).questions[0]].filter((q) => q !== undefined) },
    ],
    ["no question", { questions: [] }],
    ["no question and NXDOMAIN", { questions: [], rcode: "NXDOMAIN" }],
  ])("but not %s", (_, fields) => {
    expect(isAnswerTo(message(fields), ASKED)).toBe(false);
  });

  test("without a question when the server says that it could not read one", () => {
    expect(isAnswerTo(message({ questions: [], rcode: "FORMERR" }), ASKED)).toBe(true);
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

  test("records only when their owner is the name asked for", () => {
    expect(readAnswer(message({ answers: [a("evil.example")] }), ASKED)).toEqual({ kind: "nodata", ttl: 0 });
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

  test("truncated when TC is set, whatever records are there", () => {
    expect(readAnswer(message({ tc: true, answers: [a("node.example")] }), ASKED)).toEqual({ kind: "truncated" });
  });

  test("failed for every other response code", () => {
    expect(readAnswer(message({ rcode: "REFUSED" }), ASKED)).toEqual({ kind: "failed", rcode: "REFUSED" });
    expect(readAnswer(message({ rcode: "RCODE9", tc: true }), ASKED)).toEqual({ kind: "failed", rcode: "RCODE9" });
  });

  test("failed when CNAMEs go in a circle, or name themselves", () => {
    const circle = [cname("node.example", "b.example"), cname("b.example", "node.example")];
    expect(readAnswer(message({ answers: circle }), ASKED)).toEqual({ kind: "failed", rcode: "CNAME loop" });
    const self = [cname("node.example", "node.example")];
    expect(readAnswer(message({ answers: self }), ASKED)).toEqual({ kind: "failed", rcode: "CNAME loop" });
  });
});

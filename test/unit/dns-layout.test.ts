import { describe, expect, test } from "vitest";
import { labelsAt, layoutOf, questionLayoutOf } from "../../src/dns/wire/record.js";
import { ProtocolError } from "../../src/errors.js";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s+/g, ""), "hex");
const problem = (what: string) => new ProtocolError("DNS_MESSAGE", `malformed DNS message: ${what}`);
/** `a`, type A, class IN. */
const QUESTION = "0161 00 0001 0001";
/** Owner is the root, class IN, TTL 0. */
const record = (type: string, rdata: string) =>
  `00 ${type} 0001 00000000 ${hex(rdata).length.toString(16).padStart(4, "0")} ${rdata}`;
/** A message with that many questions and answers, authorities and additionals. */
const message = (counts: readonly [number, number, number, number], body: string) =>
  hex(`0001 8000 ${counts.map((count) => count.toString(16).padStart(4, "0")).join("")} ${body}`);

test("a message ends with its last record; where each part stands is told", () => {
  const bytes = message([1, 1, 0, 1], `${QUESTION} ${record("0010", "0178")} ${record("0001", "7f000001")}`);
  expect(layoutOf(bytes)).toEqual({
    questions: [{ type: 1, class: 1, nameOffset: 12, typeOffset: 15 }],
    questionEnd: 19,
    records: [
      { type: 16, class: 1, ttl: 0, typeOffset: 20 },
      { type: 1, class: 1, ttl: 0, typeOffset: 33 },
    ],
  });
  expect(layoutOf(message([0, 0, 0, 0], "")).records).toEqual([]);
});

describe("what a message cannot hold is told before anything is read of it:", () => {
  test.each([
    ["no header", hex("0001 8000 0000 0000 0000 00"), "11 octets are no header"],
    ["a question too many", message([2, 0, 0, 0], QUESTION), "2 questions do not fit into 19 octets"],
    ["65535 questions", message([65_535, 0, 0, 0], ""), "65535 questions do not fit into 12 octets"],
    [
      "a record too many",
      message([0, 1, 1, 0], record("0010", "0178")),
      "0 questions and 2 records do not fit into 25 octets",
    ],
    [
      "65535 records of each kind",
      message([1, 65_535, 65_535, 65_535], QUESTION),
      "1 questions and 196605 records do not fit into 19 octets",
    ],
  ])("%s", (_, bytes, what) => {
    expect(() => layoutOf(bytes)).toThrow(problem(what));
  });
});

describe("a record whose rdata is not as long as its type wants is refused:", () => {
  test.each([
    ["A", "0001", "7f0000", "rdata of type 1 has 3 octets instead of 4"],
    ["AAAA", "001c", "7f000001", "rdata of type 28 has 4 octets instead of 16"],
    ["CNAME", "0005", "0161 00 00", "rdata of type 5 has 4 octets instead of 3"],
    ["SRV", "0021", "0001 0001 238c 0161 00 00", "rdata of type 33 has 10 octets instead of 9"],
    ["SOA", "0006", `016e 00 016d 00 ${"00000000".repeat(4)}`, "rdata of type 6 has 22 octets instead of 26"],
  ])("%s", (_, type, rdata, what) => {
    // Records behind it, so that there are octets to read on.
    expect(() => layoutOf(message([0, 2, 0, 0], `${record(type, rdata)} ${record("0010", "00".repeat(20))}`))).toThrow(
      problem(what),
    );
  });

  test("of a type that nobody reads it may be of any length", () => {
    expect(layoutOf(message([0, 1, 0, 0], record("0030", ""))).records).toHaveLength(1);
  });
});

describe("a name", () => {
  test("that goes on at a pointer has the labels of both places", () => {
    // `b` and a pointer to `a`, which stands at octet 12; a pointer alone.
    const bytes = message([3, 0, 0, 0], `${QUESTION} 0162 c00c 0001 0001 c013 0001 0001`);
    const { questions, questionEnd } = questionLayoutOf(bytes);
    expect(questions.map(({ nameOffset }) => labelsAt(bytes, nameOffset).map(String))).toEqual([
      ["a"],
      ["b", "a"],
      ["b", "a"],
    ]);
    expect(questionEnd).toBe(bytes.length);
  });

  test("may stand behind octet 255: a pointer has 14 bits", () => {
    const long = `${"3f".concat("61".repeat(63))}`.repeat(3);
    const first = `${long} 3b ${"62".repeat(59)} 00 0001 0001`;
    // A second name at octet 12 + 252 + 1 + 4, which a third one points at.
    const bytes = message([3, 0, 0, 0], `${first} 0163 00 0001 0001 c10d 0001 0001`);
    expect(labelsAt(bytes, questionLayoutOf(bytes).questions[2]?.nameOffset ?? 0).map(String)).toEqual(["c"]);
  });

  test.each([
    ["a pointer into the header", "c00b 0001 0001", "a compression pointer leads nowhere"],
    ["a pointer to itself", "c00c 0001 0001", "a compression pointer leads nowhere"],
    ["a pointer forward", "c012 0001 0001 0161 00", "a compression pointer leads nowhere"],
    ["a pointer behind the message", "ffff 0001 0001", "a compression pointer leads nowhere"],
    ["a label that leads back to its own beginning", "0161 c00c 0001 0001", "a compression pointer leads nowhere"],
    ["a label of type 1", "4161 00 0001 0001", "label type 1 does not exist"],
    ["a label of type 2", "8161 00 0001 0001", "label type 2 does not exist"],
    ["an end within a label", "0961 61616161", "it ends within a name"],
    ["an end within a pointer", "0161 0161 c0", "it ends within a name"],
    ["an end within type and class", "0161 00 0001", "it ends within a record"],
  ])("with %s is refused", (_, body, what) => {
    const bytes = message([1, 0, 0, 0], body);
    expect(() => questionLayoutOf(bytes)).toThrow(problem(what));
  });
});

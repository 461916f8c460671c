import { expect, test } from "vitest";
import type { Zone } from "../../src/dns/core/zone.js";
import { answerFromZone } from "../../src/dns/core/zone.js";

const ZONE: Zone = {
  domains: ["demo.test"],
  nodes: [{ owner: "a.demo.test", port: 9100, weight: 1, addresses: ["10.0.0.1"] }],
};
const hex = (text: string) => Buffer.from(text.replaceAll(/\s+/g, ""), "hex");
/** `a.demo.test`, type A, class IN. */
const QUESTION = "0161 0464656d6f 0474657374 00 0001 0001";
const answer = (query: string) => answerFromZone(hex(query), ZONE);
/** AA, and the response code. */
const flagsOf = (response: Buffer) => ({ aa: (response.readUInt8(2) & 4) !== 0, rcode: response.readUInt8(3) & 0xf });

test("a question of ours is answered with authority", () => {
  const response = answer(`abcd 0000 0001 0000 0000 0000 ${QUESTION}`);
  expect(flagsOf(response)).toEqual({ aa: true, rcode: 0 });
  expect(response.subarray(-4)).toEqual(hex("0a000001"));
});

test.each([
  ["another opcode (NOTIFY): NOTIMP", `abcd 2000 0001 0000 0000 0000 ${QUESTION}`, 4, 0],
  ["no question: FORMERR", "abcd 0000 0000 0000 0000 0000", 1, 0],
  ["two questions: FORMERR (RFC 9619)", `abcd 0000 0002 0000 0000 0000 ${QUESTION} ${QUESTION}`, 1, 0],
  // BADVERS is 16: the upper bits of the code stand in the OPT record.
  ["EDNS of another version: BADVERS", `abcd 0000 0001 0000 0000 0001 ${QUESTION} 00 0029 04d0 00010000 0000`, 0, 1],
])("%s, without authority and without a record", (_, query, rcode, upper) => {
  const response = answer(query);
  expect(flagsOf(response)).toEqual({ aa: false, rcode });
  expect([response.readUInt16BE(6), response.readUInt16BE(8)]).toEqual([0, 0]);
  expect(response.readUInt16BE(10)).toBe(upper);
  if (upper > 0) expect(response.subarray(-11).toString("hex")).toBe("000029 04d0 01000000 0000".replaceAll(" ", ""));
});

test("EDNS of version 0 is spoken", () => {
  expect(flagsOf(answer(`abcd 0000 0001 0000 0000 0001 ${QUESTION} 00 0029 04d0 00000000 0000`)).rcode).toBe(0);
});

import { describe, expect, test } from "vitest";
import { decodeReply, encodeCall, readLinkMessage } from "../../src/distribution/wire/link.js";
import {
  atom,
  list,
  MAX_DEPTH,
  MAX_TERMS,
  pid,
  readTerm,
  smallInteger,
  tuple,
} from "../../src/distribution/wire/term.js";
import { ByteReader } from "../../src/epmd/wire/codec.js";
import { ProtocolError } from "../../src/errors.js";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const read = (hex: string) => readTerm(new ByteReader(bytes(hex)));
const ok = { kind: "atom", name: "ok" } as const;
const integer = (value: number | bigint) => ({ kind: "integer", value: BigInt(value) }) as const;

describe("terms, as term_to_binary/1 of OTP 23 to 29 writes them", () => {
  test.each([
    ["ok as ATOM_EXT", "83 64 0002 6f6b", ok],
    ["ok as SMALL_ATOM_EXT", "83 73 02 6f6b", ok],
    ["ok as SMALL_ATOM_UTF8_EXT", "83 77 02 6f6b", ok],
    ["ok as ATOM_UTF8_EXT", "83 76 0002 6f6b", ok],
    ["an atom in Latin-1", "83 64 0001 e9", { kind: "atom", name: "é" }],
    ["an atom in UTF-8", "83 77 02 c3a9", { kind: "atom", name: "é" }],
    ["255", "83 61 ff", integer(255)],
    ["-1", "83 62 ffffffff", integer(-1)],
    ["2^32", "83 6e 05 00 0000000001", integer(2n ** 32n)],
    ["-(2^32)", "83 6e 05 01 0000000001", integer(-(2n ** 32n))],
    ["a big of no octets", "83 6e 00 00", integer(0)],
    ["LARGE_BIG_EXT", "83 6f 00000001 00 07", integer(7)],
    ["1.5", "83 46 3ff8000000000000", { kind: "float", value: 1.5 }],
    ["<<1,2>>", "83 6d 00000002 0102", { kind: "binary", bytes: bytes("0102") }],
    ["<<5:3>>", "83 4d 00000001 03 a0", { kind: "binary", bytes: bytes("a0") }],
    ['"25"', "83 6b 0002 3235", { kind: "string", text: "25" }],
    ["[]", "83 6a", { kind: "list", elements: [] }],
    ["[ok]", "83 6c 00000001 77026f6b 6a", { kind: "list", elements: [ok] }],
    ["[ok|ok]", "83 6c 00000001 77026f6b 77026f6b", { kind: "list", elements: [ok], tail: ok }],
    ["{}", "83 68 00", { kind: "tuple", elements: [] }],
    ["{ok,1}", "83 68 02 77026f6b 6101", { kind: "tuple", elements: [ok, integer(1)] }],
    ["LARGE_TUPLE_EXT", "83 69 00000001 6101", { kind: "tuple", elements: [integer(1)] }],
    ["#{ok => 1}", "83 74 00000001 77026f6b 6101", { kind: "map", pairs: [[ok, integer(1)]] }],
    [
      "NEW_PID_EXT",
      "83 58 7703614068 00000001 00000002 00000003",
      { kind: "pid", node: "a@h", id: 1, serial: 2, creation: 3 },
    ],
    ["PID_EXT", "83 67 7703614068 00000001 00000002 03", { kind: "pid", node: "a@h", id: 1, serial: 2, creation: 3 }],
    ["PORT_EXT", "83 66 7703614068 00000001 03", { kind: "port" }],
    ["NEW_PORT_EXT", "83 59 7703614068 00000001 00000003", { kind: "port" }],
    ["V4_PORT_EXT", "83 78 7703614068 0000000000000001 00000003", { kind: "port" }],
    ["REFERENCE_EXT", "83 65 7703614068 00000001 03", { kind: "reference" }],
    ["NEW_REFERENCE_EXT", "83 72 0001 7703614068 03 00000001", { kind: "reference" }],
    ["NEWER_REFERENCE_EXT", "83 5a 0002 7703614068 00000003 00000001 00000002", { kind: "reference" }],
    ["NEW_FUN_EXT", "83 70 00000006 abcd", { kind: "fun" }],
    ["fun erlang:node/0", "83 71 7706 65726c616e67 7704 6e6f6465 6100", { kind: "fun" }],
  ])("%s", (_, hex, term) => {
    expect(read(hex)).toEqual(term);
    const whole = bytes(hex);
    for (let end = 0; end < whole.length; end++) {
      expect(() => readTerm(new ByteReader(whole.subarray(0, end)))).toThrow(ProtocolError);
    }
    // What stands behind a term is the next one's.
    const reader = new ByteReader(Buffer.concat([whole, bytes("83 61 01")]));
    readTerm(reader);
    expect(readTerm(reader)).toEqual(integer(1));
  });

  test.each([
    ["no version", "77026f6b", "does not begin with the version"],
    ["a compressed term", "83 50 ffffffff 789c", "unknown tag 80"],
    ["an entry of the atom cache", "83 52 00", "unknown tag 82"],
    ["a list that claims four milliards of terms", "83 6c ffffffff 6a", "4294967295 terms cannot stand in 1 octets"],
    ["a map that claims as many", "83 74 ffffffff 6a", "cannot stand in 1 octets"],
    ["a tuple that claims as many", "83 69 ffffffff 6a", "cannot stand in 1 octets"],
    ["an atom that is no UTF-8", "83 77 01 e9", "an atom is not UTF-8"],
    ["a node that is no atom", "83 58 6101 00000001 00000002 00000003", "a node is not named by an atom"],
    ["a number of 300 octets", `83 6f 0000012c 00 ${"01".repeat(300)}`, "a number has 300 octets"],
    ["a fun shorter than its size", "83 70 00000003 abcd", "the size of a fun is wrong"],
    ["an atom of 256 characters", `83 76 0100 ${"61".repeat(256)}`, "an atom is too long"],
  ])("refuse %s", (_, hex, message) => {
    expect(() => read(hex)).toThrow(message);
    expect(() => read(hex)).toThrow(ProtocolError);
  });

  test("take 255 characters of four octets as an atom", () => {
    expect(read(`83 76 03fc ${"f09f8c80".repeat(255)}`)).toMatchObject({ kind: "atom" });
  });

  test(`are not nested deeper than ${MAX_DEPTH}`, () => {
    const nested = (depth: number) => `83 ${"6801".repeat(depth)} 6100`;
    expect(read(nested(MAX_DEPTH))).toMatchObject({ kind: "tuple" });
    expect(() => read(nested(MAX_DEPTH + 1))).toThrow(`terms are nested deeper than ${MAX_DEPTH}`);
    // Deeper than any stack.
    expect(() => read(nested(400_000))).toThrow(`terms are nested deeper than ${MAX_DEPTH}`);
    expect(() => read(`83 ${"6c00000001".repeat(100_000)} 6a`)).toThrow("nested deeper");
  });

  test(`are not more than ${MAX_TERMS}`, () => {
    const many = (count: number) =>
      Buffer.concat([
        bytes("83 6c"),
        Buffer.from([count >>> 24, count >>> 16, count >>> 8, count]),
        Buffer.alloc(count + 1, 0x6a),
      ]);
    // The list itself and its tail count.
    expect(readTerm(new ByteReader(many(MAX_TERMS - 2)))).toMatchObject({ kind: "list" });
    expect(() => readTerm(new ByteReader(many(MAX_TERMS - 1)))).toThrow(`more than ${MAX_TERMS} terms`);
  });
});

describe("terms of ours", () => {
  test("are what the format says", () => {
    expect(atom("ok")).toEqual(bytes("77 02 6f6b"));
    expect(smallInteger(6)).toEqual(bytes("61 06"));
    expect(tuple(atom("a"), smallInteger(1))).toEqual(bytes("68 02 770161 6101"));
    expect(list()).toEqual(bytes("6a"));
    expect(list(atom("a"))).toEqual(bytes("6c 00000001 770161 6a"));
    expect(pid({ node: "a@h", id: 1, serial: 2, creation: 3 })).toEqual(
      bytes("58 76 0003 614068 00000001 00000002 00000003"),
    );
  });
});

describe("a link", () => {
  const us = "a@h";
  const ours = "58 77 03 614068 00000005 00000000 00000001";
  const rex = (hex: string) => `83 68 02 7703 726578 ${hex}`;
  const sent = (...hex: readonly string[]) => decodeReply(bytes(`70 ${hex.join("")}`), us);

  test("carries a call as C nodes make it", () => {
    const call = encodeCall({ node: us, id: 5, serial: 0, creation: 1 }, { module: "m", name: "f", args: [atom("x")] });
    const from = "58 76 0003 614068 00000005 00000000 00000001";
    const control = `83 68 04 6106 ${from} 7700 7703726578`;
    const request = `83 68 02 ${from} 68 05 770463616c6c 77016d 770166 6c00000001 770178 6a 770475736572`;
    const body = bytes(`70 ${control} ${request}`);
    expect(call).toEqual(Buffer.concat([bytes(`000000${body.length.toString(16)}`), body]));
  });

  test("brings the reply to the pid that asked, in both forms of SEND", () => {
    expect(sent(`83 68 03 6102 7700 ${ours}`, rex("77026f6b"))).toEqual({ to: 5, result: ok });
    expect(sent(`83 68 03 6116 ${ours} ${ours}`, rex("77026f6b"))).toEqual({ to: 5, result: ok });
  });

  test.each([
    ["to a registered name", ["83 68 04 6106 ", ours, " 7700 7703726578", rex("77026f6b")]],
    ["to a pid of another node", ["83 68 03 6102 7700 58 7703624068 00000005 00000000 00000001", rex("77026f6b")]],
    ["that is no reply of rex", [`83 68 03 6102 7700 ${ours}`, "83 68 02 7703 666f6f 77026f6b"]],
    ["that is no tuple", [`83 68 03 6102 7700 ${ours}`, "83 6a"]],
    ["that asks for a link", [`83 68 03 6101 ${ours} ${ours}`]],
    ["without a control tuple", ["83 6a"]],
  ])("passes over a message %s", (_, hex) => {
    expect(sent(...hex)).toBeUndefined();
  });

  test("passes over a message of another kind, and refuses broken ones", () => {
    expect(decodeReply(bytes("83 44 00"), us)).toBeUndefined();
    expect(() => decodeReply(Buffer.alloc(0), us)).toThrow(ProtocolError);
    expect(() => sent(`83 68 03 6102 7700 ${ours}`)).toThrow(ProtocolError);
  });

  test("has messages of up to a mebibyte, and ticks", () => {
    expect(readLinkMessage(bytes("000000"))).toEqual({ kind: "more" });
    expect(readLinkMessage(bytes("00000000 ff"))).toEqual({ kind: "tick", rest: bytes("ff") });
    expect(readLinkMessage(bytes("00000002 70"))).toEqual({ kind: "more" });
    expect(readLinkMessage(bytes("00000001 70 ff"))).toEqual({
      kind: "message",
      message: bytes("70"),
      rest: bytes("ff"),
    });
    expect(readLinkMessage(bytes("00100000"))).toEqual({ kind: "more" });
    expect(readLinkMessage(bytes("00100001"))).toEqual({ kind: "invalid" });
  });
});

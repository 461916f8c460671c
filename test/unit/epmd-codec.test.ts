import { describe, expect, test } from "vitest";
import type { RegisteredNode } from "../../src/epmd/core/registry.js";
import { decodeRequest, encodeRequest, encodeResponse } from "../../src/epmd/wire/codec.js";
import type { EpmdResponse } from "../../src/epmd/wire/messages.js";
import {
  decodeAlive2Response,
  decodeNamesResponse,
  decodePort2Reason,
  decodePort2Response,
} from "../../src/epmd/wire/responses.js";
import { ProtocolError } from "../../src/errors.js";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s+/g, ""), "hex");

/** What is thrown for bytes that are no message, with the words of the log. */
const problem = (message: string) => new ProtocolError("EPMD_MESSAGE", message);

const NODE: RegisteredNode = {
  aliveName: "look",
  port: 0x1267,
  nodeType: 72,
  protocol: 3,
  highestVersion: 6,
  lowestVersion: 4,
  extra: hex("41 42 00 43"),
  creation: 7,
  family: 4,
  since: 0,
  origin: "alive2",
};

/** ALIVE2_REQ with everything after the fixed fields given. */
const alive2 = (tail: string) => hex(`78 1267 4d 00 0006 0005 ${tail}`);

describe("requests", () => {
  test("ALIVE2_REQ carries port, type, protocol, versions, name and extra", () => {
    expect(decodeRequest(hex("78 1267 48 03 0006 0004 0004 6c6f6f6b 0004 41420043"))).toEqual({
      type: "ALIVE2_REQ",
      port: 0x1267,
      nodeType: 72,
      protocol: 3,
      highestVersion: 6,
      lowestVersion: 4,
      aliveName: "look",
      extra: hex("41420043"),
    });
  });

  test("an extra of 1020 bytes is taken, as long as a name can be", () => {
    expect(decodeRequest(alive2(`0001 61 03fc ${"ff".repeat(1020)}`))).toMatchObject({ type: "ALIVE2_REQ" });
  });

  test("bytes behind the extra of ALIVE2_REQ are ignored", () => {
    expect(decodeRequest(alive2("0001 61 0000 ffff"))).toMatchObject({ aliveName: "a" });
  });

  test("an empty name with an extra is taken, as stock EPMD does", () => {
    expect(decodeRequest(alive2("0000 0001 41"))).toMatchObject({ type: "ALIVE2_REQ", aliveName: "" });
  });

  test.each([
    ["no name length", "", "ALIVE2_REQ of 9 bytes"],
    ["no extra length", "0000", "ALIVE2_REQ of 11 bytes"],
    ["13 bytes in all", "0000 0000", "ALIVE2_REQ of 13 bytes"],
    ["a name longer than the message", "0005 61 0000", "message ends 2 bytes too early"],
    ["an extra longer than the message", "0001 61 0001", "message ends 1 bytes too early"],
    ["a NUL inside the name", "0003 610062 0000", "NUL in a name"],
    ["a NUL behind the name", "0002 6100 0000", "NUL in a name"],
  ])("ALIVE2_REQ with %s is closed without an answer", (_, tail, message) => {
    expect(() => decodeRequest(alive2(tail))).toThrow(problem(message));
  });

  test.each([
    ["a name of 1021 bytes", `03fd ${"61".repeat(1021)} 0000`, /1021 bytes/],
    ["an extra of 1021 bytes", `0001 61 03fd ${"ff".repeat(1021)}`, /extra of 1021/],
    ["256 characters", `0100 ${"61".repeat(256)} 0000`, /255 characters/],
    ["256 characters of four bytes", `0400 ${"f09f9888".repeat(256)} 0000`, /1024 bytes/],
    ["an overlong form", "0002 c080 0000", /UTF-8/],
    ["a surrogate", "0003 eda080 0000", /UTF-8/],
    ["a character above U+10FFFF", "0004 f4908080 0000", /UTF-8/],
    ["a truncated sequence", "0002 f09f 0000", /UTF-8/],
  ])("ALIVE2_REQ with %s is refused with an answer", (_, tail, reason) => {
    expect(decodeRequest(alive2(tail))).toEqual({
      type: "ALIVE2_REQ_REFUSED",
      highestVersion: 6,
      reason: expect.stringMatching(reason),
    });
  });

  test.each([
    ["255 characters of four bytes", `03fc ${"f09f9888".repeat(255)}`, "\u{1F608}".repeat(255)],
    ["a byte order mark", "0004 efbbbf61", "\uFEFFa"],
    ["blanks, newlines and an @", "0005 6120400a62", "a @\nb"],
  ])("a name of %s is registered as it is", (_, name, expected) => {
    expect(decodeRequest(alive2(`${name} 0000`))).toMatchObject({ type: "ALIVE2_REQ", aliveName: expected });
  });

  test("PORT_PLEASE2_REQ carries the name; one NUL behind it is dropped and marks a forwarded question", () => {
    expect(decodeRequest(hex("7a 61 62"))).toEqual({
      type: "PORT_PLEASE2_REQ",
      name: "ab",
      withHost: false,
      forwarded: false,
    });
    expect(decodeRequest(hex("7a 61 62 00"))).toEqual({
      type: "PORT_PLEASE2_REQ",
      name: "ab",
      withHost: false,
      forwarded: true,
    });
    expect(decodeRequest(hex("7a 61 40 62"))).toMatchObject({ name: "a@b", withHost: true, forwarded: false });
  });

  test.each([
    ["an empty name", "7a", "name is empty or not UTF-8"],
    ["a name of one NUL", "7a 00", "name is empty or not UTF-8"],
    ["a NUL inside", "7a 61 00 62", "name is empty or not UTF-8"],
    ["two NULs behind", "7a 61 00 00", "name is empty or not UTF-8"],
    ["invalid UTF-8", "7a ff", "name is empty or not UTF-8"],
    ["256 characters", `7a ${"61".repeat(256)}`, "name of more than 255 characters"],
    ["256 characters before the @", `7a ${"61".repeat(256)} 40 62`, "name of more than 255 characters"],
    ["an old request (a)", "61 61 61", "unknown request 97"],
    ["an old request (p)", "70 61", "unknown request 112"],
    ["STOP_REQ without a name", "73", "name is empty or not UTF-8"],
  ])("%s is closed without an answer", (_, bytes, message) => {
    expect(() => decodeRequest(hex(bytes))).toThrow(problem(message));
  });

  test("a name of 255 characters can be looked up, unlike with stock EPMD, which registers it and cannot find it", () => {
    expect(decodeRequest(hex(`7a ${"61".repeat(255)}`))).toMatchObject({ name: "a".repeat(255) });
    expect(decodeRequest(hex(`7a ${"61".repeat(255)} 40 ${"62".repeat(60)}`))).toMatchObject({
      type: "PORT_PLEASE2_REQ",
    });
  });

  test.each([
    ["NAMES_REQ", "6e"],
    ["DUMP_REQ", "64"],
    ["KILL_REQ", "6b"],
  ])("%s ignores what follows its opcode", (type, bytes) => {
    expect(decodeRequest(hex(bytes))).toEqual({ type });
    expect(decodeRequest(hex(`${bytes} 00ff`))).toEqual({ type });
  });

  test("NAMES_REQ may carry a pattern behind its opcode, and one NUL behind that", () => {
    // node_*@svc
    expect(decodeRequest(hex("6e 6e6f64655f2a 40 737663"))).toEqual({ type: "NAMES_REQ", pattern: "node_*@svc" });
    expect(decodeRequest(hex("6e 2a 40 737663 00"))).toEqual({ type: "NAMES_REQ", pattern: "*@svc" });
    expect(decodeRequest(hex("6e c3a42a 40 737663"))).toEqual({ type: "NAMES_REQ", pattern: "ä*@svc" });
  });

  test.each([
    ["no @", "6e6f64655f2a"],
    ["nothing before the @", "40 737663"],
    ["nothing behind the @", "2a 40"],
    ["invalid UTF-8", "ff 40 737663"],
    ["a NUL inside", "2a 40 7300 63"],
    ["two NULs behind", "2a 40 737663 0000"],
    ["a host that is none", "2a 40 2e2e"],
    ["a glob that is longer than any name", `${"61".repeat(256)} 40 737663`],
  ])("NAMES_REQ with %s is a plain one, as with stock EPMD", (_, bytes) => {
    expect(decodeRequest(hex(`6e ${bytes}`))).toEqual({ type: "NAMES_REQ" });
  });

  test("requests are written with their length", () => {
    expect(encodeRequest({ type: "NAMES_REQ" })).toEqual(hex("0001 6e"));
    expect(encodeRequest({ type: "NAMES_REQ", pattern: "*@ä" })).toEqual(hex("0005 6e 2a 40 c3a4"));
    expect(encodeRequest({ type: "PORT_PLEASE2_REQ", name: "ä", forwarded: true })).toEqual(hex("0004 7a c3a4 00"));
    expect(encodeRequest({ type: "STOP_REQ", aliveName: "a" })).toEqual(hex("0002 73 61"));
    expect(encodeRequest({ ...NODE, type: "ALIVE2_REQ" })).toEqual(
      hex("0015 78 1267 48 03 0006 0004 0004 6c6f6f6b 0004 41420043"),
    );
  });
});

describe("responses", () => {
  test.each<[string, EpmdResponse, Buffer]>([
    [
      "ALIVE2_X_RESP has a creation of 32 bits",
      { type: "ALIVE2_RESP", extended: true, result: 0, creation: 0x65a0b1c2 },
      hex("76 00 65a0b1c2"),
    ],
    [
      "ALIVE2_RESP has a creation of 1 to 3",
      { type: "ALIVE2_RESP", extended: false, result: 0, creation: 5 },
      hex("79 00 0003"),
    ],
    ["a refusal says 99", { type: "ALIVE2_RESP", extended: true, result: 1, creation: 99 }, hex("76 01 00000063")],
    [
      "a refusal to an old node says 99 too",
      { type: "ALIVE2_RESP", extended: false, result: 1, creation: 99 },
      hex("79 01 0063"),
    ],
    ["PORT2_RESP without a node is two bytes", { type: "PORT2_RESP", result: 1 }, hex("77 01")],
    [
      "PORT2_RESP may say why, to clients that read on",
      { type: "PORT2_RESP", result: 1, reason: "né" },
      hex("7701 6ec3a9"),
    ],
    [
      "PORT2_RESP gives back what was registered",
      { ...NODE, type: "PORT2_RESP", result: 0 },
      hex("77 00 1267 48 03 0006 0004 0004 6c6f6f6b 0004 41420043"),
    ],
    [
      "NAMES_RESP is the port and a line a node",
      { type: "NAMES_RESP", epmdPort: 4369, nodes: [NODE, { ...NODE, aliveName: "ä" }] },
      Buffer.concat([hex("00001111"), Buffer.from("name look at port 4711\nname ä at port 4711\n")]),
    ],
    [
      "a pattern is answered in the format of NAMES, with full names",
      {
        type: "NAMES_MATCH_RESP",
        epmdPort: 4369,
        names: [
          { name: "a@svc.service.consul", port: 20001 },
          { name: "b@svc.service.consul", port: 65535 },
        ],
      },
      Buffer.concat([
        hex("00001111"),
        Buffer.from("name a@svc.service.consul at port 20001\nname b@svc.service.consul at port 65535\n"),
      ]),
    ],
    [
      "a pattern without a match is the port alone",
      { type: "NAMES_MATCH_RESP", epmdPort: 4369, names: [] },
      hex("00001111"),
    ],
    [
      "DUMP_RESP has brackets and a NUL behind each record, and a blank before the newline of former names",
      { type: "DUMP_RESP", epmdPort: 4369, nodes: [NODE], former: [{ aliveName: "was", port: 1, creation: 4 }] },
      Buffer.concat([
        hex("00001111"),
        Buffer.from("active name     <look> at port 4711, fd = -1\n\0old/unused name <was>, port = 1, fd = -1 \n\0"),
      ]),
    ],
    ["KILL_RESP", { type: "KILL_RESP", text: "NO" }, Buffer.from("NO")],
    [
      "STOP_RESP is seven bytes, also for a name that is not there",
      { type: "STOP_RESP", text: "NOEXIST" },
      Buffer.from("NOEXIST"),
    ],
  ])("%s", (_, response, bytes) => {
    expect(encodeResponse(response)).toEqual(bytes);
  });
});

describe("responses as a client reads them", () => {
  const port2 = hex("77 00 1267 48 03 0006 0004 0004 6c6f6f6b 0004 41420043");

  test("PORT2_RESP, and its absence", () => {
    expect(decodePort2Response(port2)).toMatchObject({
      port: 4711,
      aliveName: "look",
      highestVersion: 6,
      extra: NODE.extra,
    });
    expect(decodePort2Response(hex("7701"))).toBeUndefined();
  });

  test("an answer to PORT_PLEASE2 with another tag, or with a name that is not UTF-8, is that of no EPMD", () => {
    const other = Buffer.from(port2);
    other[0] = 0x79;
    expect(() => decodePort2Response(other)).toThrow(problem("PORT_PLEASE2_REQ was answered with tag 121"));
    const unreadable = hex("77 00 1267 48 03 0006 0004 0001 ff 0000");
    expect(() => decodePort2Response(unreadable)).toThrow(problem("answer with a name that is not UTF-8"));
  });

  test.each([
    ["a node that is there", "77 00 1267 48 03 0006 0004 0001 61 0000", undefined],
    ["the two bytes of every EPMD", "7701", undefined],
    ["what a srv-epmd says behind them", "7701 6e6f20 535256", "no SRV"],
    ["another answer", "7901 6e6f", undefined],
    ["bytes that are no text", "7701 ff", undefined],
    ["nothing", "", undefined],
  ])("the reason why there is no node: %s", (_, bytes, reason) => {
    expect(decodePort2Reason(hex(bytes))).toBe(reason);
  });

  test("PORT2_RESP cut at any place is an error, never a value", () => {
    for (let end = 0; end < port2.length; end++) {
      expect(() => decodePort2Response(port2.subarray(0, end)), `cut at ${end}`).toThrow(ProtocolError);
    }
  });

  test("both forms of the answer to ALIVE2, complete only with their last byte", () => {
    const extended = hex("76 00 00000007");
    const short = hex("79 01 0063");
    for (let end = 0; end < 6; end++) expect(decodeAlive2Response(extended.subarray(0, end))).toBeUndefined();
    for (let end = 0; end < 4; end++) expect(decodeAlive2Response(short.subarray(0, end))).toBeUndefined();
    expect(decodeAlive2Response(extended)).toEqual({ result: 0, creation: 7 });
    expect(decodeAlive2Response(short)).toEqual({ result: 1, creation: 99 });
    expect(() => decodeAlive2Response(hex("77"))).toThrow(problem("ALIVE2_REQ was answered with tag 119"));
  });

  test("NAMES_RESP: lines that do not parse are passed over, a blank in a name is part of it", () => {
    const bytes = Buffer.concat([
      hex("00001111"),
      Buffer.from("name a at port 1\nnonsense\na name x at port 2\nname y at port 3!\nname b c at port 22\n"),
    ]);
    expect(decodeNamesResponse(bytes)).toEqual({
      epmdPort: 4369,
      names: [
        { name: "a", port: 1 },
        { name: "b c", port: 22 },
      ],
    });
  });

  test("what answers NAMES with something else is no EPMD", () => {
    const answered = (port: number) => problem(`NAMES_REQ was answered with port ${port}`);
    expect(() => decodeNamesResponse(Buffer.from("HTTP/1.1 400 Bad Request\r\n"))).toThrow(answered(0x48545450));
    expect(() => decodeNamesResponse(hex("00010000"))).toThrow(answered(65_536));
    expect(decodeNamesResponse(hex("0000ffff")).epmdPort).toBe(65_535);
    expect(() => decodeNamesResponse(hex("0011"))).toThrow(ProtocolError);
  });
});

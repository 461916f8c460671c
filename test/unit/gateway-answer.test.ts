import { describe, expect, test } from "vitest";
import {
  addressResponse,
  codeResponse,
  isRefusal,
  noDataResponse,
  reverseResponse,
  withId,
} from "../../src/gateway/core/message.js";
import { message, optRecord, queryFor } from "../support/dns-query.js";

const hex = (text: string) => text.replaceAll(/\s/g, "");

describe("the gateway answers", () => {
  test("A with the address, authoritatively, not to be kept, and the question as it came", () => {
    const response = addressResponse(queryFor("N1.sVc"), "n1.svc", "A", "127.64.0.148");
    expect(response.toString("hex")).toBe(
      hex(`4d4d 8580 0001 0001 0000 0000  024e31 03735663 00 0001 0001
           026e31 03737663 00 0001 0001 00000000 0004 7f400094`),
    );
  });

  test("AAAA with its IPv4-mapped form, and an OPT record where it was asked with one", () => {
    const query = queryFor("svc", { type: 28, additionals: [optRecord(4096)] });
    const response = addressResponse(query, "svc", "AAAA", "127.64.0.148");
    expect(response.toString("hex")).toBe(
      hex(`4d4d 8580 0001 0001 0000 0001  03737663 00 001c 0001
           03737663 00 001c 0001 00000000 0010 00000000000000000000ffff7f400094
           00 0029 04d0 00000000 0000`),
    );
  });

  test("a name that no host can have with no data: nothing is said about other types", () => {
    expect(noDataResponse(queryFor("a b.svc")).toString("hex")).toBe(
      hex("4d4d 8580 0001 0000 0000 0000  03612062 03737663 00 0001 0001"),
    );
  });

  test("PTR of one of its addresses with the host, and other types with no data", () => {
    const query = queryFor("148.0.64.127.IN-addr.arpa", { type: 12 });
    const question = { address: "127.64.0.148", isPtr: true };
    expect(reverseResponse(query, question, "n1.svc").toString("hex")).toBe(
      hex(`4d4d 8580 0001 0001 0000 0000  03313438 0130 023634 03313237 07494e2d61646472 0461727061 00 000c 0001
           03313438 0130 023634 03313237 07696e2d61646472 0461727061 00 000c 0001 00000000 0008 026e31 03737663 00`),
    );
    expect(reverseResponse(query, { ...question, isPtr: false }, "n1.svc").toString("hex")).toBe(
      hex("4d4d 8580 0001 0000 0000 0000  03313438 0130 023634 03313237 07494e2d61646472 0461727061 00 000c 0001"),
    );
  });

  test("an address that stands for no host with NXDOMAIN", () => {
    const query = queryFor("9.0.64.127.in-addr.arpa", { type: 12 });
    const response = reverseResponse(query, { address: "127.64.0.9", isPtr: true }, undefined);
    expect(response.toString("hex")).toBe(query.toString("hex").replace(/^4d4d0100/, "4d4d8583"));
  });

  test("a version of EDNS that it does not speak with BADVERS, which needs the OPT record", () => {
    const query = queryFor("svc", { additionals: [optRecord(4096, 0, Buffer.alloc(0), 1)] });
    expect(addressResponse(query, "svc", "A", "127.64.0.1").toString("hex")).toBe(
      hex("4d4d 8180 0001 0000 0000 0001  03737663 00 0001 0001  00 0029 04d0 01000000 0000"),
    );
  });

  test("any kind of message with a mere code", () => {
    expect(codeResponse(queryFor("svc", { flags: 0x2800, type: 6 }), "REFUSED").toString("hex")).toBe(
      hex("4d4d a885 0001 0000 0000 0000  03737663 00 0006 0001"),
    );
    const query = queryFor("svc", { additionals: [optRecord(512)] });
    expect(codeResponse(query, "SERVFAIL").toString("hex")).toBe(
      hex("4d4d 8182 0001 0000 0000 0000  03737663 00 0001 0001"),
    );
  });
});

test("SERVFAIL and REFUSED are refusals: another server may do better; NXDOMAIN and FORMERR are answers", () => {
  const refusals = [0, 1, 2, 3, 4, 5].filter((rcode) => isRefusal(message(1, 0x8180 | rcode, [])));
  expect(refusals).toEqual([2, 5]);
});

test("a message is given another id, and the one that came keeps its own", () => {
  const query = queryFor("svc");
  expect(withId(query, 0xabcd).toString("hex")).toBe(query.toString("hex").replace(/^4d4d/, "abcd"));
  expect(query.readUInt16BE(0)).toBe(0x4d4d);
});

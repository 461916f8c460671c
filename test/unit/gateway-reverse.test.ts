import { describe, expect, test } from "vitest";
import { isInternetQuery, readReverseQuestion } from "../../src/gateway/core/reverse.js";
import { message, nameOf, queryFor, questionOf } from "../support/dns-query.js";

const PTR = 12;
const nibbles = (hex: string) => `${Array.from(hex).reverse().join(".")}.ip6.arpa`;

describe("a question about an address", () => {
  test.each([
    ["148.0.64.127.in-addr.arpa", "127.64.0.148"],
    ["1.0.0.127.IN-ADDR.ARPA", "127.0.0.1"],
    [nibbles("00000000000000000000ffff7f400094"), "127.64.0.148"],
    [nibbles("00000000000000000000FFFF7F400094"), "127.64.0.148"],
  ])("%s is about the IPv4 address", (name, address) => {
    expect(readReverseQuestion(queryFor(name, { type: PTR }))).toEqual({ address, isPtr: true });
    expect(readReverseQuestion(queryFor(name, { type: 16 }))).toEqual({ address, isPtr: false });
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
    expect(readReverseQuestion(queryFor(name, { type: PTR }))).toBeUndefined();
  });

  test("never is one with a dot inside a label, in another class or opcode, or one of two", () => {
    const name = nameOf("148", "0", "64", "127", "in-addr", "arpa");
    const dotted = nameOf("148.0", "64", "127", "in-addr", "arpa");
    expect(readReverseQuestion(message(1, 0x100, [questionOf(dotted, PTR)]))).toBeUndefined();
    expect(readReverseQuestion(message(1, 0x100, [questionOf(name, PTR, 3)]))).toBeUndefined();
    expect(readReverseQuestion(message(1, 0x2900, [questionOf(name, PTR)]))).toBeUndefined();
    expect(readReverseQuestion(message(1, 0x100, [questionOf(name, PTR), questionOf(name, PTR)]))).toBeUndefined();
    expect(readReverseQuestion(message(1, 0x100, []))).toBeUndefined();
  });
});

test("a query of the Internet class has one question, and is no update", () => {
  expect(isInternetQuery(queryFor("a.example", { type: 255 }))).toBe(true);
  expect(isInternetQuery(queryFor("a.example", { class: 255 }))).toBe(false);
  expect(isInternetQuery(queryFor("a.example", { flags: 0x2800 }))).toBe(false);
});

import { expect, test } from "vitest";
import { readFrame } from "../../src/epmd/wire/codec.js";
import { decodeEndpoints, encodeEndpoints } from "../../src/epmd/wire/responses.js";
import { ProtocolError } from "../../src/errors.js";

test("a frame is complete with its last byte and not before; what follows is the rest", () => {
  const bytes = Buffer.from([0, 3, 0x7a, 0x61, 0x62, 0xff]);
  for (let end = 0; end < 5; end++) expect(readFrame(bytes.subarray(0, end))).toEqual({ kind: "more" });
  expect(readFrame(bytes)).toEqual({ kind: "frame", frame: Buffer.from("zab"), rest: Buffer.of(0xff) });
});

test.each([
  [0, "invalid"],
  [1, "more"],
  [3057, "more"],
  [3058, "invalid"],
  [63000, "invalid"],
])("a length of %i is %s as soon as the two bytes are there", (length, kind) => {
  expect(readFrame(Buffer.from([length >> 8, length & 0xff]))).toMatchObject({ kind });
});

test("a length that no request has is told", () => {
  expect(readFrame(Buffer.from([0x10, 0]))).toEqual({ kind: "invalid", reason: "request length 4096 is not 1..3057" });
});

test("endpoints in Extra are family, address bytes and port, one behind the other", () => {
  const endpoints = [
    { address: "10.1.2.4", port: 20002, family: 4 },
    { address: "fd00::7", port: 443, family: 6 },
  ] as const;
  const bytes = Buffer.from("040a0102044e2206fd00000000000000000000000000000701bb", "hex");
  expect(encodeEndpoints(endpoints)).toEqual(bytes);
  expect(decodeEndpoints(bytes)).toEqual(endpoints);
  for (let end = 1; end < bytes.length; end++) {
    if (end !== 7) expect(() => decodeEndpoints(bytes.subarray(0, end)), `cut at ${end}`).toThrow(ProtocolError);
  }
});

test("an endpoint of a family that is none is an error, not an IPv6 address", () => {
  for (const bytes of ["050a0102044e22", `05${"00".repeat(16)}4e22`]) {
    const problem = expect(() => decodeEndpoints(Buffer.from(bytes, "hex")));
    problem.toThrow(new ProtocolError("EPMD_MESSAGE", "endpoint of family 5"));
  }
});

test("Extra never grows beyond what an EPMD takes: the first endpoints in order are given", () => {
  const many = Array.from({ length: 200 }, (_, index) => ({
    address: "10.0.0.1",
    port: index + 1,
    family: 4 as const,
  }));
  expect(encodeEndpoints(many).length).toBeLessThanOrEqual(1020);
  expect(decodeEndpoints(encodeEndpoints(many))).toEqual(many.slice(0, 145));
  // 143 of 7 bytes and one of 19: all that goes in, to the last byte.
  const full = [...many.slice(0, 143), { address: "fd00::7", port: 443, family: 6 as const }];
  expect(encodeEndpoints(full)).toHaveLength(1020);
});

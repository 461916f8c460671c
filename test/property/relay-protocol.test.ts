import fc from "fast-check";
import { expect, test } from "vitest";
import { ProtocolError } from "../../src/errors.js";
import {
  encodeLine,
  parseDaemonLine,
  parseRelayLine,
  type RelayLine,
  type RelayRequest,
  readLine,
} from "../../src/relay/wire/protocol.js";

const id = fc.nat();
const port = fc.integer({ min: 1, max: 65_535 });
const text = fc.string({ minLength: 1, maxLength: 200, unit: "grapheme" }).filter((value) => value.length <= 1024);
const address = fc.oneof(fc.ipV4(), fc.constantFrom("::1", "fd00::1", "2001:db8::a:1"));
const pair = fc.record({ host: text, address });
const endpoint = fc.record({ address, port });
const aliveName = fc.stringMatching(/^[a-z0-9_ä-]{1,40}$/);
const endpoints = fc.array(endpoint, { minLength: 1, maxLength: 32 });

const request: fc.Arbitrary<RelayRequest> = fc.oneof(
  fc.tuple(id, aliveName, fc.domain(), address, endpoints).map(([number, name, host, at, to]) => ({
    type: "ensure" as const,
    id: number,
    node: `${name}@${host}`,
    address: at,
    endpoints: to,
  })),
  fc.tuple(id, pair).map(([number, one]) => ({ type: "pair" as const, id: number, ...one })),
  id.map((number) => ({ type: "status" as const, id: number })),
);

const line: fc.Arbitrary<RelayLine> = fc.oneof(
  fc.record({ type: fc.constant("hello" as const), version: id, pid: id, pairs: fc.array(pair) }),
  fc.record({ type: fc.constant("ensured" as const), id, port }),
  fc.record({ type: fc.constant("refused" as const), id, reason: text }),
  fc.record({ type: fc.constant("kept" as const), id }),
  fc.record({ type: fc.constant("dial-failed" as const), node: text, endpoint, code: text, reason: text }),
  fc.record({ type: fc.constantFrom("notice" as const, "error" as const), message: text }),
);

const cut = (encoded: string) => {
  const read = readLine(Buffer.from(encoded), 1_000_000);
  if (read.kind !== "line") throw new Error(read.kind);
  expect(read.rest).toHaveLength(0);
  return read.line;
};

test("what is written is read", () => {
  fc.assert(
    fc.property(request, line, (asked, said) => {
      expect(parseDaemonLine(cut(encodeLine(asked)))).toEqual(asked);
      expect(parseRelayLine(cut(encodeLine(said)))).toEqual(said);
    }),
  );
});

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.json(),
  fc
    .record(
      {
        type: fc.constantFrom("hello", "ensure", "pair", "status", "dial-failed", "ensured", "x"),
        id: fc.anything(),
        version: fc.anything(),
        pid: fc.anything(),
        pairs: fc.anything(),
        status: fc.anything(),
        node: fc.anything(),
        address: fc.anything(),
        endpoints: fc.anything(),
        endpoint: fc.anything(),
        host: fc.anything(),
        port: fc.anything(),
        reason: fc.anything(),
        message: fc.anything(),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? String(part) : part))),
);

test.each([
  ["a daemon", parseDaemonLine],
  ["the relay process", parseRelayLine],
])("anything that %s might say is understood, passed over or refused", (_who, parse) => {
  fc.assert(
    fc.property(anyText, (said) => {
      try {
        parse(said);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
  );
});

test("bytes give the same lines however they arrive", () => {
  const lines = fc.array(fc.string({ unit: "grapheme" }).filter((one) => !one.includes("\n")));
  fc.assert(
    fc.property(lines, fc.nat({ max: 20 }), (some, step) => {
      const bytes = Buffer.from(some.map((one) => `${one}\n`).join(""));
      const got: string[] = [];
      let rest: Buffer = Buffer.alloc(0);
      for (let at = 0; at < bytes.length; at += step + 1) {
        rest = Buffer.concat([rest, bytes.subarray(at, at + step + 1)]);
        for (let read = readLine(rest, 10_000); read.kind === "line"; read = readLine(rest, 10_000)) {
          got.push(read.line);
          rest = read.rest;
        }
      }
      expect(got).toEqual(some);
    }),
  );
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeMessage, encodeQuery, encodeResponse, formatErrorFor } from "../../src/dns/wire/message.js";
import type { KnownRecord } from "../../src/dns/wire/record.js";
import { ProtocolError } from "../../src/errors.js";
import { formatIp } from "../../src/net/ip.js";

const label = fc.stringMatching(/^[a-z0-9_%@-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const ttl = fc.integer({ min: 0, max: 0x7fffffff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const octets = (length: number) => fc.array(fc.integer({ min: 0, max: 255 }), { minLength: length, maxLength: length });

const record: fc.Arbitrary<KnownRecord> = fc.oneof(
  fc.record({ type: fc.constant("A" as const), owner: name, ttl, address: octets(4).map(formatIp) }),
  fc.record({ type: fc.constant("AAAA" as const), owner: name, ttl, address: octets(16).map(formatIp) }),
  fc.record({ type: fc.constant("CNAME" as const), owner: name, ttl, target: name }),
  fc.record({
    type: fc.constant("SRV" as const),
    owner: name,
    ttl,
    priority: uint16,
    weight: uint16,
    port: uint16,
    target: fc.oneof(name, fc.constant("")),
  }),
  fc.record({
    type: fc.constant("SOA" as const),
    owner: name,
    ttl,
    mname: name,
    rname: name,
    serial: uint32,
    refresh: uint32,
    retry: uint32,
    expire: uint32,
    minimum: uint32,
  }),
);
const qtype = fc.constantFrom("A" as const, "AAAA" as const, "SRV" as const);
const query = fc.record({ id: uint16, qname: name, qtype, edns: fc.boolean() });
const section = fc.array(record, { maxLength: 6 });
const response = fc.record({
  rcode: fc.constantFrom("NOERROR" as const, "NXDOMAIN" as const, "REFUSED" as const, "RCODE9" as const),
  aa: fc.boolean(),
  answers: section,
  authorities: section,
  additionals: section,
});

function decodesOrRefuses(bytes: Buffer): void {
  try {
    decodeMessage(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    expect((error as ProtocolError).code).toBe("DNS_MESSAGE");
  }
}

describe("any DNS message", () => {
  test("that we ask is read back as what was asked", () => {
    fc.assert(
      fc.property(query, (fields) => {
        const message = decodeMessage(encodeQuery(fields));
        expect(message.questions).toEqual([{ qname: fields.qname, qtype: fields.qtype, qclass: "IN" }]);
        expect(message.id).toBe(fields.id);
        expect(message.edns?.udpPayloadSize).toBe(fields.edns ? 1232 : undefined);
      }),
    );
  });

  test("that we answer is read back as what was answered", () => {
    fc.assert(
      fc.property(query, response, (asked, fields) => {
        const message = decodeMessage(encodeResponse(decodeMessage(encodeQuery(asked)), fields));
        expect(message).toMatchObject({ ...fields, id: asked.id, kind: "response", rd: true });
      }),
    );
  });

  test("of random bytes gives a value or a ProtocolError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        decodesOrRefuses(Buffer.from(bytes));
        formatErrorFor(Buffer.from(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test("with some octets replaced gives a value or a ProtocolError", () => {
    const change = fc.tuple(fc.nat({ max: 2000 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(query, response, fc.array(change, { minLength: 1, maxLength: 4 }), (asked, fields, changes) => {
        const bytes = encodeResponse(decodeMessage(encodeQuery(asked)), fields);
        for (const [offset, octet] of changes) bytes[offset % bytes.length] = octet;
        decodesOrRefuses(bytes);
      }),
      { numRuns: 500 },
    );
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answersQuery } from "../../src/dns/wire/answer.js";
import { ProtocolError } from "../../src/errors.js";
import { isGatewayHost } from "../../src/gateway/core/addresses.js";
import {
  addressResponse,
  codeResponse,
  type GatewayQuestion,
  readGatewayQuestion,
} from "../../src/gateway/core/message.js";
import { message, nameOf, questionOf } from "../support/dns-query.js";

const NAMES = ["svc.consul", "h.example"];
const HOST = /^(([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*(svc\.consul|h\.example))$/;

function readOrRefuse(query: Buffer): GatewayQuestion | undefined {
  try {
    return readGatewayQuestion(query, (host) => isGatewayHost(NAMES, host));
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return undefined;
  }
}

/** Labels of any octets; many of them nearly fit. */
const label = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 20 }).map((octets) => Buffer.from(octets)),
  fc.stringMatching(/^[a-zA-Z0-9_.\- \0]{1,10}$/).map((text) => Buffer.from(text, "latin1")),
);
const suffix = fc.constantFrom(["svc", "consul"], ["SVC", "consul"], ["h", "example"], ["svc.consul"], []);
const labels = fc.tuple(fc.array(label, { maxLength: 4 }), suffix).map(([own, domain]) => [...own, ...domain]);

describe("whatever is asked", () => {
  test("random octets are a question or a ProtocolError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (bytes, query) => {
        readOrRefuse(Buffer.from(bytes));
        if (query.length >= 12) answersQuery(Buffer.from(bytes), message(1, 0, [questionOf(nameOf("a"))]));
      }),
      { numRuns: 1_000 },
    );
  });

  test("only names that a host can have become hosts, and each of those is answered", () => {
    let hosts = 0;
    fc.assert(
      fc.property(labels, fc.constantFrom(1, 28), (name, type) => {
        const query = message(1, 0x100, [questionOf(nameOf(...name), type)]);
        const question = readOrRefuse(query);
        expect(question).toBeDefined();
        expect(codeResponse(query, "SERVFAIL").length).toBe(query.length);
        if (question?.kind !== "host") return;
        hosts += 1;
        expect(question.host).toMatch(HOST);
        expect(question.host.split(".")).toEqual(name.map((text) => text.toString().toLowerCase()));
        const response = addressResponse(query, question.host, question.qtype, "127.64.0.1");
        expect(answersQuery(response, query)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    expect(hosts).toBeGreaterThan(50);
  });

  test("a query with some octets changed is a question or a ProtocolError", () => {
    const query = message(1, 0x100, [questionOf(nameOf("n1", "svc", "consul"))]);
    const change = fc.tuple(fc.nat({ max: query.length - 1 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(query);
        for (const [offset, octet] of changes) bytes[offset] = octet;
        const question = readOrRefuse(bytes);
        if (question?.kind === "host") expect(question.host).toMatch(HOST);
      }),
      { numRuns: 2_000 },
    );
  });
});

import { expect, test } from "vitest";
import { presentRecord } from "../../src/dns/wire/answer.js";
import { nameProblem, type ResourceRecord, typeName } from "../../src/dns/wire/record.js";

const OWNER = { owner: "a.svc.service.consul", ttl: 7 };

test.each<[ResourceRecord, string]>([
  [{ ...OWNER, type: "A", address: "10.0.0.1" }, "A 10.0.0.1"],
  [{ ...OWNER, type: "AAAA", address: "fd00::7" }, "AAAA fd00::7"],
  [{ ...OWNER, type: "CNAME", target: "b.test" }, "CNAME b.test."],
  [{ ...OWNER, type: "SRV", priority: 1, weight: 2, port: 9100, target: "h.test" }, "SRV 1 2 9100 h.test."],
  [
    {
      ...{ ...OWNER, type: "SOA", mname: "ns.test", rname: "root.test", serial: 3 },
      ...{ refresh: 4, retry: 5, expire: 6, minimum: 8 },
    },
    "SOA ns.test. root.test. 3 8",
  ],
  [{ ...OWNER, type: "other", typeCode: 16 }, "TXT"],
  [{ ...OWNER, type: "other", typeCode: 65_280 }, "TYPE65280"],
])("a record is written as in a zone file: %j", (record, expected) => {
  expect(presentRecord(record)).toMatch(/^a\.svc\.service\.consul\. 7 /);
  expect(presentRecord(record)).toContain(` ${expected}`);
});

test("a type without a name has its number (RFC 3597)", () => {
  expect([typeName(33), typeName(999)]).toEqual(["SRV", "TYPE999"]);
});

test("what is wrong with a name is told with the beginning of the label that is too long", () => {
  const problem = "its label abcdefghijkl... has 64 octets; DNS allows 63";
  expect(nameProblem(`x.abcdefghijkl${"m".repeat(52)}.test`)).toBe(problem);
});

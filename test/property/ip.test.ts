import { isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalIp, familyOf, formatIp, parseCidr, parseIp } from "../../src/net/ip.js";

const octets = (length: number) => fc.array(fc.integer({ min: 0, max: 255 }), { minLength: length, maxLength: length });
/** Many zeros, so that runs of zero groups are there to be shortened. */
const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 0xab), { minLength: 16, maxLength: 16 });
const almostIp = fc
  .array(fc.constantFrom(":", "::", ".", "0", "1", "ff", "255", "256", "g", "10.0.0.1"), { maxLength: 12 })
  .map((parts) => parts.join(""));

test("text made from octets is read as the same octets", () => {
  fc.assert(
    fc.property(fc.oneof(octets(4), octets(16), sparse), (bytes) => {
      expect(parseIp(formatIp(bytes))).toEqual(bytes);
    }),
  );
});

test("what is an address, and of which family, is what Node says", () => {
  fc.assert(
    fc.property(fc.oneof(almostIp, fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
      fc.pre(!text.includes("%"));
      expect(familyOf(text) ?? 0).toBe(isIP(text));
    }),
    { numRuns: 2_000 },
  );
});

test("the canonical form is a fixed point", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const canonical = canonicalIp(text) ?? "";
      expect(canonicalIp(canonical)).toBe(canonical);
    }),
  );
});

test("no text makes a network parser throw", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        almostIp.map((text) => `${text}/9`),
      ),
      (text) => {
        parseCidr(text);
      },
    ),
  );
});

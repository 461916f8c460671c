import fc from "fast-check";
import { expect, test } from "vitest";
import { printable, printableJson } from "../../src/text.js";

/** Any text, and text of which much is not seen. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
  fc.string({ unit: fc.constantFrom(...'\n\u001b\u007f\u009b\u202e\u200b\u2028\ud800\udb40\udc41\\"u') }),
);
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

test("text for people has nothing in it that is not seen", () => {
  fc.assert(
    fc.property(text, (any) => {
      expect(printable(any)).not.toMatch(UNSEEN);
    }),
  );
});

test("JSON has nothing in it that is not seen, and programs read what was written", () => {
  fc.assert(
    fc.property(fc.dictionary(text, fc.oneof(text, fc.array(text))), (object) => {
      const json = printableJson(object);
      expect(json).not.toMatch(UNSEEN);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(object)));
    }),
  );
});

import { expect, test } from "vitest";
import { quotation } from "../../src/text.js";

test.each([
  ["a full stop, which would stand before our comma", "default message.", "default message"],
  ["several lines", " CRITICAL: disk\r\n  /var is full.\n", "CRITICAL: disk /var is full"],
  ["an abbreviation within", "see /var/log/x.log, e.g. line 3", "see /var/log/x.log, e.g. line 3"],
  ["what would control a terminal", "\u001b[31mred", "\\x1b[31mred"],
  ["too much", "0123456789012", "0123456789..."],
  ["nothing but dots", "...", ""],
])("what another program said is quoted with %s", (_, said, expected) => {
  expect(quotation(said, 10 + (said.startsWith("0") ? 0 : 50))).toBe(expected);
});

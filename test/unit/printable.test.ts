import { expect, test } from "vitest";
import { printable, printableJson } from "../../src/text.js";

/** One of each kind, and how it is written out for people and in JSON. */
const UNSEEN: readonly (readonly [what: string, character: string, shown: string, json: string])[] = [
  ["a newline", "\n", "\\x0a", "\\n"],
  ["ESC", "\u001b", "\\x1b", "\\u001b"],
  ["DEL", "\u007f", "\\x7f", "\\u007f"],
  ["NEL, a line end of C1", "\u0085", "\\x85", "\\u0085"],
  ["CSI of C1, which xterm obeys", "\u009b", "\\x9b", "\\u009b"],
  ["OSC of C1", "\u009d", "\\x9d", "\\u009d"],
  ["a soft hyphen", "\u00ad", "\\xad", "\\u00ad"],
  ["an Arabic letter mark", "\u061c", "\\u{61c}", "\\u061c"],
  ["a right-to-left mark", "\u200f", "\\u{200f}", "\\u200f"],
  ["a zero-width space", "\u200b", "\\u{200b}", "\\u200b"],
  ["a right-to-left override", "\u202e", "\\u{202e}", "\\u202e"],
  ["an isolate", "\u2066", "\\u{2066}", "\\u2066"],
  ["a line separator", "\u2028", "\\u{2028}", "\\u2028"],
  ["a paragraph separator", "\u2029", "\\u{2029}", "\\u2029"],
  ["a Hangul filler", "\u3164", "\\u{3164}", "\\u3164"],
  ["a variation selector", "\ufe0f", "\\u{fe0f}", "\\ufe0f"],
  ["a byte order mark", "\ufeff", "\\u{feff}", "\\ufeff"],
  ["a tag, outside of the BMP", "\u{e0041}", "\\u{e0041}", "\\udb40\\udc41"],
  ["half a character", "\ud800", "\\u{d800}", "\\ud800"],
];

test.each(UNSEEN)("%s is written out", (_, character, shown, json) => {
  expect(printable(`a${character}b`)).toBe(`a${shown}b`);
  expect(printableJson({ name: `a${character}b` })).toBe(`{"name":"a${json}b"}`);
});

test("a letter of Latin-1 is one", () => {
  expect(printable("ÿé")).toBe("ÿé");
});

test("what can be seen stays as it is", () => {
  const text = 'node_a@svc.example "é" \\ 名前 \u{1f408} 1.5';
  expect(printable(text)).toBe(text);
  expect(printableJson([text])).toBe(JSON.stringify([text]));
});

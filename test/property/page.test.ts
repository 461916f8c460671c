import fc from "fast-check";
import { expect, test } from "vitest";
import type { Status } from "../../src/admin/core/status.js";
import { html } from "../../src/admin/page/html.js";
import { renderPage } from "../../src/admin/page.js";
import { tagsOf } from "../support/markup.js";
import { busyStatus, HOSTILE, NOW } from "../support/status.js";

/** Text of any kind, much of it made of what means something in a page. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."<>\"'&=/!-;`\\ \n\u0000\u001b\u007f\u0085\u202e\u2066\u200b\ud800abc") }),
  fc.constantFrom(...HOSTILE),
);

/** What must not be there as it is: it is not seen, and changes what is. Line ends are those of the template. */
const UNSEEN = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

test("text in a template makes no tag, no attribute and no character that is not seen", () => {
  fc.assert(
    fc.property(text, text, (inside, value) => {
      const { text: page } = html`<p title="${value}">${inside}</p>`;
      expect(tagsOf(page).map(({ name, attributes }) => [name, Object.keys(attributes)])).toEqual([
        ["p", ["title"]],
        ["/p", []],
      ]);
      expect(page).not.toMatch(UNSEEN);
      expect(page).not.toContain("\n");
    }),
    { numRuns: 2_000 },
  );
});

test("what was written can be read again: nothing but escaping happens to plain text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), (plain) => {
      const { text: page } = html`${plain}`;
      const back = [
        ["&lt;", "<"],
        ["&gt;", ">"],
        ["&quot;", '"'],
        ["&#39;", "'"],
        ["&amp;", "&"],
      ] as const;
      expect(back.reduce((all, [entity, char]) => all.replaceAll(entity, char), page)).toBe(plain);
    }),
  );
});

/** The status with every text in it that comes from outside replaced. Words of ours choose what is shown, and stay. */
function withTexts<T>(value: T, next: () => string, key = ""): T {
  if (
    typeof value === "string" &&
    !/^(type|outcome|publication|origin|way|source|health|level|name:check)$/.test(key)
  ) {
    return next() as T;
  }
  if (Array.isArray(value)) return value.map((item) => withTexts(item, next, key)) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([own, item]) => {
    return [own, withTexts(item, next, key === "checks" && own === "name" ? "name:check" : own)];
  });
  return Object.fromEntries(entries) as T;
}

/** Elements and the names of their attributes; which node of the picture comes first is up to the names. */
function shapeOf(status: Status): string[] {
  const page = renderPage(status, NOW);
  const [before = "", picture = "", after = ""] = page.split(/<\/?figure>/);
  const shape = (part: string) =>
    tagsOf(part).map(({ name, attributes }) => [name, ...Object.keys(attributes)].join(" "));
  return [...shape(before), ...shape(picture).sort(), ...shape(after)];
}

test("no name, reason, address or tag changes what the page is made of", () => {
  const plain = { count: 0 };
  const expected = shapeOf(withTexts(busyStatus(), () => `plain${plain.count++}`));
  fc.assert(
    fc.property(fc.infiniteStream(text), (texts) => {
      const own = { count: 0 };
      // The number keeps two names from becoming one.
      const next = () => `${texts.next().value}${own.count++}`;
      const status = withTexts(busyStatus(), next);
      expect(shapeOf(status)).toEqual(expected);
      expect(renderPage(status, NOW)).not.toMatch(UNSEEN);
    }),
    { numRuns: 300 },
  );
});

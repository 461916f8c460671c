import fc from "fast-check";
import { expect, test } from "vitest";
import { forTerminal } from "../../src/help/terminal.js";

const word = fc.stringMatching(/^[a-z]{1,9}$/);
const cell = fc
  .array(
    fc.oneof(
      word,
      word.map((text) => `\`${text}\``),
    ),
    { minLength: 1, maxLength: 30 },
  )
  .map((words) => words.join(" "));
const table = fc.integer({ min: 1, max: 6 }).chain((columns) =>
  fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 5 }).map((rows) => {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    return [line(Array(columns).fill("TITLE")), `|${"---|".repeat(columns)}`, ...rows.map(line)].join("\n");
  }),
);
const block = fc.oneof(
  cell,
  table,
  cell.map((text) => `- ${text}`),
  cell.map((text) => `## ${text}`),
);
const markdown = fc.array(block, { minLength: 1, maxLength: 6 }).map((blocks) => `${blocks.join("\n\n")}\n`);

test("text of short words is never wider than its terminal, and loses none of them", () => {
  fc.assert(
    fc.property(markdown, fc.integer({ min: 40, max: 120 }), (text, columns) => {
      const shown = forTerminal(text, { columns, coloured: false });
      for (const line of shown.split("\n")) expect(line.length).toBeLessThanOrEqual(Math.min(80, columns));
      const wordsOf = (written: string) => (written.match(/[a-z]+/g) ?? []).sort();
      expect(wordsOf(shown)).toEqual(wordsOf(text));
    }),
  );
});

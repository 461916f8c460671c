import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { titleOf } from "../../src/help/markdown.js";
import { forTerminal } from "../../src/help/terminal.js";

const plain = (markdown: string, columns = 40) => forTerminal(markdown, { columns, coloured: false });

describe("Markdown on a terminal", () => {
  test("sets text in, breaks it between words, and keeps the quotes of code", () => {
    expect(plain("# a: title\n\nOne two `three --four` five\nsix **seven** and *eight* nine.\n")).toBe(`a: title

  One two \`three --four\` five six seven
  and eight nine.
`);
  });

  test("is no wider than 80 columns, however wide the terminal", () => {
    const lines = plain("word ".repeat(60), 300).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines).toHaveLength(5);
  });

  test("keeps code as it is", () => {
    expect(plain("Look:\n\n```sh\na --b  c \\\n\n  | d # <e>\n```\n")).toBe(
      "  Look:\n\n    a --b  c \\\n\n      | d # <e>\n",
    );
  });

  test("hangs the lines of an item below its text, and keeps a list together", () => {
    expect(plain("- one two three four five six seven eight\n- nine\n\n1. ten\n")).toBe(
      "  - one two three four five six seven\n    eight\n  - nine\n  1. ten\n",
    );
  });

  test("shows a table in columns, of which long ones are broken", () => {
    expect(
      plain("| flag | what it does |\n|---|---|\n| `--a` | one two three four five six |\n| `--bb` | a\\|b &lt;c> |\n"),
    ).toBe(`  flag  what it does
  ----  ---------------------------
  --a   one two three four five six
  --bb  a|b <c>
`);
    expect(plain("| a | b |\n|---|---|\n| x | one two three four five six seven eight |\n")).toBe(`  a  b
  -  -----------------------------------
  x  one two three four five six seven
     eight
`);
  });

  test("shows a table that has no room for its columns row by row", () => {
    const row = "| `--flag-of-many-letters THING` | does one thing and another | `7` | `ALSO` |";
    expect(
      plain(`| flag | what it does | default | also |\n|---|---|---|---|\n${row}\n| b | c | | |\n`),
    ).toBe(`  --flag-of-many-letters THING
      does one thing and another
      default: 7; also: ALSO

  b
      c
`);
  });

  test("names the topic that a link leads to, the file, or the address", () => {
    const links =
      "[it](gateway.md#relays), [gateway](gateway.md), [here](#here), [demo](../../examples/demo), [x](https://x.test)";
    expect(plain(links, 80).trim().replaceAll(/\s+/g, " ")).toBe(
      "it (`help gateway`), `help gateway`, here, demo (examples/demo), x (https://x.test)",
    );
  });

  test("has colours where they are seen, which take no room", () => {
    const coloured = forTerminal("a `b c` **d**\n", { columns: 40, coloured: true });
    expect(coloured).toBe("  a \x1b[36mb\x1b[0m \x1b[36mc\x1b[0m \x1b[1md\x1b[0m\n");
    const bare = stripVTControlCharacters(coloured);
    expect(bare).toBe("  a b c d\n");
  });

  test("leaves comments out, which are for the generator", () => {
    expect(plain("a\n\n<!-- options: x -->\n\nb\n")).toBe("  a\n\n  b\n");
  });
});

test("the title of a topic is its name and what it tells", () => {
  expect(titleOf("# gateway: nodes, on `any` port\n\nText: more\n")).toEqual({
    name: "gateway",
    summary: "nodes, on any port",
  });
});

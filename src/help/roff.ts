import {
  type Block,
  columnWidths,
  linksAs,
  parseMarkdown,
  plainText,
  recordOf,
  type Span,
  type Style,
  tableLines,
  titleOf,
} from "./markdown.js";

/** man indents text by 7 columns, and terminals have 80: it leaves two of them free. */
const TABLE_WIDTH = 71;

const FONTS: Record<Style, string> = { plain: "", code: "B", strong: "B", emphasis: "I" };

interface ManPage {
  readonly version: string;
  /** One line each, as `--help` has them. */
  readonly commands: readonly { readonly usage: string; readonly summary: string }[];
  /** Markdown. */
  readonly topics: readonly string[];
}

/** The manual as one page of section 1, in the macros of man(7) that groff and mandoc both know. */
export function manPage({ version, commands, topics }: ManPage): string {
  return [
    // Without a date: the same sources make the same page.
    `.TH SRV\\-EPMD 1 "" "srv\\-epmd ${literal(version)}" "User Commands"`,
    // Names of options and variables are copied from the page: neither hyphens nor wide gaps are put into them.
    ".nh",
    ".ad l",
    ".SH NAME",
    "srv\\-epmd \\- EPMD server that answers from DNS SRV records and publishes nodes into Consul",
    ".SH SYNOPSIS",
    ".nf",
    ...commands.map(({ usage }) => `\\fBsrv\\-epmd\\fR ${literal(usage)} [options]`),
    ".fi",
    ".SH COMMANDS",
    ...commands.flatMap(({ usage, summary }) => [".TP", `\\fB${literal(usage)}\\fR`, line(literal(summary))]),
    ...topics.flatMap(topicLines),
    "",
  ].join("\n");
}

function topicLines(markdown: string): string[] {
  const { name, summary } = titleOf(markdown);
  const [, ...blocks] = parseMarkdown(markdown, links);
  const body = blocks.flatMap(linesOf);
  // A title of a section begins a paragraph by itself.
  const needed = body.filter((macro, index) => macro !== ".PP" || !body[index - 1]?.startsWith(".SS "));
  return [`.SH ${name.toUpperCase()}`, line(literal(`${summary}.`)), ...needed];
}

function linesOf(block: Block): string[] {
  switch (block.type) {
    case "heading":
      return [`.SS ${literal(plainText(block.text))}`];
    case "paragraph":
      return [".PP", line(inline(block.text))];
    case "item":
      return [`.IP ${block.mark === "-" ? "\\(bu" : block.mark} 3`, line(inline(block.text))];
    case "code":
      return [".PP", ...codeLines(block.lines)];
    case "table": {
      const widths = columnWidths(block, TABLE_WIDTH);
      if (widths) return [".PP", ...unfilled(tableLines(block, widths, (text) => text))];
      return block.rows.flatMap((row) => {
        const { term, details } = recordOf(block.head, row);
        const [first = [], ...others] = details;
        return [
          ".TP",
          line(inline(term)),
          line(inline(first)),
          ...others.flatMap((detail) => [".br", line(inline(detail))]),
        ];
      });
    }
  }
}

/** Code, indented by 2 more columns; at column 4 when it would be too wide for that. */
function codeLines(lines: readonly string[]): string[] {
  const widest = Math.max(...lines.map((text) => text.length));
  const [begin, end] = widest > TABLE_WIDTH - 2 ? [".in 4n", ".in"] : [".RS 2", ".RE"];
  return [begin, ...unfilled(lines), end];
}

function unfilled(lines: readonly string[]): string[] {
  return [".nf", ...lines.map((text) => line(literal(text))), ".fi"];
}

/** Topics are sections of the same page. */
const links = linksAs((topic) => topic.toUpperCase());

function inline(spans: readonly Span[]): string {
  return spans
    .map(({ text, style }) => (FONTS[style] === "" ? literal(text) : `\\f${FONTS[style]}${literal(text)}\\fR`))
    .join("");
}

/** A line that begins with a dot or a quote would be a request; an empty one in text a blank line. */
function line(text: string): string {
  return /^[.']/.test(text) ? `\\&${text}` : text;
}

/** Characters that troff reads or prints as others (groff_char(7)). */
const NAMED: Readonly<Record<string, string>> = {
  "\\": "\\(rs",
  "-": "\\-",
  "'": "\\(aq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

function literal(text: string): string {
  return text
    .replaceAll(/[\\\-'`^~]/g, (character) => NAMED[character] ?? character)
    .replaceAll(/[^\x20-\x7e]/gu, (character) => `\\[u${codePoint(character)}]`);
}

function codePoint(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

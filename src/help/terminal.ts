import {
  type Block,
  columnWidths,
  fill,
  type Ink,
  linksAs,
  parseMarkdown,
  recordOf,
  type Span,
  tableLines,
} from "./markdown.js";

/** Lines longer than this are hard to follow, however wide the terminal is. */
const WIDEST = 80;
const NARROWEST = 40;
const INDENT = "  ";

/** ECMA-48 SGR: bold for headings and strong words, cyan for what is typed or written, underlined for emphasis. */
const SGR = { plain: "", code: "36", strong: "1", emphasis: "4" } as const;

const inColour: Ink = (text, style) => (SGR[style] === "" ? text : `\x1b[${SGR[style]}m${text}\x1b[0m`);
const bare: Ink = (text) => text;

interface Terminal {
  readonly columns: number;
  readonly coloured: boolean;
}

/** A topic as a terminal shows it. */
export function forTerminal(markdown: string, { columns, coloured }: Terminal): string {
  const width = Math.max(NARROWEST, Math.min(WIDEST, columns));
  const ink = coloured ? inColour : bare;
  const parsed = parseMarkdown(
    markdown,
    linksAs((topic) => `\`help ${topic}\``),
  );
  const blocks = coloured ? parsed : parsed.map(withQuotes);
  const lines = blocks.flatMap((block, index) => {
    // Items of one list stand close together.
    const isClose = block.type === "item" && blocks[index - 1]?.type === "item";
    return index === 0 || isClose ? linesOf(block, width, ink) : ["", ...linesOf(block, width, ink)];
  });
  return `${lines.join("\n")}\n`;
}

function linesOf(block: Block, width: number, ink: Ink): string[] {
  const indented = (lines: readonly string[], by = INDENT) => lines.map((line) => (line === "" ? "" : by + line));
  const room = width - INDENT.length;
  switch (block.type) {
    case "heading":
      return fill(block.text, width, (text) => ink(text, "strong"));
    case "paragraph":
      return indented(fill(block.text, room, ink));
    case "item": {
      const hanging = " ".repeat(block.mark.length + 1);
      const lines = fill(block.text, room - hanging.length, ink);
      return indented(lines.map((line, index) => `${index === 0 ? `${block.mark} ` : hanging}${line}`));
    }
    case "code":
      return indented(
        block.lines.map((line) => (line === "" ? line : ink(line, "code"))),
        INDENT.repeat(2),
      );
    case "table": {
      const widths = columnWidths(block, room);
      if (widths) return indented(tableLines(block, widths, ink));
      return block.rows.flatMap((row, index) => {
        const { term, details } = recordOf(block.head, row);
        const told = details.flatMap((detail) => indented(fill(detail, room - 4, ink), INDENT.repeat(3)));
        return [...(index === 0 ? [] : [""]), ...indented(fill(term, room, ink)), ...told];
      });
    }
  }
}

/** Without colours, code inside a sentence keeps its backquotes; a table cell that is only code needs none. */
function withQuotes(block: Block): Block {
  const quoted = (spans: readonly Span[]) =>
    spans.map((span) => (span.style === "code" ? { ...span, text: `\`${span.text}\`` } : span));
  const isCode = (spans: readonly Span[]) =>
    spans.every(({ style, text }) => style === "code" || /^[, …]+$/.test(text));
  if (block.type === "code") return block;
  if (block.type !== "table") return { ...block, text: quoted(block.text) };
  const rows = block.rows.map((row) => row.map((cell) => (isCode(cell) ? cell : quoted(cell))));
  return { ...block, rows };
}

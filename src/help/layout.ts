import { type Block, type Cell, plainText, type Span, type Style } from "./markdown.js";

/** How a run of text is written; what this adds is not counted as width. */
export type Ink = (text: string, style: Style) => string;

/** Columns of text: wrapped text in a narrower column is hard to read. */
const NARROWEST_COLUMN = 15;
const GAP = "  ";

/** A piece of a word in one style: `--port` and the comma behind it are one word of two pieces. */
type Word = readonly Span[];

/** Text in lines that are no wider than that, broken between words. A word that is wider stands alone. */
export function fill(spans: readonly Span[], width: number, ink: Ink): string[] {
  const lines: Word[][] = [[]];
  let used = 0;
  for (const word of wordsOf(spans)) {
    const length = plainText(word).length;
    if (used > 0 && used + 1 + length > width) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)?.push(word);
    used += length + (used > 0 ? 1 : 0);
  }
  return lines.map((words) => words.map((word) => word.map(({ text, style }) => ink(text, style)).join("")).join(" "));
}

function wordsOf(spans: readonly Span[]): Word[] {
  const words: Span[][] = [[]];
  for (const { text, style } of spans) {
    for (const [index, part] of text.split(/ +/).entries()) {
      if (index > 0) words.push([]);
      if (part !== "") words.at(-1)?.push({ text: part, style });
    }
  }
  return words.filter((word) => word.length > 0);
}

/** Widths of a table's columns; undefined when they would be too narrow to read. */
export function columnWidths({ head, rows }: Extract<Block, { type: "table" }>, width: number): number[] | undefined {
  const all = [head, ...rows];
  const natural = head.map((_, column) => Math.max(...all.map((row) => plainText(row[column] ?? []).length)));
  const longest = head.map((_, column) => Math.max(...all.map((row) => longestWord(row[column] ?? []))));
  const room = width - GAP.length * (head.length - 1);
  const widths = new Map<number, number>();
  // Columns that need less than an even share of what is left get what they need; the others share the rest.
  for (;;) {
    const open = natural.map((_, column) => column).filter((column) => !widths.has(column));
    const left = room - Array.from(widths.values()).reduce((sum, taken) => sum + taken, 0);
    const share = Math.floor(left / Math.max(1, open.length));
    const content = open.filter((column) => (natural[column] ?? 0) <= share);
    for (const column of content) widths.set(column, natural[column] ?? 0);
    if (content.length > 0) continue;
    for (const column of open) widths.set(column, share);
    const readable = open.every((column) => share >= Math.max(NARROWEST_COLUMN, longest[column] ?? 0));
    return readable ? natural.map((_, column) => widths.get(column) ?? 0) : undefined;
  }
}

function longestWord(cell: Cell): number {
  return Math.max(0, ...wordsOf(cell).map((word) => plainText(word).length));
}

/** The lines of a table whose columns have these widths. */
export function tableLines(
  { head, rows }: Extract<Block, { type: "table" }>,
  widths: readonly number[],
  ink: Ink,
): string[] {
  const measured = ({ filled, bare }: { filled: string[]; bare: string[] }, index: number, width: number) =>
    `${filled[index] ?? ""}${" ".repeat(Math.max(0, width - (bare[index]?.length ?? 0)))}`;
  const cells = (row: readonly Cell[], inked: Ink) =>
    widths.map((width, column) => ({
      filled: fill(row[column] ?? [], width, inked),
      bare: fill(row[column] ?? [], width, (text) => text),
    }));
  const linesOf = (row: readonly Cell[], inked: Ink) => {
    const columns = cells(row, inked);
    const height = Math.max(...columns.map(({ bare }) => bare.length));
    return Array.from({ length: height }, (_, index) =>
      columns
        .map((column, place) => measured(column, index, widths[place] ?? 0))
        .join(GAP)
        .trimEnd(),
    );
  };
  const body = rows.map((row) => linesOf(row, ink));
  const wrapped = rows.some((row) => cells(row, (text) => text).filter(({ bare }) => bare.length > 1).length > 1);
  return [
    ...linesOf(head, (text) => ink(text, "strong")),
    widths.map((width) => "-".repeat(width)).join(GAP),
    // Cells of several lines beside each other need a blank line to be told from those of the next row.
    ...body.flatMap((lines, index) => (wrapped && index > 0 ? ["", ...lines] : lines)),
  ];
}

/** A row whose table is too wide for columns: its first cell, and below it the others with the titles of their columns. */
export function recordOf(
  head: readonly Cell[],
  [term = [], ...cells]: readonly Cell[],
): {
  readonly term: Cell;
  readonly details: readonly Cell[];
} {
  const titled = cells.map((cell, index) => ({ cell, title: plainText(head[index + 1] ?? []) }));
  const filled = titled.filter(({ cell }) => cell.length > 0);
  // A column "what ..." needs no title: its cell is a sentence.
  const texts = filled.filter(({ title }) => title.startsWith("what ")).map(({ cell }) => cell);
  const facts = filled
    .filter(({ title }) => !title.startsWith("what "))
    .flatMap(({ cell, title }, index): Span[] => [
      { style: "plain", text: `${index === 0 ? "" : "; "}${title}: ` },
      ...cell,
    ]);
  return { term, details: [...texts, facts].filter((cell) => cell.length > 0) };
}

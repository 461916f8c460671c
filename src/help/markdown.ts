/** The Markdown that the topics are written in: headings, paragraphs, lists, tables and fenced code, nothing nested. */
export type Block =
  | { readonly type: "heading"; readonly level: number; readonly text: readonly Span[] }
  | { readonly type: "paragraph"; readonly text: readonly Span[] }
  | { readonly type: "item"; readonly mark: string; readonly text: readonly Span[] }
  | { readonly type: "code"; readonly lines: readonly string[] }
  | { readonly type: "table"; readonly head: readonly Cell[]; readonly rows: readonly (readonly Cell[])[] };

type Cell = readonly Span[];
export type Style = "plain" | "code" | "strong" | "emphasis";

/** A run of text in one style. */
export interface Span {
  readonly style: Style;
  readonly text: string;
}

const FENCE = /^```/;
const HEADING = /^(#+) (.*)$/;
const ITEM = /^(-|[0-9]+\.) (.*)$/;
const TABLE_ROW = /^\|(.*)\|$/;
const COMMENT = /^<!--.*-->$/;

/** @param told what a link is written as, from its text and target */
export function parseMarkdown(markdown: string, told: (text: string, target: string) => string): Block[] {
  const spans = (text: string) => parseSpans(text, told);
  const blocks: Block[] = [];
  const lines = markdown.split("\n");
  let at = 0;
  /** Takes lines for as long as they belong together. */
  const takeWhile = (belongs: (line: string) => boolean): string[] => {
    const start = at;
    while (at < lines.length && belongs(lines[at] ?? "")) at++;
    return lines.slice(start, at);
  };
  const startsBlock = (line: string) =>
    line === "" || [FENCE, HEADING, ITEM, TABLE_ROW, COMMENT].some((pattern) => pattern.test(line));
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const heading = HEADING.exec(line);
    const item = ITEM.exec(line);
    if (FENCE.test(line)) {
      at++;
      blocks.push({ type: "code", lines: takeWhile((inside) => !FENCE.test(inside)) });
      at++;
    } else if (heading) {
      at++;
      blocks.push({ type: "heading", level: heading[1]?.length ?? 1, text: spans(heading[2] ?? "") });
    } else if (TABLE_ROW.test(line)) {
      const [head = [], , ...rows] = takeWhile((row) => TABLE_ROW.test(row)).map((row) => cellsOf(row).map(spans));
      blocks.push({ type: "table", head, rows });
    } else if (item) {
      at++;
      const rest = takeWhile((more) => !startsBlock(more)).map((more) => more.trim());
      blocks.push({ type: "item", mark: item[1] ?? "-", text: spans([item[2], ...rest].join(" ")) });
    } else if (line === "" || COMMENT.test(line)) {
      at++;
    } else {
      at++;
      blocks.push({ type: "paragraph", text: spans([line, ...takeWhile((more) => !startsBlock(more))].join(" ")) });
    }
  }
  return blocks;
}

/** A bar that belongs to a cell is written `\|` (GitHub Flavored Markdown, tables). */
function cellsOf(row: string): string[] {
  const cells = row.slice(1, -1).split(/(?<!\\)\|/);
  return cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
}

const INLINE = /`([^`]+)`|\*\*(.+?)\*\*|\*([^*\s](?:[^*]*[^*\s])?)\*|\[([^\]]+)\]\(([^)]+)\)/g;

function parseSpans(
  text: string,
  told: (text: string, target: string) => string,
  style: "plain" | "strong" = "plain",
): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, emphasis, linked, target] = match;
    if (match.index > end) spans.push({ style, text: decoded(text.slice(end, match.index)) });
    end = match.index + whole.length;
    if (code !== undefined) spans.push({ style: "code", text: code });
    else if (strong !== undefined) spans.push(...parseSpans(strong, told, "strong"));
    else if (emphasis !== undefined) spans.push({ style: "emphasis", text: decoded(emphasis) });
    else spans.push(...parseSpans(told(linked ?? "", target ?? ""), told, style));
  }
  if (end < text.length) spans.push({ style, text: decoded(text.slice(end)) });
  return spans;
}

function decoded(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

export function plainText(spans: readonly Span[]): string {
  return spans.map(({ text }) => text).join("");
}

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

/** Writes links as text, because a terminal cannot follow them. @param topicAs how another topic is named */
export function linksAs(topicAs: (topic: string) => string): (text: string, target: string) => string {
  return (text, target) => {
    const topic = /^([a-z]+)\.md(?:#.*)?$/.exec(target)?.[1];
    if (topic !== undefined) return text === topic ? topicAs(topic) : `${text} (${topicAs(topic)})`;
    // Files are named as in the repository.
    const told = target.replace(/^(?:\.\.\/)+/, "");
    return told === text || told.startsWith("#") ? text : `${text} (${told})`;
  };
}

/** Title of a topic: its name, and what it tells. */
export function titleOf(markdown: string): { name: string; summary: string } {
  const [first] = parseMarkdown(markdown.slice(0, markdown.indexOf("\n")), (text) => text);
  const [, name = "", summary = ""] =
    /^([a-z]+): (.*)$/.exec(first?.type === "heading" ? plainText(first.text) : "") ?? [];
  return { name, summary };
}

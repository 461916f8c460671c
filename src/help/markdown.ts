/** The Markdown that the topics are written in: headings, paragraphs, lists, tables and fenced code, nothing nested. */
export type Block =
  | { readonly type: "heading"; readonly level: number; readonly text: readonly Span[] }
  | { readonly type: "paragraph"; readonly text: readonly Span[] }
  | { readonly type: "item"; readonly mark: string; readonly text: readonly Span[] }
  | { readonly type: "code"; readonly lines: readonly string[] }
  | { readonly type: "table"; readonly head: readonly Cell[]; readonly rows: readonly (readonly Cell[])[] };

export type Cell = readonly Span[];
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

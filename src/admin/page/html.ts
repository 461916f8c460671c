import { printable } from "../../text.js";

/** Markup of our own; every other value in a template is escaped as text. */
export class Markup {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** Values in a template: undefined gives nothing, a list its items one after the other. */
export type Content = Markup | string | number | undefined | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Markup with values, each escaped unless it is markup itself. Put values only into text and quoted attribute values: there
 * alone is escaping enough.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(parts.map((part, index) => part + render(values[index])).join(""));
}

function render(value: Content): string {
  if (value === undefined) return "";
  if (value instanceof Markup) return value.text;
  if (typeof value === "object") return value.map(render).join("");
  return entities(printable(String(value)));
}

function entities(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? "");
}

export interface Column<Row> {
  readonly title: string;
  /** Nothing for undefined. */
  readonly cell: (row: Row) => Content;
  /** Numbers are aligned to the right; numbers and words stay on one line; `wide` takes the free space. Names have no kind. */
  readonly kind?: "number" | "word" | "address" | "wide";
}

export interface Table<Row> {
  /** Label for screen readers. */
  readonly label: string;
  /** The first one names the row. */
  readonly columns: readonly [Column<Row>, ...Column<Row>[]];
  readonly rows: readonly Row[];
  /** Identifies a row when the page is updated. */
  readonly keyOf: (row: Row) => string;
}

/**
 * A table in a box that scrolls when the table is too wide. On a phone its rows are cards, so each cell carries the title of
 * its column. The roles are explicit because browsers do not expose a table that is laid out as cards to screen readers.
 */
export function table<Row>({ label, columns, rows, keyOf }: Table<Row>): Markup {
  const head = columns.map(({ title, kind }) => {
    return html`<th role="columnheader" scope="col" class="${kind}">${title}</th>`;
  });
  const body = rows.map((row) => {
    const cells = columns.map((column, index) => cell(column, row, index === 0));
    return html`<tr role="row" data-key="${keyOf(row)}">${cells}</tr>\n`;
  });
  return html`<div class="box" role="region" aria-label="${label}" tabindex="0"><table role="table" aria-label="${label}">
<thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">
${body}</tbody></table></div>`;
}

function cell<Row>({ title, cell, kind }: Column<Row>, row: Row, isFirst: boolean): Markup {
  const content = cell(row);
  const classes = `${kind ?? ""}${content === undefined ? " empty" : ""}`.trim();
  if (isFirst) return html`<th role="rowheader" scope="row" class="${classes}">${content}</th>`;
  return html`<td role="cell" class="${classes}" data-label="${title}">${content}</td>`;
}

/** A part of the page: its title, a summary beside it, the content. */
export function section(id: string, title: string, beside: Content, body: Content): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-title">
<div class="title"><h2 id="${id}-title">${title}</h2><p>${beside}</p></div>
${body}
</section>
`;
}

/** Shown in place of an empty table: what is empty, and how it gets content. */
export function nothing(...sentences: readonly Content[]): Markup {
  return html`<p class="nothing">${sentences}</p>`;
}

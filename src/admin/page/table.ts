import { type Content, html, type Markup } from "./html.js";

export interface Column<Row> {
  readonly title: string;
  /** Nothing for undefined. */
  readonly cell: (row: Row) => Content;
  /** Numbers stand to the right, they and words stay on a line; `wide` takes what room there is. Names are of no kind. */
  readonly kind?: "number" | "word" | "address" | "wide";
}

export interface Table<Row> {
  /** For who hears the page. */
  readonly label: string;
  /** The first one names the row. */
  readonly columns: readonly [Column<Row>, ...Column<Row>[]];
  readonly rows: readonly Row[];
  /** By it a row is known again when the page is updated. */
  readonly keyOf: (row: Row) => string;
}

/**
 * A table in a box of its own, which scrolls where it is too wide. On a phone its rows are cards, for which each cell
 * carries the title of its column; the roles are said because such a table would no longer be one to a screen reader.
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

/** A part of the page with its title, and beside it what there is to say at once. */
export function section(id: string, title: string, beside: Content, body: Content): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-title">
<div class="title"><h2 id="${id}-title">${title}</h2><p>${beside}</p></div>
${body}
</section>
`;
}

/** What stands where there is nothing to show, and how there would be. */
export function nothing(...sentences: readonly Content[]): Markup {
  return html`<p class="nothing">${sentences}</p>`;
}

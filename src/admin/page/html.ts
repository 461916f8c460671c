import { ageWords, printable } from "../../text.js";

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

interface Column<Row> {
  readonly title: string;
  /** Nothing for undefined. */
  readonly cell: (row: Row) => Content;
  /** Numbers are aligned to the right; numbers and words stay on one line; `wide` takes the free space. Names have no kind. */
  readonly kind?: "number" | "word" | "address" | "wide";
  /** What is in it says what it is: on a phone it stands without the title. */
  readonly isPlain?: boolean;
}

interface Table<Row> {
  /** Label for screen readers. */
  readonly label: string;
  /** The first one names the row. */
  readonly columns: readonly [Column<Row>, ...Column<Row>[]];
  readonly rows: readonly Row[];
  /** Identifies a row when the page is updated. */
  readonly keyOf: (row: Row) => string;
  /** The box is as high as the table: the page scrolls, and not the box. Default: a long table scrolls in its box. */
  readonly isWhole?: boolean;
}

/** Rows of a table that does not scroll in its box. */
const SHORT_TABLE = 20;

/**
 * A table in a box that scrolls when the table is too wide. On a phone its rows are cards, so each cell carries the title of
 * its column. The roles are explicit because browsers do not expose a table that is laid out as cards to screen readers.
 */
export function table<Row>({ label, columns, rows, keyOf, isWhole }: Table<Row>): Markup {
  const whole = isWhole || rows.length <= SHORT_TABLE ? " whole" : "";
  const head = columns.map(({ title, kind }) => {
    return html`<th role="columnheader" scope="col" class="${kind}">${title}</th>`;
  });
  const body = rows.map((row) => {
    const cells = columns.map((column, index) => cell(column, row, index === 0));
    return html`<tr role="row" data-key="${keyOf(row)}">${cells}</tr>\n`;
  });
  return html`<div class="box${whole}" role="region" aria-label="${label}" tabindex="0"><table role="table" aria-label="${label}">
<thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">
${body}</tbody></table></div>`;
}

function cell<Row>({ title, cell, kind, isPlain }: Column<Row>, row: Row, isFirst: boolean): Markup {
  const content = cell(row);
  const classes = `${kind ?? ""}${isPlain ? " plain" : ""}${content === undefined ? " empty" : ""}`.trim();
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

/** A moment as its age, with date and time as its title. @param at milliseconds since the epoch */
export function age(at: number, now: number): Markup {
  return moment(at, ageText(at, now));
}

/** `12 s`, `3 h 20 m` */
function ageText(at: number, now: number): string {
  if (!isMoment(at)) return UNKNOWN;
  const words = ageWords(Math.max(0, Math.round((now - at) / 1000)));
  return words.replaceAll(
    /([0-9]+)([a-z])(?=(.?))/g,
    (_, count, unit, more) => `${count} ${unit}${more === "" ? "" : " "}`,
  );
}

/** A moment as time of day, with the date when that is not today. */
export function clock(at: number, now: number): Markup {
  if (!isMoment(at)) return moment(at, UNKNOWN);
  const text = iso(at);
  const isToday = text.slice(0, 10) === iso(now).slice(0, 10);
  return moment(at, isToday ? text.slice(11, 19) : text.slice(5, 16).replace("T", " "));
}

/** `14:03:22 UTC` */
export function timeOfDay(at: number): string {
  return `${iso(at).slice(11, 19)} UTC`;
}

function moment(at: number, shown: string): Markup {
  return html`<time datetime="${iso(at)}" title="${iso(at)}">${shown}</time>`;
}

const UNKNOWN = "unknown";

/** Some times come from the relay process: a bad one must not break the page. */
function isMoment(at: number): boolean {
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15;
}

function iso(at: number): string {
  return isMoment(at) ? new Date(at).toISOString() : UNKNOWN;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** `512 B`, `1.5 MB` */
export function bytes(count: number): string {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const value = count / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

/** `1 node`, `2 nodes` */
export function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}

export type Tone = "good" | "doubtful" | "bad" | "quiet";

/** A state: words in a colour, with a mark whose shape differs too. */
export function pill(tone: Tone, word: string): Markup {
  return html`<span class="pill ${tone}">${word}</span>`;
}

/** Texts up to this length fit into a column, also on a phone, and are not broken. */
const SHORT = 32;

/** A name, address, id or command. */
export function code(text: string | number): Markup {
  return html`<code class="${lengthClass(String(text))}">${text}</code>`;
}

function lengthClass(text: string): string | undefined {
  return text.length <= SHORT ? "short" : undefined;
}

/** `name@host`, with a place to break behind the @. */
export function nodeName(text: string): Markup {
  const end = text.includes("@") ? text.indexOf("@") + 1 : text.length;
  return html`<code class="${lengthClass(text)}">${text.slice(0, end)}<wbr>${text.slice(end)}</code>`;
}

/** `127.0.0.1` of `127.0.0.1:4369`, `::1` of `[::1]:4369`; an address without a port as it is. */
export function ipOf(address: string): string {
  const [, bracketed, plain] = /^(?:\[(.*)\]|([^:]*)):[0-9]+$/.exec(address) ?? [];
  return bracketed ?? plain ?? address;
}

/** The first ones and how many more there are; the title has the others. */
export function fewOf(texts: readonly string[], limit: number): Content {
  const rest = texts.slice(limit);
  const shown = texts.slice(0, limit).map((text, index) => html`${index === 0 ? "" : ", "}${code(text)}`);
  return rest.length === 0
    ? shown
    : html`${shown} <span class="quiet" title="${rest.join(", ")}">and ${rest.length} more</span>`;
}

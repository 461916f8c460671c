import { ageWords } from "../../text.js";
import { type Content, html, type Markup } from "./html.js";

/** A moment as its age, with date and time as its title. @param at milliseconds since the epoch */
export function age(at: number, now: number): Markup {
  return moment(at, ageText(at, now));
}

/** `12s` */
export function ageText(at: number, now: number): string {
  return isMoment(at) ? ageWords(Math.max(0, Math.round((now - at) / 1000))) : UNKNOWN;
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
  const end = text.indexOf("@") + 1;
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

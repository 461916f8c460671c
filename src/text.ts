import { Buffer } from "node:buffer";

/**
 * Characters that are invisible or change how others are shown: controls (C0, DEL and C1, ECMA-48), direction marks,
 * joiners and tags (Cf), line separators (Zl, Zp), lone surrogates (Cs), and those that a renderer may leave out.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Text for people, with invisible characters escaped. Names come from peers and from DNS: they must not forge lines,
 * control the terminal, or look like other names.
 */
export function printable(text: string): string {
  return text.replaceAll(UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 1)}}`;
  });
}

/**
 * What another program said, as part of a sentence of ours, which goes on behind it: on one line, and without a full stop
 * at its end.
 * @param most characters that are shown
 */
export function quotation(said: string, most: number): string {
  const line = said.trim().replaceAll(/\s+/g, " ");
  return printable(line.length > most ? `${line.slice(0, most)}...` : line.replace(/[\s.]+$/, ""));
}

/** JSON on one line that is safe to show on a terminal; programs read the same values from it. */
export function printableJson(value: object): string {
  return escapeJson(JSON.stringify(value));
}

/**
 * The same for JSON text. Such characters occur only inside strings, where RFC 8259 section 7 allows `\u` for each of
 * them; JSON.stringify escapes C0 alone.
 * @param json without line ends
 */
export function escapeJson(json: string): string {
  return json.replaceAll(UNSEEN, (character) =>
    Array.from({ length: character.length }, (_, index) => `\\u${hex(character.charCodeAt(index), 4)}`).join(""),
  );
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}

/** `12s`, `5m`, `3h20m`, `8d` @param seconds a whole number */
export function ageWords(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** FNV-1a of the UTF-8 octets, 32 bits. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const octet of Buffer.from(text)) hash = Math.imul(hash ^ octet, 0x01000193);
  return hash >>> 0;
}

/** `a, b, c, and 4 more` */
export function listed(names: readonly string[], most = 8, separator = ", "): string {
  const rest = names.length - most;
  return `${names.slice(0, most).join(separator)}${rest > 0 ? `${separator}and ${rest} more` : ""}`;
}

/** Fills `{name}` and the like in a template, which `template` in config/values.ts has checked. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  // Each look-up fills one, and a regular expression takes several times as long.
  const [head = "", ...parts] = template.split("{");
  const filled = parts.map((part) => {
    const end = part.indexOf("}");
    const value = values[part.slice(0, end)];
    return value === undefined ? `{${part}` : value + part.slice(end + 1);
  });
  return head + filled.join("");
}

/** `*` matches any characters, `?` one; every other character matches itself, case-sensitively. */
export interface Glob {
  readonly pattern: string;
  readonly matches: (text: string) => boolean;
}

/** Whether a text is meant as a pattern: it has a `*` or a `?`. */
export function hasWildcard(text: string): boolean {
  return /[*?]/.test(text);
}

export function parseGlob(pattern: string): Glob {
  if (pattern === "*") return { pattern, matches: () => true };
  const characters = Array.from(pattern);
  return { pattern, matches: (text) => matches(characters, Array.from(text)) };
}

/**
 * Backtracks to the last star only, so the time is at most pattern length times text length. Patterns come from peers
 * too, and `*a*a*a*b` as a regular expression takes exponential time.
 */
function matches(pattern: readonly string[], text: readonly string[]): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < text.length; ) {
    // The star is tested first: the text may contain a star too.
    if (pattern[at] === "*") {
      star = at++;
      resume = i;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === text[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else return false;
  }
  return pattern.slice(at).every((character) => character === "*");
}

/** The largest edit distance of a misspelling. */
const FARTHEST = 3;

/** The name that was probably meant: the one with the smallest edit distance, case ignored; undefined when none is near. */
export function nearest(written: string, names: readonly string[]): string | undefined {
  const wanted = written.toLowerCase();
  const limit = Math.min(FARTHEST, Math.max(1, Math.floor(wanted.length / 2)));
  const [best] = names
    // The distance is at least the difference of the lengths; this saves time with thousands of services.
    .filter((name) => Math.abs(name.length - wanted.length) <= limit)
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .filter(({ name, distance }) => name !== written && distance <= limit)
    .sort((a, b) => a.distance - b.distance);
  return best?.name;
}

/** Insertions, deletions, replacements and swaps of neighbours (Damerau and Levenshtein, optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0;
  for (let row = 1; row <= a.length; row++) {
    rows[row] = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = at(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swapped = row > 1 && column > 1 && isSwap ? at(row - 2, column - 2) + 1 : replaced;
      rows[row]?.push(Math.min(at(row - 1, column) + 1, at(row, column - 1) + 1, replaced, swapped));
    }
  }
  return at(a.length, b.length);
}

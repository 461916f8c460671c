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
export function listed(names: readonly string[], most = 8): string {
  const rest = names.length - most;
  return `${names.slice(0, most).join(", ")}${rest > 0 ? `, and ${rest} more` : ""}`;
}

/** Fills `{name}` and the like in a template, which `template` in config/values.ts has checked. */
export function fillTemplate(value: string, values: Readonly<Record<string, string>>): string {
  return value.replaceAll(/\{([a-z]+)\}/g, (whole, key: string) => values[key] ?? whole);
}

import { type Glob, parseGlob } from "../text.js";

/**
 * Parsers of option values. Each takes the text a user wrote and gives a value, or throws a `ValueError` whose
 * message says what would be right; the caller adds the option's name and the text.
 */
export class ValueError extends Error {
  override readonly name = "ValueError";
}

export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** Milliseconds. `500ms`, `5s`, `1m`, `1h`; a bare number is seconds. */
export function duration(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text);
  const milliseconds = match ? Math.round(Number(match[1]) * UNITS[(match[2] ?? "s") as keyof typeof UNITS]) : -1;
  // Node's timers hold 2^31-1 ms (24.8 days) and fire at once beyond that.
  if (milliseconds < 0 || milliseconds > 0x7fffffff) {
    throw new ValueError("must be a duration such as 500ms, 5s or 1m (a bare number is seconds; at most 24 days)");
  }
  return milliseconds;
}

/**
 * A duration with a least value.
 * @param least as a user would write it
 * @param why what makes a shorter one useless, as the end of a sentence
 */
export function durationFrom(least: string, why: string): (text: string) => number {
  const limit = duration(least);
  return (text) => {
    const milliseconds = duration(text);
    if (milliseconds < limit) throw new ValueError(`must be at least ${least}, ${why}`);
    return milliseconds;
  };
}

/** A time, or `none`: 0. @param least a time that makes sense */
export function durationOrNone(least: string, why: string): (text: string) => number {
  const parse = durationFrom(least, why);
  return (text) => (text === "none" ? 0 : parse(text));
}

/** Linux takes whole seconds, and no more than 32767 of them (tcp(7), TCP_KEEPIDLE). */
export function keepAlive(text: string): number {
  const milliseconds = duration(text);
  if (milliseconds < UNITS.s || milliseconds > 32_767 * UNITS.s) {
    throw new ValueError("must be a duration from 1s to 9h");
  }
  return milliseconds;
}

export function integer(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high)) throw new ValueError(`must be a whole number from ${low} to ${high}`);
    return value;
  };
}

export const port = integer(1, 65535);
/** 0: any free port. */
export const listenPort = integer(0, 65535);

export function boolean(text: string): boolean {
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  if (/^(false|0|no|off)$/i.test(text)) return false;
  throw new ValueError("must be true or false");
}

export function oneOf<const T extends string>(...choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) {
      throw new ValueError(`must be ${choices.slice(0, -1).join(", ")} or ${choices.at(-1) ?? ""}`);
    }
    return found;
  };
}

/** A uid, or a user name that useradd(8) accepts. 2^32-1 is no uid: to setreuid(2) it means "no change". */
export function user(text: string): number | string {
  const uid = /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
  if (uid !== undefined && uid < 0xffffffff) return uid;
  if (uid === undefined && /^[a-z_][a-z0-9_.-]*\$?$/i.test(text)) return text;
  throw new ValueError("must be the number or the name of a user, such as 1000 or app");
}

export function text(value: string): string {
  if (value === "") throw new ValueError("must not be empty");
  return value;
}

/** What a header can carry. */
export function token(value: string): string {
  if (!/^[\x21-\x7e]+$/.test(value)) throw new ValueError("must be printable ASCII without blanks");
  return value;
}

export function glob(value: string): Glob {
  return parseGlob(text(value));
}

/** Text in which every `{placeholder}` is one of those given. */
export function template(...placeholders: readonly string[]): (value: string) => string {
  return (value) => {
    // An opening brace without its closing one is caught too.
    const unknown = Array.from(text(value).matchAll(/\{([^{}]*)\}?/g)).find(
      ([whole, name = ""]) => !placeholders.includes(name) || !whole.endsWith("}"),
    );
    if (unknown) {
      const known = placeholders.map((name) => `{${name}}`).join(", ");
      throw new ValueError(`has the placeholder ${unknown[0]}, which is none of ${known}`);
    }
    return value;
  };
}

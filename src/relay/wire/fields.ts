import type { IpPort } from "../../config/network-values.js";
import { ProtocolError } from "../../errors.js";
import { canonicalIp } from "../../net/ip.js";

/** Readers of the fields of a line. Each throws a ProtocolError RELAY_LINE. */

const MAX_NAME = 1024;

export type Fields = Readonly<Record<string, unknown>>;

export function invalid(what: string): ProtocolError {
  return new ProtocolError("RELAY_LINE", what);
}

export function parseObject(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw invalid("a line is not JSON");
  }
  return object(value, "a line");
}

export function object(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`${what} is not a JSON object`);
  return value as Fields;
}

export function list(fields: Fields, key: string): readonly unknown[] {
  const value = fields[key];
  if (!Array.isArray(value)) throw invalid(`${key} is not a list`);
  return value;
}

export function text(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string" || value === "" || value.length > MAX_NAME) throw invalid(`${key} is not a text`);
  return value;
}

/** A text of any length: it is only shown or compared. */
export function anyText(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw invalid(`${key} is not a text`);
  return value;
}

/** The text of a key that may be missing. */
export function optional<K extends string>(fields: Fields, key: K, read = text): Partial<Record<K, string>> {
  return fields[key] === undefined ? {} : ({ [key]: read(fields, key) } as Record<K, string>);
}

export function natural(fields: Fields, key: string): number {
  const value = fields[key];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid(`${key} is not a whole number`);
  return value as number;
}

export function port(fields: Fields): number {
  const value = natural(fields, "port");
  if (value < 1 || value > 65535) throw invalid("port is not 1..65535");
  return value;
}

export function address(fields: Fields): string {
  const value = text(fields, "address");
  if (canonicalIp(value) !== value) throw invalid("address is not an IP address in its canonical form");
  return value;
}

export function endpoint(fields: Fields): IpPort {
  return { address: address(fields), port: port(fields) };
}

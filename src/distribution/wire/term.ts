import { Buffer } from "node:buffer";
import { type ByteReader, decodeUtf8, uint16, uint32 } from "../../epmd/wire/codec.js";
import { ProtocolError } from "../../errors.js";

/**
 * Erlang's external term format (ERTS User's Guide, "External Term Format"), as a node sends it without atom cache. What
 * is read comes from a peer that may be hostile: lengths are compared with what is there before anything is stored, and
 * depth and number of terms have a limit. Compressed terms are refused.
 */

/** A term; of those that nobody here looks into, the kind alone is kept. */
export type Term =
  | { readonly kind: "atom"; readonly name: string }
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "binary"; readonly bytes: Buffer }
  /** A list of octets, as text in Latin-1. */
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "tuple"; readonly elements: readonly Term[] }
  /** `tail` is there in an improper list only. */
  | { readonly kind: "list"; readonly elements: readonly Term[]; readonly tail?: Term }
  | { readonly kind: "map"; readonly pairs: readonly (readonly [Term, Term])[] }
  | ({ readonly kind: "pid" } & Pid)
  | { readonly kind: "port" | "reference" | "fun" };

export interface Pid {
  readonly node: string;
  readonly id: number;
  readonly serial: number;
  readonly creation: number;
}

/** Tuples, lists, maps and funs in each other: no answer that is asked for has more than five. */
export const MAX_DEPTH = 32;
/** Terms in a message, those in others counted too: the names of a cluster of this size fit. */
export const MAX_TERMS = 20_000;
/** Octets of a number: a longer one is no answer to anything that is asked. */
const MAX_BIG = 256;
/** Characters of an atom (erts: MAX_ATOM_CHARACTERS). */
const MAX_ATOM = 255;

const TAG = {
  newFloat: 70,
  bitBinary: 77,
  newPid: 88,
  newPort: 89,
  newerReference: 90,
  smallInteger: 97,
  integer: 98,
  float: 99,
  atom: 100,
  reference: 101,
  port: 102,
  pid: 103,
  smallTuple: 104,
  largeTuple: 105,
  nil: 106,
  string: 107,
  list: 108,
  binary: 109,
  smallBig: 110,
  largeBig: 111,
  newFun: 112,
  export: 113,
  newReference: 114,
  smallAtom: 115,
  map: 116,
  atomUtf8: 118,
  smallAtomUtf8: 119,
  v4Port: 120,
} as const;

/** The octet before each term of a message. */
const VERSION = 131;

/** The next term of a message, with the version octet before it. @throws ProtocolError DIST_MESSAGE */
export function readTerm(reader: ByteReader): Term {
  if (reader.uint8() !== VERSION) throw broken("a term does not begin with the version of the format");
  return new TermReader(reader).term(0);
}

class TermReader {
  readonly #reader: ByteReader;
  #terms = 0;

  constructor(reader: ByteReader) {
    this.#reader = reader;
  }

  term(depth: number): Term {
    if (depth > MAX_DEPTH) throw broken(`terms are nested deeper than ${MAX_DEPTH}`);
    if (++this.#terms > MAX_TERMS) throw broken(`there are more than ${MAX_TERMS} terms`);
    const reader = this.#reader;
    const tag = reader.uint8();
    switch (tag) {
      case TAG.atom:
        return atomTerm(reader.counted().toString("latin1"));
      case TAG.smallAtom:
        return atomTerm(reader.take(reader.uint8()).toString("latin1"));
      case TAG.atomUtf8:
        return atomTerm(decodeUtf8(reader.counted()));
      case TAG.smallAtomUtf8:
        return atomTerm(decodeUtf8(reader.take(reader.uint8())));
      case TAG.smallInteger:
        return { kind: "integer", value: BigInt(reader.uint8()) };
      case TAG.integer:
        return { kind: "integer", value: BigInt(reader.take(4).readInt32BE()) };
      case TAG.smallBig:
        return this.#big(reader.uint8());
      case TAG.largeBig:
        return this.#big(reader.uint32());
      case TAG.newFloat:
        return { kind: "float", value: reader.take(8).readDoubleBE() };
      case TAG.float:
        return { kind: "float", value: Number.parseFloat(reader.take(31).toString("latin1")) };
      case TAG.binary:
        return { kind: "binary", bytes: reader.take(reader.uint32()) };
      case TAG.bitBinary: {
        const length = reader.uint32();
        reader.uint8();
        return { kind: "binary", bytes: reader.take(length) };
      }
      case TAG.string:
        return { kind: "string", text: reader.counted().toString("latin1") };
      case TAG.nil:
        return { kind: "list", elements: [] };
      case TAG.list: {
        const elements = this.#many(reader.uint32(), depth);
        const tail = this.term(depth + 1);
        const isProper = tail.kind === "list" && tail.elements.length === 0 && tail.tail === undefined;
        return { kind: "list", elements, ...(!isProper && { tail }) };
      }
      case TAG.smallTuple:
        return { kind: "tuple", elements: this.#many(reader.uint8(), depth) };
      case TAG.largeTuple:
        return { kind: "tuple", elements: this.#many(reader.uint32(), depth) };
      case TAG.map: {
        const flat = this.#many(2 * reader.uint32(), depth);
        const pairs = flat.flatMap((value, index): [Term, Term][] => {
          const key = flat[index - 1];
          return index % 2 === 1 && key ? [[key, value]] : [];
        });
        return { kind: "map", pairs };
      }
      case TAG.pid:
      case TAG.newPid: {
        const node = this.#atom(depth);
        const [id, serial] = [reader.uint32(), reader.uint32()];
        return { kind: "pid", node, id, serial, creation: tag === TAG.pid ? reader.uint8() : reader.uint32() };
      }
      default:
        return this.#opaque(tag, depth);
    }
  }

  /** Terms that nobody looks into. */
  #opaque(tag: number, depth: number): Term {
    const reader = this.#reader;
    switch (tag) {
      case TAG.port:
      case TAG.newPort:
      case TAG.v4Port:
        this.#atom(depth);
        reader.take(tag === TAG.port ? 5 : tag === TAG.newPort ? 8 : 12);
        return { kind: "port" };
      case TAG.reference:
        this.#atom(depth);
        reader.take(5);
        return { kind: "reference" };
      case TAG.newReference:
      case TAG.newerReference: {
        const words = reader.uint16();
        this.#atom(depth);
        reader.take((tag === TAG.newReference ? 1 : 4) + 4 * words);
        return { kind: "reference" };
      }
      case TAG.newFun: {
        // Its size counts itself.
        const size = reader.uint32();
        if (size < 4) throw broken("the size of a fun is wrong");
        reader.take(size - 4);
        return { kind: "fun" };
      }
      case TAG.export:
        for (let part = 0; part < 3; part++) this.term(depth + 1);
        return { kind: "fun" };
      default:
        throw broken(`unknown tag ${tag} of a term`);
    }
  }

  /** @param count as the peer says: each term takes an octet at least, so it is compared with what is left */
  #many(count: number, depth: number): Term[] {
    if (count > this.#reader.left) throw broken(`${count} terms cannot stand in ${this.#reader.left} octets`);
    const terms: Term[] = [];
    for (let index = 0; index < count; index++) terms.push(this.term(depth + 1));
    return terms;
  }

  #atom(depth: number): string {
    const term = this.term(depth + 1);
    if (term.kind !== "atom") throw broken("a node is not named by an atom");
    return term.name;
  }

  #big(length: number): Term {
    const sign = this.#reader.uint8();
    if (length > MAX_BIG) throw broken(`a number has ${length} octets`);
    const digits = Buffer.from(this.#reader.take(length)).reverse().toString("hex");
    const value = BigInt(`0x0${digits}`);
    return { kind: "integer", value: sign === 0 ? value : -value };
  }
}

function atomTerm(name: string | undefined): Term {
  if (name === undefined) throw broken("an atom is not UTF-8");
  // The number of UTF-16 units is the number of characters or greater.
  if (name.length > MAX_ATOM && Array.from(name).length > MAX_ATOM) throw broken("an atom is too long");
  return { kind: "atom", name };
}

function broken(message: string): ProtocolError {
  return new ProtocolError("DIST_MESSAGE", message);
}

/** A whole term for a message. @param body made by the functions below */
export function versioned(body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(VERSION), body]);
}

/** @param name at most 255 octets in UTF-8 */
export function atom(name: string): Buffer {
  const bytes = Buffer.from(name);
  return Buffer.concat([Buffer.of(TAG.smallAtomUtf8, bytes.length), bytes]);
}

/** @param value below 256 */
export function smallInteger(value: number): Buffer {
  return Buffer.of(TAG.smallInteger, value);
}

/** @param elements at most 255 */
export function tuple(...elements: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(TAG.smallTuple, elements.length), ...elements]);
}

export function list(...elements: readonly Buffer[]): Buffer {
  const nil = Buffer.of(TAG.nil);
  if (elements.length === 0) return nil;
  return Buffer.concat([Buffer.of(TAG.list), uint32(elements.length), ...elements, nil]);
}

/** NEW_PID_EXT, which every release since OTP 19 reads. @param node at most 65535 octets in UTF-8 */
export function pid({ node, id, serial, creation }: Pid): Buffer {
  const name = Buffer.from(node);
  const parts = [Buffer.of(TAG.newPid, TAG.atomUtf8), uint16(name.length), name];
  return Buffer.concat([...parts, uint32(id), uint32(serial), uint32(creation)]);
}

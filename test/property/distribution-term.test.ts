import fc from "fast-check";
import { expect, test } from "vitest";
import { vmState } from "../../src/distribution/core/vm-state.js";
import { decodeReply, readLinkMessage } from "../../src/distribution/wire/link.js";
import { readTerm, type Term } from "../../src/distribution/wire/term.js";
import { ByteReader } from "../../src/epmd/wire/codec.js";
import { ProtocolError } from "../../src/errors.js";

const uint = (value: number, octets: 1 | 2 | 4) => {
  const bytes = Buffer.alloc(octets);
  bytes.writeUIntBE(value, 0, octets);
  return bytes;
};
const tagged = (tag: number, ...parts: Buffer[]) => Buffer.concat([Buffer.of(tag), ...parts]);

/** An encoder of the tests' own (erl_ext_dist). */
function encode(term: Term): Buffer {
  switch (term.kind) {
    case "atom": {
      const name = Buffer.from(term.name);
      return tagged(118, uint(name.length, 2), name);
    }
    case "integer": {
      const size = term.value < 0n ? -term.value : term.value;
      const hex = size.toString(16);
      const octets = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex").reverse();
      return tagged(110, uint(octets.length, 1), Buffer.of(term.value < 0n ? 1 : 0), octets);
    }
    case "binary":
      return tagged(109, uint(term.bytes.length, 4), term.bytes);
    case "string":
      return tagged(107, uint(term.text.length, 2), Buffer.from(term.text, "latin1"));
    case "tuple":
      return tagged(104, uint(term.elements.length, 1), ...term.elements.map(encode));
    case "list": {
      if (term.elements.length === 0) return Buffer.of(106);
      return tagged(
        108,
        uint(term.elements.length, 4),
        ...term.elements.map(encode),
        encode(term.tail ?? { kind: "list", elements: [] }),
      );
    }
    case "map":
      return tagged(116, uint(term.pairs.length, 4), ...term.pairs.flat().map(encode));
    default:
      throw new Error(`the tests do not make a ${term.kind}`);
  }
}

const terms: fc.Arbitrary<Term> = fc.letrec<{ term: Term }>((tie) => ({
  term: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.string({ unit: "binary", maxLength: 20 }).map((name): Term => ({ kind: "atom", name })),
    fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }).map((value): Term => ({ kind: "integer", value })),
    fc.uint8Array({ maxLength: 20 }).map((bytes): Term => ({ kind: "binary", bytes: Buffer.from(bytes) })),
    fc
      .uint8Array({ maxLength: 20 })
      .map((bytes): Term => ({ kind: "string", text: Buffer.from(bytes).toString("latin1") })),
    fc.array(tie("term"), { maxLength: 5 }).map((elements): Term => ({ kind: "tuple", elements })),
    fc.array(tie("term"), { maxLength: 5 }).map((elements): Term => ({ kind: "list", elements })),
    fc.array(fc.tuple(tie("term"), tie("term")), { maxLength: 3 }).map((pairs): Term => ({ kind: "map", pairs })),
  ),
})).term;

const read = (bytes: Buffer) => readTerm(new ByteReader(Buffer.concat([Buffer.of(131), bytes])));

/** A value, or the one error that callers expect. */
function outcome<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return undefined;
  }
}

test("what is encoded is decoded to the same", () => {
  fc.assert(
    fc.property(terms, (term) => {
      expect(read(encode(term))).toEqual(term);
    }),
  );
});

test("whatever a node sends gives a term or a ProtocolError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      outcome(() => read(Buffer.from(bytes)));
      readLinkMessage(Buffer.from(bytes));
    }),
    { numRuns: 2000 },
  );
});

test("so does a message that was right before some of its octets changed", () => {
  const sent = fc.tuple(terms, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }), fc.nat());
  const control = Buffer.concat([
    Buffer.from("83680361027700", "hex"),
    Buffer.from("587703614068000000050000000000000001", "hex"),
  ]);
  fc.assert(
    fc.property(sent, ([term, changes, cut]) => {
      const reply = Buffer.concat([Buffer.from("83680277037265 78".replaceAll(" ", ""), "hex"), encode(term)]);
      const whole = Buffer.concat([Buffer.of(112), control, reply]);
      expect(decodeReply(whole, "a@h")).toEqual({ to: 5, result: term });
      for (const [at, octet] of changes) whole[at % whole.length] = octet;
      const message = whole.subarray(0, whole.length - (cut % 4));
      const answer = outcome(() => decodeReply(message, "a@h"));
      if (answer) vmState(Array.from({ length: 8 }, () => answer.result));
    }),
    { numRuns: 2000 },
  );
});

test("whatever terms a VM answers with give a state or none", () => {
  fc.assert(
    fc.property(fc.array(terms, { maxLength: 9 }), (answers) => {
      const state = vmState(answers);
      for (const name of [...(state?.visible ?? []), ...(state?.hidden ?? [])]) expect(name).toMatch(/^[^@]+@[^@]+$/s);
    }),
  );
});

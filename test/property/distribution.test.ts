import { Duplex } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { converse } from "../../src/distribution/greeting.js";
import { decodeChallenge, decodeStatus, readMessage } from "../../src/distribution/wire/handshake.js";
import { ProtocolError } from "../../src/errors.js";

const bytes = fc.uint8Array({ maxLength: 80 }).map((array) => Buffer.from(array));
/** More like the real thing than chance makes it. */
const tagged = fc.tuple(fc.constantFrom("s", "sok", "snamed:", "N", "n"), bytes).map(([tag, rest]) => {
  return Buffer.concat([Buffer.from(tag), rest]);
});

const valueOrProtocolError = (decode: () => unknown) => {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ code: "DIST_MESSAGE" });
  }
};

describe("whatever bytes come", () => {
  test("decoders give a value or a ProtocolError", () => {
    fc.assert(
      fc.property(fc.oneof(bytes, tagged), (message) => {
        valueOrProtocolError(() => decodeStatus(message));
        valueOrProtocolError(() => decodeChallenge(message));
        readMessage(message, 2);
        readMessage(message, 4);
      }),
    );
  });

  test("a conversation settles when they end, however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(bytes, tagged), { maxLength: 5 }), async (chunks) => {
        const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
        const said = converse(stream, { version: 6, lengthOctets: 2, flags: 0n, creation: 1, name: "a@h" });
        for (const chunk of chunks) stream.push(chunk);
        stream.push(null);
        expect(["challenge", "refusal", "closed", "garbage"]).toContain((await said).kind);
        stream.destroy();
      }),
    );
  });
});

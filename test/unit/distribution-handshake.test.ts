import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Cookie } from "../../src/distribution/cookie.js";
import {
  ASKING_FLAGS,
  decodeChallenge,
  decodeChallengeAck,
  decodeStatus,
  encodeChallengeReply,
  encodeSendName,
  flagNames,
  flagsOf,
  readMessage,
  releaseOf,
  withoutOwn,
} from "../../src/distribution/wire/handshake.js";
import { ProtocolError } from "../../src/errors.js";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const latin1 = (text: string) => Buffer.from(text, "latin1");

/** As an OTP 29 node called n@h sent it: flags 6d07df7fbd, challenge 89771e8f, creation 235ccee f. */
const CHALLENGE_6 = bytes("4e 0000006d07df7fbd 89771e8f 235cceef 0003 6e4068");
/** Version 5, flags 0007df7fbd & 32 bit of an OTP 22 node, challenge 01020304. */
const CHALLENGE_5 = bytes("6e 0005 0007dfbd 01020304 6e4068");

describe("send_name", () => {
  test("of version 6 has 64 flag bits, the creation and the length of the name", () => {
    const sent = encodeSendName({ version: 6, flags: 0x1_0000_0005n, creation: 7, name: "a@h" }, 2);
    expect(sent).toEqual(bytes("0012 4e 0000000100000005 00000007 0003 614068"));
  });

  test("of version 5 has the low 32 flag bits, and the name to its end", () => {
    const sent = encodeSendName({ version: 5, flags: 0x4_0304_0506n, creation: 7, name: "a@h" }, 2);
    expect(sent).toEqual(bytes("000a 6e 0005 03040506 614068"));
  });

  test("over TLS has a length of four octets", () => {
    const sent = encodeSendName({ version: 6, flags: 0n, creation: 0, name: "a@h" }, 4);
    expect(sent.subarray(0, 5)).toEqual(bytes("00000012 4e"));
  });
});

describe("messages", () => {
  const stream = Buffer.concat([bytes("0003"), latin1("sok"), bytes("0016"), CHALLENGE_6]);

  test("are cut out of the stream whatever its pieces", () => {
    for (let split = 0; split <= stream.length; split++) {
      const first = readMessage(stream.subarray(0, split), 2);
      expect(first.kind).toBe(split < 5 ? "more" : "message");
      if (first.kind !== "message") continue;
      expect(first.message).toEqual(latin1("sok"));
      const second = readMessage(first.rest, 2);
      expect(second.kind).toBe(split < stream.length ? "more" : "message");
    }
    const whole = readMessage(stream, 2);
    const second = readMessage(whole.kind === "message" ? whole.rest : Buffer.alloc(0), 2);
    expect(second).toEqual({ kind: "message", message: CHALLENGE_6, rest: Buffer.alloc(0) });
  });

  test.each([
    ["of an HTTP server", latin1("HTTP/1.1 400 Bad Request\r\n")],
    ["of an SSH server", latin1("SSH-2.0-OpenSSH_9.2\r\n")],
    ["of TLS that wants something else", bytes("1503030002020a")],
    ["of no length", bytes("0000")],
  ])("are not looked for in the first bytes %s", (_, said) => {
    expect(readMessage(said, 2)).toEqual({ kind: "invalid" });
  });

  test("may have as many octets as a challenge with the longest name, and no more", () => {
    const long = Buffer.concat([bytes("0500"), Buffer.alloc(1280)]);
    expect(readMessage(long, 2)).toMatchObject({ kind: "message" });
    expect(readMessage(bytes("0501"), 2)).toEqual({ kind: "invalid" });
  });

  test("over TLS have a length of four octets", () => {
    expect(readMessage(bytes("00000003 736f6b ff"), 4)).toEqual({
      kind: "message",
      message: latin1("sok"),
      rest: bytes("ff"),
    });
    expect(readMessage(bytes("00010003"), 4)).toEqual({ kind: "invalid" });
  });
});

describe("status", () => {
  test.each(["ok", "ok_simultaneous", "nok", "not_allowed", "alive"] as const)("%s", (status) => {
    expect(decodeStatus(latin1(`s${status}`))).toEqual({ status });
  });

  test("named: tells the name that was given, and its creation", () => {
    const said = Buffer.concat([latin1("snamed:"), bytes("0005"), latin1("1@box"), bytes("0000002a")]);
    expect(decodeStatus(said)).toEqual({ status: "named", name: "1@box", creation: 42 });
    for (let end = 0; end < said.length; end++)
      expect(() => decodeStatus(said.subarray(0, end))).toThrow(ProtocolError);
  });

  test.each([
    ["", "not a status message"],
    ["nok", "not a status message"],
    ["xok", "not a status message"],
    ["s", 'unknown status ""'],
    ["sOK", 'unknown status "OK"'],
    ["sok ", 'unknown status "ok "'],
    ["smaybe", 'unknown status "maybe"'],
  ])("%j is none", (text, message) => {
    expect(() => decodeStatus(latin1(text))).toThrow(new ProtocolError("DIST_MESSAGE", message));
  });
});

describe("challenge", () => {
  test("of version 6 tells name, flags and creation", () => {
    expect(decodeChallenge(CHALLENGE_6)).toEqual({
      version: 6,
      flags: 0x6d07df7fbdn,
      challenge: 0x89771e8f,
      creation: 0x235cceef,
      name: "n@h",
    });
    // dist_util keeps what stands behind the name for the future.
    expect(decodeChallenge(Buffer.concat([CHALLENGE_6, bytes("aabb")])).name).toBe("n@h");
  });

  test("of version 5 has no creation", () => {
    expect(decodeChallenge(CHALLENGE_5)).toEqual({
      ...{ version: 5, flags: 0x7dfbdn, challenge: 0x01020304, creation: undefined, name: "n@h" },
    });
  });

  test("is refused at whatever octet it ends too early", () => {
    for (let end = 0; end < CHALLENGE_6.length; end++) {
      expect(() => decodeChallenge(CHALLENGE_6.subarray(0, end))).toThrow(ProtocolError);
    }
    for (let end = 0; end < CHALLENGE_5.length; end++) {
      expect(() => decodeChallenge(CHALLENGE_5.subarray(0, end))).toThrow(ProtocolError);
    }
  });

  test("of another kind is none, nor is one that ends too early or whose name is no node's", () => {
    const other = Buffer.from(CHALLENGE_5);
    other[0] = 0x78;
    expect(() => decodeChallenge(other)).toThrow(new ProtocolError("DIST_MESSAGE", "not a challenge message"));
    expect(() => decodeChallenge(CHALLENGE_6.subarray(0, 9))).toThrow("the message is too short");
    for (const name of ["h", "@h", "n@", "n@h@x", "@n@h", "n@@h"]) {
      const named = Buffer.concat([CHALLENGE_5.subarray(0, 11), latin1(name)]);
      const problem = new ProtocolError("DIST_MESSAGE", `"${name}" is not a node name`);
      expect(() => decodeChallenge(named)).toThrow(problem);
    }
    const longer = Buffer.concat([CHALLENGE_5.subarray(0, 11), latin1("node_a@box.test")]);
    expect(decodeChallenge(longer).name).toBe("node_a@box.test");
  });

  test("has a name in UTF-8, or in Latin-1 as older nodes send it", () => {
    const named = (name: string) => Buffer.concat([CHALLENGE_5.subarray(0, 11), bytes(name)]);
    expect(decodeChallenge(named("c3a94068")).name).toBe("é@h");
    expect(decodeChallenge(named("e94068")).name).toBe("é@h");
  });
});

describe("the second half", () => {
  const digest = bytes("24d92202cd3724fb37808c885f4e2298");
  const said = { flags: 0x4_0707_0f94n, creation: 7, name: "a@h" } as const;
  const reply = { challenge: 0x0a0b0c0d, digest };

  test("answers a challenge with a digest and our own challenge", () => {
    const sent = encodeChallengeReply({ ...said, version: 6 }, 0x1000001n, reply, 2);
    expect(sent).toEqual(bytes("0015 72 0a0b0c0d 24d92202cd3724fb37808c885f4e2298"));
    const overTls = encodeChallengeReply({ ...said, version: 6 }, 0x1000001n, reply, 4);
    expect(overTls).toEqual(bytes("00000015 72 0a0b0c0d 24d92202cd3724fb37808c885f4e2298"));
  });

  test("sends what an n had no place for to a node that knows the newer handshake", () => {
    const amended = encodeChallengeReply({ ...said, version: 5 }, 0x1000001n, reply, 2);
    expect(amended).toEqual(bytes("0009 63 00000004 00000007 0015 72 0a0b0c0d 24d92202cd3724fb37808c885f4e2298"));
    expect(encodeChallengeReply({ ...said, version: 5 }, 0x7dfbdn, reply, 2)).toEqual(amended.subarray(11));
  });

  test("reads the digest of the acknowledgement", () => {
    expect(decodeChallengeAck(Buffer.concat([latin1("a"), digest]))).toEqual(digest);
    expect(() => decodeChallengeAck(Buffer.concat([latin1("a"), digest.subarray(1)]))).toThrow(ProtocolError);
    expect(() => decodeChallengeAck(Buffer.concat([latin1("s"), digest]))).toThrow("not an acknowledgement");
    expect(() => decodeChallengeAck(Buffer.alloc(0))).toThrow(ProtocolError);
  });

  // md5sum of the cookie and the digits.
  test.each([
    ["secret", 16909060, "24d92202cd3724fb37808c885f4e2298"],
    ["secret", 4294967295, "5dfd181e69aa587cc812eb333e6536b6"],
    ["abc", 2309430927, "497db4088308f5df26e7a81b43e5e10f"],
  ])("has the digest of %s and %d", (cookie, challenge, wanted) => {
    expect(new Cookie(cookie).digest(challenge).toString("hex")).toBe(wanted);
  });

  test("has a cookie that nobody can print", () => {
    const cookie = new Cookie("secret");
    const printed = [inspect(cookie, { showHidden: true, depth: 9 }), JSON.stringify({ cookie }), `${cookie}`];
    expect(printed.join()).not.toContain("secret");
  });
});

describe("flags", () => {
  test("of ours have what OTP 23 and OTP 29 demand, and are those of a hidden node", () => {
    // dist.hrl of OTP 29: DFLAGS_MANDATORY, and 25's digest; of OTP 23 a part of that.
    expect(ASKING_FLAGS).toBe(0x4_0707_0f94n);
    expect(flagNames(ASKING_FLAGS)).not.toContain("PUBLISHED");
  });

  test("have names, and of a node without what is its own", () => {
    expect(flagsOf(["HANDSHAKE_23", "PUBLISHED", "NO_SUCH_FLAG"])).toBe(0x100_0001n);
    expect(flagsOf(flagNames(ASKING_FLAGS))).toBe(ASKING_FLAGS);
    expect(withoutOwn(0x2_0100_0001n)).toBe(0x100_0000n);
  });

  test.each([
    [0x6507df7fbdn, "OTP 29 or newer", true],
    [0x2d07df7fbdn, "OTP 28", true],
    [0x0d03df7fbdn, "OTP 24", true],
    [0x6d07df7fbdn, "OTP 29 or newer", true],
    [0x0d07df7fbcn, "OTP 25, 26 or 27", false],
    [0x0101df7fbdn, "OTP 23", true],
    [0x0007dfbdn, "OTP 22 or older", true],
  ])("%s are those of %s", (flags, release, published) => {
    expect(releaseOf(flags)).toBe(release);
    expect(flagNames(flags).includes("PUBLISHED")).toBe(published);
  });
});

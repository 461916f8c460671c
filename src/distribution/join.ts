import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { Cookie } from "./cookie.js";
import { questions, vmState } from "./core/vm-state.js";
import type { Joined } from "./core/words.js";
import type { Greeting, HandshakeReply } from "./greeting.js";
import { decodeChallengeAck, encodeChallengeReply, flagNames, isVm, readMessage } from "./wire/handshake.js";
import { decodeReply, encodeCall, readLinkMessage, TICK } from "./wire/link.js";
import type { Term } from "./wire/term.js";

interface JoinOptions {
  readonly cookie: Cookie;
  /** In [0, 1). */
  readonly random: () => number;
  /** Milliseconds until the VM must have answered. */
  readonly timeout: number;
  /** Milliseconds until the node must have seen that we leave. */
  readonly leaveTimeout: number;
}

/** Octets that a node may send until it has answered. */
const MAX_RECEIVED = 4 * 1024 * 1024;

/**
 * Finishes the handshake with a node that has sent its challenge, asks its VM how it is linked, and leaves. The node has
 * us in nodes(hidden) meanwhile and tells those that monitor hidden nodes; its nodes() does not change. One with another
 * cookie logs an error. A C node is not asked: it has no rpc server, and may end at a message that it does not know.
 * Never rejects; the stream has ended afterwards.
 * @param said our send_name
 */
export async function join(
  stream: Duplex,
  said: Greeting,
  greeted: Extract<HandshakeReply, { kind: "challenge" }>,
  options: JoinOptions,
): Promise<Joined> {
  const joined = await talk(stream, said, greeted, options);
  if (!stream.writable) return joined;
  stream.resume();
  stream.end();
  await once(stream, "close", { signal: AbortSignal.timeout(options.leaveTimeout) }).catch(() => undefined);
  return joined;
}

function talk(
  stream: Duplex,
  said: Greeting,
  { challenge: theirs, rest }: Extract<HandshakeReply, { kind: "challenge" }>,
  { cookie, random, timeout }: JoinOptions,
): Promise<Joined> {
  return new Promise((resolve) => {
    const challenge = Math.floor(random() * 2 ** 32);
    const flags = flagNames(theirs.flags);
    const calls = questions(flags);
    const answers = new Map<number, Term>();
    let received: Buffer = rest;
    let octets = 0;
    let isLinked = false;

    const settle = (joined: Joined) => {
      clearTimeout(timer);
      stream.off("data", take).off("close", closed).off("end", closed);
      resolve(joined);
    };
    const without = (why: "silent" | "closed" | "garbage"): Joined =>
      isLinked ? { cookie: "same", why } : { cookie: "unknown", why };
    const timer = setTimeout(() => settle(without("silent")), Math.max(0, timeout));
    // dist_util:recv_challenge_reply/3: a node closes the connection on a digest of another cookie.
    const closed = () => settle(isLinked || received.length > 0 ? without("closed") : { cookie: "refused" });

    /** Undefined while the acknowledgement is missing, or when it is the right one. */
    const acknowledged = (): Joined | undefined => {
      const framed = readMessage(received, said.lengthOctets);
      if (framed.kind === "invalid") return without("garbage");
      if (framed.kind === "more") return undefined;
      if (!decodeChallengeAck(framed.message).equals(cookie.digest(challenge))) return { cookie: "other" };
      received = framed.rest;
      isLinked = true;
      if (!isVm(flags)) return { cookie: "same", why: "no-vm" };
      for (const [id, call] of calls.entries()) {
        // Replies come in any order: each call has a pid of its own.
        stream.write(encodeCall({ node: said.name, id, serial: 0, creation: said.creation }, call));
      }
      return undefined;
    };
    /** Undefined while answers are missing. */
    const answered = (): Joined | undefined => {
      for (;;) {
        const framed = readLinkMessage(received);
        if (framed.kind === "invalid") return without("garbage");
        if (framed.kind === "more") return undefined;
        received = framed.rest;
        if (framed.kind === "tick") {
          stream.write(TICK);
          continue;
        }
        const reply = decodeReply(framed.message, said.name);
        if (reply) answers.set(reply.to, reply.result);
        const all = calls.flatMap((_, id) => answers.get(id) ?? []);
        if (all.length < calls.length) continue;
        const state = vmState(all);
        return state ? { cookie: "same", state } : without("garbage");
      }
    };
    const take = (chunk: Buffer) => {
      octets += chunk.length;
      received = Buffer.concat([received, chunk]);
      try {
        const result = (isLinked ? undefined : acknowledged()) ?? (isLinked ? answered() : undefined);
        if (result) settle(result);
        else if (octets > MAX_RECEIVED) settle(without("garbage"));
      } catch {
        // Any error but a ProtocolError is a bug here; the caller must not wait for ever because of it.
        settle(without("garbage"));
      }
    };

    stream.on("close", closed).on("end", closed).on("data", take);
    const digest = cookie.digest(theirs.challenge);
    stream.write(encodeChallengeReply(said, theirs.flags, { challenge, digest }, said.lengthOctets));
    if (rest.length > 0) take(Buffer.alloc(0));
    stream.resume();
  });
}

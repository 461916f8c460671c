import { connect as connectTcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { IpPort } from "../config/network-values.js";
import { ProtocolError } from "../errors.js";
import { familyOf } from "../net/ip.js";
import {
  ASKING_FLAGS,
  type Challenge,
  DIST_FLAG,
  type DistVersion,
  decodeChallenge,
  decodeStatus,
  encodeSendName,
  flagNames,
  type LengthOctets,
  readMessage,
  releaseOf,
  type SendName,
  type Status,
} from "./wire/handshake.js";
import type { Probe, ProbeTimes, TlsSeen } from "./words.js";

export interface ProbeOptions {
  /** Whether a node of this name is the node that was asked for. */
  readonly isAsked: (name: string) => boolean;
  /** For the whole probe, milliseconds. */
  readonly timeout: number;
  /** Host part of our own name: the machine of the probe. */
  readonly from: string;
  /** Server name for TLS (SNI): the host part that was asked for. */
  readonly serverName?: string | undefined;
  /** Flags that the probe has; those of ASKING_FLAGS when not given. */
  readonly flags?: bigint;
  /** Octets that make its first message longer, where the node has version 6 of the handshake. */
  readonly padding?: number;
  /** Begin with TLS, because the last probe found TLS. */
  readonly tlsFirst?: boolean;
  /** In [0, 1). */
  readonly random: () => number;
}

/**
 * Our names differ in a number below this. Each becomes an atom in the node that is probed, and atoms are never freed,
 * so a machine has few. The number is random: two probes at once rarely have the same name.
 */
const NAMES = 64;
/** A node drops one of two connections with the same name; the probe then tries another name. */
const MAX_TRIES = 4;
/** Milliseconds. An old node reads TLS as the start of a long message and waits for its end, so TLS gets a part of the time. */
const TLS_LIMIT = 1500;
/** Octets of another protocol that are shown. */
const FIRST_BYTES = 48;
/** A TLS record with an alert in it (RFC 8446 section 5.1): the answer to a record of unknown type. */
const isTlsAlert = (bytes: Buffer) => bytes[0] === 0x15 && bytes[1] === 0x03;

/** OpenSSL's code for an alert that the peer has sent. */
const isAlertCode = (code: string) => /^ERR_SSL_.*ALERT/.test(code);

/** The result of one connection. */
type Attempt =
  | (HandshakeReply & { readonly connectMs: number; readonly tls?: TlsSeen })
  | { readonly kind: "failed"; readonly code: string }
  /** It answered as TLS does, and did not complete a TLS connection. */
  | { readonly kind: "no-tls"; readonly code: string }
  | { readonly kind: "late"; readonly connectMs?: number; readonly tls?: TlsSeen };

/**
 * Finds out which node listens at an address, with the first step of the distribution handshake, and closes before any
 * authentication. The node logs nothing and its nodes() does not change; nodes(known) has our name for a minute. A node
 * with TLS logs a notice about the first try, which is plain. Never rejects.
 */
export async function probeNode({ address, port }: IpPort, options: ProbeOptions): Promise<Probe> {
  const startedAt = performance.now();
  const left = () => options.timeout - (performance.now() - startedAt);
  const greet = (version: DistVersion) => ({
    version,
    flags: options.flags ?? ASKING_FLAGS,
    creation: 1,
    name: ownName(options),
    padding: options.padding,
  });

  const plain = (version: DistVersion) =>
    withOtherNames((limit) => {
      const socket = connectTcp({ host: address, port, noDelay: true });
      return attempt(socket, "connect", () => converse(socket, { ...greet(version), lengthOctets: 2 }), limit);
    }, left);
  const tls = () =>
    withOtherNames(async (limit) => {
      const socket = await openTls({ address, port }, options.serverName);
      // inet_tls_dist: over TLS the length before a message has four octets.
      const talk = () => converse(socket, { ...greet(6), lengthOctets: 4 });
      return attempt(socket, "secureConnect", talk, Math.min(limit, TLS_LIMIT), () => tlsSeen(socket));
    }, left);

  const result = await tryProtocols(plain, tls, left, options.tlsFirst ?? false);
  return { ...interpret(result, options.isAsked), ...timesOf(result, performance.now() - startedAt) };
}

/** Tries version 6, which every release since OTP 23 accepts; then version 5, for older nodes, and TLS. */
async function tryProtocols(
  plain: (version: DistVersion) => Promise<Attempt>,
  tls: () => Promise<Attempt>,
  left: () => number,
  tlsFirst: boolean,
): Promise<Attempt> {
  const secured = tlsFirst ? await tls() : undefined;
  if (secured && "tls" in secured && secured.tls) return secured;
  const first = await plain(6);
  if (first.kind === "garbage" && isTlsAlert(first.bytes)) {
    const over = await tls();
    return over.kind === "failed" ? { kind: "no-tls", code: over.code } : over;
  }
  if (first.kind !== "closed" || first.status || left() <= 0) return first;
  // OTP 22 closes the connection on an `N`, and so does the TLS of OTP 23 on anything but TLS.
  const old = await plain(5);
  if (old.kind !== "closed" || left() <= 0) return old.kind === "late" ? first : old;
  const over = await tls();
  if (over.kind === "failed" && isAlertCode(over.code)) return { kind: "no-tls", code: over.code };
  return "tls" in over && over.tls ? over : first;
}

/** Tries other names as long as the node has another connection with ours. */
async function withOtherNames(once: (limit: number) => Promise<Attempt>, left: () => number): Promise<Attempt> {
  for (let tries = 1; ; tries++) {
    const result = await once(Math.max(1, left()));
    const isNameTaken =
      (result.kind === "refusal" && result.status.status === "nok") ||
      (result.kind === "closed" && result.status !== undefined);
    if (!isNameTaken || tries === MAX_TRIES || left() <= 0) return result;
  }
}

/** Makes one connection, talks, and closes it. Never rejects. */
function attempt(
  socket: Socket,
  ready: "connect" | "secureConnect",
  talk: () => Promise<HandshakeReply>,
  limit: number,
  seen: () => TlsSeen | undefined = () => undefined,
): Promise<Attempt> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    let connectMs: number | undefined;
    let tls: TlsSeen | undefined;
    const settle = (result: Attempt) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(
      () => settle({ kind: "late", ...(connectMs !== undefined && { connectMs }), ...(tls && { tls }) }),
      limit,
    );
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (connectMs === undefined) settle({ kind: "failed", code: error.code ?? error.message });
    });
    socket.on("close", () => {
      if (connectMs === undefined) settle({ kind: "failed", code: "ECONNRESET" });
    });
    socket.once(ready, () => {
      connectMs = performance.now() - startedAt;
      tls = seen();
      const connected = { connectMs, ...(tls && { tls }) };
      void talk().then((reply) => settle({ ...reply, ...connected }));
    });
  });
}

type WithoutTimes<T> = T extends unknown ? Omit<T, keyof ProbeTimes> : never;

function interpret(attempt: Attempt, isAsked: (name: string) => boolean): WithoutTimes<Probe> {
  const tls = "tls" in attempt && attempt.tls ? { tls: attempt.tls } : {};
  switch (attempt.kind) {
    case "failed":
      if (attempt.code === "ECONNREFUSED") return { result: "refused" };
      return { result: "unreachable", code: attempt.code };
    case "no-tls":
      return { result: "tls", code: attempt.code };
    case "late":
      return { result: "silent", stage: attempt.connectMs === undefined ? "connect" : "handshake", ...tls };
    case "closed":
      if (attempt.status) return { result: "erlang", status: attempt.status.status, ...tls };
      return attempt.code !== undefined && "tls" in tls && /^ERR_/.test(attempt.code)
        ? { result: "tls", code: attempt.code, ...tls }
        : { result: "closed", ...tls };
    case "garbage":
      return { result: "not-erlang", said: attempt.bytes.subarray(0, FIRST_BYTES).toString("latin1"), ...tls };
    case "refusal":
      return { result: "erlang", status: attempt.status.status, ...tls };
    case "challenge": {
      const { name, version, flags, creation } = attempt.challenge;
      return {
        result: isAsked(name) ? "node" : "other-node",
        ...{ name, version, ...(creation !== undefined && { creation }) },
        hidden: (flags & DIST_FLAG.PUBLISHED) === 0n,
        flags: flagNames(flags),
        release: releaseOf(flags),
        status: attempt.status.status,
        ...tls,
      };
    }
    default:
      return attempt satisfies never;
  }
}

function timesOf(attempt: Attempt, elapsedMs: number): ProbeTimes {
  const connectMs = "connectMs" in attempt ? attempt.connectMs : undefined;
  return { elapsedMs: tenths(elapsedMs), ...(connectMs !== undefined && { connectMs: tenths(connectMs) }) };
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

/** Any certificate is accepted: the probe asks who listens, and tells the peer no secret. */
async function openTls({ address, port }: IpPort, serverName: string | undefined): Promise<TLSSocket> {
  const { connect } = await import("node:tls");
  const named = serverName === undefined || familyOf(serverName) !== undefined ? {} : { servername: serverName };
  return connect({ host: address, port, rejectUnauthorized: false, ...named });
}

function tlsSeen(socket: TLSSocket): TlsSeen {
  const { subject, subjectaltname } = socket.getPeerCertificate();
  // `DNS:node.example, IP Address:10.0.0.1`
  const alternatives = (subjectaltname ?? "").split(", ").map((name) => name.replace(/^[A-Za-z ]+:/, ""));
  const names = [subject?.CN, ...alternatives].flat().filter((name) => name !== undefined && name !== "");
  return { protocol: socket.getProtocol() ?? "TLS", names: Array.from(new Set(names as string[])) };
}

/** `srv-epmd-probe-17@box1`: no node has such a name, and a reader of a trace sees what it was. */
function ownName({ from, random }: ProbeOptions): string {
  const host = from.replaceAll(/[^0-9A-Za-z.-]/g, "-").slice(0, 200) || "localhost";
  return `srv-epmd-probe-${Math.floor(random() * NAMES)}@${host}`;
}

/** What a peer replied to a name. */
type HandshakeReply =
  | { readonly kind: "challenge"; readonly status: Status; readonly challenge: Challenge }
  /** An Erlang node, which does not go on with that name. */
  | { readonly kind: "refusal"; readonly status: Status }
  /** It closed the connection before its reply was complete. */
  | {
      readonly kind: "closed";
      /** Undefined: it closed before its status. */
      readonly status: Status | undefined;
      /** `ECONNRESET`, or a code of TLS; undefined after a regular end. */
      readonly code: string | undefined;
    }
  /** The first bytes of another protocol. */
  | { readonly kind: "garbage"; readonly bytes: Buffer };

interface Greeting extends SendName {
  readonly lengthOctets: LengthOctets;
}

/** Statuses that a challenge follows (dist_util:handshake_other_started/1). */
const GOES_ON = new Set<Status["status"]>(["ok", "ok_simultaneous", "named"]);

/** Sends a name and reads the reply, up to the challenge; the caller ends the stream. Never rejects; settles when the stream ends. */
export function converse(stream: Duplex, { lengthOctets, ...name }: Greeting): Promise<HandshakeReply> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    let status: Status | undefined;

    /** Undefined while bytes are missing. */
    const read = (): HandshakeReply | undefined => {
      for (let rest = received; ; ) {
        const framed = readMessage(rest, lengthOctets);
        if (framed.kind === "more") return undefined;
        if (framed.kind === "invalid") return { kind: "garbage", bytes: received };
        if (status) return { kind: "challenge", status, challenge: decodeChallenge(framed.message) };
        status = decodeStatus(framed.message);
        if (!GOES_ON.has(status.status)) return { kind: "refusal", status };
        rest = received = framed.rest;
      }
    };
    const closed = (code?: string): HandshakeReply => {
      if (received.length > 0) return { kind: "garbage", bytes: received };
      return { kind: "closed", status, code };
    };

    stream.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const reply = read();
        if (reply) resolve(reply);
      } catch (error) {
        // Any other error is a bug here; the caller must not wait for ever because of it.
        resolve(error instanceof ProtocolError ? { kind: "garbage", bytes: received } : closed(String(error)));
      }
    });
    stream.on("error", (error: NodeJS.ErrnoException) => resolve(closed(error.code ?? error.message)));
    stream.on("end", () => resolve(closed()));
    stream.on("close", () => resolve(closed()));
    stream.write(encodeSendName(name, lengthOctets));
  });
}

import { connect as connectTcp, type Socket } from "node:net";
import type { IpPort } from "../config/network-values.js";
import { converse, type Said } from "./conversation.js";
import { ASKING_FLAGS, DIST_FLAG, flagNames, releaseOf } from "./wire/flags.js";
import type { DistVersion } from "./wire/handshake.js";
import type { Probe, ProbeTimes, TlsSeen } from "./words.js";

export interface ProbeOptions {
  /** Whether a node of this name is the one that was asked for. */
  readonly isAsked: (name: string) => boolean;
  /** Milliseconds for all of it. */
  readonly timeout: number;
  /** Host part of our own name: where the probe comes from. */
  readonly from: string;
  /** For TLS: the host part that was asked for, when it is no address. */
  readonly serverName?: string | undefined;
  /** Begin with TLS, because it was TLS the last time. */
  readonly tlsFirst?: boolean;
  /** In [0, 1). */
  readonly random: () => number;
}

/**
 * Every name becomes an atom in the node that is asked, and atoms are for ever: the names of one machine are a few, and
 * random so that two who ask at once rarely have the same.
 */
const NAMES = 64;
/** Two of one name at once: the node drops one of them, who comes again with another. */
const MAX_TRIES = 4;
/** An old node waits for ever for the rest of what it takes for a long message: TLS must not take all the time. */
const TLS_LIMIT = 1500;
const FIRST_BYTES = 48;
/** A TLS record with an alert in it (RFC 8446 section 5.1): the answer to a record of no known type. */
const isTlsAlert = (bytes: Buffer) => bytes[0] === 0x15 && bytes[1] === 0x03;

/** OpenSSL's name for an alert that the other side has sent. */
const isAlertCode = (code: string) => /^ERR_SSL_.*ALERT/.test(code);

/** What became of one connection. */
export type Attempt =
  | (Said & { readonly connectMs: number; readonly tls?: TlsSeen })
  | { readonly kind: "failed"; readonly code: string }
  /** It answered as TLS does, and then made no connection with us. */
  | { readonly kind: "no-tls"; readonly code: string }
  | { readonly kind: "late"; readonly connectMs?: number; readonly tls?: TlsSeen };

/**
 * Asks who is there with the first step of the distribution handshake, and hangs up before any authentication. The node
 * logs nothing of it and its nodes() does not change; nodes(known) has our name for a minute. One that speaks TLS logs
 * a notice about our first, plain try. Never rejects.
 */
export async function probeNode({ address, port }: IpPort, options: ProbeOptions): Promise<Probe> {
  const startedAt = performance.now();
  const left = () => options.timeout - (performance.now() - startedAt);
  const greet = (version: DistVersion) => ({ version, flags: ASKING_FLAGS, creation: 1, name: ownName(options) });

  const plain = (version: DistVersion) =>
    again((limit) => {
      const socket = connectTcp({ host: address, port, noDelay: true });
      return attempt(socket, "connect", () => converse(socket, { ...greet(version), lengthOctets: 2 }), limit);
    }, left);
  const tls = () =>
    again(async (limit) => {
      const { openTls, seenOf } = await import("./tls.js");
      const socket = openTls({ address, port }, options.serverName);
      // Over TLS a message has four octets of length (inet_tls_dist).
      const talk = () => converse(socket, { ...greet(6), lengthOctets: 4 });
      return attempt(socket, "secureConnect", talk, Math.min(limit, TLS_LIMIT), () => seenOf(socket));
    }, left);

  const said = await askInTurn(plain, tls, left, options.tlsFirst ?? false);
  return { ...interpret(said, options.isAsked), ...timesOf(said, performance.now() - startedAt) };
}

/** Version 6, which all releases since OTP 23 take whatever they are told of us; then what older nodes and TLS take. */
async function askInTurn(
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
  // OTP 22 hangs up on an `N`, and so does the TLS of OTP 23 on anything that is no TLS.
  const old = await plain(5);
  if (old.kind !== "closed" || left() <= 0) return old.kind === "late" ? first : old;
  const over = await tls();
  if (over.kind === "failed" && isAlertCode(over.code)) return { kind: "no-tls", code: over.code };
  return "tls" in over && over.tls ? over : first;
}

/** As long as another one of our name is in the way. */
async function again(once: (limit: number) => Promise<Attempt>, left: () => number): Promise<Attempt> {
  for (let tries = 1; ; tries++) {
    const said = await once(Math.max(1, left()));
    const disturbed =
      (said.kind === "refusal" && said.status.status === "nok") ||
      (said.kind === "closed" && said.status !== undefined);
    if (!disturbed || tries === MAX_TRIES || left() <= 0) return said;
  }
}

/** One connection, from its beginning to its end. Never rejects. */
function attempt(
  socket: Socket,
  ready: "connect" | "secureConnect",
  talk: () => Promise<Said>,
  limit: number,
  tlsSeen: () => TlsSeen | undefined = () => undefined,
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
      tls = tlsSeen();
      const connected = { connectMs, ...(tls && { tls }) };
      void talk().then((said) => settle({ ...said, ...connected }));
    });
  });
}

type WithoutTimes<T> = T extends unknown ? Omit<T, keyof ProbeTimes> : never;

function interpret(said: Attempt, isAsked: (name: string) => boolean): WithoutTimes<Probe> {
  const tls = "tls" in said && said.tls ? { tls: said.tls } : {};
  switch (said.kind) {
    case "failed":
      if (said.code === "ECONNREFUSED") return { result: "refused" };
      return { result: "unreachable", code: said.code };
    case "no-tls":
      return { result: "tls", code: said.code };
    case "late":
      return { result: "silent", stage: said.connectMs === undefined ? "connect" : "handshake", ...tls };
    case "closed":
      if (said.status) return { result: "erlang", status: said.status.status, ...tls };
      return said.code !== undefined && "tls" in tls && /^ERR_/.test(said.code)
        ? { result: "tls", code: said.code, ...tls }
        : { result: "closed", ...tls };
    case "garbage":
      return { result: "not-erlang", said: said.bytes.subarray(0, FIRST_BYTES).toString("latin1"), ...tls };
    case "refusal":
      return { result: "erlang", status: said.status.status, ...tls };
    case "challenge": {
      const { name, version, flags, creation } = said.challenge;
      return {
        result: isAsked(name) ? "node" : "other-node",
        ...{ name, version, ...(creation !== undefined && { creation }) },
        hidden: (flags & DIST_FLAG.PUBLISHED) === 0n,
        flags: flagNames(flags),
        release: releaseOf(flags),
        status: said.status.status,
        ...tls,
      };
    }
    default:
      return said satisfies never;
  }
}

function timesOf(said: Attempt, elapsedMs: number): ProbeTimes {
  const connectMs = "connectMs" in said ? said.connectMs : undefined;
  return { elapsedMs: tenths(elapsedMs), ...(connectMs !== undefined && { connectMs: tenths(connectMs) }) };
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

/** `srv-epmd-probe-17@box1`: no node is called like this, and whoever reads it in a trace sees what it was. */
function ownName({ from, random }: ProbeOptions): string {
  const host = from.replaceAll(/[^0-9A-Za-z.-]/g, "-").slice(0, 200) || "localhost";
  return `srv-epmd-probe-${Math.floor(random() * NAMES)}@${host}`;
}

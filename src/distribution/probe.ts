import { connect as connectTcp, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { IpPort } from "../config/network-values.js";
import type { ConnectWay } from "../connect/credentials.js";
import { familyOf } from "../net/ip.js";
import type { Cookie } from "./cookie.js";
import { NAMES, probeName } from "./core/probe-names.js";
import type { Joined, Probe, ProbeTimes, TlsSeen } from "./core/words.js";
import { converse, type Greeting, type HandshakeReply } from "./greeting.js";
import { join } from "./join.js";
import { ASKING_FLAGS, DIST_FLAG, type DistVersion, flagNames, releaseOf } from "./wire/handshake.js";

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
  /** Goes inside the mutual TLS of Consul Connect first, where the node speaks as without TLS. */
  readonly connect?: ConnectWay | undefined;
  /** Joins the node that was asked for, for a moment: it shows whether its cookie is this one, and how its VM is linked. */
  readonly cookie?: Cookie | undefined;
  /** In [0, 1). */
  readonly random: () => number;
  /** In [0, 1): chooses our name; random when not given. */
  readonly nextName?: () => number;
  /** What is done while the node waits for our answer to its challenge. Never rejects. */
  readonly meanwhile?: (() => Promise<unknown>) | undefined;
  /** Ends the probe, as the end of its time does. */
  readonly signal?: AbortSignal | undefined;
}

/** Names for many probes at once: each name comes again after all others. @param random in [0, 1) */
export function namesInTurn(random: () => number): () => number {
  let next = Math.floor(random() * NAMES);
  return () => (next++ % NAMES) / NAMES;
}

/** A node drops one of two connections with the same name; the probe then tries another name. */
const MAX_TRIES = 4;
/** Milliseconds. An old node reads TLS as the start of a long message and waits for its end, so TLS gets a part of the time. */
const TLS_LIMIT = 1500;
/** Milliseconds, or a part of the whole time if that is less: for leaving a node that does not answer any more. */
const SPARE = 300;
const SPARE_PART = 1 / 3;
/** Of our pids. */
const CREATION = 1;
/** Octets of another protocol that are shown. */
const FIRST_BYTES = 48;
/** A TLS record with an alert in it (RFC 8446 section 5.1): the answer to a record of unknown type. */
const isTlsAlert = (bytes: Buffer) => bytes[0] === 0x15 && bytes[1] === 0x03;

/** OpenSSL's code for an alert that the peer has sent. */
const isAlertCode = (code: string) => /^ERR_SSL_.*ALERT/.test(code);

/** What was said on a connection. */
type Talk = HandshakeReply & { readonly joined?: Joined };

/** The result of one connection. */
type Attempt =
  | (Talk & { readonly connectMs: number; readonly tls?: TlsSeen })
  | { readonly kind: "failed"; readonly code: string }
  /** It answered as TLS does, and did not complete a TLS connection. */
  | { readonly kind: "no-tls"; readonly code: string }
  | { readonly kind: "late"; readonly connectMs?: number; readonly tls?: TlsSeen };

/**
 * Finds out which node listens at an address, with the first step of the distribution handshake, and closes before any
 * authentication. The node logs nothing and its nodes() does not change; nodes(known) has our name for a minute. A node
 * with TLS logs a notice about the first try, which is plain. With a cookie see join(). Never rejects.
 */
export async function probeNode({ address, port }: IpPort, options: ProbeOptions): Promise<Probe> {
  const startedAt = performance.now();
  const { signal } = options;
  const spare = Math.min(SPARE, options.timeout * SPARE_PART);
  const left = () => (signal?.aborted ? 0 : options.timeout - (performance.now() - startedAt));
  const greet = (version: DistVersion) => ({
    version,
    flags: options.flags ?? ASKING_FLAGS,
    creation: CREATION,
    name: ownName(options),
    padding: options.padding,
  });
  const talk = async (socket: Socket, said: Greeting, timeout: number): Promise<Talk> => {
    const begunAt = performance.now();
    const reply = await converse(socket, said);
    if (reply.kind === "challenge") await options.meanwhile?.();
    // A VM, too, shows its digest only to a node of the name that it wants.
    if (!options.cookie || reply.kind !== "challenge" || !options.isAsked(reply.challenge.name)) return reply;
    const { cookie, random } = options;
    const joining = {
      cookie,
      random,
      timeout: timeout - (performance.now() - begunAt),
      leaveTimeout: Math.floor(spare / 2),
    };
    return { ...reply, joined: await join(socket, said, reply, joining) };
  };

  const plain = (version: DistVersion) =>
    withOtherNames(async (limit) => {
      const said = { ...greet(version), lengthOctets: 2 } as const;
      const { connect, serverName = "" } = options;
      if (connect) {
        const socket = await openConnect({ address, port }, connect, serverName);
        const inside = () => talk(socket, said, left() - spare);
        return attempt(socket, "secureConnect", inside, { limit, signal, seen: () => connectSeen(socket) });
      }
      const socket = connectTcp({ host: address, port, noDelay: true });
      return attempt(socket, "connect", () => talk(socket, said, left() - spare), { limit, signal });
    }, left);
  const tls = () =>
    withOtherNames(async (limit) => {
      const end = performance.now() + Math.min(limit, TLS_LIMIT);
      const socket = await openTls({ address, port }, options.serverName);
      // inet_tls_dist: over TLS the length before a message has four octets.
      const said = { ...greet(6), lengthOctets: 4 } as const;
      const rest = () => end - performance.now();
      const seen = () => tlsSeen(socket);
      return attempt(socket, "secureConnect", () => talk(socket, said, rest() - spare), {
        limit: rest(),
        signal,
        seen,
      });
    }, left);

  const result = options.connect ? await plain(6) : await tryProtocols(plain, tls, left, options.tlsFirst ?? false);
  const meant = (options.connect && connectFault(result)) ?? interpret(result, options.isAsked);
  return { ...meant, ...timesOf(result, performance.now() - startedAt) };
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
  let wasDropped = false;
  for (let tries = 1; ; tries++) {
    const result = await once(Math.max(1, left()));
    const isNameTaken =
      // `alive`: another of us is linked under that name.
      (result.kind === "refusal" && (result.status.status === "nok" || result.status.status === "alive")) ||
      (result.kind === "closed" && result.status !== undefined);
    // So does a node that drops one of two of us while they shake hands. One with another cookie refuses the second name too.
    const joined = result.kind === "challenge" ? result.joined : undefined;
    const isDropped = joined?.cookie === "refused" || (joined?.cookie === "same" && joined.why === "closed");
    if (isDropped && !wasDropped && left() > 0) {
      wasDropped = true;
      continue;
    }
    if (!isNameTaken || tries === MAX_TRIES || left() <= 0) return result;
  }
}

interface Bounds {
  /** Milliseconds. */
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
  readonly seen?: () => TlsSeen | undefined;
}

/** Makes one connection, talks, and closes it. Never rejects. */
function attempt(
  socket: Socket,
  ready: "connect" | "secureConnect",
  talk: () => Promise<Talk>,
  { limit, signal, seen }: Bounds,
): Promise<Attempt> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    let connectMs: number | undefined;
    let tls: TlsSeen | undefined;
    const settle = (result: Attempt) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", late);
      socket.destroy();
      resolve(result);
    };
    const late = () => settle({ kind: "late", ...(connectMs !== undefined && { connectMs }), ...(tls && { tls }) });
    const timer = setTimeout(late, limit);
    signal?.addEventListener("abort", late);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (connectMs === undefined) settle({ kind: "failed", code: error.code ?? error.message });
    });
    socket.on("close", () => {
      if (connectMs === undefined) settle({ kind: "failed", code: "ECONNRESET" });
    });
    socket.once(ready, () => {
      connectMs = performance.now() - startedAt;
      tls = seen?.();
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
        ...(attempt.joined && { joined: attempt.joined }),
      };
    }
    default:
      return attempt satisfies never;
  }
}

/** What keeps us out of the mutual TLS of Consul Connect; undefined: we were inside, or the place was not reached. */
function connectFault(attempt: Attempt): { readonly result: "connect"; readonly reason: string } | undefined {
  if (attempt.kind === "failed" && !/^E[A-Z]+$/.test(attempt.code)) return { result: "connect", reason: attempt.code };
  if (attempt.kind !== "closed" || attempt.status) return undefined;
  const reason =
    "the peer takes our certificate and closes before a byte of the node: an intention denies it, or no VM is there";
  return { result: "connect", reason };
}

function timesOf(attempt: Attempt, elapsedMs: number): ProbeTimes {
  const connectMs = "connectMs" in attempt ? attempt.connectMs : undefined;
  return { elapsedMs: tenths(elapsedMs), ...(connectMs !== undefined && { connectMs: tenths(connectMs) }) };
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

/** By the certificates of Consul: ours is shown, and only that of the service that was asked for is accepted. */
async function openConnect(
  place: IpPort,
  { credentials, expected }: ConnectWay,
  serverName: string,
): Promise<TLSSocket> {
  const [{ connect }, { connectOptions }] = await Promise.all([import("node:tls"), import("../connect/outbound.js")]);
  return connect({ host: place.address, port: place.port, ...connectOptions(credentials, expected, serverName) });
}

/** Any certificate is accepted: the probe asks who listens, and tells the peer no secret. */
async function openTls({ address, port }: IpPort, serverName: string | undefined): Promise<TLSSocket> {
  const { connect } = await import("node:tls");
  const named = serverName === undefined || familyOf(serverName) !== undefined ? {} : { servername: serverName };
  return connect({ host: address, port, rejectUnauthorized: false, ...named });
}

function connectSeen(socket: TLSSocket): TlsSeen {
  const { protocol, names } = tlsSeen(socket);
  return { protocol, names: names.filter((name) => name.startsWith("spiffe:")), isConnect: true };
}

function tlsSeen(socket: TLSSocket): TlsSeen {
  const { subject, subjectaltname } = socket.getPeerCertificate();
  // `DNS:node.example, IP Address:10.0.0.1`
  const alternatives = (subjectaltname ?? "").split(", ").map((name) => name.replace(/^[A-Za-z ]+:/, ""));
  const names = [subject?.CN, ...alternatives].flat().filter((name) => name !== undefined && name !== "");
  return { protocol: socket.getProtocol() ?? "TLS", names: Array.from(new Set(names as string[])) };
}

/** The number is random: two probes at once rarely have the same name. */
function ownName({ from, random, nextName = random }: ProbeOptions): string {
  return probeName(Math.floor(nextName() * NAMES), from);
}

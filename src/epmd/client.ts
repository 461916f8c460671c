import { connect } from "node:net";
import { encodeRequest } from "../core/epmd/codec.js";
import {
  decodeNamesResponse,
  decodePort2Reason,
  decodePort2Response,
  type NamesAnswer,
  type Port2Answer,
} from "../core/epmd/responses.js";
import { describeError, EpmdError } from "../core/errors.js";
import type { IpPort } from "../core/network-values.js";
import { formatPeer } from "./peer.js";

/** No EPMD answer is longer: 4096 names of 1020 bytes. */
const MAX_ANSWER = 5 * 1024 * 1024;

export interface AskOptions {
  /** Milliseconds for the whole exchange. */
  readonly timeout: number;
  /** Tells a srv-epmd at the other end not to ask further EPMDs. */
  readonly forwarded?: boolean;
}

/** Asks an EPMD for a node; undefined when it has none of that name. @throws EpmdError */
export async function portPlease(epmd: IpPort, name: string, options: AskOptions): Promise<Port2Answer | undefined> {
  return (await portPleaseWhy(epmd, name, options)).node;
}

export interface WhyAnswer {
  readonly node: Port2Answer | undefined;
  /** Why there is none: a srv-epmd tells a local peer that asked with a full name. */
  readonly reason: string | undefined;
}

/** The same with the reason, where the EPMD gives one. @throws EpmdError */
export async function portPleaseWhy(epmd: IpPort, name: string, options: AskOptions): Promise<WhyAnswer> {
  const request = encodeRequest({ type: "PORT_PLEASE2_REQ", name, forwarded: options.forwarded ?? false });
  const bytes = await exchange(epmd, request, options.timeout);
  return { node: decodeAnswer(epmd, decodePort2Response, bytes), reason: decodePort2Reason(bytes) };
}

export interface AskNamesOptions extends Pick<AskOptions, "timeout"> {
  /** `node_*@svc`: a srv-epmd answers a local peer with full names; every other EPMD ignores it and gives its own names. */
  readonly pattern?: string;
}

/** Asks an EPMD for its names. @throws EpmdError */
export async function names(epmd: IpPort, { timeout, pattern }: AskNamesOptions): Promise<NamesAnswer> {
  const request = encodeRequest({ type: "NAMES_REQ", ...(pattern !== undefined && { pattern }) });
  return decodeAnswer(epmd, decodeNamesResponse, await exchange(epmd, request, timeout));
}

/**
 * Whether this is a srv-epmd that takes us for a local peer: only such an EPMD says why it did not find a full name
 * (any other ends its answer behind the two bytes 119 and 1). It tells an empty list for a pattern from the empty list
 * of an EPMD that ignores patterns. @throws EpmdError
 */
export async function knowsFullNames(epmd: IpPort, { timeout }: Pick<AskOptions, "timeout">): Promise<boolean> {
  const request = encodeRequest({ type: "PORT_PLEASE2_REQ", name: "nobody@localhost", forwarded: true });
  return (await exchange(epmd, request, timeout)).length > 2;
}

/** Asks an EPMD to end; false when it will not. @throws EpmdError */
export async function kill(epmd: IpPort, { timeout }: Pick<AskOptions, "timeout">): Promise<boolean> {
  return (await exchange(epmd, encodeRequest({ type: "KILL_REQ" }), timeout)).toString("latin1") === "OK";
}

function decodeAnswer<T>(epmd: IpPort, decode: (bytes: Buffer) => T, bytes: Buffer): T {
  if (bytes.length === 0) {
    const message = `${formatPeer(epmd)} closed the connection without an answer: it may not serve this machine, or be no EPMD`;
    throw new EpmdError("EPMD_ANSWER", message);
  }
  try {
    return decode(bytes);
  } catch (error) {
    throw new EpmdError("EPMD_ANSWER", `what listens on ${formatPeer(epmd)} is no EPMD`, { cause: error });
  }
}

/** Responses carry no length: all that comes until the server closes. */
function exchange(epmd: IpPort, request: Buffer, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: epmd.address, port: epmd.port, noDelay: true });
    const chunks: Buffer[] = [];
    let length = 0;
    const fail = (error: EpmdError) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new EpmdError("EPMD_TIMEOUT", `no answer from ${formatPeer(epmd)} within ${timeout} ms`)),
      timeout,
    );
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_ANSWER) fail(new EpmdError("EPMD_ANSWER", `what listens on ${formatPeer(epmd)} is no EPMD`));
    });
    socket.on("end", () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    });
    socket.on("error", (error) =>
      fail(
        new EpmdError("EPMD_UNREACHABLE", `cannot ask the EPMD at ${formatPeer(epmd)}: ${describeError(error)}`, {
          cause: error,
        }),
      ),
    );
  });
}

import { connect } from "node:net";
import type { IpPort } from "../config/network-values.js";
import { describeError, EpmdError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { encodeRequest } from "./wire/codec.js";
import {
  decodeNamesResponse,
  decodePort2Reason,
  decodePort2Response,
  type NamesAnswer,
  type Port2Answer,
} from "./wire/responses.js";

/** The longest answers of an EPMD, bytes. A server that sends more is no EPMD, and must not fill our memory. */
const LONGEST = {
  /** PORT2_RESP: tag, result, the fixed fields, a name of 255 characters of 4 bytes, and Extra, whose length has 16 bits. */
  port: 2 + 8 + (2 + 1020) + (2 + 0xffff),
  /** Four bytes and 4096 lines. */
  names: 4 + 4096 * ("name  at port 65535\n".length + 1020),
  /** `OK` or `NO`. */
  kill: 2,
} as const;

export interface AskOptions {
  /** Milliseconds for the whole exchange. */
  readonly timeout: number;
  /** Tells a srv-epmd at the other end not to ask further EPMDs. */
  readonly forwarded?: boolean;
}

/** Asks an EPMD for a node; undefined when it has no such node. @throws EpmdError */
export async function portPlease(epmd: IpPort, name: string, options: AskOptions): Promise<Port2Answer | undefined> {
  return (await portPleaseWhy(epmd, name, options)).node;
}

export interface WhyAnswer {
  readonly node: Port2Answer | undefined;
  /** Why the node was not found: only a srv-epmd says so, to a local peer that asked with a full name. */
  readonly reason: string | undefined;
}

/** As portPlease, with the reason where the EPMD gives one. @throws EpmdError */
export async function portPleaseWhy(epmd: IpPort, name: string, options: AskOptions): Promise<WhyAnswer> {
  const request = encodeRequest({ type: "PORT_PLEASE2_REQ", name, forwarded: options.forwarded ?? false });
  const bytes = await exchange(epmd, request, options.timeout, LONGEST.port);
  return { node: decodeAnswer(epmd, decodePort2Response, bytes), reason: decodePort2Reason(bytes) };
}

export interface AskNamesOptions extends Pick<AskOptions, "timeout"> {
  /** `node_*@svc`: a srv-epmd answers a local peer with full names. Other EPMDs ignore it and list their own names. */
  readonly pattern?: string;
}

/** Asks an EPMD for its names. @throws EpmdError */
export async function names(epmd: IpPort, { timeout, pattern }: AskNamesOptions): Promise<NamesAnswer> {
  const request = encodeRequest({ type: "NAMES_REQ", ...(pattern !== undefined && { pattern }) });
  return decodeAnswer(epmd, decodeNamesResponse, await exchange(epmd, request, timeout, LONGEST.names));
}

/**
 * Whether this is a srv-epmd that takes us for a local peer: only such an EPMD says why it did not find a full name
 * (any other ends its answer behind the two bytes 119 and 1). It tells an empty list for a pattern from the empty list
 * of an EPMD that ignores patterns. @throws EpmdError
 */
export async function knowsFullNames(epmd: IpPort, { timeout }: Pick<AskOptions, "timeout">): Promise<boolean> {
  const request = encodeRequest({ type: "PORT_PLEASE2_REQ", name: "nobody@localhost", forwarded: true });
  return decodeAnswer(epmd, (bytes) => bytes.length > 2, await exchange(epmd, request, timeout, LONGEST.port));
}

/** Asks an EPMD to end; false when it will not. @throws EpmdError */
export async function kill(epmd: IpPort, { timeout }: Pick<AskOptions, "timeout">): Promise<boolean> {
  const answer = await exchange(epmd, encodeRequest({ type: "KILL_REQ" }), timeout, LONGEST.kill);
  return answer.toString("latin1") === "OK";
}

function decodeAnswer<T>(epmd: IpPort, decode: (bytes: Buffer) => T, bytes: Buffer): T {
  if (bytes.length === 0) {
    const message = `${hostPort(epmd)} closed the connection without an answer: it may not serve this machine, or be no EPMD`;
    throw new EpmdError("EPMD_ANSWER", message);
  }
  try {
    return decode(bytes);
  } catch (error) {
    throw new EpmdError("EPMD_ANSWER", `what listens on ${hostPort(epmd)} is no EPMD`, { cause: error });
  }
}

/** Responses have no length field: reads until the server closes. @param longest length of the answer, bytes */
function exchange(epmd: IpPort, request: Buffer, timeout: number, longest: number): Promise<Buffer> {
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
      () => fail(new EpmdError("EPMD_TIMEOUT", `no answer from ${hostPort(epmd)} within ${timeout} ms`)),
      timeout,
    );
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= longest) return;
      const message = `what listens on ${hostPort(epmd)} is no EPMD: it answers with more than ${longest} bytes`;
      fail(new EpmdError("EPMD_ANSWER", message));
    });
    socket.on("end", () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    });
    socket.on("error", (error) =>
      fail(
        new EpmdError("EPMD_UNREACHABLE", `cannot ask the EPMD at ${hostPort(epmd)}: ${describeError(error)}`, {
          cause: error,
        }),
      ),
    );
  });
}

import type { IpPort } from "../config/network-values.js";
import { describeError } from "../errors.js";
import { hostPort } from "../net/ip.js";

/** Bounds of one request. */
interface AskOptions {
  /** Milliseconds, from the connection to the last byte. */
  readonly timeout: number;
  /** Bytes of the body: the port may belong to another program that sends more. */
  readonly limit: number;
}

/** What a program answered to GET, as JSON. */
export type HttpAnswer =
  | { readonly outcome: "answered"; readonly status: number /** Undefined: no JSON. */; readonly json: unknown }
  /** Nothing listens there, or what listens did not answer within the bounds. */
  | { readonly outcome: "none"; readonly isRefused: boolean; readonly why: string };

/** Asks the HTTP side of a daemon. Never rejects. @param path with its query */
export async function askHttp(at: IpPort, path: string, { timeout, limit }: AskOptions): Promise<HttpAnswer> {
  const { get } = await import("node:http");
  const where = hostPort(at);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (answer: HttpAnswer) => {
      clearTimeout(timer);
      request.destroy();
      resolve(answer);
    };
    const none = (why: string, isRefused = false) => settle({ outcome: "none", isRefused, why });
    const timer = setTimeout(() => none(`${where} did not answer within ${timeout} ms`), timeout);
    // A connection of its own: one that is kept would keep the process alive.
    const request = get({ host: at.address, port: at.port, path, agent: false }, (response) => {
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > limit) none(`${where} answered with more than ${limit} bytes`);
      });
      response.on("end", () => {
        settle({ outcome: "answered", status: response.statusCode ?? 0, json: parse(Buffer.concat(chunks)) });
      });
      response.on("error", (error) => none(`${where} ended its answer: ${describeError(error)}`));
    });
    // Stays: an error after the end would be thrown without a listener.
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") none(`nothing listens on ${where}`, true);
      else none(`${where} gave no answer: ${describeError(error)}`);
    });
  });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

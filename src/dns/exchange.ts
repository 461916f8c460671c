import { isAnswerTo } from "../core/dns/answer.js";
import { decodeMessage, encodeQuery, type Message } from "../core/dns/message.js";
import type { QueryType } from "../core/dns/record.js";
import { ProtocolError } from "../core/errors.js";
import { exchangeBytes, type Failed, type NameServer, randomId } from "./exchange-bytes.js";

export type { NameServer } from "./exchange-bytes.js";

export interface ExchangeRequest {
  readonly server: NameServer;
  readonly transport: "udp" | "tcp";
  readonly qname: string;
  readonly qtype: QueryType;
  readonly edns: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

export type ExchangeResult =
  | {
      readonly kind: "message";
      readonly message: Message;
      /** Octets. */
      readonly size: number;
    }
  | Failed;

/** One query to one server. Never rejects. @throws ProtocolError for a name that DNS cannot carry */
export async function exchange(request: ExchangeRequest): Promise<ExchangeResult> {
  const { qname, qtype, edns } = request;
  const id = await randomId();
  const query = encodeQuery({ id, qname, qtype, edns });
  const result = await exchangeBytes(request, query, (bytes) => {
    const message = decode(bytes);
    return message && isAnswerTo(message, { id, qname, qtype }) ? { message, size: bytes.length } : undefined;
  });
  return result.kind === "failed" ? result : { kind: "message", ...result.answer };
}

function decode(bytes: Buffer): Message | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

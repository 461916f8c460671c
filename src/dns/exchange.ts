import { isAnswerTo, whyNoAnswer } from "../core/dns/answer.js";
import { decodeMessage, encodeQuery, type Message } from "../core/dns/message.js";
import type { QueryType } from "../core/dns/record.js";
import { ProtocolError } from "../core/errors.js";
import { exchangeBytes, type Failed, type NameServer, randomId, type Transport } from "./exchange-bytes.js";

export type { Failed, NameServer, Transport } from "./exchange-bytes.js";

export interface ExchangeRequest {
  readonly server: NameServer;
  readonly transport: Transport;
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

/** What `exchangeBytes` says of bytes over TCP that are no answer. */
const MALFORMED = "malformed answer";

/** One query to one server. Never rejects. @throws ProtocolError for a name that DNS cannot carry */
export async function exchange(request: ExchangeRequest): Promise<ExchangeResult> {
  const { qname, qtype, edns } = request;
  const id = await randomId();
  const query = encodeQuery({ id, qname, qtype, edns });
  const asked = { id, qname, qtype };
  let why: ReturnType<typeof whyNoAnswer>;
  const result = await exchangeBytes(request, query, (bytes) => {
    // Who does not know the id is not the server, and what he sends is not worth the time to read it.
    if (bytes.length < 2 || bytes.readUInt16BE(0) !== id) return undefined;
    const message = decode(bytes);
    if (message && isAnswerTo(message, asked)) return { message, size: bytes.length };
    // This is what the server, or something before it, has to say.
    why = message ? (whyNoAnswer(message, asked) ?? why) : { reason: MALFORMED };
    return undefined;
  });
  if (result.kind === "answered") return { kind: "message", ...result.answer };
  const isNoAnswer = result.reason === "timeout" || result.reason === MALFORMED;
  return isNoAnswer && why ? { kind: "failed", ...why } : result;
}

function decode(bytes: Buffer): Message | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

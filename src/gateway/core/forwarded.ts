import { Buffer } from "node:buffer";
import type { IpPort } from "../../config/network-values.js";
import { HEADER_LENGTH, layoutOf, questionLayoutOf, TYPE } from "../../dns/wire/layout.js";
import { FLAG } from "../../dns/wire/message.js";
import { isResponse } from "../../dns/wire/reply.js";
import { ProtocolError } from "../../errors.js";
import { familyOf, isWildcard } from "../../net/ip.js";

/** FORMERR, SERVFAIL, NOTIMP, REFUSED: a server may send these without the question, which it could not read. */
const WITHOUT_QUESTION = [1, 2, 4, 5];
/** SERVFAIL and REFUSED: another server may do better. */
const TRY_ANOTHER = [2, 5];
const OPCODE_AND_RCODE = 0x780f;
/** The bit in which an upper-case letter differs from the lower-case one. */
const CASE = 0x20;

/** A copy of the message with another id. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** Whether a message is the response to a query: its id, opcode and question are compared, its records are not. */
export function answersQuery(response: Buffer, query: Buffer): boolean {
  if (response.length < HEADER_LENGTH || !isResponse(response)) return false;
  if (response.readUInt16BE(0) !== query.readUInt16BE(0) || opcodeOf(response) !== opcodeOf(query)) return false;
  if (response.readUInt16BE(4) === 0 && WITHOUT_QUESTION.includes(rcodeOf(response))) return true;
  try {
    return sameQuestions(response, query);
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

/** SERVFAIL or REFUSED, or the response of a lame server: another server may have the answer. */
export function isRefusal(response: Buffer): boolean {
  return TRY_ANOTHER.includes(rcodeOf(response)) || isLame(response);
}

/** The query asked for recursion; the response is NOERROR without answers, AA, RA and SOA (RFC 2308 section 2.2). */
function isLame(response: Buffer): boolean {
  const flags = response.readUInt16BE(2);
  const isEmpty = (flags & OPCODE_AND_RCODE) === 0 && response.readUInt16BE(6) === 0;
  if (!isEmpty || (flags & (FLAG.aa | FLAG.ra | FLAG.tc)) !== 0 || (flags & FLAG.rd) === 0) return false;
  try {
    const authorities = layoutOf(response).records.slice(0, response.readUInt16BE(8));
    return !authorities.some(({ type }) => type === TYPE.SOA);
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

function opcodeOf(message: Buffer): number {
  return message.readUInt8(2) & 0x78;
}

function rcodeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0xf;
}

function sameQuestions(response: Buffer, query: Buffer): boolean {
  const mine = questionLayoutOf(query);
  const theirs = questionLayoutOf(response);
  if (mine.questionEnd !== theirs.questionEnd || mine.questions.length !== theirs.questions.length) return false;
  const inName = (offset: number) =>
    mine.questions.some(({ nameOffset, typeOffset }) => offset >= nameOffset && offset < typeOffset);
  for (let offset = HEADER_LENGTH; offset < mine.questionEnd; offset++) {
    const [a = 0, b = 0] = [query[offset], response[offset]];
    // RFC 4343: names are compared without case, and some servers change it. The client decides whether it accepts that.
    if (a !== b && !(inName(offset) && isLetter(a) && (a ^ b) === CASE)) return false;
  }
  return true;
}

function isLetter(octet: number): boolean {
  const lower = octet | CASE;
  return lower >= 0x61 && lower <= 0x7a;
}

/**
 * Whether a name server is the one that listens here: a query to it would be a query to ourselves.
 * @param isOwnAddress whether a canonical address is one of this machine's, loopbacks included
 */
export function isOwnServer(listening: IpPort, server: IpPort, isOwnAddress: (address: string) => boolean): boolean {
  if (server.port !== listening.port) return false;
  if (server.address === listening.address) return true;
  // `::` accepts IPv4 too; 0.0.0.0 does not accept IPv6.
  const covers = listening.address === "::" || (listening.address === "0.0.0.0" && familyOf(server.address) === 4);
  // A connection to a wildcard address goes to the loopback address.
  return covers && (isWildcard(server.address) || isOwnAddress(server.address));
}

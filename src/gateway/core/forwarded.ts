import { Buffer } from "node:buffer";
import type { IpPort } from "../../config/network-values.js";
import { HEADER_LENGTH, layoutOf, questionLayoutOf, TYPE } from "../../dns/wire/layout.js";
import { FLAG } from "../../dns/wire/message.js";
import { isResponse } from "../../dns/wire/reply.js";
import { ProtocolError } from "../../errors.js";
import { familyOf, isWildcard } from "../../net/ip.js";

/** FORMERR, SERVFAIL, NOTIMP, REFUSED: codes that a server may give without repeating a question it could not read. */
const WITHOUT_QUESTION = [1, 2, 4, 5];
/** SERVFAIL and REFUSED: another server may do better. */
const TRY_ANOTHER = [2, 5];
const OPCODE_AND_RCODE = 0x780f;
/** Letters' upper case differs from the lower in this bit. */
const CASE = 0x20;

/** The message with another id, all else as it was. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** Whether a message is the response to a query: its id, kind and question are. What stands behind is not looked at. */
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

/** A server that says only that it cannot or will not answer, or shows it: a lame one has nothing and asks nobody. */
export function isRefusal(response: Buffer): boolean {
  return TRY_ANOTHER.includes(rcodeOf(response)) || isLame(response);
}

/** To a query that asked for recursion: NOERROR, no answer, neither AA nor RA, and no SOA to deny it (RFC 2308 section 2.2). */
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
    // RFC 4343: names know no case, and there are servers that do not keep it. The asker decides whether it minds.
    if (a !== b && !(inName(offset) && isLetter(a) && (a ^ b) === CASE)) return false;
  }
  return true;
}

function isLetter(octet: number): boolean {
  const lower = octet | CASE;
  return lower >= 0x61 && lower <= 0x7a;
}

/**
 * Whether a name server is the one that listens here: asking it would be asking ourselves.
 * @param isOwnAddress of a canonical address: whether it is one of this machine's, loopbacks included
 */
export function isOwnServer(listening: IpPort, server: IpPort, isOwnAddress: (address: string) => boolean): boolean {
  if (server.port !== listening.port) return false;
  if (server.address === listening.address) return true;
  // `::` takes IPv4 too; 0.0.0.0 does not take IPv6.
  const covers = listening.address === "::" || (listening.address === "0.0.0.0" && familyOf(server.address) === 4);
  // Connecting to a wildcard is connecting to the loopback.
  return covers && (isWildcard(server.address) || isOwnAddress(server.address));
}

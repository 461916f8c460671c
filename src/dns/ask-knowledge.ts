import { knowledgeOf, type ServerState } from "./core/knowledge.js";
import { exchange, type NameServer } from "./exchange.js";

/** For one try; a datagram may get lost, so there are two. Milliseconds. */
const TRY_TIMEOUT = 1_500;
const TRIES = 2;

/** Asks a name server what it knows of a domain. Never rejects; takes at most 3 s. @param signal ends it, as `dead` */
export async function askKnowledge(
  server: NameServer,
  qname: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<ServerState> {
  let said = "";
  for (let tries = 0; tries < TRIES; tries++) {
    const how = { transport: "udp", edns: true, timeout: TRY_TIMEOUT, signal } as const;
    const result = await exchange({ server, qname, qtype: "A", ...how });
    if (result.kind === "message") return knowledgeOf(qname, result.message);
    said = result.reason;
    if (said !== "timeout") break;
  }
  return { kind: "dead", said };
}

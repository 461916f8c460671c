import type { IpPort } from "../../config/network-values.js";
import { isUnder } from "../../names/domains.js";
import { hostPort } from "../../net/ip.js";
import type { Message } from "../wire/message.js";

/** What a name server knows of a domain, from its answer to a query for the domain itself. */
export type Knowledge =
  /** It answers for the domain, or knows who does. */
  | { readonly kind: "knows"; readonly said: string }
  /** It says that the domain does not exist, with the SOA of another zone: it belongs to another part of DNS. */
  | { readonly kind: "foreign"; readonly said: string }
  /** It says that the domain does not exist, without an SOA: some caches leave it out, Consul does not. */
  | { readonly kind: "vague"; readonly said: string }
  /** REFUSED, SERVFAIL or another error. */
  | { readonly kind: "refuses"; readonly said: string };

/** The same of a server that was asked; `dead`: it did not answer. */
export type ServerState = Knowledge | { readonly kind: "dead"; readonly said: string };

/**
 * RFC 2308 section 2: NXDOMAIN and NODATA come with the SOA of the zone. That of Consul is `consul`. In the DNS of the
 * Internet `consul` does not exist, so the SOA is that of the root.
 */
export function knowledgeOf(
  domain: string,
  { rcode, authorities, answers }: Pick<Message, "rcode" | "authorities" | "answers">,
): Knowledge {
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: "refuses", said: rcode };
  if (answers.length > 0) return { kind: "knows", said: rcode };
  const soa = authorities.find(({ type }) => type === "SOA");
  if (!soa) return { kind: rcode === "NXDOMAIN" ? "vague" : "knows", said: rcode };
  const isAbove = soa.owner !== "" && isUnder(domain, soa.owner);
  const zone = soa.owner === "" ? "the root of DNS" : `the zone ${soa.owner}`;
  return { kind: isAbove ? "knows" : "foreign", said: `${rcode} from ${zone}` };
}

/** Whether a look-up under the domain may be left to the server. */
export function mayKnow({ kind }: ServerState): boolean {
  return kind === "knows" || kind === "vague";
}

/** Of servers in the order in which they are asked: the first whose answer ends a query. REFUSED and SERVFAIL do not. */
export function decidingServer(states: readonly ServerState[]): ServerState | undefined {
  return states.find(({ kind }) => kind !== "dead" && kind !== "refuses");
}

/**
 * `10.0.0.2:53 (resolv.conf) does not answer (timeout)`
 * @param named whether `--dns` names the server; undefined: resolv.conf does
 */
export function serverWords(server: IpPort, named: string | undefined, state: ServerState): string {
  return `${hostPort(server)}${named === undefined ? " (resolv.conf)" : ""} ${stateWords(state)}`;
}

/** In words, behind the server's address. */
export function stateWords(state: ServerState): string {
  switch (state.kind) {
    case "knows":
      return "answers";
    case "vague":
      return `answers ${state.said} without naming the zone: it may not know the domain`;
    case "foreign":
      return `does not know it (${state.said})`;
    case "refuses":
      return `refuses (${state.said})`;
    case "dead":
      return `does not answer (${state.said})`;
    default:
      return state satisfies never;
  }
}

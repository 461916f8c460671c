import type { Message } from "../../dns/wire/message.js";

/** What a name server makes of a domain, from its answer to a question for the domain itself. */
export type Knowledge =
  /** It answers for the domain, or knows who does. */
  | { readonly kind: "knows"; readonly said: string }
  /** It says that there is no such domain, in the name of a zone above it: another part of DNS. */
  | { readonly kind: "foreign"; readonly said: string }
  /** It says that there is none, and not whose word that is: a cache may leave that out, Consul does not. */
  | { readonly kind: "vague"; readonly said: string }
  /** REFUSED, SERVFAIL and their like. */
  | { readonly kind: "refuses"; readonly said: string };

/**
 * RFC 2308 section 2: with an absence comes the SOA of the zone that says so. Consul's is `consul`; that of the Internet,
 * to which `consul` is no top-level domain, is the root.
 */
export function knowledgeOf(domain: string, { rcode, authorities, answers }: Message): Knowledge {
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return { kind: "refuses", said: rcode };
  if (answers.length > 0) return { kind: "knows", said: rcode };
  const soa = authorities.find(({ type }) => type === "SOA");
  if (!soa) return { kind: rcode === "NXDOMAIN" ? "vague" : "knows", said: rcode };
  const isAbove = soa.owner !== "" && (domain === soa.owner || domain.endsWith(`.${soa.owner}`));
  const zone = soa.owner === "" ? "the root of DNS" : `the zone ${soa.owner}`;
  return { kind: isAbove ? "knows" : "foreign", said: `${rcode} from ${zone}` };
}

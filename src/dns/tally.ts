import { hostPort } from "../net/ip.js";
import type { DnsFailureCode } from "./core/result.js";
import type { Failed, NameServer } from "./exchange.js";

/** System codes that say at once that no server is there. */
const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
  "EINVAL",
]);
/** A server that says one of these will not answer later either. */
const WILL_NOT = new Set(["REFUSED", "NOTIMP", "FORMERR", "BADVERS", "lame"]);
/** Reasons of `exchange` for messages that do not answer the query. */
const NO_ANSWERS = new Set(["another name", "another question", "no question", "malformed answer"]);

/** For people. */
const WORDS: Readonly<Record<string, string>> = {
  timeout: "timed out",
  ECONNREFUSED: "refused the connection (ECONNREFUSED)",
  lame: "has no data for this name and does not ask other servers (lame)",
  "another name": "gave an answer for another name",
  "another question": "gave an answer to another question",
  "no question": "gave an answer without its question",
  "malformed answer": "gave a malformed answer",
};

interface Failure {
  readonly count: number;
  /** Of the last time. */
  readonly detail: string | undefined;
}

/** The failures of one query, by server: for the reason, and to decide when to give up. */
export class Tally {
  readonly #qname: string;
  /** Server, then reason, then how often. */
  readonly #failures = new Map<string, Map<string, Failure>>();
  #pending: NameServer | undefined;

  constructor(qname: string) {
    this.#qname = qname;
  }

  asking(server: NameServer): void {
    this.#pending = server;
  }

  answered(): void {
    this.#pending = undefined;
  }

  failed(server: NameServer, { reason, detail }: Pick<Failed, "reason" | "detail">): void {
    this.#pending = undefined;
    const name = hostPort(server.address, server.port);
    const reasons = this.#failures.get(name) ?? new Map<string, Failure>();
    reasons.set(reason, { count: (reasons.get(reason)?.count ?? 0) + 1, detail });
    this.#failures.set(name, reasons);
  }

  /** The server was asked, and no message came. */
  wasSilent({ address, port }: NameServer): boolean {
    const reasons = Array.from(this.#failures.get(hostPort(address, port))?.keys() ?? []);
    return reasons.some((reason) => reason === "timeout" || UNREACHABLE.has(reason));
  }

  /** Every failure so far was a refusal: another try will hardly help. */
  get allRefused(): boolean {
    return this.#reasons().every(
      (reason) => UNREACHABLE.has(reason) || WILL_NOT.has(reason) || reason === "another name",
    );
  }

  get code(): DnsFailureCode {
    const reasons = this.#reasons();
    // Such a try often ends with a timeout too; the message says more.
    if (reasons.some((reason) => NO_ANSWERS.has(reason))) return "DNS_BAD_ANSWER";
    if (reasons.length === 0 || reasons.includes("timeout")) return "DNS_TIMEOUT";
    if (reasons.includes("SERVFAIL")) return "DNS_SERVFAIL";
    return reasons.some((reason) => WILL_NOT.has(reason)) ? "DNS_REFUSED" : "DNS_UNREACHABLE";
  }

  /** `no name server could answer for node_b.svc.service.consul: 127.0.0.1:8600 timed out after 3 tries` */
  get cause(): string {
    const servers = Array.from(this.#failures, ([server, reasons]) => {
      const said = Array.from(reasons, ([reason, { count, detail }]) => `${inWords(reason, detail)} ${tries(count)}`);
      return `${server} ${said.join(" and ")}`;
    });
    if (this.#pending) servers.push(`${hostPort(this.#pending.address, this.#pending.port)} has yet to answer`);
    return `no name server could answer for ${this.#qname}: ${servers.join("; ") || "there was no time to ask"}`;
  }

  #reasons(): string[] {
    return Array.from(this.#failures.values()).flatMap((reasons) => Array.from(reasons.keys()));
  }
}

function inWords(reason: string, detail: string | undefined): string {
  const words = WORDS[reason];
  if (words !== undefined) return detail === undefined ? words : `${words} (${detail})`;
  if (/^[A-Z]+[0-9]*$/.test(reason) && !UNREACHABLE.has(reason) && !reason.startsWith("E")) return `said ${reason}`;
  return `failed (${reason})`;
}

function tries(count: number): string {
  return count === 1 ? "after 1 try" : `after ${count} tries`;
}

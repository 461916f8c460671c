import { hostPort } from "../core/ip.js";
import type { NameServer } from "./exchange.js";
import type { UnavailableCode } from "./result.js";

/** System codes that say that nobody is there, at once and without doubt. */
const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
  "EINVAL",
]);
/** Response codes by which a server says that it will not answer, now or later. */
const WILL_NOT = new Set(["REFUSED", "NOTIMP", "FORMERR", "BADVERS"]);

/** What went wrong while one question was asked: for the operator, and to know when to give up. */
export class Tally {
  readonly #qname: string;
  /** Server, then reason, then how often. */
  readonly #failures = new Map<string, Map<string, number>>();
  #pending: NameServer | undefined;
  #lastReason: string | undefined;

  constructor(qname: string) {
    this.#qname = qname;
  }

  asking(server: NameServer): void {
    this.#pending = server;
  }

  answered(): void {
    this.#pending = undefined;
  }

  failed(server: NameServer, reason: string): void {
    this.#pending = undefined;
    this.#lastReason = reason;
    const name = hostPort(server.address, server.port);
    const reasons = this.#failures.get(name) ?? new Map<string, number>();
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    this.#failures.set(name, reasons);
  }

  get lastReason(): string | undefined {
    return this.#lastReason;
  }

  /** Every failure so far was a plain no: asking again will hardly help. */
  get allRefused(): boolean {
    return this.#reasons().every((reason) => UNREACHABLE.has(reason) || WILL_NOT.has(reason));
  }

  get code(): UnavailableCode {
    const reasons = this.#reasons();
    if (reasons.length === 0 || reasons.includes("timeout")) return "DNS_TIMEOUT";
    if (reasons.includes("SERVFAIL")) return "DNS_SERVFAIL";
    return reasons.some((reason) => WILL_NOT.has(reason)) ? "DNS_REFUSED" : "DNS_UNREACHABLE";
  }

  /** `no name server could answer for node_b.svc.service.consul: 127.0.0.1:8600 timed out after 3 tries` */
  get cause(): string {
    const servers = Array.from(this.#failures, ([server, reasons]) => {
      const said = Array.from(reasons, ([reason, count]) => `${inWords(reason)} ${tries(count)}`);
      return `${server} ${said.join(" and ")}`;
    });
    if (this.#pending) servers.push(`${hostPort(this.#pending.address, this.#pending.port)} has yet to answer`);
    return `no name server could answer for ${this.#qname}: ${servers.join("; ") || "there was no time to ask"}`;
  }

  #reasons(): string[] {
    return Array.from(this.#failures.values()).flatMap((reasons) => Array.from(reasons.keys()));
  }
}

function inWords(reason: string): string {
  if (reason === "timeout") return "timed out";
  if (reason === "ECONNREFUSED") return "refused the connection (ECONNREFUSED)";
  if (/^[A-Z]+[0-9]*$/.test(reason) && !UNREACHABLE.has(reason) && !reason.startsWith("E")) return `said ${reason}`;
  return `failed (${reason})`;
}

function tries(count: number): string {
  return count === 1 ? "after 1 try" : `after ${count} tries`;
}

import { readFileSync } from "node:fs";
import { hostLimit } from "../core/gateway/addresses.js";
import { exchangeLimit } from "../dns/exchange-slots.js";

/** Descriptors that the daemon needs beside its connections and its DNS queries: listening sockets, a DNS zone, Consul, logs. */
const RESERVED = 128;

/**
 * At most as many connections as there are file descriptors for: one that gets none is closed by the system before
 * anybody knows whose it is, and then strangers could keep the nodes here from registering.
 */
export function connectionLimit(wanted: number, openFiles: number | undefined, gateway = false): number {
  if (openFiles === undefined) return wanted;
  const needed = RESERVED + exchangeLimit(openFiles) + (gateway ? gatewayFiles(openFiles) : 0);
  return Math.max(2, Math.min(wanted, openFiles - Math.min(needed, Math.ceil(openFiles / 2))));
}

/** A listener for each host, the questions that it passes on, and the connections of those who ask. */
function gatewayFiles(openFiles: number): number {
  return hostLimit(openFiles) + exchangeLimit(openFiles) + RESERVED / 2;
}

/** The soft limit, which Node raises to the hard one at its start. Undefined: none, or not a Linux. */
export function openFileLimit(): number | undefined {
  try {
    const limit = /^Max open files +([0-9]+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

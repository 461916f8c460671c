import { readFileSync } from "node:fs";

/** TCP states as /proc/net/tcp has them (include/net/tcp_states.h). */
const STATES: Readonly<Record<string, string>> = {
  "01": "ESTABLISHED",
  "02": "SYN-SENT",
  "03": "SYN-RECEIVED",
  "04": "FIN-WAIT-1",
  "05": "FIN-WAIT-2",
  "06": "TIME-WAIT",
  "07": "CLOSE",
  "08": "CLOSE-WAIT",
  "09": "LAST-ACK",
  "0A": "LISTEN",
  "0B": "CLOSING",
};

/** States of this machine's IPv4 connections to a port, each connection once: while the table changes it may be listed twice. */
export function statesTo(port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const connections = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[2]?.endsWith(suffix))
    .map(([, local, remote, state = ""]) => [`${local} ${remote}`, STATES[state] ?? "?"] as const);
  return Array.from(new Map(connections).values());
}

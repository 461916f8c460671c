import type { IpPort } from "../../config/network-values.js";
import { parseTcpTable } from "./tcp-table.js";

/** An established connection of this network namespace. */
export interface Connection {
  readonly local: IpPort;
  readonly remote: IpPort;
  /** Of the socket; 0: no process has it. */
  readonly inode: number;
  /** Octets that were written and that the other end has not acknowledged. */
  readonly unacknowledged: number;
  /** How often in a row they were sent again without an answer. */
  readonly repeats: number;
  /** Since they were sent first, as the timer tells it. Milliseconds. */
  readonly waitingMs: number;
}

/** Time in /proc is in hundredths of a second (USER_HZ). Milliseconds. */
const TICK = 10;
const ESTABLISHED = "01";
/** The timer that sends again (get_tcp4_sock of net/ipv4/tcp_ipv4.c). */
const RETRANSMISSION = "01";

/** @param isWanted whether a line is parsed: a machine may have many thousands of sockets */
export function connectionsIn(table: string, isWanted?: (line: string) => boolean): Connection[] {
  const mayBeWanted = (line: string) => line.includes(` ${ESTABLISHED} `) && (isWanted?.(line) ?? true);
  const lines = table.split("\n").filter(mayBeWanted);
  return lines.flatMap((line) => {
    const [, , , state, queues = "", timer = "", repeatsText = "", , , , , , rtoText = ""] = line.trim().split(/\s+/);
    const [socket] = state === ESTABLISHED ? parseTcpTable(line) : [];
    if (!socket) return [];
    const [kind, left = "0"] = timer.split(":");
    const repeats = kind === RETRANSMISSION ? Number.parseInt(repeatsText, 16) || 0 : 0;
    const rto = Number(rtoText) || 0;
    return {
      ...{ local: socket.local, remote: socket.remote, inode: socket.inode, repeats },
      unacknowledged: Number.parseInt(queues.split(":")[0] ?? "", 16) || 0,
      waitingMs: waiting(rto, Number.parseInt(left, 16) || 0, repeats) * TICK,
    };
  });
}

/** The time-out doubles with each repeat (RFC 6298 section 5.5). In ticks. @param left until the next one */
function waiting(rto: number, left: number, repeats: number): number {
  if (repeats === 0) return 0;
  const first = rto / 2 ** repeats;
  return Math.max(0, Math.round(first * (2 ** repeats - 1) + rto - left));
}

import type { IpPort } from "../config/network-values.js";
import { describeError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { findListener, rightToPort } from "../os/sockets.js";

/** Why the gateway's DNS cannot listen, and what to do. */
export interface ListenTrouble {
  readonly code: "LISTEN_FAILED" | "LISTEN_IN_USE";
  /** `is not allowed to listen on 127.0.0.1:53: ...` */
  readonly why: string;
  readonly advice: string;
}

/** @param error of the system. @returns undefined for one that says enough by itself */
export function listenTrouble(error: NodeJS.ErrnoException, at: IpPort): ListenTrouble | undefined {
  const where = hostPort(at);
  if (error.code === "EACCES") {
    const why = `is not allowed to listen on ${where}: ${describeError(error)}`;
    return { code: "LISTEN_FAILED", why, advice: `${rightToPort(at.port)}; or ${ELSEWHERE}` };
  }
  if (error.code === "EADDRINUSE") {
    const program = findListener(at.port, at.address);
    const by = program === undefined ? "" : ` (process ${program.pid}: ${program.command})`;
    const why = `cannot listen on ${where}: another name server listens there${by}`;
    return { code: "LISTEN_IN_USE", why, advice: `stop it, or ${ELSEWHERE}` };
  }
  return undefined;
}

const ELSEWHERE =
  "use --gateway-listen 127.0.0.1:5300 and let the machine's name server forward the gateway's domains there, or --gateway-listen none and put the lines of `srv-epmd hosts` into /etc/hosts";

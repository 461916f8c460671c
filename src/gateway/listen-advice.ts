import { describeError, ListenError } from "../core/errors.js";
import { hostPort } from "../core/ip.js";
import type { IpPort } from "../core/network-values.js";
import { findListener } from "../epmd/port-holder.js";

/** The same error, with what can be done about it. */
export function withAdvice(error: unknown, at: IpPort): unknown {
  if (!(error instanceof ListenError)) return error;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  const where = hostPort(at.address, at.port);
  if (code === "EACCES") {
    const message = `the gateway's DNS may not listen on ${where}: ${describeError(error.cause)}; give srv-epmd CAP_NET_BIND_SERVICE (AmbientCapabilities in a systemd unit, or setcap), or ${ELSEWHERE}`;
    return new ListenError("LISTEN_FAILED", message, { cause: error, at });
  }
  if (code === "EADDRINUSE") {
    const program = findListener(at.port, at.address);
    const by = program === undefined ? "" : ` (process ${program.pid}: ${program.command})`;
    const message = `the gateway's DNS cannot listen on ${where}: another name server is there${by}; stop that, or ${ELSEWHERE}`;
    return new ListenError("LISTEN_IN_USE", message, { cause: error, at });
  }
  return error;
}

const ELSEWHERE =
  "take --gateway-listen 127.0.0.1:5300 and let the machine's name server forward the gateway's domains there, or --gateway-listen none and put the lines of `srv-epmd hosts` into /etc/hosts";

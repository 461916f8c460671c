import { spawn } from "node:child_process";
import type { Environment } from "../config/nomad.js";
import type { Logger } from "../daemon/logger.js";

/**
 * Tells systemd about a change of state, as sd_notify(3) does. Node has no unix datagram sockets, so systemd-notify sends
 * the message; the unit needs NotifyAccess=all. The state is an assignment, because --stopping came with systemd 253.
 */
export function notifySystemd(state: "READY=1" | "STOPPING=1", env: Environment, log: Logger): void {
  const { NOTIFY_SOCKET, PATH } = env;
  spawn("systemd-notify", [state], { env: { PATH, NOTIFY_SOCKET }, stdio: "ignore" })
    .on("error", (error) => log.warn({ err: error }, "systemd-notify cannot be run"))
    .unref();
}

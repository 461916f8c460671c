import type { Logger } from "../daemon/logger.js";
import type { Io } from "./io.js";

/** Tells systemd, where it wants to know. */
export async function notify(state: "READY=1" | "STOPPING=1", { env }: Io, log: Logger): Promise<void> {
  if (env.NOTIFY_SOCKET) (await import("../os/systemd.js")).notifySystemd(state, env, log);
}

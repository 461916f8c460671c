import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../config/config.js";
import type { Logger } from "../daemon/logger.js";
import { networkNamespace } from "../os/machine.js";
import { ownFolderIn } from "../os/private-folder.js";

/**
 * Where the relay process of this network namespace and EPMD port listens for the daemon. Root has /run: the same for a
 * login shell, which has XDG_RUNTIME_DIR, and a unit, which has not.
 * @param port bound EPMD port
 */
export async function relaySocketPath(
  config: Pick<Config, "relaySocket" | "runtimeDir">,
  port: number,
  log: Logger,
): Promise<string> {
  if (config.relaySocket !== undefined) return config.relaySocket;
  const namespace = (await networkNamespace()) ?? "0";
  return join(await runtimeFolder(config.runtimeDir, log), `relay-${namespace}-${port}.sock`);
}

async function runtimeFolder(runtimeDir: string | undefined, log: Logger): Promise<string> {
  const user = process.getuid?.() ?? 0;
  if (user === 0) return "/run/srv-epmd";
  return runtimeDir === undefined ? ownFolderIn(tmpdir(), `srv-epmd-${user}`, log) : join(runtimeDir, "srv-epmd");
}

import { loadAdmin } from "../admin/admin.js";
import type { Config } from "../config/config.js";
import { loadConsulSide } from "../consul/side.js";
import { describeError } from "../errors.js";
import type { Logger } from "./logger.js";

/**
 * Loads what the daemon has no use for until somebody asks. Left until then, it could be missing for the rest of the
 * daemon's life: Node remembers that a module could not be loaded (for want of file descriptors, for example) and does
 * not try again, and an upgrade in place removes the files. Each part is imported where it is used later, because Node
 * looks for the file again when another module imports it. Never rejects.
 */
export async function loadAhead({ admin }: Pick<Config, "admin">, log: Logger): Promise<void> {
  try {
    await Promise.all([loadConsulSide(), admin && loadAdmin()]);
    log.debug("all parts of the program are loaded");
  } catch (error) {
    log.error({ reason: describeError(error) }, "a part of the program is missing until the next start");
  }
}

import type { Logger } from "../daemon/logger.js";
import { ListenError } from "../errors.js";
import type { Listener } from "./listener.js";
import { formatPeer } from "./peer.js";

/** How often a stock epmd is ended: every VM that starts without `-start_epmd false` starts one anew. */
const REPLACE_ATTEMPTS = 3;
/** Milliseconds for an EPMD that said OK to KILL to be gone. */
const KILL_GRACE = 2000;
const KILL_POLL = 20;

/** `--replace-epmd`. @throws what listening throws, when there is no epmd that can be replaced */
export async function listenInItsPlace(bind: () => Promise<Listener>, log: Logger): Promise<Listener> {
  let patience = Number.NEGATIVE_INFINITY;
  for (let ended = 0; ; ) {
    try {
      return await bind();
    } catch (error) {
      if (!(error instanceof ListenError) || error.code !== "LISTEN_IN_USE" || !error.at) throw error;
      if (performance.now() > patience) {
        const { endIdleEpmd } = await import("./port-holder.js");
        if (ended === REPLACE_ATTEMPTS || !(await endIdleEpmd(error.at))) throw error;
        ended += 1;
        patience = performance.now() + KILL_GRACE;
        log.info({ epmd: formatPeer(error.at) }, "ended a stock epmd without living nodes, to take its place");
      }
      await new Promise((resolve) => setTimeout(resolve, KILL_POLL));
    }
  }
}

import type { IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import { EpmdError, ListenError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import { findListener } from "../os/sockets.js";
import { listed } from "../text.js";
import { kill, knowsFullNames, names } from "./client.js";
import type { Listener } from "./listener.js";

const ASK_TIMEOUT = 500;
/** How many stock epmds are ended one after the other: each VM without `-start_epmd false` starts a new one. */
const REPLACE_ATTEMPTS = 3;
/** Milliseconds in which an EPMD that answered OK to KILL must be gone. */
const KILL_GRACE = 2000;
const KILL_POLL = 20;

/** Describes the program that has our port, as far as NAMES (for an EPMD) and /proc (for the process) tell. */
export async function describePortHolder(at: IpPort): Promise<string> {
  const program = findListener(at.port);
  const by = program === undefined ? "" : ` (process ${program.pid}: ${program.command})`;
  try {
    const { names: live } = await names(at, { timeout: ASK_TIMEOUT });
    const nodes = live.length === 0 ? "no live nodes" : `live nodes ${listed(live.map(({ name }) => name))}`;
    const kind = kindOf(program?.command ?? "");
    const advice =
      live.length === 0 && kind === "a stock epmd"
        ? `; --replace-epmd takes its place, or stop it with: epmd -port ${at.port} -kill`
        : "; choose another port with --port";
    return `${kind} with ${nodes} is there${by}${advice}`;
  } catch (error) {
    if (!(error instanceof EpmdError)) throw error;
    return `something that is no EPMD is there${by}; choose another port with --port`;
  }
}

/**
 * Ends an EPMD that has no living nodes, as `epmd -kill` does. A srv-epmd is left alone, whatever it has.
 * @returns whether it obeyed
 */
export async function endIdleEpmd(at: IpPort): Promise<boolean> {
  try {
    const { names: live } = await names(at, { timeout: ASK_TIMEOUT });
    if (live.length > 0 || (await knowsFullNames(at, { timeout: ASK_TIMEOUT }))) return false;
    // An EPMD answers NO when a node has registered meanwhile.
    return await kill(at, { timeout: ASK_TIMEOUT });
  } catch (error) {
    if (!(error instanceof EpmdError)) throw error;
    return false;
  }
}

/** `--replace-epmd`. @throws what listening throws, when there is no epmd that can be replaced */
export async function listenInItsPlace(bind: () => Promise<Listener>, log: Logger): Promise<Listener> {
  let patience = Number.NEGATIVE_INFINITY;
  for (let ended = 0; ; ) {
    try {
      return await bind();
    } catch (error) {
      if (!(error instanceof ListenError) || error.code !== "LISTEN_IN_USE" || !error.at) throw error;
      if (performance.now() > patience) {
        if (ended === REPLACE_ATTEMPTS || !(await endIdleEpmd(error.at))) throw error;
        ended += 1;
        patience = performance.now() + KILL_GRACE;
        log.info({ address: hostPort(error.at) }, "stopped a stock epmd that had no registered nodes, to use its port");
      }
      await new Promise((resolve) => setTimeout(resolve, KILL_POLL));
    }
  }
}

function kindOf(command: string): string {
  if (/srv-epmd/.test(command)) return "another srv-epmd";
  return /(^|\/)epmd( |$)/.test(command) ? "a stock epmd" : "an EPMD";
}

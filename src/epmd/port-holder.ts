import type { IpPort } from "../config/network-values.js";
import { EpmdError } from "../errors.js";
import { findListener } from "../os/sockets.js";
import { listed } from "../text.js";
import { kill, knowsFullNames, names } from "./client.js";

const ASK_TIMEOUT = 500;

/** Says who listens where we want to, as far as can be told: an EPMD answers NAMES, and /proc knows the program. */
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
    // An EPMD in which a node has registered meanwhile says NO.
    return await kill(at, { timeout: ASK_TIMEOUT });
  } catch (error) {
    if (!(error instanceof EpmdError)) throw error;
    return false;
  }
}

function kindOf(command: string): string {
  if (/srv-epmd/.test(command)) return "another srv-epmd";
  return /(^|\/)epmd( |$)/.test(command) ? "a stock epmd" : "an EPMD";
}

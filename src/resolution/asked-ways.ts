import { describeError } from "../core/errors.js";
import { hostPort } from "../core/ip.js";
import { ipPort } from "../core/network-values.js";
import type { Way } from "../core/ways-in.js";
import { portPlease } from "../epmd/client.js";

const parsePlace = ipPort(undefined);

/**
 * The ways of stock VMs with what the EPMD on each says: it may not serve this machine, know nothing of the node, or have
 * no relay process. Never rejects.
 * @param timeout milliseconds
 */
export async function askedWays(ways: readonly Way[], aliveName: string, timeout: number): Promise<Way[]> {
  return Promise.all(ways.map((way) => askedWay(way, aliveName, timeout)));
}

async function askedWay(way: Way, aliveName: string, timeout: number): Promise<Way> {
  const { dials, asks, ...rest } = way;
  if (dials === undefined || asks === undefined) return way;
  const none = (reason: string): Way => ({ ...rest, asks, reason });
  const epmd = parsePlace(asks);
  try {
    const answer = await portPlease(epmd, aliveName, { timeout });
    if (!answer) return none(`the EPMD at ${asks} gives no port for ${aliveName}`);
    const told = hostPort(epmd.address, answer.port);
    // Which port a relay has is known to nobody else.
    if (way.way === "gateway" || told === dials) return { ...way, dials: told };
    return none(`the EPMD at ${asks} gives port ${answer.port}, and the node is at ${dials}`);
  } catch (error) {
    return none(describeError(error));
  }
}

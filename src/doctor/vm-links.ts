import { hostPort } from "../net/ip.js";
import { type Finding, ok, skip, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";
import { type Link, linksHere } from "./links.js";
import { NO_NODE } from "./local-epmd.js";

/** Octets are sent again once or twice on a good network too. */
const MANY = 3;

export const vmLinks: Check = {
  id: "vm-links",
  title:
    "what goes over links of the VMs here is acknowledged: a path that loses large packets lets small ones through",
  run: async (examination) => {
    if ((await examination.nodes()).length === 0) return skip(NO_NODE);
    const links = await linksHere(examination);
    if (links.length === 0) return skip("no link of the VMs here is seen");
    const stuck = links.filter(({ connection }) => connection.repeats >= MANY);
    if (stuck.length > 0) return together(stuck.map(judge), "");
    return ok(`${links.length === 1 ? "the link" : `the ${links.length} links`} of the VMs here: all is acknowledged`);
  },
};

function judge({ aliveName, connection }: Link): Finding {
  const { local, remote, unacknowledged, repeats, waitingMs } = connection;
  const whose = aliveName === undefined ? "a link here" : `the link of ${aliveName}`;
  return warn(
    "LINK_STUCK",
    `${whose} from ${hostPort(local)} to ${hostPort(remote)} has ${unacknowledged} octets unacknowledged for ${(waitingMs / 1000).toFixed(1)} s (sent ${repeats + 1} times)`,
    `compare the MTU of the interfaces on the way to ${remote.address}: ping -M do -s 1472 ${remote.address} passes where 1500 octets do, ping -s 56 where the way is not cut at all; let ICMP "fragmentation needed" through`,
    aliveName,
  );
}

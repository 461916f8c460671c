import { familyOf, hostPort } from "../../net/ip.js";
import type { Connection } from "../../os/core/connections.js";
import { type Explained, RULES, type Silence } from "./peer-silence.js";
import type { ProblemCode } from "./problems.js";

/** A link with octets that were sent several times and are not acknowledged. */
export interface StuckLink {
  readonly connection: Omit<Connection, "inode">;
  /** Of the VM here; undefined: it is not known. */
  readonly aliveName: string | undefined;
  /** Whether anything answers at the EPMD port of the other machine; undefined: that is this machine. */
  readonly epmdPort: Silence["epmdPort"] | undefined;
}

/** Octets of a segment that fits any MTU: 576 and 1280 less the headers (RFC 1122 section 4.2.2.6, RFC 8200 section 5). */
const FITS_ALWAYS = { 4: 536, 6: 1220 } as const;

/** A machine that is down, a firewall, or an MTU: few octets fit any. */
export function explainStuck({ connection, aliveName, epmdPort }: StuckLink): Explained {
  const { local, remote, unacknowledged, repeats, waitingMs } = connection;
  const { address } = remote;
  const whose = aliveName === undefined ? "a link here" : `the link of ${aliveName}`;
  const seen = `${whose} from ${hostPort(local)} to ${hostPort(remote)} has ${unacknowledged} octets unacknowledged for ${(waitingMs / 1000).toFixed(1)} s (sent ${repeats + 1} times)`;
  const down = `see that the machine of ${address} runs, and that it is reached from here: ping ${address}`;
  const firewall = `look for a firewall that drops packets of this link: ${RULES}`;
  const mtu = `compare the MTU of the interfaces on the way to ${address}: ping -M do -s 1472 ${address} passes where 1500 octets do, ping -s 56 where the way is not cut at all; let ICMP "fragmentation needed" through`;
  if (epmdPort?.answers === false) {
    const silent = `nothing answers at ${hostPort(address, epmdPort.port)} either`;
    return { evidence: [seen, silent], advice: [`${down}; if it is, ${firewall}`] };
  }
  const answers = epmdPort ? [`its machine answers, at ${hostPort(address, epmdPort.port)}`] : [];
  if (isFew(connection))
    return { evidence: [seen, ...answers], advice: [`so few octets fit any MTU: ${firewall}`, down] };
  return { evidence: [seen, ...answers], advice: [mtu, firewall] };
}

/** They fit any MTU. */
function isFew({ remote, unacknowledged }: StuckLink["connection"]): boolean {
  return unacknowledged <= FITS_ALWAYS[familyOf(remote.address) ?? 4];
}

/** What is known of the node that was asked for. */
interface OfAsked {
  /** The link leads to its machine, where it is or was found. */
  readonly isItsMachine: boolean;
  /** Consul's servers do not reach the agent there (serfHealth). */
  readonly isCutOff: boolean;
}

/** What a stuck link does not follow from this time. */
export function apartFrom(connection: StuckLink["connection"], { isItsMachine, isCutOff }: OfAsked): ProblemCode[] {
  if (!isItsMachine) return ["PEER_NO_ANSWER", "PEER_NO_ROUTE", "PEER_CRITICAL", "PEER_LARGE_LOST"];
  return [
    ...(isCutOff ? [] : (["PEER_CRITICAL"] as const)),
    ...(isFew(connection) ? (["PEER_LARGE_LOST"] as const) : []),
  ];
}

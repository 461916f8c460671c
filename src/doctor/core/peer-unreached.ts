import type { IpPort } from "../../config/network-values.js";
import { familyOf, hostPort } from "../../net/ip.js";
import { type Explained, RULES, type Silence } from "./peer-silence.js";

/** An endpoint of a node whose machine, or a firewall, refuses connections. */
export function explainRefusal(endpoint: IpPort): Explained {
  return {
    evidence: [
      `${hostPort(endpoint)} refuses connections: nothing listens there, or a firewall rejects them (reject with tcp reset)`,
    ],
    advice: [
      `the node has ended, listens on 127.0.0.1 alone, or its port is mapped wrongly: run srv-epmd doctor --all on its machine, and compare the address and port that vm-listens and port-mapping show there with this one; if these and published-endpoint are ok there, look for a firewall that rejects TCP port ${endpoint.port} for this machine: ${RULES}`,
    ],
  };
}

/** What is known where the system says at once that an endpoint of a node cannot be reached. */
export interface Unreachable extends Pick<Silence, "endpoint" | "epmdPort"> {
  /** Of its error: `EHOSTUNREACH`, `ENETUNREACH`, ... */
  readonly code: string;
}

/** A firewall, this machine's own routes, a machine that is down, or a wrong address. */
export function explainUnreachable({ endpoint, epmdPort, code }: Unreachable): Explained {
  const { address, port } = endpoint;
  const seen = `${hostPort(endpoint)} cannot be reached from here (${code})`;
  if (epmdPort.answers) {
    return {
      evidence: [seen, `its machine answers, at ${hostPort(address, epmdPort.port)}`],
      advice: [
        `look for a firewall that rejects TCP port ${port} of ${address} for this machine (reject with icmp): ${RULES}`,
      ],
    };
  }
  return { evidence: [seen], advice: [noWay(address, code)] };
}

function noWay(address: string, code: string): string {
  const route = `ip route get ${address}`;
  // A route of the kind prohibit, and what a program of a control group may not send.
  if (code === "EACCES" || code === "EPERM") {
    return `this machine itself forbids it: see its route (${route}: prohibit?), and what it may send (nft list ruleset here, output)`;
  }
  if (familyOf(address) === 6 && code !== "EHOSTUNREACH") {
    return `this machine has no route to that IPv6 address (${route}): publish an IPv4 address too (--advertise-address), or give this machine IPv6`;
  }
  const published =
    "was a private address published? Compare --advertise-address of serve there with the addresses of that machine";
  if (code !== "EHOSTUNREACH") return `this machine has no route to that address (${route}): ${published}`;
  // No answer to ARP or neighbour discovery, or an ICMP message.
  return `see that its machine runs (ping ${address}), and how it is reached (${route}): nobody on the network has that address, or a router or firewall on the way rejects it (${RULES}); ${published}`;
}

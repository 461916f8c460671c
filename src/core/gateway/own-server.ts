import { familyOf, isWildcard } from "../ip.js";
import type { IpPort } from "../network-values.js";

/**
 * Whether a name server is the one that listens here: asking it would be asking ourselves.
 * @param isOwnAddress of a canonical address: whether it is one of this machine's, loopbacks included
 */
export function isOwnServer(listening: IpPort, server: IpPort, isOwnAddress: (address: string) => boolean): boolean {
  if (server.port !== listening.port) return false;
  if (server.address === listening.address) return true;
  // `::` takes IPv4 too; 0.0.0.0 does not take IPv6.
  const covers = listening.address === "::" || (listening.address === "0.0.0.0" && familyOf(server.address) === 4);
  // Connecting to a wildcard is connecting to the loopback.
  return covers && (isWildcard(server.address) || isOwnAddress(server.address));
}

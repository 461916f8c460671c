import type { IpPort } from "../config/network-values.js";
import { type ProbeOptions, probeNode } from "../distribution/probe.js";
import type { Probe } from "../distribution/words.js";
import { thisMachine } from "../os/machine.js";

/** Asks who is there, with the first step of the distribution handshake. Never rejects. */
export function probePlace(
  place: IpPort,
  how: Pick<ProbeOptions, "isAsked" | "serverName" | "timeout">,
): Promise<Probe> {
  return probeNode(place, { ...how, from: thisMachine().hostName, random: Math.random });
}

import type { IpPort } from "../config/network-values.js";
import { serverNameOf } from "../connect/core/inbound.js";
import type { Probe } from "../distribution/core/words.js";
import type { Again } from "../distribution/different-vms.js";
import { type ProbeOptions, probeNode } from "../distribution/probe.js";
import { hostPartOf } from "../names/node-name.js";
import type { Endpoint } from "../net/endpoint.js";
import { isLoopback } from "../net/ip.js";
import { thisMachine } from "../os/machine.js";
import { answerAt } from "../os/sockets.js";
import type { LookUps } from "../resolve/compose.js";
import type { ProbedPlace } from "../resolve/twins.js";
import type { Silence } from "./core/peer-silence.js";

export type DialOptions = Pick<
  ProbeOptions,
  "isAsked" | "serverName" | "timeout" | "flags" | "padding" | "cookie" | "connect" | keyof Again
>;

/** For each endpoint; all are dialled at once. Milliseconds. */
export const DIAL_TIMEOUT = 3_000;

/** Milliseconds: a machine that answers does so at once, but for a first packet that is lost. */
const EPMD_TIMEOUT = 1_500;

/** Whether anything answers at the EPMD port of an address: a refusal is an answer of its machine. Never rejects. */
export async function epmdPortAt(address: string, port: number, signal?: AbortSignal): Promise<Silence["epmdPort"]> {
  const answer = await answerAt({ address, port }, EPMD_TIMEOUT, signal);
  return { port, answers: answer === "accepted" || answer === "ECONNREFUSED" };
}

/** Asks who is there, with the first step of the distribution handshake. Never rejects. */
export function probePlace(place: IpPort, how: DialOptions): Promise<Probe> {
  return probeNode(place, { ...how, from: thisMachine().hostName, random: Math.random });
}

/** The same inside the mutual TLS of Connect, where nodes elsewhere are behind that. @param full name of the node */
export async function dialNode(
  full: string,
  endpoint: Endpoint,
  how: DialOptions,
  { connect }: Pick<LookUps, "connect">,
): Promise<Probe> {
  const way = isLoopback(endpoint.address) ? undefined : await connect?.to(hostPartOf(full));
  if (typeof way === "string") return { result: "connect", reason: way, elapsedMs: 0 };
  return probePlace(endpoint, { ...how, ...(way && { connect: way, serverName: serverNameOf(full) }) });
}

export function dialAll(
  endpoints: readonly Endpoint[],
  dial: (endpoint: Endpoint) => Promise<Probe>,
): Promise<ProbedPlace[]> {
  return Promise.all(endpoints.map(async (endpoint) => ({ endpoint, probe: await dial(endpoint) })));
}

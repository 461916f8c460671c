import type { IpPort } from "../config/network-values.js";
import { hostPort } from "../net/ip.js";
import type { Probe } from "./core/words.js";
import type { ProbeOptions } from "./probe.js";
import { isVm } from "./wire/handshake.js";

/** A place at which a node was looked for, and who is there. */
interface Place {
  readonly endpoint: IpPort;
  readonly probe: Probe;
}

/** How a place is asked once more. */
export type Again = Pick<ProbeOptions, "nextName" | "meanwhile" | "tlsFirst">;

/** Asks who is at a place. Never rejects. */
export type Ask<P extends Place> = (place: P, again: Again) => Promise<Probe>;

/** Milliseconds: net_kernel gives up a handshake after 7 s (net_setuptime), and then takes its name again. */
const LONGEST = 5_000;

/**
 * The places of different VMs among those where VMs have told one name: the first of each VM. Two places are those of two VMs
 * only where that is proved: by their creations or, where these are equal, by their handshakes.
 */
export async function differentVms<P extends Place>(places: readonly P[], ask: Ask<P>): Promise<P[]> {
  const vms: P[] = [];
  for (const place of places) {
    if (place.probe.result === "node" && !(await isAmong(vms, place, ask))) vms.push(place);
  }
  return vms;
}

async function isAmong<P extends Place>(vms: readonly P[], place: P, ask: Ask<P>): Promise<boolean> {
  for (const vm of vms) {
    if (!(await areTwo(vm, place, ask))) return true;
  }
  return false;
}

async function areTwo<P extends Place>(one: P, other: P, ask: Ask<P>): Promise<boolean> {
  if (hostPort(one.endpoint) === hostPort(other.endpoint)) return false;
  if (one.probe.result !== "node" || other.probe.result !== "node") return false;
  const [a, b] = [one.probe.creation, other.probe.creation];
  // An EPMD gives the time in seconds: VMs that have registered together have the same.
  if (a !== undefined && b !== undefined && a !== b) return true;
  return isVm(one.probe.flags) && isVm(other.probe.flags) && handshakesDiffer(one, other, ask);
}

/**
 * While a handshake waits for us at one place, the other is greeted under the same name. A VM has one handshake for a name
 * (net_kernel, accept_pending): it refuses the second one (`nok`), or drops the first (`ok_simultaneous`). Two VMs say `ok`.
 */
async function handshakesDiffer<P extends Place>(one: P, other: P, ask: Ask<P>): Promise<boolean> {
  const startedAt = performance.now();
  const number = Math.random();
  const again = ({ probe }: P): Again => {
    const tls = "tls" in probe ? probe.tls : undefined;
    return { nextName: () => number, tlsFirst: tls !== undefined && !tls.isConnect };
  };
  let second: Promise<Probe> | undefined;
  const meanwhile = () => {
    second = ask(other, again(other));
    return second;
  };
  const first = await ask(one, { ...again(one), meanwhile });
  const isOk = (probe: Probe | undefined) => probe?.result === "node" && probe.status === "ok";
  return isOk(first) && isOk(await second) && performance.now() - startedAt < LONGEST;
}

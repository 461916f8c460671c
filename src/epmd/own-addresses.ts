import { describeError } from "../core/errors.js";
import { type Cidr, cidrContains, isLoopback, parseCidr } from "../core/ip.js";
import type { Logger } from "../logger.js";
import type { Listener } from "./listener.js";
import { formatPeer } from "./peer.js";

/** They need a zone, and no node is named after one. */
const LINK_LOCAL_6 = parseCidr("fe80::/10") as Cidr;
/** A machine may have many (virtual services of a load balancer); each costs a socket. */
const MOST_ADDRESSES = 64;
/** Milliseconds between two looks: an address may come after this program, by DHCP for one. */
const LOOK = 2_000;

/** Those of the machine's addresses at which a VM here may ask for a node that is named after one. */
export function listenableOwn(addresses: readonly string[]): string[] {
  const usable = addresses.filter((address) => !isLoopback(address) && !cidrContains(LINK_LOCAL_6, address));
  return Array.from(new Set(usable)).slice(0, MOST_ADDRESSES);
}

export interface OwnAddressesDeps {
  readonly listener: Pick<Listener, "add" | "remove" | "addresses" | "port">;
  /** Of all interfaces, now. */
  readonly addresses: () => readonly string[];
  readonly log: Logger;
  /** Milliseconds; for tests. */
  readonly look?: number;
}

/** Listens where the machine gets an address, for local peers, and no more where it has lost one. @returns ends that */
export function followOwnAddresses({ listener, addresses, log, look = LOOK }: OwnAddressesDeps): () => void {
  const isBound = (address: string) => listener.addresses.includes(formatPeer({ address, port: listener.port }));
  // The listener has begun with these, and has said which it could not have.
  let followed = new Set(listenableOwn(addresses()).filter(isBound));
  const failed = new Set(listenableOwn(addresses()).filter((address) => !isBound(address)));
  const add = async (address: string) => {
    try {
      await listener.add(address);
      if (failed.delete(address)) log.info({ address }, "listening on an address of this machine after all");
    } catch (error) {
      followed.delete(address);
      if (failed.has(address)) return;
      failed.add(address);
      log.warn({ address, reason: describeError(error) }, "no VM here finds nodes that are named after this address");
    }
  };
  const timer = setInterval(() => {
    const now = new Set(listenableOwn(addresses()));
    const [before, after] = [followed, now];
    for (const address of before) if (!after.has(address)) void listener.remove(address);
    for (const address of failed) if (!after.has(address)) failed.delete(address);
    followed = now;
    for (const address of after) if (!before.has(address)) void add(address);
  }, look);
  return () => clearInterval(timer);
}

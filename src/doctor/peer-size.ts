import { hostPort } from "../net/ip.js";
import type { ProbedPlace } from "../resolve/twins.js";
import { NOT_NAMED, softened, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import type { Check } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { probePlace } from "./probe-place.js";

/** Of a message that fits into a packet of 1500 octets, and into none of 1280 (RFC 8200 section 5: every path of IPv6 takes those). */
const LARGE = 1_400;
/** Milliseconds. */
const TIMEOUT = 3_000;

export const peerSize: Check = {
  id: "peer-size",
  title: "a large packet reaches the node: a handshake message of 1,400 octets is answered as a small one is",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const all = (await examination.probes()).filter(({ probe }) => probe.result === "node");
    const findings = await Promise.all(all.map((one) => askLarge(one, asked)));
    const isWell = findings.some(({ result }) => result === "ok");
    return together(softened(findings, isWell), UNKNOWN);
  },
};

async function askLarge({ endpoint, probe: small }: ProbedPlace, { host }: AskedNode): Promise<Finding> {
  const place = hostPort(endpoint);
  if (!("version" in small) || small.version !== 6) {
    return skip(`${place}: the handshake of OTP 22 and older has no room for a large message, so this cannot be told`);
  }
  const how = { isAsked: () => true, serverName: host, timeout: TIMEOUT, padding: LARGE, tlsFirst: "tls" in small };
  const large = await probePlace(endpoint, how);
  if (large.result === "node" && large.version === 6) return ok(`${place} answers a message of ${LARGE} octets`);
  if (large.result !== "silent" || large.stage !== "handshake") {
    // The old handshake is tried where the new one is hung up on, and it has no room.
    const what = large.result === "node" ? "closed" : large.result;
    return skip(`${place} does not take a large message (${what}), so this cannot be told`);
  }
  return fail(
    "PEER_LARGE_LOST",
    `${place} answers a small message in ${small.elapsedMs.toFixed(1)} ms, and one of ${LARGE} octets not within ${TIMEOUT / 1000} s: large packets are lost on the way, so links stand and hang`,
    `make the MTU of the interfaces between the machines the same, or let ICMP "fragmentation needed" through: ping -M do -s 1372 ${endpoint.address} fails, if it is the MTU`,
  );
}

import type { Probe } from "../distribution/core/words.js";
import type { Endpoint } from "../net/endpoint.js";
import { canonicalIp, hostPort } from "../net/ip.js";
import { accepts, NOT_NAMED, softened, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import { entriesOf } from "./entries-of.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { probePlace } from "./probe-place.js";

const PROBE_TIMEOUT = 3_000;

export const peerTcp: Check = {
  id: "peer-tcp",
  title: "a TCP connection to each endpoint of the node",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const all = await examination.probes();
    if (all.length === 0) return skip(UNKNOWN);
    const resolution = await examination.resolution();
    const isUpstream = resolution.outcome === "found" && resolution.source === "upstream";
    const findings = await Promise.all(
      all.map(async (one) => {
        const elsewhere = accepts(one) || isUpstream ? undefined : await atItsAgent(one.endpoint, asked, examination);
        return elsewhere ?? connection(one, isUpstream);
      }),
    );
    // One endpoint that answers is enough: look-ups put it first.
    return together(softened(findings, all.some(accepts)), UNKNOWN);
  },
};

/** A failure where the node answers at the address of the Consul agent that has its entry, which publishes another one. */
async function atItsAgent(
  endpoint: Endpoint,
  asked: AskedNode,
  examination: Examination,
): Promise<Finding | undefined> {
  const entry = (await entriesOf(asked, examination)).find((one) => hostPort(one) === hostPort(endpoint));
  const address = canonicalIp(entry?.machineAddress ?? "");
  if (!entry || address === undefined || address === endpoint.address) return undefined;
  const place = { address, port: endpoint.port };
  const isAsked = (name: string) => name.startsWith(`${asked.name.aliveName}@`);
  const seen = await probePlace(place, { isAsked, serverName: asked.host, timeout: PROBE_TIMEOUT });
  if (seen.result !== "node") return undefined;
  return fail(
    "PEER_WRONG_ADDRESS",
    `${asked.full} is published at ${hostPort(endpoint)}, and it answers at ${hostPort(place)}, the address of its Consul agent on ${entry.machine}: the address that is published is wrong`,
    `on ${entry.machine}, publish the address at which it answers: give serve --advertise-address ${address}, or none, which publishes that of the agent`,
  );
}

function connection({ endpoint, probe }: { endpoint: Endpoint; probe: Probe }, isUpstream: boolean): Finding {
  const place = hostPort(endpoint);
  if (probe.connectMs !== undefined) return ok(`${place} accepts connections (${probe.connectMs.toFixed(1)} ms)`);
  const refused = isUpstream
    ? "start the sidecar proxy here, which listens there for the node"
    : "the node has ended, listens on 127.0.0.1 alone, or its port is mapped wrongly: run srv-epmd doctor on its machine, and compare the address and port that vm-listens and port-mapping show there with this one";
  switch (probe.result) {
    case "refused":
      return fail("PEER_REFUSED", `${place} refuses connections: nothing listens there`, refused);
    case "unreachable":
      return fail(
        "PEER_NO_ROUTE",
        `${place} cannot be reached from here (${probe.code})`,
        endpoint.family === 6
          ? "this machine has no route to that IPv6 address: publish an IPv4 address too (--advertise-address), or give this machine IPv6"
          : "this machine has no route to that address: was a private address published? Compare --advertise-address of serve there with the addresses of that machine",
      );
    default:
      return fail(
        "PEER_NO_ANSWER",
        `${place} does not answer a connection attempt`,
        "open the distribution port between the machines: a firewall drops it, the machine is down, or the address is wrong",
      );
  }
}

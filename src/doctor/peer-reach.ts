import { type Probe, probeWords } from "../distribution/words.js";
import type { Endpoint } from "../net/endpoint.js";
import { hostPort } from "../net/ip.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { NOT_NAMED } from "./peer-records.js";

const UNKNOWN = "no endpoint of the node is known";

/** The endpoints of the node, with who is there. */
async function dialled(examination: Examination): Promise<{ endpoint: Endpoint; probe: Probe }[]> {
  const [resolution, probes] = await Promise.all([examination.resolution(), examination.probes()]);
  if (resolution.outcome !== "found") return [];
  return resolution.endpoints.flatMap((endpoint, index) => {
    const probe = probes[index];
    return probe ? [{ endpoint, probe }] : [];
  });
}

const accepts = ({ probe }: { readonly probe: Probe }) => probe.connectMs !== undefined;

export const peerTcp: Check = {
  id: "peer-tcp",
  title: "a TCP connection to each endpoint of the node",
  run: async (examination) => {
    if (!examination.asked) return NOT_NAMED;
    const all = await dialled(examination);
    if (all.length === 0) return skip(UNKNOWN);
    const resolution = await examination.resolution();
    const isUpstream = resolution.outcome === "found" && resolution.source === "upstream";
    const findings = all.map((one) => connection(one, isUpstream));
    // One endpoint that answers is enough: look-ups put it first.
    return together(softened(findings, all.some(accepts)), UNKNOWN);
  },
};

/** During a rolling update the old and the new instance share a name, so an endpoint that fails beside a good one is a warning. */
function softened(findings: readonly Finding[], another: boolean): Finding[] {
  return findings.map((finding) => (another && finding.result === "fail" ? { ...finding, result: "warn" } : finding));
}

function connection({ endpoint, probe }: { endpoint: Endpoint; probe: Probe }, isUpstream: boolean): Finding {
  const place = hostPort(endpoint);
  if (probe.connectMs !== undefined) return ok(`${place} accepts connections (${probe.connectMs.toFixed(1)} ms)`);
  const refused = isUpstream
    ? "see mesh-upstream"
    : "the node has ended, listens on 127.0.0.1 alone, or its port is mapped wrongly: run srv-epmd doctor on its machine (vm-listens, port-mapping), and compare the port there with this one";
  switch (probe.result) {
    case "refused":
      return fail(`${place} refuses connections: nothing listens there`, refused);
    case "unreachable":
      return fail(
        `${place} cannot be reached from here (${probe.code})`,
        endpoint.family === 6
          ? "this machine has no route to that IPv6 address: publish an IPv4 address too (--advertise-address), or give this machine IPv6"
          : "this machine has no route to that address: was a private address published? Check --advertise-address there",
      );
    default:
      return fail(
        `${place} does not answer a connection attempt`,
        "a firewall drops it, the machine is down, or the address is wrong: open the distribution port between the machines",
      );
  }
}

export const peerHandshake: Check = {
  id: "peer-handshake",
  title: "the distribution handshake: the node asked for is the one that answers",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const all = (await dialled(examination)).filter(accepts);
    if (all.length === 0) return skip("no endpoint of the node accepts connections");
    const findings = all.map(({ endpoint, probe }) => handshake(endpoint, probe, asked.full));
    const isThere = all.some(({ probe }) => probe.result === "node");
    return together(softened(findings, isThere), UNKNOWN);
  },
};

function handshake(endpoint: Endpoint, probe: Probe, asked: string): Finding {
  const evidence = `${hostPort(endpoint)}, ${probeWords(probe, asked, endpoint)}`;
  switch (probe.result) {
    case "node":
      return ok(evidence);
    case "tls":
      return ok(`${evidence}: its name cannot be seen`);
    case "erlang":
      return warn(evidence, ["it does not tell its name to doctor", "it may accept VMs whose names it allows"]);
    case "other-node": {
      const aliveName = (name: string) => name.split("@")[0]?.toLowerCase();
      // DNS ignores case, a VM does not.
      const sameAlive = aliveName(probe.name) === aliveName(asked);
      return fail(
        evidence,
        sameAlive
          ? `ask for ${probe.name}, or start that VM with -name ${asked}: the whole name must be the same, host part and capitals included`
          : `another node has that port: did a VM that has ended leave the entry of ${asked}, or is its port mapped wrongly? Run srv-epmd doctor on that machine`,
      );
    }
    case "closed":
      return fail(
        evidence,
        "a proxy or port mapping accepts the connection and reaches no VM: see that the VM runs, and in a mesh see mesh-intention",
      );
    default:
      return fail(evidence, "another program has that port: is it mapped wrongly? Run srv-epmd doctor on that machine");
  }
}

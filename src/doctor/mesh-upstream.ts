import { destinationOf, isInMesh, isMeshed, type Upstream } from "../mesh/core/upstreams.js";
import { familyOf, hostPort } from "../net/ip.js";
import type { NotFound } from "../resolve/core/resolution.js";
import { probe } from "../resolve/probe.js";
import { messageOf, NO_AGENT_ADVICE } from "./consul-reachable.js";
import { type Finding, fail, ok, skip, together } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { sidecarsHere } from "./sidecars.js";
import { NO_MESH } from "./way.js";

/** Loopback answers at once. Milliseconds. */
const CONNECT_TIMEOUT = 1_000;

export const meshUpstream: Check = {
  id: "mesh-upstream",
  title: "Connect: the sidecar proxy of the nodes here has upstreams and listens for them",
  run: async (examination) => {
    if (!isInMesh(examination.config)) return NO_MESH;
    const { asked } = examination;
    if (asked) return upstreamOf(asked, examination);
    const upstreams = await upstreamsHere(examination);
    if (typeof upstreams === "string") return fail("UPSTREAM_NO_PROXY", upstreams, SIDECAR_ADVICE);
    return together(await Promise.all(upstreams.map(listens)), "the sidecar proxy has no upstream");
  },
};

async function upstreamOf({ name, host, full }: AskedNode, examination: Examination): Promise<Finding> {
  const resolution = await examination.resolution();
  switch (resolution.outcome) {
    case "unavailable":
      return fail("UPSTREAM_UNKNOWN", resolution.cause, NO_AGENT_ADVICE);
    case "not-found":
      // With NOMAD_UPSTREAM_* and without --mesh, DNS is asked after the upstreams.
      if (!isMeshed(examination.config)) return skip("the node has no upstream: see peer-records");
      return noUpstream(resolution, destinationOf(examination.config, { ...name, host }));
    case "found": {
      const { source, endpoints } = resolution;
      if (source === "registry") return ok(`${full} lives here: no upstream is needed`);
      if (source !== "upstream") return skip("the node has no upstream, and is found without one");
      const upstreams = endpoints.map(({ target, address, port }) => ({ destination: target, address, port }));
      return together(await Promise.all(upstreams.map(listens)), "the node has no upstream");
    }
    default:
      return resolution satisfies never;
  }
}

const SIDECAR_ADVICE = [
  "register the service of the node here with a sidecar proxy (connect { sidecar_service {} }) and an upstream for each peer",
  'the token needs service_prefix "<service>" { policy = "read" }',
  "of several proxies --service names the one",
];

function noUpstream({ code, reason }: NotFound, destination: string): Finding {
  if (code === "UPSTREAM_NO_SIDECAR") return fail("UPSTREAM_NO_PROXY", reason, SIDECAR_ADVICE);
  return fail(
    "UPSTREAM_MISSING",
    reason,
    `give the sidecar proxy here an upstream with the destination ${destination} (destination_name in its registration, upstreams in a Nomad job), or give the pattern of destinations with --upstream-service`,
  );
}

/** @returns the reason where there is no proxy */
async function upstreamsHere(examination: Examination): Promise<readonly Upstream[] | string> {
  const { nomad } = examination.config;
  if (nomad.upstreams.length > 0) return nomad.upstreams;
  try {
    const sidecars = await sidecarsHere(examination);
    if (sidecars.length > 0) return sidecars.flatMap(({ upstreams }) => upstreams);
    return "the Consul agent shows no sidecar proxy of the nodes here (with ACLs only to a token with service:read)";
  } catch (error) {
    return `the Consul agent does not list the sidecar proxies: ${messageOf(error)}`;
  }
}

async function listens({ destination, address, port }: Upstream): Promise<Finding> {
  const place = hostPort(address, port);
  const endpoint = { address, port, family: familyOf(address) ?? 4, priority: 0, weight: 0, target: destination };
  if ((await probe([endpoint], CONNECT_TIMEOUT)).accepting)
    return ok(`the upstream ${destination} listens on ${place}`);
  return fail(
    "UPSTREAM_CLOSED",
    `nothing listens on ${place}, the upstream ${destination} of the sidecar proxy: the proxy does not run here`,
    [
      "start the sidecar proxy in this network namespace (consul connect proxy -sidecar-for <service id>, or Envoy, under Nomad the task connect-proxy-<service>)",
      "look at its log: without a certificate from Consul it does not listen",
    ],
  );
}

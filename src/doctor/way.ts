import type { Config } from "../config/config.js";
import { isInMesh, isMeshed } from "../mesh/core/upstreams.js";
import { publishesToConsul } from "../publish/core/publication.js";
import { type Finding, skip, softer } from "./core/finding.js";
import type { Check, Examination } from "./examination.js";
import { usesNomad } from "./nomad-use.js";

const NOTHING_PUBLISHED = "nothing is published in Consul with these options";
export const NOT_IN_MESH =
  "does not apply in a mesh: nodes are reached through upstreams, and what runs the proxies registers their services";
export const NOT_NATIVE = skip("this is no native end of Consul Connect (--connect-native)");
export const NO_GATEWAY = skip("this is no gateway (--gateway)");
/** For checks of what the srv-epmd here says of itself. */
export const UNTOLD = skip("no srv-epmd here tells it over HTTP (--admin)");
export const NO_MESH = skip("no mesh is used: neither --mesh nor NOMAD_UPSTREAM_* is set");

/** For checks of what is published in Consul: why they do not apply; undefined where nodes are published there. */
export function whyUnpublished(config: Config): Finding | undefined {
  return publishesToConsul(config) ? undefined : skip(inMeshOr(config, NOTHING_PUBLISHED));
}

/** Undefined where nodes are published. */
export function whyNothingPublished({ config }: Examination): Finding | undefined {
  if (isMeshed(config)) return skip(NOT_IN_MESH);
  if (publishesToConsul(config) || config.dnsListen) return undefined;
  if (usesNomad({ config })) return skip("Nomad registers the nodes here: see nomad-entry");
  return skip("nothing is published with these options (--domain under Consul's, or --dns-listen)");
}

/** Why a check does not apply: the mesh, else another reason. */
export function inMeshOr(config: Config, reason: string): string {
  return isMeshed(config) ? NOT_IN_MESH : reason;
}

/**
 * For checks of what only nodes without an upstream need. Beside upstreams of Nomad and without --mesh there may be no
 * such node, so what fails is a warning.
 */
export function besideUpstreams(check: Check): Check {
  return { ...check, run: async (examination) => softened(await check.run(examination), examination.config) };
}

function softened(finding: Finding, config: Config): Finding {
  if (finding.result !== "fail" || isMeshed(config) || !isInMesh(config)) return finding;
  return softer(finding, [
    "no node that is behind an upstream needs it: where each peer has one, give serve --mesh and --register none (SRV_EPMD_MESH=true, SRV_EPMD_REGISTER=none)",
  ]);
}

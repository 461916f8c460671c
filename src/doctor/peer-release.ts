import type { IpPort } from "../config/network-values.js";
import { flagWords } from "../distribution/core/releases.js";
import type { Probe } from "../distribution/core/words.js";
import { flagsOf, MANDATORY, withoutOwn } from "../distribution/wire/handshake.js";
import { hostPort } from "../net/ip.js";
import type { ProbedPlace } from "../resolve/twins.js";
import { NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ofVms, ok, skip, together } from "./core/finding.js";
import type { Check } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import type { LocalVm } from "./local-vms.js";
import { probePlace } from "./probe-place.js";

type NodeProbe = Extract<Probe, { result: "node" | "other-node" }>;

const isNode = (probe: Probe): probe is NodeProbe => probe.result === "node" || probe.result === "other-node";

const PROBE_TIMEOUT = 3_000;

export const peerRelease: Check = {
  id: "peer-release",
  title:
    "the releases of the node and of the VMs here accept each other: each has the distribution flags that the other demands",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const [all, local] = [await examination.probes(), await examination.peersOfAsked()];
    const there = all.find(({ probe }) => isNode(probe));
    if (!there) return skip(UNKNOWN);
    const here = local.filter(({ probe }) => isNode(probe));
    const findings = await Promise.all(here.map((vm) => compare(vm, there, asked)));
    return together(findings, "no VM here tells its release");
  },
};

/** An end of a link, as the other sees it. */
interface End {
  readonly words: string;
  readonly probe: NodeProbe;
  readonly place: IpPort;
}

async function compare(
  { node, place, probe, process }: LocalVm,
  there: ProbedPlace,
  asked: AskedNode,
): Promise<Finding> {
  if (!isNode(probe) || !isNode(there.probe)) return skip(UNKNOWN);
  const release = process?.otpVersion === undefined ? probe.release : `OTP ${process.otpVersion}`;
  const own: End = {
    words: `${node.aliveName} here (${release})`,
    ...{ probe, place },
  };
  const other: End = {
    words: `${asked.full} at ${hostPort(there.endpoint)} (${there.probe.release})`,
    ...{ probe: there.probe, place: there.endpoint },
  };
  const missing = (await refuses(other, own, asked)) ?? (await refuses(own, other, asked));
  if (!missing) return ok(`${own.words} and ${other.words} accept each other`);
  const finding = fail(
    "PEER_RELEASE",
    `${own.words} and ${other.words} refuse each other: ${missing.lacks.words} has not ${flagWords(missing.flags)}, which ${missing.demands.words} demands`,
    `bring ${missing.lacks.words} to a release that the other accepts: each connects to those of two releases before and after it`,
  );
  return ofVms([node.aliveName], finding);
}

interface Missing {
  readonly demands: End;
  readonly lacks: End;
  readonly flags: readonly string[];
}

/**
 * Asks a node whether it accepts the flags of another, where they are less than releases are known to demand. It then
 * logs a refusal, as it does of that node. Undefined: it accepts them, or does not tell.
 */
async function refuses(demands: End, lacks: End, { host }: AskedNode): Promise<Missing | undefined> {
  const flags = MANDATORY.filter((flag) => !lacks.probe.flags.includes(flag));
  if (flags.length === 0) return undefined;
  const as = withoutOwn(flagsOf(lacks.probe.flags));
  const isAsked = () => true;
  const probe = await probePlace(demands.place, { isAsked, serverName: host, timeout: PROBE_TIMEOUT, flags: as });
  return probe.result === "erlang" && probe.status === "not_allowed" ? { demands, lacks, flags } : undefined;
}

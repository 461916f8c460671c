import type { LookUp } from "../daemon/core/observations.js";
import { hostPort } from "../net/ip.js";
import { ageWords, listed } from "../text.js";
import { NOT_NAMED } from "./asked-node.js";
import { type Finding, ok, type Problem, skip } from "./core/finding.js";
import type { LinksKnown } from "./core/links-with.js";
import { triesIn, unlinkedProblem } from "./core/unlinked.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { isOfNode } from "./known-of-node.js";
import { linksKnown } from "./links-known.js";
import { namesByCookie } from "./local-vms.js";

export const PEER_LINK = "peer-link";

/** What it tells programs. */
export interface LinkFacts extends Pick<LinksKnown, "linked"> {
  readonly links: LinksKnown["state"];
  /** The last one of a VM here, of those that the srv-epmd here remembers. */
  readonly lookUp?: { readonly secondsAgo: number; readonly outcome: string };
}

/** Adds what is known to the verdict. It warns or fails only where a link is missing and nothing else explains that. */
export const peerLink: Check = {
  id: PEER_LINK,
  title:
    "links with the node that stand already, and when it was last asked for from here, with the answer: a link came about",
  run: async (examination): Promise<Finding> => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const [links, lookUp] = await Promise.all([linksKnown(asked, examination), lastLookUp(asked, examination)]);
    const problem = lookUp?.found && (await missingLink(asked, links, lookUp.found, examination));
    const isNothing = links.state === "none" || links.state === "unknown";
    const words = lookUp?.words ?? [];
    if (isNothing && words.length === 0) {
      return skip(["no link with the node is seen", ...(lookUp ? [] : ["no srv-epmd here tells who asked for it"])]);
    }
    const facts: LinkFacts = { links: links.state, linked: links.linked, ...(lookUp?.last && { lookUp: lookUp.last }) };
    const evidence = [...links.words, ...words];
    if (!problem) return { ...ok(evidence), facts: { ...facts } };
    const { result, advice } = problem;
    return { result, evidence, advice, problems: [problem], facts: { ...facts } };
  },
};

interface LastLookUp {
  /** None where VMs here do not ask the EPMD here for it. */
  readonly words: readonly string[];
  /** Undefined: nobody has asked. */
  readonly last?: NonNullable<LinkFacts["lookUp"]>;
  /** A VM with the module has asked, and was told where the node is; the last first. */
  readonly found?: readonly [LookUp, ...LookUp[]];
}

/** A VM that was told where the node is, and the node answers there: where none is linked with it, that is a problem. */
async function missingLink(
  { full, name }: AskedNode,
  { unlinked: all }: LinksKnown,
  found: readonly [LookUp, ...LookUp[]],
  { probes, peersOfAsked, hasCookie, startedAt, daemon }: Examination,
): Promise<Problem | undefined> {
  const [seen, vms, status] = await Promise.all([probes(), peersOfAsked(), daemon()]);
  const answering = seen.flatMap(({ probe }) => (probe.result === "node" ? [probe] : []));
  if (answering.length === 0) return undefined;
  // It may have been started again since, at another place; and a VM that asks in another case dials another name.
  const places = seen.map(({ endpoint }) => hostPort(endpoint));
  const isIts = ({ node, endpoints }: LookUp) =>
    endpoints.some((place) => places.includes(place)) && node.split("@", 1)[0] === name.aliveName;
  const [last] = found;
  if (!isIts(last)) return undefined;
  const isSame = answering.some(({ joined }) => joined?.cookie === "same");
  // One that has registered since has not asked.
  const isNewer = (vm: string) => status?.nodes.some((one) => one.name === vm && Date.parse(one.since) > last.at);
  const asking = all.filter((vm) => !isNewer(vm));
  const having = namesByCookie(vms, "same");
  // With its cookie a VM can be linked with it.
  const unlinked = isSame ? asking.filter((vm) => !having.includes(vm)) : asking;
  return unlinkedProblem({
    ...{ asked: full, unlinked, askedAgo: startedAt - last.at - last.elapsedMs },
    tries: triesIn(found.filter(isIts).map(({ at }) => startedAt - at)),
    cookie: !hasCookie ? "not-given" : isSame ? "same" : "unknown",
    isByHand: vms.some(({ process }) => process?.autoConnect !== undefined),
  });
}

/** Undefined where no daemon tells. The daemon keeps the last look-ups. */
async function lastLookUp(
  asked: AskedNode,
  { daemon, now, startedAt, peersOfAsked, hostWay }: Examination,
): Promise<LastLookUp | undefined> {
  const lookUps = (await daemon())?.lookUps;
  if (!lookUps) return undefined;
  const vms = await peersOfAsked();
  const mayHaveModule = vms.some(({ process }) => process?.hasModule !== false);
  const mayLackModule = vms.some(({ process }) => process?.hasModule !== true);
  // A check may ask the EPMD as a VM without the module does: now, and before where no VM here does.
  const its = lookUps.filter(
    (lookUp) =>
      lookUp.here && lookUp.at < startedAt && (lookUp.way === "module" || mayLackModule) && isOfNode(lookUp, asked),
  );
  // Named after its host it is asked for there, and not here. A module that a configuration file names is not seen.
  const isAskedHere = mayHaveModule || its.some(({ way }) => way === "module");
  if (!isAskedHere && (await hostWay())) return { words: [] };
  const [last] = its;
  if (!last) {
    const count = `${lookUps.length} ${lookUps.length === 1 ? "look-up" : "look-ups"}`;
    return { words: [`nobody here has asked for it, as far as srv-epmd remembers (${count})`] };
  }
  const secondsAgo = Math.max(0, Math.round((now() - last.at) / 1000));
  const words = `last asked for from here ${ageWords(secondsAgo)} ago (${last.way}), and told ${toldWords(last)}`;
  const [found, ...before] = its.filter(({ way, outcome }) => way === "module" && outcome === "found");
  const isFound = found === last;
  return { words: [words], last: { secondsAgo, outcome: last.outcome }, ...(isFound && { found: [found, ...before] }) };
}

/** The gateway answers with the port of its relay; without it that of the node stands in the endpoints too. */
function toldWords({ outcome, reason, port, endpoints, way }: LookUp): string {
  if (outcome !== "found") return `${outcome}${reason === undefined ? "" : `: ${reason}`}`;
  if (endpoints.length === 0) return `port ${port}`;
  return way === "gateway" ? `port ${port}, which leads to ${listed(endpoints)}` : listed(endpoints);
}

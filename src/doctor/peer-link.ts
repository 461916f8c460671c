import { ageWords, listed } from "../text.js";
import { NOT_NAMED } from "./asked-node.js";
import { type Finding, ok, skip } from "./core/finding.js";
import type { LinksKnown } from "./core/links-with.js";
import type { Check, Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { isOfNode } from "./known-of-node.js";
import { linksKnown } from "./links-known.js";

export const PEER_LINK = "peer-link";

/** What it tells programs. */
export interface LinkFacts extends Pick<LinksKnown, "linked"> {
  readonly links: LinksKnown["state"];
  /** The last one of a VM here, of those that the srv-epmd here remembers. */
  readonly lookUp?: { readonly secondsAgo: number; readonly outcome: string };
}

/** Never warns or fails: it adds what is known to the verdict. */
export const peerLink: Check = {
  id: PEER_LINK,
  title: "links with the node that stand already, and when it was last asked for from here, with the answer",
  run: async (examination): Promise<Finding> => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const [links, lookUp] = await Promise.all([linksKnown(asked, examination), lastLookUp(asked, examination)]);
    if ((links.state === "none" || links.state === "unknown") && lookUp === undefined) {
      return skip("no link with the node is seen, and no srv-epmd here tells who asked for it");
    }
    const facts: LinkFacts = { links: links.state, linked: links.linked, ...(lookUp?.last && { lookUp: lookUp.last }) };
    return { ...ok([...links.words, lookUp?.words ?? "no srv-epmd here tells who asked for it"]), facts: { ...facts } };
  },
};

interface LastLookUp {
  readonly words: string;
  /** Undefined: nobody has asked. */
  readonly last?: NonNullable<LinkFacts["lookUp"]>;
}

/** Undefined where no daemon tells. The daemon keeps the last look-ups. */
async function lastLookUp(
  asked: AskedNode,
  { daemon, now, startedAt, peersOfAsked }: Examination,
): Promise<LastLookUp | undefined> {
  const lookUps = (await daemon())?.lookUps;
  if (!lookUps) return undefined;
  const vms = await peersOfAsked();
  const haveModule = vms.some(({ process }) => process?.hasModule !== false);
  const areStock = vms.some(({ process }) => process?.asksResolver !== false);
  // Checks ask the EPMD too: now, and in ways that no VM here has when this command was run before.
  const last = lookUps.find(
    (lookUp) =>
      lookUp.here &&
      lookUp.at < startedAt &&
      (lookUp.way === "module" ? haveModule : areStock) &&
      isOfNode(lookUp, asked),
  );
  if (!last) {
    const count = `${lookUps.length} ${lookUps.length === 1 ? "look-up" : "look-ups"}`;
    return { words: `nobody here has asked for it, as far as srv-epmd remembers (${count})` };
  }
  const secondsAgo = Math.max(0, Math.round((now() - last.at) / 1000));
  const told =
    last.outcome === "found"
      ? `port ${last.port}${last.endpoints.length > 0 ? ` of ${listed(last.endpoints)}` : ""}`
      : `${last.outcome}${last.reason === undefined ? "" : `: ${last.reason}`}`;
  const words = `last asked for from here ${ageWords(secondsAgo)} ago (${last.way}), and told ${told}`;
  return { words, last: { secondsAgo, outcome: last.outcome } };
}

import { hostPort } from "../net/ip.js";
import { ageWords, listed } from "../text.js";
import { NOT_NAMED } from "./asked-node.js";
import { ok, skip } from "./core/finding.js";
import type { AskedNode, Check, Examination } from "./examination.js";
import { type Link, linksHere } from "./links.js";

export const PEER_LINK = "peer-link";

/** Never warns or fails: it adds what is known to the verdict. */
export const peerLink: Check = {
  id: PEER_LINK,
  title: "links with the node that stand already, and when it was last asked for from here, with the answer",
  run: async (examination) => {
    const { asked } = examination;
    if (!asked) return NOT_NAMED;
    const [links, lookUp] = await Promise.all([linkWords(examination), lookUpWords(asked, examination)]);
    if (links === undefined && lookUp === undefined) {
      return skip("no link with the node is seen, and no srv-epmd here tells who asked for it");
    }
    return ok([links ?? "no link with the node is seen here", lookUp ?? "no srv-epmd here tells who asked for it"]);
  },
};

/** Undefined where none is seen. */
async function linkWords(examination: Examination): Promise<string | undefined> {
  const [links, found] = await Promise.all([linksHere(examination), examination.resolution()]);
  const endpoints = found.outcome === "found" ? found.endpoints : [];
  const places = new Set(endpoints.map((endpoint) => hostPort(endpoint)));
  const addresses = new Set(endpoints.map(({ address }) => address));
  const out = links.filter(({ connection, isInbound }) => !isInbound && places.has(hostPort(connection.remote)));
  // Whoever dialled the VM has a port of its own: only the machine is known.
  const into = links.filter(({ connection: { local, remote }, isInbound }) => {
    // Of a link on this machine both ends are here.
    const isOut = out.some(({ connection }) => hostPort(connection.local) === hostPort(remote));
    return isInbound && addresses.has(remote.address) && !(isOut && places.has(hostPort(local)));
  });
  const told = [
    ...out.map((link) => `${who(link)} to ${hostPort(link.connection.remote)}`),
    ...into.map((link) => `from its machine (${hostPort(link.connection.remote)}) to ${link.aliveName}`),
  ];
  return told.length === 0 ? undefined : `a link stands: ${listed(told)}`;
}

const who = ({ aliveName, connection }: Link) => `from ${aliveName ?? hostPort(connection.local)}`;

/** Undefined where no daemon tells. The daemon keeps the last look-ups. */
async function lookUpWords(
  { full, name }: AskedNode,
  { daemon, now, startedAt, peersOfAsked }: Examination,
): Promise<string | undefined> {
  const lookUps = (await daemon())?.lookUps;
  if (!lookUps) return undefined;
  const wanted = full.toLowerCase();
  const vms = await peersOfAsked();
  const haveModule = vms.some(({ process }) => process?.hasModule !== false);
  const areStock = vms.some(({ process }) => process?.asksResolver !== false);
  // Checks ask the EPMD too: now, and in ways that no VM here has when this command was run before.
  const last = lookUps.find(
    ({ node, here, at, way }) =>
      here &&
      at < startedAt &&
      (way === "module" ? haveModule : areStock) &&
      (node.toLowerCase() === wanted || node === name.aliveName),
  );
  if (!last) return `nobody here has asked for it, as far as srv-epmd remembers (${lookUps.length} look-ups)`;
  const age = ageWords(Math.max(0, Math.round((now() - last.at) / 1000)));
  const told =
    last.outcome === "found"
      ? `port ${last.port}${last.endpoints.length > 0 ? ` of ${listed(last.endpoints)}` : ""}`
      : `${last.outcome}${last.reason === undefined ? "" : `: ${last.reason}`}`;
  return `last asked for from here ${age} ago (${last.way}), and told ${told}`;
}

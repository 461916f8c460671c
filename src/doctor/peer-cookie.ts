import { cookieWords, type Joined } from "../distribution/core/words.js";
import { hostPort } from "../net/ip.js";
import type { ProbedPlace } from "../resolve/twins.js";
import { listed } from "../text.js";
import { NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ofVms, ok, skip, together, warn } from "./core/finding.js";
import type { LinksKnown } from "./core/links-with.js";
import type { Check } from "./examination.js";
import { linksKnown } from "./links-known.js";
import { namesByCookie } from "./local-vms.js";

export const PEER_COOKIE = "peer-cookie";

const NOT_ASKED = { state: "unknown", linked: [] } as const;
const SAME_FILE = "see that the file here is the one that the VMs use";

export const peerCookie: Check = {
  id: PEER_COOKIE,
  title: "the cookie, with --cookie-file or --cookie-env: the node has the same",
  run: async (examination) => {
    if (!examination.asked) return NOT_NAMED;
    if (!examination.hasCookie) {
      return skip("no cookie was given: with --cookie-file FILE it is compared with that of the node");
    }
    const joined = (await examination.probes()).flatMap(({ endpoint, probe }) =>
      "joined" in probe && probe.joined ? [{ endpoint, joined: probe.joined }] : [],
    );
    const isRefused = joined.some((one) => one.joined.cookie === "refused");
    const links = isRefused ? await linksKnown(examination.asked, examination) : NOT_ASKED;
    const vms = await examination.peersOfAsked();
    const here = { accepting: namesByCookie(vms, "same"), refusing: namesByCookie(vms, "refused") };
    const findings = joined.map((one) => comparison(one, one.joined, links, here));
    return together(findings, `${UNKNOWN} where the node answers: see peer-records, peer-tcp and peer-handshake`);
  },
};

/** Alive names of the VMs here that accept the cookie that was given, and of those that refuse it. */
interface SaidHere {
  readonly accepting: readonly string[];
  readonly refusing: readonly string[];
}

const theirs = (vms: readonly string[]) =>
  `give the cookie of the VM of ${listed(vms)} here: erlang:get_cookie() in its shell tells it (-setcookie, RELEASE_COOKIE, or the ~/.erlang.cookie of its user)`;
const ONE_COOKIE = "start both VMs with one cookie: -setcookie, RELEASE_COOKIE, or the same ~/.erlang.cookie";

/** @param links between the VMs here and the node, whose cookies agree where one stands */
export function comparison(
  { endpoint }: Pick<ProbedPlace, "endpoint">,
  joined: Joined,
  { state, linked }: Pick<LinksKnown, "state" | "linked">,
  { accepting, refusing }: SaidHere,
): Finding {
  const evidence = `${hostPort(endpoint)}: ${cookieWords(joined)}`;
  const isOne = refusing.length === 1;
  const refused = `${listed(refusing)} here ${isOne ? "refuses" : "refuse"} the cookie that was given`;
  switch (joined.cookie) {
    case "same":
      if (refusing.length > 0) {
        const differ = fail(
          "PEER_COOKIE",
          [evidence, `${refused}: ${isOne ? "its own is" : "theirs are"} another one`],
          ONE_COOKIE,
        );
        return ofVms(refusing, differ);
      }
      return joined.state || joined.why === "no-vm"
        ? ok(evidence)
        : warn("PEER_SAYS_NOTHING", evidence, "the VM is overloaded or hangs: look at its load on its machine (top)");
    case "refused":
      if (linked.length > 0) {
        const who = `${listed(linked)} here`;
        return warn(
          "COOKIE_GIVEN",
          [evidence, `${who} and it are linked, so they have one cookie, and the one that was given is another`],
          theirs(linked),
        );
      }
      if (refusing.length > 0 && accepting.length === 0) {
        return warn(
          "COOKIE_GIVEN",
          [evidence, `${refused}, too: whether ${isOne ? "its" : "their"} cookie is that of the node is not known`],
          theirs(refusing),
        );
      }
      if (accepting.length > 0) {
        const accepted = `${listed(accepting)} here ${accepting.length === 1 ? "accepts" : "accept"} the cookie that was given`;
        return ofVms(accepting, fail("PEER_COOKIE", [evidence, accepted], ONE_COOKIE));
      }
      return fail("PEER_COOKIE", evidence, [
        ...(state === "connected" ? [`${SAME_FILE}: a connection with the node stands, which may be a link`] : []),
        `${ONE_COOKIE}; and ${SAME_FILE}`,
      ]);
    case "other":
      return fail(
        "PEER_COOKIE",
        evidence,
        "look for erlang:set_cookie/2 in the code of the node, which sets a cookie for single nodes",
      );
    case "unknown":
      return warn("PEER_COOKIE_UNTOLD", evidence, "ask again: a VM that starts, ends or is overloaded does so");
    default:
      return joined satisfies never;
  }
}

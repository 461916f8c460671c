import { cookieWords, type Joined } from "../distribution/core/words.js";
import { hostPort } from "../net/ip.js";
import type { ProbedPlace } from "../resolve/twins.js";
import { NOT_NAMED, UNKNOWN } from "./asked-node.js";
import { type Finding, fail, ok, skip, together, warn } from "./core/finding.js";
import type { Check } from "./examination.js";

export const PEER_COOKIE = "peer-cookie";

export const peerCookie: Check = {
  id: PEER_COOKIE,
  title: "the cookie, with --cookie-file or --cookie-env: the node has the same",
  run: async (examination) => {
    if (!examination.asked) return NOT_NAMED;
    if (!examination.hasCookie) {
      return skip("no cookie was given: with --cookie-file FILE it is compared with that of the node");
    }
    const findings = (await examination.probes()).flatMap(({ endpoint, probe }) =>
      "joined" in probe && probe.joined ? comparison({ endpoint }, probe.joined) : [],
    );
    return together(findings, `${UNKNOWN} where the node answers: see peer-records, peer-tcp and peer-handshake`);
  },
};

function comparison({ endpoint }: Pick<ProbedPlace, "endpoint">, joined: Joined): Finding {
  const evidence = `${hostPort(endpoint)}: ${cookieWords(joined)}`;
  switch (joined.cookie) {
    case "same":
      return joined.state || joined.why === "no-vm"
        ? ok(evidence)
        : warn("PEER_SAYS_NOTHING", evidence, "the VM is overloaded or hangs: look at its load on its machine (top)");
    case "refused":
      return fail(
        "PEER_COOKIE",
        evidence,
        "start both VMs with one cookie: -setcookie, RELEASE_COOKIE, or the same ~/.erlang.cookie; and see that the file here is the one that the VMs use",
      );
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

import { ageWords, listed } from "../../text.js";
import type { Problem } from "./finding.js";

/** A VM here with the module has asked for the node and was told where it is, and none is linked with it. */
export interface AskedAndUnlinked {
  /** Full name of the node. */
  readonly asked: string;
  /** Alive names of the VMs here, which say that they are not linked with it. */
  readonly unlinked: readonly string[];
  /** Since the answer. Milliseconds. */
  readonly askedAgo: number;
  /** Of doctor's cookie and that of the node; `not-given`: doctor has none. */
  readonly cookie: "not-given" | "same" | "unknown";
  /** A VM here has dist_auto_connect: what it asks for is not to be linked by itself. */
  readonly isByHand: boolean;
}

/** In which a VM that was answered connects to another machine, milliseconds: then its connection is seen. */
const CONNECTS_WITHIN = 500;
/** So long after the answer a missing link is a failure; later the link may have come about, and ended. Milliseconds. */
const CERTAIN = 60_000;
/** So long it is worth a question. Milliseconds. */
const LATELY = 600_000;

const IN_ITS_LOG =
  "look in the log of its VM for 'Invalid challenge reply', which names each VM that has another cookie";

/** Undefined: nothing speaks against a link. */
export function unlinkedProblem(seen: AskedAndUnlinked): Problem | undefined {
  const { asked, unlinked, askedAgo, cookie, isByHand } = seen;
  if (unlinked.length === 0 || isByHand || askedAgo < CONNECTS_WITHIN || askedAgo > LATELY) return undefined;
  const ago = ageWords(Math.round(askedAgo / 1000));
  const evidence = `a VM here asked for ${asked} ${ago} ago and was told where it is, and none is linked with it: so says ${listed(unlinked)}`;
  return {
    ...{ code: "PEER_UNLINKED", result: askedAgo > CERTAIN ? "warn" : "fail", evidence: [evidence] },
    advice: [cookieAdvice(asked, cookie), "see why in the logs of both VMs"],
  };
}

function cookieAdvice(asked: string, cookie: AskedAndUnlinked["cookie"]): string {
  switch (cookie) {
    case "not-given":
      return `compare its cookie: srv-epmd doctor ${asked} --cookie-file FILE here, with the cookie of the VMs here; and ${IN_ITS_LOG}`;
    case "same":
      return `its cookie is the one that was given: see that the VMs here have that too (erlang:get_cookie() in their shells); and ${IN_ITS_LOG}`;
    case "unknown":
      return IN_ITS_LOG;
    default:
      return cookie satisfies never;
  }
}

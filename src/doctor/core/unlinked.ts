import { ageWords, listed } from "../../text.js";
import type { Problem } from "./finding.js";

/** A VM here with the module has asked for the node and was told where it is, and none is linked with it. */
export interface AskedAndUnlinked {
  /** Full name of the node. */
  readonly asked: string;
  /** Alive names of the VMs here, which say that they are not linked with it. */
  readonly unlinked: readonly string[];
  /** Since the last answer. Milliseconds. */
  readonly askedAgo: number;
  /** From the answer before to the last one; undefined: there was none. Milliseconds. */
  readonly askedAgainAfter: number | undefined;
  /** Of doctor's cookie and that of the node; `not-given`: doctor has none. `theirs`: the VMs here have it, too. */
  readonly cookie: "not-given" | "same" | "theirs" | "unknown";
  /** A VM here has dist_auto_connect: what it asks for is not to be linked by itself. */
  readonly isByHand: boolean;
}

/** In which a VM that was answered connects to another machine, milliseconds: then its connection is seen. */
const CONNECTS_WITHIN = 500;
/**
 * A VM asks again so soon only where no link has come about: then that is a failure. After one answer a link may have come about,
 * and ended. Milliseconds.
 */
const AGAIN_WITHIN = 60_000;
/** So long it is worth a question. Milliseconds. */
const LATELY = 600_000;

const IN_ITS_LOG =
  "look in the log of its VM for 'Invalid challenge reply', which names each VM that has another cookie";

/** Undefined: nothing speaks against a link. */
export function unlinkedProblem(seen: AskedAndUnlinked): Problem | undefined {
  const { asked, unlinked, askedAgo, askedAgainAfter = Number.POSITIVE_INFINITY, cookie, isByHand } = seen;
  // With one cookie they can be linked: a link has come about, and ended.
  if (unlinked.length === 0 || isByHand || cookie === "theirs") return undefined;
  if (askedAgo < CONNECTS_WITHIN || askedAgo > LATELY) return undefined;
  const isCertain = askedAgo + askedAgainAfter <= AGAIN_WITHIN;
  const ago = ageWords(Math.round(askedAgo / 1000));
  const often = isCertain ? "again and again, last " : "";
  const ended = isCertain ? "" : " (or a link that came about has ended)";
  const evidence = `a VM here asked for ${asked} ${often}${ago} ago and was told where it is, and none is linked with it${ended}: so says ${listed(unlinked)}`;
  return {
    ...{ code: "PEER_UNLINKED", result: isCertain ? "fail" : "warn", evidence: [evidence] },
    advice: [cookieAdvice(asked, cookie), "see why in the logs of both VMs"],
  };
}

function cookieAdvice(asked: string, cookie: Exclude<AskedAndUnlinked["cookie"], "theirs">): string {
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

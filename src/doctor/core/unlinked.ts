import { ageWords, listed } from "../../text.js";
import type { Problem } from "./finding.js";

/** A VM here with the module has asked for the node and was told where it is, and none is linked with it. */
export interface AskedAndUnlinked {
  /** Full name of the node. */
  readonly asked: string;
  /** Alive names of VMs here, which say that they are not linked with it; without those that have its cookie, as far as that is known. */
  readonly unlinked: readonly string[];
  /** Since the last answer. Milliseconds. */
  readonly askedAgo: number;
  /** How often it was asked for lately, at the place where it is: see triesIn(). */
  readonly tries: number;
  /** Of doctor's cookie and that of the node; `not-given`: doctor has none. */
  readonly cookie: "not-given" | "same" | "unknown";
  /** A VM here has dist_auto_connect: what it asks for is not to be linked by itself. */
  readonly isByHand: boolean;
}

/** In which a VM that was answered connects to another machine, milliseconds: then its connection is seen. */
const CONNECTS_WITHIN = 500;
/**
 * A VM whose links do not come about tries again and again. After a few tries a link may have come about each time, and ended
 * (erlang:disconnect_node, or a console that has ended).
 */
const MANY_TRIES = 4;
/** So long it is worth a question. Milliseconds. */
const LATELY = 600_000;

/** A VM may ask more than once to connect once. Milliseconds. */
const ONE_TRY = 1_000;
/** In which tries are counted. Milliseconds. */
const TRIES_WITHIN = 60_000;

/** How often VMs have tried to connect. @param ages of their look-ups, milliseconds, the last one first */
export function triesIn(ages: readonly number[]): number {
  let tries = 0;
  let last = Number.NEGATIVE_INFINITY;
  for (const age of ages) {
    if (age > TRIES_WITHIN || age - last < ONE_TRY) continue;
    tries++;
    last = age;
  }
  return tries;
}

const IN_ITS_LOG =
  "look in the log of its VM for 'Invalid challenge reply', which names each VM that has another cookie";

/** Undefined: nothing speaks against a link. */
export function unlinkedProblem(seen: AskedAndUnlinked): Problem | undefined {
  const { asked, unlinked, askedAgo, tries, cookie, isByHand } = seen;
  if (unlinked.length === 0 || isByHand) return undefined;
  if (askedAgo < CONNECTS_WITHIN || askedAgo > LATELY) return undefined;
  const isCertain = tries >= MANY_TRIES;
  const ago = ageWords(Math.round(askedAgo / 1000));
  const often = isCertain ? "again and again, last " : "";
  const ended = isCertain ? "" : " (or a link that came about has ended)";
  const evidence = `a VM here asked for ${asked} ${often}${ago} ago and was told where it is, and none is linked with it${ended}: so says ${listed(unlinked)}`;
  return {
    ...{ code: "PEER_UNLINKED", result: isCertain ? "fail" : "warn", evidence: [evidence] },
    ...(isCertain && { vms: unlinked }),
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

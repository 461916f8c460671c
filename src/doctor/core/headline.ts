import { ageWords, listed } from "../../text.js";
import type { FindingResult } from "./finding.js";
import type { LinksKnown } from "./links-with.js";
import { NO_EPMD } from "./problem-kind.js";
import { isOfPeer } from "./problems.js";
import type { FoundProblem } from "./verdict.js";

/** What the verdict on the way to a node is made of. */
export interface WayKnown {
  /** Full name. */
  readonly asked: string;
  /** Alive names of the VMs here that may ask for it. */
  readonly vms: readonly string[];
  /** All, causes and effects alike. */
  readonly problems: readonly FoundProblem[];
  readonly handshake: FindingResult | undefined;
  /** Of the comparison; `not-given`: doctor has no cookie. */
  readonly cookie: FindingResult | "not-given" | undefined;
  /** Look-ups of doctor do not find it, and the srv-epmd here does, from what it knew. */
  readonly isStillFound: boolean;
  /** A check of the node has failed, or could not be made in time. */
  readonly isDoubtful: boolean;
  readonly links: LinksKnown["state"] | undefined;
  readonly linked: readonly string[];
  /** Of a VM here, the last one. */
  readonly lookUp: { readonly secondsAgo: number; readonly outcome: string } | undefined;
}

export interface Headline {
  readonly text: string;
  readonly tone: "good" | "doubtful" | "bad";
}

/** A VM that has asked connects at once: so long after it a missing link is worth a question. Seconds. */
const LATELY = 600;

/** Whether the VMs here reach the node, in a line. */
export function headlineOf(way: WayKnown): Headline {
  const haltedAs = (code: "VM_STOPPED" | "VM_SILENT") =>
    way.vms.filter((name) => way.problems.some((problem) => problem.code === code && problem.about === name));
  const [stopped, silent] = [haltedAs("VM_STOPPED"), haltedAs("VM_SILENT")];
  const halted = [...stopped, ...silent];
  const awake = { ...way, vms: way.vms.filter((name) => !halted.includes(name)) };
  const bad = badHeadline(awake);
  if (bad || halted.length === 0) return bad ?? restHeadline(awake);
  const words = [
    ...(stopped.length > 0 ? [`${listed(stopped)} here ${be3(stopped)} stopped, and ${reach3(stopped)} nothing`] : []),
    ...(silent.length > 0 ? [`${listed(silent)} here ${do3(silent)} not answer`] : []),
  ].join("; ");
  if (awake.vms.length === 0) return haltedHeadline(words, way);
  const { text } = restHeadline(awake);
  return { text: `${text}; but ${words}`, tone: "bad" };
}

const restHeadline = (way: WayKnown) =>
  twinHeadline(way) ?? (isUnknown(way) ? unknownHeadline(way) : goodHeadline(way));

/** No VM here runs as it should: that the node is well says nothing of the way from them. */
function haltedHeadline(words: string, { asked, links }: WayKnown): Headline {
  const stands = links === "linked" || links === "connected";
  return { text: `${words}${stands ? `; a connection with ${asked} stands` : ""}`, tone: "bad" };
}

const isUnknown = (way: WayKnown) => way.isDoubtful || !isAnswered(way);

const isAnswered = ({ handshake }: Pick<WayKnown, "handshake">) => handshake === "ok" || handshake === "warn";

function badHeadline({ asked, vms, problems, links, linked, isStillFound }: WayKnown): Headline | undefined {
  const inTheWay = problems.filter(
    ({ code, result, vms: some }) => isOfPeer(code) && (some ? some.length > 0 : result === "fail"),
  );
  if (inTheWay.length === 0) return undefined;
  const bad = (text: string): Headline => ({ text, tone: "bad" });
  if (isStillFound && inTheWay.every(({ check }) => check === "peer-records")) {
    const stands = linked.length > 0 ? `${listed(linked)} here ${be3(linked)} linked with ${asked}, and ` : "";
    return bad(
      `${stands}the srv-epmd here still leads VMs to ${stands ? "it" : asked}, by what it knew before: when it moves or ends VMs here do not learn of it`,
    );
  }
  const kept = new Set(inTheWay.flatMap(({ vms: some }) => some ?? vms));
  const others = vms.filter((name) => !kept.has(name));
  if (others.length > 0) {
    const names = vms.filter((name) => kept.has(name));
    return bad(`${listed(names)} here ${do3(names)} not reach ${asked}; ${listed(others)} ${do3(others)}`);
  }
  const isUnserved = problems.some(({ code }) => NO_EPMD.some((one) => one === code));
  if (isUnserved && (links === "linked" || links === "connected")) {
    const stands = linked.length > 0 ? `${listed(linked)} here ${be3(linked)} linked` : "a VM here has a connection";
    return bad(`${stands} with ${asked}, which stays; no new link comes about until srv-epmd has the EPMD port here`);
  }
  if (inTheWay.every(({ code }) => code === "PEER_LARGE_LOST")) {
    return bad(`VMs here connect with ${asked}, and large messages do not arrive: links come about, and hang`);
  }
  if (linked.length > 0) {
    return bad(`${listed(linked)} here ${be3(linked)} linked with ${asked}, and VMs here do not reach it anew`);
  }
  if (inTheWay.every(({ code }) => code === "PEER_NOT_ALLOWED")) {
    return bad(`VMs here reach ${asked} only if they are on its list, and none of them is linked with it`);
  }
  if (inTheWay.every(({ code }) => code === "PEER_UNLINKED")) {
    return bad(`VMs here find ${asked}, and none is linked with it, though one asked for it lately`);
  }
  return bad(`VMs here do not reach ${asked}`);
}

/** Several VMs have its name, and they answer. */
function twinHeadline({ asked, vms, problems, linked, handshake }: WayKnown): Headline | undefined {
  const aliveName = asked.slice(0, asked.indexOf("@"));
  const isTwice = problems.some(
    ({ code, about }) => code === "PEER_TWICE" || (code === "NAME_TWICE" && about === aliveName),
  );
  if (!isTwice || !isAnswered({ handshake })) return undefined;
  const who = linked.length > 0 ? `${listed(linked)} here ${be3(linked)} linked with` : whoReaches(vms);
  return { text: `${who} one of the VMs that are called ${asked}`, tone: "bad" };
}

/** The problems above it say why. */
function unknownHeadline({ asked, vms, linked }: WayKnown): Headline {
  if (linked.length > 0) {
    const text = `${listed(linked)} here ${be3(linked)} linked with ${asked}; whether VMs here reach it anew is not known`;
    return { text, tone: "doubtful" };
  }
  return { text: `whether ${whoReaches(vms)} ${asked} is not known`, tone: "doubtful" };
}

function goodHeadline({ asked, vms, problems, cookie, links, linked, lookUp }: WayKnown): Headline {
  const reach = `${whoReaches(vms)} ${asked}`;
  if (linked.length > 0) return { text: `${reach}: ${listed(linked)} ${be3(linked)} linked with it`, tone: "good" };
  if (cookie === "ok") return { text: `${reach}; its cookie is the one that was given`, tone: "good" };
  if (links === "none" && lookUp?.outcome === "found" && lookUp.secondsAgo <= LATELY && vms.length > 0) {
    const age = ageWords(lookUp.secondsAgo);
    const ask = cookie === "not-given" ? "compare its cookie: --cookie-file FILE" : "see why in the logs of both VMs";
    const text = `VMs here find ${asked}, and none is linked with it, though one asked for it ${age} ago: ${ask}`;
    return { text, tone: "doubtful" };
  }
  const name = problems.some(({ code }) => code === "PEER_NAMELESS")
    ? "neither its name nor its cookie was"
    : "its cookie was not";
  const how = cookie === "not-given" ? " (--cookie-file FILE)" : "";
  return { text: `${reach}; ${name} compared${how}`, tone: "good" };
}

const whoReaches = (vms: readonly string[]) => (vms.length === 0 ? "a VM here would reach" : "VMs here reach");

const do3 = (names: readonly string[]) => (names.length === 1 ? "does" : "do");
const reach3 = (names: readonly string[]) => (names.length === 1 ? "reaches" : "reach");
const be3 = (names: readonly string[]) => (names.length === 1 ? "is" : "are");

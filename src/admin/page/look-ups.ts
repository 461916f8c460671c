import type { LookUp } from "../../daemon/core/observations.js";
import { hostPort } from "../../net/ip.js";
import type { Status } from "../core/view.js";
import { type Content, html, type Markup, nothing, section, table } from "./html.js";
import { age, clock, code, counted, fewOf, ipOf, nodeName, pill, type Tone } from "./words.js";

const SHOWN = 100;

export const OUTCOME_TONES: Record<LookUp["outcome"], Tone> = {
  found: "good",
  "not-found": "doubtful",
  unreachable: "doubtful",
  unavailable: "bad",
  refused: "quiet",
};

/** `not found` */
export function outcomeWords(outcome: LookUp["outcome"]): string {
  return outcome.replace("-", " ");
}

export function askerWords({ asker, here }: Pick<LookUp, "asker" | "here">): string {
  return here ? "this machine" : asker;
}

export function lookUpSection({ lookUps, epmd }: Status, now: number): Markup {
  if (lookUps.length === 0) {
    const ask = code(`srv-epmd resolve NODE --via ${hostPort(ipOf(epmd.addresses[0] ?? "127.0.0.1"), epmd.port)}`);
    const how = html`A VM asks here before it connects to another one. Try it: ${ask}.`;
    return section("look-ups", "Recent look-ups", "", nothing("No node has been asked for yet. ", how));
  }
  const shown = lookUps.slice(0, SHOWN);
  const beside = shown.length < lookUps.length ? `the last ${SHOWN}` : counted(shown.length, "look-up");
  return section("look-ups", "Recent look-ups", html`${beside}; times are UTC`, lookUpTable(shown, now));
}

function lookUpTable(lookUps: readonly LookUp[], now: number): Markup {
  return table<LookUp>({
    label: "Recent look-ups",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node) },
      { title: "Time", cell: ({ at }) => html`${clock(at, now)} <small>${age(at, now)} ago</small>`, kind: "word" },
      { title: "Asked by", cell: asker, kind: "word" },
      { title: "Way", cell: ({ way }) => way, kind: "word" },
      { title: "Outcome", cell: ({ outcome }) => pill(OUTCOME_TONES[outcome], outcomeWords(outcome)), kind: "word" },
      { title: "Source", cell: sourceWords, kind: "word" },
      { title: "ms", cell: ({ elapsedMs }) => elapsedMs.toFixed(elapsedMs < 100 ? 1 : 0), kind: "number" },
      { title: "Answer", cell: answer, kind: "wide" },
    ],
    rows: lookUps,
    keyOf: ({ at, asker, node, elapsedMs }) => `${at} ${asker} ${node} ${elapsedMs}`,
  });
}

function asker(lookUp: LookUp): Content {
  return lookUp.here ? html`<span title="${lookUp.asker}">${askerWords(lookUp)}</span>` : code(lookUp.asker);
}

function sourceWords({ source, stale }: LookUp): Content {
  const why = "the last good answer, because every name server failed";
  return stale ? html`${source} <span title="${why}">${pill("doubtful", "stale")}</span>` : source;
}

/** The port and the endpoints behind it, or why there is none. */
function answer({ port, endpoints, reason }: LookUp): Content {
  const leads = endpoints.length === 0 ? undefined : html`<span class="leads">${fewOf(endpoints, 2)}</span>`;
  const parts = [port === undefined ? undefined : code(port), leads, reason].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.map((part, index) => [index === 0 ? "" : " ", part]);
}

import type { LookUp } from "../../daemon/core/observations.js";
import { NOMAD_DOMAIN } from "../../names/nomad-domain.js";
import { hostPort } from "../../net/ip.js";
import type { SourceName } from "../../resolve/core/resolution.js";
import { type FoundLookUps, KINDS, type LookUpFilter } from "../core/recent-look-ups.js";
import type { Status } from "../core/status.js";
import {
  age,
  type Content,
  clock,
  code,
  counted,
  fewOf,
  html,
  ipOf,
  type Markup,
  nodeName,
  nothing,
  pill,
  section,
  type Tone,
  table,
} from "./html.js";

const OUTCOME_TONES: Record<LookUp["outcome"], Tone> = {
  found: "good",
  "not-found": "doubtful",
  unreachable: "doubtful",
  unavailable: "bad",
  refused: "quiet",
};

const SOURCES: Record<Exclude<SourceName, "catalogue">, string> = {
  registry: "alive here",
  static: "--node",
  upstream: "sidecar proxy",
  srv: "DNS",
  fallback: "fallback",
};

const KIND_WORDS: Record<LookUpFilter["kind"], string> = {
  all: "all",
  failed: "without an answer",
  found: "found",
  stale: "old answers",
};

/** The last look-ups, with a search that works without JavaScript. */
export function lookUpSection({ epmd }: Status, found: FoundLookUps, now: number): Markup {
  const { shown, of, filter, counts } = found;
  if (of === 0) {
    const ask = code(`srv-epmd resolve NODE --via ${hostPort(ipOf(epmd.addresses[0] ?? "127.0.0.1"), epmd.port)}`);
    const how = html`A VM asks here before it connects to another one. Try it: ${ask}.`;
    return section("look-ups", "Recent look-ups", "", nothing("No node has been asked for yet. ", how));
  }
  const matching = counts[filter.kind];
  const count = matching === of ? counted(of, "look-up") : `${matching} of ${counted(of, "look-up")}`;
  const beside = html`${shown.length < matching ? `the last ${shown.length} of ` : ""}${count}; times are UTC`;
  const body =
    shown.length === 0
      ? nothing("No look-up of the last ", of, " is like that. Shorten the search, or show all kinds.")
      : lookUpTable(shown, now);
  return section("look-ups", "Recent look-ups", beside, [search(found), body]);
}

function search({ filter, counts }: FoundLookUps): Markup {
  const { text, kind } = filter;
  const kinds = KINDS.map((one) => {
    const current = one === kind ? html` aria-current="true"` : undefined;
    return html`<a href="${addressOf({ text, kind: one })}"${current}>${KIND_WORDS[one]} <small>${counts[one]}</small></a>
`;
  });
  const kept = kind === "all" ? undefined : html`<input type="hidden" name="show" value="${kind}">`;
  return html`<form id="search" role="search" method="get" action="#look-ups" aria-label="Recent look-ups">
<input type="search" name="q" value="${text}" maxlength="200" placeholder="node, address or reason" aria-label="Search look-ups" autocomplete="off" spellcheck="false">${kept}
<button>Search</button>
<span role="group" aria-label="Which look-ups">${kinds}</span>
</form>
`;
}

function addressOf({ text, kind }: LookUpFilter): string {
  const query = new URLSearchParams({ ...(text !== "" && { q: text }), ...(kind !== "all" && { show: kind }) });
  return `?${query}#look-ups`;
}

function lookUpTable(lookUps: readonly LookUp[], now: number): Markup {
  return table<LookUp>({
    label: "Recent look-ups",
    isWhole: true,
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node) },
      {
        title: "Time",
        cell: ({ at }) => html`${clock(at, now)} <small>${age(at, now)} ago</small>`,
        kind: "word",
        isPlain: true,
      },
      { title: "Asked by", cell: asker, kind: "word", isPlain: true },
      { title: "Outcome", cell: outcome, kind: "word", isPlain: true },
      { title: "Answer", cell: answer, kind: "wide", isPlain: true },
      { title: "Known from", cell: sourceWords, kind: "word" },
      { title: "ms", cell: ({ elapsedMs }) => elapsedMs.toFixed(elapsedMs < 100 ? 1 : 0), kind: "number" },
    ],
    rows: lookUps,
    keyOf: ({ at, asker, node, elapsedMs }) => `${at} ${asker} ${node} ${elapsedMs}`,
  });
}

const WAYS: Record<LookUp["way"], string> = {
  module: "the module: it asks with the full name, and gets addresses",
  host: "a stock VM: it asks by the name alone, and dials the address at which it has asked",
  gateway: "a stock VM at an address of the gateway",
};

function asker({ asker, here, way }: LookUp): Content {
  const place = here ? html`<span title="${asker}">this machine</span>` : code(asker);
  return html`${place} <small title="${WAYS[way]}">${way}</small>`;
}

function outcome({ outcome }: LookUp): Markup {
  return pill(OUTCOME_TONES[outcome], outcome.replace("-", " "));
}

function sourceWords({ node, source, stale }: LookUp): Content {
  const catalogue = node.endsWith(`.${NOMAD_DOMAIN}`) ? "Nomad" : "Consul";
  const told = source === "catalogue" ? catalogue : source && SOURCES[source];
  const words = told && html`<span title="${source}">${told}</span>`;
  const why = "the last good answer, because nobody who could know better answers";
  return stale ? html`${words} <span title="${why}">${pill("doubtful", "old")}</span>` : words;
}

/** Where the node is, or why that is not known. A port that none of the addresses has is that of a relay, or of a node here. */
function answer({ port, endpoints, reason, way }: LookUp): Content {
  const isRelayed = port !== undefined && !endpoints.some((endpoint) => endpoint.endsWith(`:${port}`));
  const gate = way === "gateway" ? html`relay ${code(port ?? "")}` : html`port ${code(port ?? "")}`;
  const first = isRelayed ? gate : undefined;
  const where = endpoints.length === 0 ? undefined : fewOf(endpoints, 2);
  const leads = first && where ? html`<span class="leads">${where}</span>` : where;
  const parts = [first, leads, reason].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.map((part, index) => [index === 0 ? "" : " ", part]);
}

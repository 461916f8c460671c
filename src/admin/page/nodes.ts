import { hostPort } from "../../net/ip.js";
import type { LeftEntry, LocalNode, Status } from "../core/status.js";
import {
  age,
  type Content,
  code,
  counted,
  fewOf,
  html,
  type Markup,
  nothing,
  pill,
  section,
  type Tone,
  table,
} from "./html.js";
import { agedTone, alsoAsOf, type Silence, silences } from "./silence.js";

const PUBLICATIONS: Record<LocalNode["publication"], { readonly tone: Tone; readonly words: string }> = {
  "in-consul": { tone: "good", words: "in Consul" },
  "not-in-consul": { tone: "bad", words: "not in Consul" },
  "in-nomad": { tone: "good", words: "in Nomad" },
  "not-in-nomad": { tone: "bad", words: "not in Nomad" },
  unknown: { tone: "bad", words: "not known" },
  pending: { tone: "doubtful", words: "registering" },
  local: { tone: "quiet", words: "only here" },
  off: { tone: "quiet", words: "not published" },
};

/** The nodes alive here, and how each stands in Consul or Nomad. */
export function aliveNodes(status: Status, now: number): Markup {
  const { nodes, consul, nomad } = status;
  const silence = silences(status).publication;
  const inState = (state: LocalNode["publication"]) => nodes.filter(({ publication }) => publication === state).length;
  const [missing, misled, unknown] = [inState("not-in-consul"), inState("not-in-nomad"), inState("unknown")];
  const beside: Content = [
    counted(nodes.length, "node"),
    consul.publishes && nodes.length > 0 ? html`, ${inState("in-consul")} in Consul` : undefined,
    nomad && nodes.length > 0 ? html`, ${inState("in-nomad")} in Nomad` : undefined,
    missing > 0 ? html`, <b class="bad">${missing} not in Consul</b>` : undefined,
    misled > 0 ? html`, <b class="bad">${misled} not in Nomad</b>` : undefined,
    unknown > 0 ? html`, <b class="bad">${unknown} not known</b>` : undefined,
    nodes.length > 0 ? alsoAsOf(silence, now) : undefined,
  ];
  if (nodes.length === 0) {
    const how = html`A VM registers when it starts with a name: ${code("erl -sname a -start_epmd false")}.`;
    return section("nodes", "Nodes alive here", beside, nothing("No node is registered with this srv-epmd. ", how));
  }
  const body = table<LocalNode>({
    label: "Nodes alive here",
    columns: [
      { title: "Name", cell: ({ name, origin }) => [code(name), origin === "configured" ? configured : undefined] },
      { title: "Listens on", cell: listensOn, kind: "word" },
      { title: "Alive for", cell: ({ since }) => age(Date.parse(since), now), kind: "number" },
      { title: "Other machines find it", cell: (node) => publication(node, silence), kind: "wide" },
      { title: "Service id", cell: ({ serviceIds }) => ids(serviceIds) },
    ],
    rows: nodes,
    keyOf: ({ name }) => name,
  });
  return section("nodes", "Nodes alive here", beside, body);
}

const configured = html` <span class="note" title="from --publish-node: its VM does not use EPMD">configured</span>`;

function listensOn({ address, port, family }: LocalNode): Content {
  const place = code(address === undefined ? `port ${port}` : hostPort(address, port));
  return family === 6 ? html`${place} <small>IPv6</small>` : place;
}

/** Punctuation between state and reason: a screen reader pauses there. */
function publication({ publication, reason, elsewhere }: LocalNode, silence: Silence | undefined): Markup {
  const other =
    elsewhere &&
    html`; ${pill("bad", "same name")}: <span>another node of this name is at ${fewOf(elsewhere, 3)}</span>`;
  const { tone, words } = PUBLICATIONS[publication];
  // The agent's silence is told at the top.
  const why = publication === "unknown" && silence ? undefined : reason;
  return html`${pill(agedTone(tone, silence), words)}${why === undefined ? undefined : html`: <span>${why}</span>`}${other}`;
}

function ids(serviceIds: readonly string[]): Content {
  return serviceIds.length === 0 ? undefined : fewOf(serviceIds, 3);
}

/** Entries of this daemon in Consul whose VM is gone; nothing when there are none. */
export function leftEntries({ left }: Status): Content {
  if (left.length === 0) return undefined;
  const body = table<LeftEntry>({
    label: "Published without a VM",
    columns: [
      { title: "Name", cell: ({ name }) => code(name) },
      { title: "Service id", cell: ({ serviceIds }) => ids(serviceIds), kind: "wide" },
    ],
    rows: left,
    keyOf: ({ name }) => name,
  });
  return section("left", "Published without a VM", "the VM may return; if it does not, the entry is removed", body);
}

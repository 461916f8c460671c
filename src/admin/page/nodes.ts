import { hostPort } from "../../net/ip.js";
import type { LeftEntry, LocalNode, Status } from "../core/view.js";
import { type Content, html, type Markup } from "./html.js";
import { nothing, section, table } from "./table.js";
import { age, code, counted, fewOf, pill, type Tone } from "./words.js";

const PUBLICATIONS: Record<LocalNode["publication"], { readonly tone: Tone; readonly words: string }> = {
  "in-consul": { tone: "good", words: "in Consul" },
  "not-in-consul": { tone: "bad", words: "not in Consul" },
  unknown: { tone: "bad", words: "unknown" },
  pending: { tone: "doubtful", words: "pending" },
  local: { tone: "quiet", words: "local" },
  off: { tone: "quiet", words: "off" },
};

/** The nodes alive here, and whether Consul has them as it should. */
export function aliveNodes({ nodes, consul }: Status, now: number): Markup {
  const inState = (state: LocalNode["publication"]) => nodes.filter(({ publication }) => publication === state).length;
  const [missing, unknown] = [inState("not-in-consul"), inState("unknown")];
  const beside: Content = [
    counted(nodes.length, "node"),
    consul.publishes && nodes.length > 0 ? html`, ${inState("in-consul")} in Consul` : undefined,
    missing > 0 ? html`, <b class="bad">${missing} not in Consul</b>` : undefined,
    unknown > 0 ? html`, <b class="bad">${unknown} unknown</b>` : undefined,
  ];
  if (nodes.length === 0) {
    const how = html`A VM registers when it starts with a name: ${code("erl -sname a -start_epmd false")}.`;
    return section("nodes", "Nodes alive here", beside, nothing("No node is registered with this daemon. ", how));
  }
  const body = table<LocalNode>({
    label: "Nodes alive here",
    columns: [
      { title: "Name", cell: ({ name, origin }) => [code(name), origin === "configured" ? configured : undefined] },
      {
        title: "Port",
        cell: ({ address, port }) => code(address === undefined ? port : hostPort(address, port)),
        kind: "word",
      },
      { title: "Family", cell: ({ family }) => `IPv${family}`, kind: "word" },
      { title: "Alive for", cell: ({ since }) => age(Date.parse(since), now), kind: "number" },
      { title: "Creation", cell: ({ creation }) => creation, kind: "number" },
      { title: "Publication", cell: publication, kind: "wide" },
      { title: "Service ids", cell: ({ serviceIds }) => ids(serviceIds) },
    ],
    rows: nodes,
    keyOf: ({ name }) => name,
  });
  return section("nodes", "Nodes alive here", beside, body);
}

const configured = html` <span class="note" title="named with --publish-node: it never speaks EPMD">configured</span>`;

function publication({ publication, reason, elsewhere }: LocalNode): Markup {
  const other =
    elsewhere && html` ${pill("bad", "another one")} <span>of this name is at ${fewOf(elsewhere, 3)}</span>`;
  const { tone, words } = PUBLICATIONS[publication];
  return html`${pill(tone, words)}${reason === undefined ? undefined : html` <span>${reason}</span>`}${other}`;
}

function ids(serviceIds: readonly string[]): Content {
  return serviceIds.length === 0 ? undefined : fewOf(serviceIds, 3);
}

/** What of ours is in Consul without a VM; nothing when there is none. */
export function leftEntries({ left }: Status): Content {
  if (left.length === 0) return undefined;
  const body = table<LeftEntry>({
    label: "Published without a VM",
    columns: [
      { title: "Name", cell: ({ name }) => code(name) },
      { title: "Service ids", cell: ({ serviceIds }) => ids(serviceIds), kind: "wide" },
    ],
    rows: left,
    keyOf: ({ name }) => name,
  });
  return section("left", "Published without a VM", "it may return; if not, the entry is removed", body);
}

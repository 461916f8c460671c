import { hostPort } from "../../net/ip.js";
import type { LeftEntry, LocalNode, Status } from "../core/view.js";
import { type Content, html, type Markup } from "./html.js";
import { nothing, section, table } from "./table.js";
import { age, code, counted, fewOf, pill, type Tone } from "./words.js";

const TONES: Record<LocalNode["publication"], Tone> = {
  agreed: "good",
  pending: "doubtful",
  missing: "bad",
  local: "quiet",
  off: "quiet",
};

/** The nodes alive here, and whether Consul has them as it should. */
export function aliveNodes({ nodes, consul }: Status, now: number): Markup {
  const missing = nodes.filter(({ publication }) => publication === "missing").length;
  const agreed = nodes.filter(({ publication }) => publication === "agreed").length;
  const beside: Content = [
    counted(nodes.length, "node"),
    consul.publishes && nodes.length > 0 ? html`, ${agreed} as they should be in Consul` : undefined,
    missing > 0 ? html`, <b class="bad">${missing} missing there</b>` : undefined,
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
      { title: "In Consul", cell: publication, kind: "wide" },
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
  return html`${pill(TONES[publication], publication)}${reason === undefined ? undefined : html` <span>${reason}</span>`}${other}`;
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

import type { ClusterNode } from "../../catalogue/core/instances.js";
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
  nodeName,
  nothing,
  pill,
  section,
  type Tone,
  table,
} from "./html.js";

const PUBLICATIONS: Record<LocalNode["publication"], { readonly tone: Tone; readonly words: string }> = {
  "in-consul": { tone: "good", words: "in Consul" },
  "not-in-consul": { tone: "bad", words: "not in Consul" },
  "in-nomad": { tone: "good", words: "in Nomad" },
  "not-in-nomad": { tone: "bad", words: "not in Nomad" },
  unknown: { tone: "bad", words: "unknown" },
  pending: { tone: "doubtful", words: "pending" },
  local: { tone: "quiet", words: "local" },
  off: { tone: "quiet", words: "off" },
};

/** The nodes alive here, and how each stands in Consul or Nomad. */
export function aliveNodes({ nodes, consul, nomad }: Status, now: number): Markup {
  const inState = (state: LocalNode["publication"]) => nodes.filter(({ publication }) => publication === state).length;
  const [missing, misled, unknown] = [inState("not-in-consul"), inState("not-in-nomad"), inState("unknown")];
  const beside: Content = [
    counted(nodes.length, "node"),
    consul.publishes && nodes.length > 0 ? html`, ${inState("in-consul")} in Consul` : undefined,
    nomad && nodes.length > 0 ? html`, ${inState("in-nomad")} in Nomad` : undefined,
    missing > 0 ? html`, <b class="bad">${missing} not in Consul</b>` : undefined,
    misled > 0 ? html`, <b class="bad">${misled} not in Nomad</b>` : undefined,
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

const configured = html` <span class="note" title="from --publish-node: its VM does not use EPMD">configured</span>`;

/** Punctuation between state and reason: a screen reader pauses there. */
function publication({ publication, reason, elsewhere }: LocalNode): Markup {
  const other =
    elsewhere &&
    html`; ${pill("bad", "same name")}: <span>another node of this name is at ${fewOf(elsewhere, 3)}</span>`;
  const { tone, words } = PUBLICATIONS[publication];
  return html`${pill(tone, words)}${reason === undefined ? undefined : html`: <span>${reason}</span>`}${other}`;
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
      { title: "Service ids", cell: ({ serviceIds }) => ids(serviceIds), kind: "wide" },
    ],
    rows: left,
    keyOf: ({ name }) => name,
  });
  return section("left", "Published without a VM", "the VM may return; if it does not, the entry is removed", body);
}

const HEALTH_TONES: Record<ClusterNode["health"], Tone> = {
  passing: "good",
  warning: "doubtful",
  critical: "bad",
  unknown: "quiet",
};

/** The nodes of the cluster in Consul or Nomad, of any health. */
export function clusterSection({ cluster, nomad }: Status, now: number): Markup {
  const catalogue = nomad ? "Nomad" : "Consul";
  const part = (beside: Content, body: Content) => section("cluster", "Cluster", beside, body);
  switch (cluster.outcome) {
    case "none":
      return part("", nothing("The nodes of the cluster are not known: ", cluster.reason));
    case "unavailable":
      return part(pill("bad", "not known"), nothing(`${catalogue} does not list the nodes: `, cluster.cause));
    case "listed": {
      const { nodes, patterns } = cluster;
      const asked = html`<span class="names">${fewOf(patterns, 4)}</span>`;
      if (nodes.length === 0) return part(asked, nothing(`${catalogue} has no node of these services.`));
      return part(html`${counted(nodes.length, "node")} of ${asked}${unwell(nodes)}`, clusterTable(nodes, now));
    }
    default:
      return cluster satisfies never;
  }
}

function unwell(nodes: readonly ClusterNode[]): Content {
  const states = ["warning", "critical"] as const;
  const counts = states.map((health) => ({ health, count: nodes.filter((node) => node.health === health).length }));
  return counts
    .filter(({ count }) => count > 0)
    .map(
      ({ health, count }, index) =>
        html`${index === 0 ? ": " : ", "}<b class="${HEALTH_TONES[health]}">${count} ${health}</b>`,
    );
}

function clusterTable(nodes: readonly ClusterNode[], now: number): Markup {
  return table<ClusterNode>({
    label: "Nodes of the cluster",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      { title: "Health", cell: ({ health }) => pill(HEALTH_TONES[health], health), kind: "word" },
      { title: "Address", cell: ({ address, port }) => code(hostPort(address, port)), kind: "address" },
      {
        title: "Published for",
        cell: ({ age: seconds }) => (seconds === undefined ? undefined : age(now - seconds * 1000, now)),
        kind: "number",
      },
      { title: "Instance", cell: ({ instance }) => code(instance) },
      { title: "Machine", cell: ({ machine }) => code(machine) },
    ],
    rows: nodes,
    keyOf: ({ node, instance, address, port }) => `${node} ${instance} ${hostPort(address, port)}`,
  });
}

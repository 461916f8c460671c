import type { ClusterNode } from "../../consul/core/catalogue.js";
import { hostPort } from "../../net/ip.js";
import type { Status } from "../core/view.js";
import { type Content, html, type Markup } from "./html.js";
import { nothing, section, table } from "./table.js";
import { age, code, counted, fewOf, nodeName, pill, type Tone } from "./words.js";

const TONES: Record<ClusterNode["health"], Tone> = { passing: "good", warning: "doubtful", critical: "bad" };

/** The nodes of the cluster as Consul has them, whatever their health. */
export function clusterSection({ cluster }: Status, now: number): Markup {
  const part = (beside: Content, body: Content) => section("cluster", "Cluster", beside, body);
  switch (cluster.outcome) {
    case "none":
      return part("", nothing("The nodes of the cluster are not known: ", cluster.reason));
    case "unavailable":
      return part(pill("bad", "not known"), nothing("Consul does not say which nodes there are: ", cluster.cause));
    case "listed": {
      const { nodes, patterns } = cluster;
      const asked = html`<span class="names">${fewOf(patterns, 4)}</span>`;
      if (nodes.length === 0) return part(asked, nothing("Consul has no node of these services."));
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
        html`${index === 0 ? ": " : ", "}<b class="${TONES[health]}">${count} ${health}</b>`,
    );
}

function clusterTable(nodes: readonly ClusterNode[], now: number): Markup {
  return table<ClusterNode>({
    label: "Nodes of the cluster",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      { title: "Health", cell: ({ health }) => pill(TONES[health], health), kind: "word" },
      { title: "Address", cell: ({ address, port }) => code(hostPort(address, port)), kind: "address" },
      {
        title: "Published for",
        cell: ({ age: seconds }) => (seconds === undefined ? undefined : age(now - seconds * 1000, now)),
        kind: "number",
      },
      { title: "Instance", cell: ({ instance }) => code(instance) },
      { title: "Consul node", cell: ({ machine }) => code(machine) },
    ],
    rows: nodes,
    keyOf: ({ node, instance, address, port }) => `${node} ${instance} ${hostPort(address, port)}`,
  });
}

import { type ClusterNode, criticalBecause } from "../../catalogue/core/instances.js";
import { hostPort } from "../../net/ip.js";
import { type ClusterLinks, clusterLinks } from "../core/cluster-links.js";
import {
  type ClusterPicture,
  clusterPicture,
  type NodeState,
  type PictureLink,
  type PictureMachine,
  type PlacedNode,
} from "../core/cluster-picture.js";
import type { Status } from "../core/status.js";
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
import { linkMatrix, linkWords, shortName } from "./links.js";
import { agedTone, alsoAsOf, asOf, type Silence, silences } from "./silence.js";

const STATES: Record<NodeState, { readonly tone: Tone; readonly words: string }> = {
  passing: { tone: "good", words: "passing" },
  warning: { tone: "doubtful", words: "warning" },
  critical: { tone: "bad", words: "critical" },
  unknown: { tone: "quiet", words: "not known" },
  pending: { tone: "doubtful", words: "registering" },
  missing: { tone: "bad", words: "not published" },
  local: { tone: "quiet", words: "only here" },
};

/** The nodes of the cluster: by machine, and as a table. */
export function clusterSection(status: Status, now: number): Markup {
  const { cluster, nomad } = status;
  const catalogue = nomad ? "Nomad" : "Consul";
  const { cluster: silence, publication } = silences(status);
  const picture = clusterPicture(status);
  const links = status.links && clusterLinks(picture, status.links);
  const figure = drawn(picture, links, { status, silence: silence ?? publication, now });
  const part = (beside: Content, body: Content) => section("cluster", "Cluster", beside, [figure, body]);
  switch (cluster.outcome) {
    case "none":
      return part(
        "",
        nothing(
          `The nodes on other machines are not known here: ${cluster.reason}. `,
          html`Give serve ${code("--domain svc")}, with the name of their service, to see them.`,
        ),
      );
    case "unavailable": {
      const { last, cause } = cluster;
      if (!last) return part(pill("bad", "not known"), nothing(`${catalogue} does not list the nodes: ${cause}.`));
      const beside = html`${counted(last.nodes.length, "node")} of ${patternWords(last.patterns)}, ${asOf({ at: Date.parse(last.at) }, now)}`;
      return part(beside, clusterTable(last.nodes, Date.parse(last.at), now, silence));
    }
    case "listed": {
      const { nodes, patterns, missingPolicies } = cluster;
      const asked = patternWords(patterns);
      if (missingPolicies) {
        const how = html`The token lacks the policy ${code(missingPolicies.join(" "))}.`;
        return part(asked, nothing("Which nodes these services have is not known here. ", how));
      }
      if (nodes.length === 0) {
        const how = "A node is listed once it is alive beside a srv-epmd with the same --domain.";
        return part(asked, nothing(`${catalogue} has no node of these services. `, how));
      }
      const count = html`${counted(nodes.length, "node")} of ${asked}${unwell(nodes)}${unlinked(links)}${alsoAsOf(silence, now)}`;
      return part(count, clusterTable(nodes, now, now, silence));
    }
    default:
      return cluster satisfies never;
  }
}

function patternWords(patterns: readonly string[]): Markup {
  return html`<span class="names">${fewOf(patterns, 4)}</span>`;
}

function unwell(nodes: readonly ClusterNode[]): Content {
  const states = ["warning", "critical"] as const;
  const counts = states.map((health) => ({ health, count: nodes.filter((node) => node.health === health).length }));
  return counts
    .filter(({ count }) => count > 0)
    .map(
      ({ health, count }, index) =>
        html`${index === 0 ? ": " : ", "}<b class="${STATES[health].tone}">${count} ${health}</b>`,
    );
}

function unlinked(links: ClusterLinks | undefined): Content {
  const count = links?.missing.length ?? 0;
  return count === 0 ? undefined : html`, <b class="bad">${counted(count, "link")} missing</b>`;
}

interface DrawnOptions {
  readonly status: Pick<Status, "relays" | "since">;
  readonly silence: Silence | undefined;
  readonly now: number;
}

/** Links as a matrix, and machines as cards with their nodes; nothing where there is no node at all. */
function drawn(
  { machines, links: relayed }: ClusterPicture,
  links: ClusterLinks | undefined,
  { status: { relays, since }, silence, now }: DrawnOptions,
): Content {
  const nodes = machines.flatMap((one) => one.nodes);
  if (nodes.length === 0) return undefined;
  const shared = commonHost(nodes);
  const cards = machines.map((one) => card(one, relayed, { shared, silence }));
  return html`<figure>
${links && linkMatrix(links, { shared, now })}<ul class="machines" aria-label="Nodes by machine">
${cards}</ul>
<figcaption>${relays && "⇄ is a link that the gateway of this machine carries. "}${linkWords(links, Date.parse(since), now)}${
    shared === undefined ? undefined : `Names without a host part end in ${shared}.`
  }</figcaption>
</figure>
`;
}

/** The host part, with its `@`, of more than half of the nodes, which need not repeat it. */
function commonHost(nodes: readonly PlacedNode[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { node } of nodes) {
    const host = node.includes("@") ? node.slice(node.indexOf("@")) : "";
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  const [common] = Array.from(counts).find(([host, count]) => host !== "" && count * 2 > nodes.length) ?? [];
  return common;
}

/** Nodes of one machine that are shown at once, where there are more: first those that are not well. */
const MOST_NODES = 12;

interface CardOptions {
  /** See commonHost. */
  readonly shared: string | undefined;
  readonly silence: Silence | undefined;
}

function card({ machine, here, nodes }: PictureMachine, links: readonly PictureLink[], options: CardOptions): Markup {
  const isWell = ({ state, isTwice }: PlacedNode) => state === "passing" && !isTwice;
  const sorted = [...nodes.filter((node) => !isWell(node)), ...nodes.filter(isWell)];
  const shown = nodes.length <= MOST_NODES ? nodes : sorted.slice(0, MOST_NODES);
  const rest = nodes.length <= MOST_NODES ? [] : sorted.slice(MOST_NODES);
  const list = (some: readonly PlacedNode[]) => some.map((node) => chip(node, links, options));
  const label = here ? html` <small>this machine</small>` : undefined;
  const more =
    rest.length === 0
      ? undefined
      : html`<details><summary>and ${rest.length} more</summary><ul class="nodes">${list(rest)}</ul></details>`;
  const content = nodes.length === 0 ? html`<p class="note">no node</p>` : html`<ul class="nodes">${list(shown)}</ul>`;
  return html`<li class="machine${here ? " here" : ""}" data-key="${machine}">
<p><b>${machine}</b>${label} <small class="count">${counted(nodes.length, "node")}</small></p>
${content}${more}
</li>
`;
}

function chip(placed: PlacedNode, links: readonly PictureLink[], { shared, silence }: CardOptions): Markup {
  const { node, state, places, isTwice } = placed;
  const { tone, words } = STATES[state];
  const name = shortName(node, shared);
  const to = links.filter((link) => link.to === node);
  const counts = { relay: 0, held: 0 };
  for (const { kind, count } of to) counts[kind] += count;
  const notes = [
    state === "passing" || state === "local" ? undefined : words,
    counts.held > 0 ? "registered here" : undefined,
  ].filter((note) => note !== undefined);
  return html`<li data-key="${places.join(" ")} ${node}" title="${node} at ${places.join(", ")}: ${words}">
<span class="pill ${agedTone(tone, silence)}"><span class="unseen">${words}: </span>${nodeName(name)}</span>${
    notes.length > 0 ? html` <small>${notes.join(", ")}</small>` : undefined
  }${isTwice ? html` ${pill("bad", "twice")}` : undefined}${counts.relay > 0 ? html` <b class="link">⇄ ${counted(counts.relay, "link")}</b>` : undefined}
</li>
`;
}

/** @param at when the catalogue said this, to which the ages belong */
function clusterTable(nodes: readonly ClusterNode[], at: number, now: number, silence: Silence | undefined): Markup {
  return table<ClusterNode>({
    label: "Nodes of the cluster",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      {
        title: "Health",
        cell: (one) => {
          const { tone, words } = STATES[one.health];
          const because = criticalBecause(one);
          return html`${pill(agedTone(tone, silence), words)}${because === undefined ? undefined : html` <small>${because}</small>`}`;
        },
        kind: "word",
      },
      { title: "Address", cell: ({ address, port }) => code(hostPort(address, port)), kind: "address" },
      { title: "Machine", cell: ({ machine }) => code(machine) },
      {
        title: "Published for",
        cell: ({ age: seconds }) => (seconds === undefined ? undefined : age(at - seconds * 1000, now)),
        kind: "number",
      },
      {
        title: "Published by",
        cell: ({ instance, machine }) =>
          instance === machine ? html`<span class="quiet">its srv-epmd</span>` : code(instance),
      },
    ],
    rows: nodes,
    keyOf: ({ node, instance, address, port }) => `${node} ${instance} ${hostPort(address, port)}`,
  });
}

import { type ClusterLinks, type LinkEnd, type LinkState, unlinkedNodes } from "../core/cluster-links.js";
import { age, type Content, code, counted, html, type Markup, nodeName } from "./html.js";

/** What is drawn at most: a cluster may have hundreds of nodes. */
const MOST_ROWS = 16;
const MOST_COLUMNS = 24;
/** Nodes whose missing links are named, and the others that are named of each. */
const MOST_UNLINKED = 6;
const MOST_OTHERS = 6;
const MOST_BEYOND = 4;

const WORDS: Record<LinkState | "self", string> = {
  linked: "linked",
  missing: "not linked",
  "one-sided": "only one of the two says that they are linked",
  apart: "not linked, as expected",
  unknown: "not known",
  self: "itself",
};

/** Which mark each state has is in page.css. A screen reader has its words. */
const MARK = html`<i aria-hidden="true"></i>`;

const LEGEND: readonly (readonly [state: LinkState, words: string])[] = [
  ["linked", "linked"],
  ["missing", "should be linked, and is not"],
  ["one-sided", "only one of the two says so"],
  ["apart", "not linked, as expected"],
  ["unknown", "not known"],
];

interface MatrixOptions {
  /** The host part, with its `@`, that is left away. */
  readonly shared: string | undefined;
  readonly now: number;
}

/** Who is linked with whom: a row for each node here, a column for each node. Nothing where no VM tells. */
export function linkMatrix(links: ClusterLinks, options: MatrixOptions): Content {
  const { ends, asOf } = links;
  if (asOf === undefined || ends.length < 2) return undefined;
  const here = ends.filter(({ placed }) => placed.here);
  const rows = worstOf(here, MOST_ROWS);
  const columns = worstOf(ends, MOST_COLUMNS, (end) => rows.includes(end));
  const used = new Set<LinkState>();
  const cell = (one: LinkEnd, other: LinkEnd) => {
    const state = one === other ? "self" : links.between(one, other);
    if (state !== "self") used.add(state);
    return html`<td role="cell" class="cell plain ${state}">${MARK}<span class="unseen">${WORDS[state]}</span></td>`;
  };
  const head = columns.map(
    (end) =>
      html`<th role="columnheader" scope="col" title="${titleOf(end)}"><span>${shortName(end.placed.node, options.shared)}</span></th>`,
  );
  const body = rows.map((row) => {
    const { placed } = row;
    return html`<tr role="row" data-key="${keyOf(row)}"><th role="rowheader" scope="row" title="${titleOf(row)}">${nodeName(shortName(placed.node, options.shared))}</th><td role="cell" class="plain told">${toldWords(row, links.names, options.now)}</td>${columns.map((column) => cell(row, column))}</tr>
`;
  });
  const legend = LEGEND.filter(([state]) => used.has(state)).map(
    ([state, words]) => html`<span class="cell ${state}">${MARK}${words}</span> `,
  );
  return html`${unlinkedWords(links, options)}<div class="box whole matrix" role="region" aria-label="Links of the nodes here" tabindex="0"><table role="table" aria-label="Links of the nodes here">
<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Node here</th><th role="columnheader" scope="col">Linked with</th>${head}</tr></thead>
<tbody role="rowgroup">
${body}${othersRow(ends, columns)}</tbody></table></div>
<p class="legend" aria-hidden="true">${legend}</p>
${leftOut(here.length - rows.length, ends.length - columns.length)}`;
}

/** Those that miss most, in their order. @param isKept taken before others that miss as much */
function worstOf(ends: readonly LinkEnd[], most: number, isKept = (_: LinkEnd) => false): readonly LinkEnd[] {
  if (ends.length <= most) return ends;
  const sorted = ends.toSorted((a, b) => b.missing - a.missing || Number(isKept(b)) - Number(isKept(a)));
  const chosen = new Set(sorted.slice(0, most));
  return ends.filter((end) => chosen.has(end));
}

/** The nodes on other machines in one row: nothing is known here of the links between them. */
function othersRow(ends: readonly LinkEnd[], columns: readonly LinkEnd[]): Content {
  const count = ends.filter(({ placed }) => !placed.here).length;
  if (count < 2) return undefined;
  const cells = columns.map(({ placed }) =>
    placed.here
      ? html`<td role="cell" class="cell plain"><span class="unseen">see its row</span></td>`
      : html`<td role="cell" class="cell plain unknown">${MARK}<span class="unseen">${WORDS.unknown}</span></td>`,
  );
  return html`<tr role="row" data-key="elsewhere"><th role="rowheader" scope="row"><small>${count} elsewhere</small></th><td role="cell" class="plain told"><span class="quiet">not known here: see the page there</span></td>${cells}</tr>
`;
}

function leftOut(rows: number, columns: number): Content {
  if (rows === 0 && columns === 0) return undefined;
  const parts = [rows > 0 && counted(rows, "more row"), columns > 0 && counted(columns, "more column")].filter(Boolean);
  return html`<p class="note">Not drawn: ${parts.join(" and ")}. Nodes that miss links come first; the numbers count all nodes.</p>
`;
}

function keyOf({ placed }: LinkEnd): string {
  return `${placed.node} ${placed.places.join(" ")}`;
}

function titleOf({ placed, machine }: LinkEnd): string {
  return `${placed.node} on ${machine}`;
}

export function shortName(node: string, shared: string | undefined): string {
  return shared !== undefined && node.endsWith(shared) ? node.slice(0, -shared.length) : node;
}

/** Missing links as sentences, for who does not see the matrix too. */
function unlinkedWords({ missing }: ClusterLinks, { shared }: MatrixOptions): Content {
  if (missing.length === 0) return undefined;
  const nodes = unlinkedNodes(missing, MOST_UNLINKED);
  const told = nodes.reduce((sum, { others }) => sum + others.length, 0);
  const name = ({ placed }: LinkEnd) => code(shortName(placed.node, shared));
  const items = nodes.map(({ end, others }) => {
    const named = others.slice(0, MOST_OTHERS).map((other, index) => html`${index === 0 ? "" : ", "}${name(other)}`);
    const more = others.length > MOST_OTHERS ? ` and ${others.length - MOST_OTHERS} more` : undefined;
    return html`<li data-key="${keyOf(end)}">${name(end)} is not linked with ${named}${more}</li>
`;
  });
  const rest = told < missing.length ? html`<li>and ${missing.length - told} more links are missing</li>\n` : undefined;
  return html`<ul class="missing-links" aria-label="Missing links">
${items}${rest}</ul>
`;
}

/** `2 of 3`, or why it is not known. @param names of all nodes */
function toldWords({ placed, told, linked, missing }: LinkEnd, names: number, now: number): Markup {
  switch (told?.state) {
    case undefined:
      return html`<span class="quiet">${placed.here ? "not asked" : "not known here"}</span>`;
    case "told": {
      const count = html`${linked} of ${names - 1}`;
      return missing > 0 ? html`${count}, <b class="bad">${missing} missing</b>` : count;
    }
    case "silent":
      return html`<b class="doubtful">does not answer</b>${told.at === undefined ? undefined : html`, told ${age(Date.parse(told.at), now)} ago`}`;
    case "not-offered":
      return html`<span class="quiet">does not tell</span>`;
    case "too-many":
      return html`<span class="quiet">tells too many</span>`;
    default:
      return told satisfies never;
  }
}

/** A VM with the module tells a srv-epmd that has just started after this at the latest, milliseconds: LONGEST_OFFER_PAUSE of the module. */
const ALL_HAVE_TOLD = 60_000;

/**
 * What is drawn of links, and what is not.
 * @param links undefined: the reader is no local peer
 * @param since when this srv-epmd started, milliseconds since the epoch
 */
export function linkWords(links: ClusterLinks | undefined, since: number, now: number): Content {
  if (links === undefined) return "Links between nodes are shown to local peers alone. ";
  const { asOf, beyond } = links;
  if (asOf === undefined && now - since < ALL_HAVE_TOLD) {
    return "Links between nodes are not known yet: VMs with the module srv_epmd tell theirs within a minute of the start of srv-epmd. ";
  }
  if (asOf === undefined) {
    const why = links.ends.some(({ placed }) => placed.here) ? "no VM here does" : "none is registered here";
    return `Links between nodes are not drawn: VMs with the module srv_epmd tell theirs, and ${why}. `;
  }
  const more = beyond.length - MOST_BEYOND;
  const unlisted =
    beyond.length === 0
      ? undefined
      : `Nodes here are also linked with ${beyond.slice(0, MOST_BEYOND).join(", ")}${more > 0 ? ` and ${more} more` : ""}, not listed above. `;
  return html`Links are as the VMs here told them ${age(Date.parse(asOf), now)} ago. One is missing where two nodes that are published and not hidden are not linked. ${unlisted}`;
}

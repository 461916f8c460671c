import type { LookUp } from "../../daemon/core/observations.js";
import { hostPort } from "../../net/ip.js";
import { KEPT, type Status } from "../core/status.js";
import {
  age,
  ageText,
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

/** `not found` */
function outcomeWords(outcome: LookUp["outcome"]): string {
  return outcome.replace("-", " ");
}

function askerWords({ asker, here }: Pick<LookUp, "asker" | "here">): string {
  return here ? "this machine" : asker;
}

export function lookUpSection({ lookUps, epmd }: Status, now: number): Markup {
  if (lookUps.length === 0) {
    const ask = code(`srv-epmd resolve NODE --via ${hostPort(ipOf(epmd.addresses[0] ?? "127.0.0.1"), epmd.port)}`);
    const how = html`A VM asks here before it connects to another one. Try it: ${ask}.`;
    return section("look-ups", "Recent look-ups", "", nothing("No node has been asked for yet. ", how));
  }
  const shown = lookUps.slice(0, KEPT);
  const beside = shown.length < lookUps.length ? `the last ${KEPT}` : counted(shown.length, "look-up");
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
  const why = "the last good answer, because nobody who could know better answers";
  return stale ? html`${source} <span title="${why}">${pill("doubtful", "stale")}</span>` : source;
}

/** The port and the endpoints behind it, or why there is none. */
function answer({ port, endpoints, reason }: LookUp): Content {
  const leads = endpoints.length === 0 ? undefined : html`<span class="leads">${fewOf(endpoints, 2)}</span>`;
  const parts = [port === undefined ? undefined : code(port), leads, reason].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.map((part, index) => [index === 0 ? "" : " ", part]);
}

/** An asker, the node it asked for, and the outcome. */
interface Pair {
  readonly asker: string;
  readonly here: boolean;
  readonly node: string;
  readonly count: number;
  /** The newest one. */
  readonly last: LookUp;
}

/** An asker or a node: a row of its column. */
interface End {
  readonly name: string;
  readonly here: boolean;
}

interface Picture {
  readonly askers: readonly End[];
  readonly nodes: readonly End[];
  readonly links: readonly (Pair & { readonly from: number; readonly to: number })[];
  /** Pairs that are not shown. */
  readonly more: number;
}

/** Askers with their nodes, the newest pair first. @param lookUps newest first */
export function pairsOf(lookUps: readonly LookUp[]): Pair[] {
  const pairs = new Map<string, Pair>();
  for (const last of lookUps) {
    const key = JSON.stringify([last.here, askerWords(last), last.node]);
    const known = pairs.get(key);
    pairs.set(
      key,
      known === undefined
        ? { asker: askerWords(last), here: last.here, node: last.node, count: 1, last }
        : { ...known, count: known.count + 1 },
    );
  }
  return [...pairs.values()];
}

/** Puts the newest pairs into two columns, in an order in which few lines cross. */
export function pictureOf(pairs: readonly Pair[], limit: number): Picture {
  const shown = pairs.slice(0, limit);
  const askers = distinct(shown.map(({ asker, here }) => ({ name: asker, here }))).sort(
    (a, b) => Number(b.here) - Number(a.here) || compare(a.name, b.name),
  );
  const fromOf = (pair: Pair) => askers.findIndex(({ name, here }) => name === pair.asker && here === pair.here);
  const placed = shown.map((pair) => ({ ...pair, from: fromOf(pair) }));
  /** The average row of the askers of a node. */
  const middle = (node: string) => {
    const ends = placed.filter((pair) => pair.node === node);
    return ends.reduce((sum, { from }) => sum + from, 0) / ends.length;
  };
  const nodes = distinct(shown.map(({ node }) => ({ name: node, here: false })))
    .map((end) => ({ end, middle: middle(end.name) }))
    .sort((a, b) => a.middle - b.middle || compare(a.end.name, b.end.name))
    .map(({ end }) => end);
  const links = placed.map((pair) => ({ ...pair, to: nodes.findIndex(({ name }) => name === pair.node) }));
  return { askers, nodes, links, more: pairs.length - shown.length };
}

function distinct(ends: readonly End[]): End[] {
  return [...new Map(ends.map((end) => [JSON.stringify([end.here, end.name]), end])).values()];
}

/** By code unit, not by locale: an update must not move rows. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** More lines than these cannot be told apart. */
const MOST_PAIRS = 24;

/** Height of a label, in rem; page.css has the same. */
const ROW = 2;

const OUTCOMES = Object.keys(OUTCOME_TONES) as LookUp["outcome"][];

/**
 * Which node asked for which: askers to the left, nodes to the right, a line for each pair. The labels are text of the page,
 * so they wrap and can be searched; the drawing between them fills the width.
 */
export function pictureSection(lookUps: readonly LookUp[], now: number): Markup {
  const title = "Which node asked for which";
  const pairs = pairsOf(lookUps);
  if (pairs.length === 0) {
    return section("picture", title, "", nothing("No node has been asked for yet."));
  }
  const picture = pictureOf(pairs, MOST_PAIRS);
  const outcomes = OUTCOMES.filter((outcome) => picture.links.some(({ last }) => last.outcome === outcome));
  const beside = html`${counted(pairs.length, "pair")} in the last ${counted(lookUps.length, "look-up")}`;
  return section(
    "picture",
    title,
    beside,
    html`<figure>
<div class="picture">
${column("askers", "Askers", picture.askers)}
${drawing(picture, now)}
${column("asked", "Nodes asked for", picture.nodes)}
</div>
<figcaption>${outcomes.map(legend)}<span class="key">a thicker line: more look-ups</span>${
      picture.more > 0 ? html`<b class="key">… and ${counted(picture.more, "pair")} more</b>` : undefined
    }</figcaption>
</figure>
<details><summary>As a table</summary>${pairTable(pairs, now)}</details>`,
  );
}

function column(kind: string, label: string, ends: readonly End[]): Markup {
  const items = ends.map(({ name, here }) => {
    return html`<li title="${name}"><span>${here ? name : nodeName(name)}</span></li>`;
  });
  return html`<ul class="${kind}" aria-label="${label}">${items}</ul>`;
}

function drawing({ askers, nodes, links }: Picture, now: number): Markup {
  const height = Math.max(askers.length, nodes.length) * ROW;
  // The shorter column stands in the middle of the longer one.
  const y = (index: number, ends: readonly End[]) => (height - ends.length * ROW) / 2 + (index + 0.5) * ROW;
  // Thin lines lie on thick ones, not under them.
  const lines = [...links]
    .sort((a, b) => b.count - a.count)
    .map((link) => {
      const [from, to] = [y(link.from, askers), y(link.to, nodes)];
      const path = `M0 ${from}C45 ${from} 55 ${to} 100 ${to}`;
      return html`<g class="link ${link.last.outcome}" data-key="${link.asker} ${link.node}"><title>${lineTitle(link, now)}</title>
<path class="reach" d="${path}"/><path class="line" d="${path}" stroke-width="${width(link.count)}"/></g>
`;
    });
  return html`<svg role="img" aria-label="A line from each asker to each node it asked for; the table below has the same" viewBox="0 0 100 ${height}" width="100%" height="${height}rem" preserveAspectRatio="none">
${lines}</svg>`;
}

function lineTitle({ asker, node, count, last }: Pair, now: number): string {
  return `${asker} → ${node}: ${counted(count, "look-up")}, the last one ${ageText(last.at, now)} ago: ${outcomeWords(last.outcome)}`;
}

/** Screen pixels, at most 7: so there is room between two rows. */
function width(count: number): string {
  return Math.min(7, 1.5 + Math.log2(count)).toFixed(1);
}

function legend(outcome: LookUp["outcome"]): Content {
  return html`<span class="key"><svg class="link ${outcome}" width="36" height="8" aria-hidden="true"><path class="line" d="M0 4H36" stroke-width="2.5"/></svg>${outcomeWords(outcome)}</span>`;
}

function pairTable(pairs: readonly Pair[], now: number): Markup {
  return table<Pair>({
    label: "Look-ups by asker and node",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      { title: "Asked by", cell: ({ asker, here }) => (here ? asker : code(asker)), kind: "word" },
      { title: "Look-ups", cell: ({ count }) => count, kind: "number" },
      {
        title: "Last outcome",
        cell: ({ last }) => pill(OUTCOME_TONES[last.outcome], outcomeWords(last.outcome)),
        kind: "word",
      },
      { title: "Last look-up", cell: ({ last }) => html`${age(last.at, now)} ago`, kind: "number" },
    ],
    rows: pairs,
    keyOf: ({ asker, node }) => `${asker} ${node}`,
  });
}

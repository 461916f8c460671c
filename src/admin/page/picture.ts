import type { LookUp } from "../../daemon/core/observations.js";
import { type Content, html, type Markup } from "./html.js";
import { OUTCOME_TONES, outcomeWords } from "./look-ups.js";
import { type End, type Pair, type Picture, pairsOf, pictureOf } from "./pairs.js";
import { nothing, section, table } from "./table.js";
import { age, ageText, code, counted, nodeName, pill } from "./words.js";

/** More lines than these cannot be told apart. */
const SHOWN = 24;

/** Height of a label, in rem; page.css has the same. */
const ROW = 2;

const OUTCOMES: readonly LookUp["outcome"][] = ["found", "not-found", "unreachable", "unavailable", "refused"];

/**
 * Who asked for whom: askers to the left, nodes to the right, a line for each pair. The labels are text of the page, which
 * wraps and can be searched; between them is a drawing that is as wide as there is room.
 */
export function pictureSection(lookUps: readonly LookUp[], now: number): Markup {
  const title = "Who asked for whom";
  const pairs = pairsOf(lookUps);
  if (pairs.length === 0) {
    return section("picture", title, "", nothing("When VMs ask for nodes, this shows who asked for which."));
  }
  const picture = pictureOf(pairs, SHOWN);
  const outcomes = OUTCOMES.filter((outcome) => picture.links.some(({ last }) => last.outcome === outcome));
  const beside = html`${counted(pairs.length, "pair")} in the last ${counted(lookUps.length, "look-up")}`;
  return section(
    "picture",
    title,
    beside,
    html`<figure>
<div class="picture">
${column("askers", "Who asked", picture.askers)}
${drawing(picture, now)}
${column("asked", "Nodes that were asked for", picture.nodes)}
</div>
<figcaption>${outcomes.map(legend)}<span class="key">the thicker, the more often</span>${
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

/** Screen pixels: from a hairline to what still leaves room between two rows. */
function width(count: number): string {
  return Math.min(7, 1.5 + Math.log2(count)).toFixed(1);
}

function legend(outcome: LookUp["outcome"]): Content {
  return html`<span class="key"><svg class="link ${outcome}" width="36" height="8" aria-hidden="true"><path class="line" d="M0 4H36" stroke-width="2.5"/></svg>${outcomeWords(outcome)}</span>`;
}

function pairTable(pairs: readonly Pair[], now: number): Markup {
  return table<Pair>({
    label: "Who asked for whom",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      { title: "Asked by", cell: ({ asker, here }) => (here ? asker : code(asker)), kind: "word" },
      { title: "Look-ups", cell: ({ count }) => count, kind: "number" },
      {
        title: "Last outcome",
        cell: ({ last }) => pill(OUTCOME_TONES[last.outcome], outcomeWords(last.outcome)),
        kind: "word",
      },
      { title: "Last time", cell: ({ last }) => html`${age(last.at, now)} ago`, kind: "number" },
    ],
    rows: pairs,
    keyOf: ({ asker, node }) => `${asker} ${node}`,
  });
}

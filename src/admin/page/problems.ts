import type { Problem } from "../core/problem.js";
import type { Status } from "../core/status.js";
import { age, type Content, counted, html, type Markup, pill } from "./html.js";

const LEVELS = { error: { tone: "bad", word: "error" }, warning: { tone: "doubtful", word: "warning" } } as const;

/** What is wrong, at the top of the page; nothing where nothing is. */
export function problemSection({ problems }: Pick<Status, "problems">, now: number): Content {
  if (problems.length === 0) return undefined;
  const items = problems.map((one) => item(one, now));
  return html`<section id="problems" aria-labelledby="problems-title">
<div class="title"><h2 id="problems-title">${counted(problems.length, "problem")}</h2></div>
<ol>
${items}</ol>
</section>
`;
}

function item(problem: Problem, now: number): Markup {
  const { code, level, sentence, advice, nodes, at } = problem;
  const { tone, word } = LEVELS[level];
  const seen = at === undefined ? undefined : html` <small>${age(at, now)} ago</small>`;
  const [node] = nodes;
  const link = at === undefined || node === undefined ? undefined : html` <a href="${searchOf(node)}">Its look-ups</a>`;
  // Without nodes there may be several of a code.
  const key = `${code} ${nodes.length === 0 ? sentence : nodes.join(" ")}`;
  return html`<li class="problem ${level}" data-key="${key}">
<p>${pill(tone, word)} <span>${sentence}</span>${seen}</p>
<p class="advice">${advice}${link}</p>
</li>
`;
}

function searchOf(node: string): string {
  return `?${new URLSearchParams({ q: node })}#look-ups`;
}

/** `not ready`, and how many problems there are. */
export function readinessPill({ readiness, problems }: Pick<Status, "readiness" | "problems">): Markup {
  const count = problems.length === 0 ? "" : `, ${counted(problems.length, "problem")}`;
  if (!readiness.ready) return pill("bad", `not ready${count}`);
  return pill(problems.length === 0 ? "good" : "doubtful", `ready${count}`);
}

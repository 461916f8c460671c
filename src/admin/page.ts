import type { ReadyCheck, Status } from "./core/view.js";
import { type Content, html, type Markup } from "./page/html.js";
import { lookUpSection } from "./page/look-ups.js";
import { aliveNodes, clusterSection, leftEntries } from "./page/nodes.js";
import { pictureSection } from "./page/picture.js";
import { relaySection } from "./page/relays.js";
import { age, code, counted, fewOf, ipOf, pill, timeOfDay } from "./page/words.js";

/** Two nodes and the line between them. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M4 11 12 5' stroke='%23888' stroke-width='2'/%3E%3Ccircle cx='4' cy='11' r='3' fill='%230969da'/%3E%3Ccircle cx='12' cy='5' r='3' fill='%231a7f37'/%3E%3C/svg%3E";

/**
 * The status page. It is complete without JavaScript; with it, page.client.js fetches the page again when something has
 * happened and replaces what has changed. @param now milliseconds since the epoch
 */
export function renderPage(status: Status, now: number): string {
  const { version, hostName, lookUps } = status;
  return html`<!DOCTYPE html>
<html lang="en" data-version="${version}">
<head>
<meta charset="utf-8">
<title>${status.readiness.ready ? "" : "not ready: "}srv-epmd at ${hostName}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="${ICON}">
<link rel="stylesheet" href="page.css">
<script src="page.js" type="module"></script>
</head>
<body>
<header>
<h1><span>srv-epmd</span> <b>${hostName}</b> <small>${version}</small></h1>
${readiness(status)}
<p id="live"><span id="live-word" role="status">as loaded</span> <span id="as-of">${timeOfDay(now)}</span></p>
<noscript><p>Without JavaScript the page does not update itself: reload it.</p></noscript>
</header>
<main>
${overview(status, now)}${aliveNodes(status, now)}${leftEntries(status)}${clusterSection(status, now)}${pictureSection(lookUps, now)}${lookUpSection(status, now)}${relaySection(status, now)}</main>
</body>
</html>
`.text;
}

const CHECKS: Record<ReadyCheck["name"], string> = {
  stopping: "stopping",
  gateway: "gateway",
  consul: "Consul",
  published: "published",
};

function readiness({ readiness: { ready } }: Status): Markup {
  return html`<p id="readiness">${ready ? pill("good", "ready") : pill("bad", "not ready")}</p>`;
}

/** What this daemon is, where it answers, and why it is not ready. */
function overview(status: Status, now: number): Markup {
  const { epmd, dns, consul, domains, readiness, since } = status;
  const failed = readiness.checks.filter(({ ok }) => !ok);
  const checks = readiness.checks
    .filter(({ name, ok }) => name !== "stopping" || !ok)
    .map(({ name, ok }) => html`${pill(ok ? "good" : "bad", CHECKS[name])} `);
  const facts: readonly (readonly [title: string, content: Content])[] = [
    ["EPMD", html`port ${code(epmd.port)} at ${fewOf(epmd.addresses.map(ipOf), 6)}`],
    ["Up for", age(Date.parse(since), now)],
    ["Domains", domains.length === 0 ? undefined : fewOf(domains, 6)],
    ["Consul", consulWords(consul)],
    ["DNS zone", dns.embedded === undefined ? undefined : code(dns.embedded)],
    ["Gateway DNS", dns.gateway === undefined ? undefined : code(dns.gateway)],
    ["Readiness", checks.length === 0 ? undefined : checks],
  ];
  const shown = facts.filter(([, content]) => content !== undefined);
  return html`<section id="overview" aria-label="This daemon">
${failed.length > 0 ? reasons(failed) : undefined}
<dl>${shown.map(([title, content]) => html`<div><dt>${title}</dt><dd>${content}</dd></div>\n`)}</dl>
</section>
`;
}

function reasons(failed: readonly ReadyCheck[]): Markup {
  const lines = failed.map(({ name, reason }) => html`<li><b>${CHECKS[name]}</b>: ${reason ?? "not met"}</li>`);
  return html`<div class="notice"><p>Not ready (${counted(failed.length, "reason")}):</p><ul>${lines}</ul></div>`;
}

function consulWords({ url, publishes, answers }: Status["consul"]): Content {
  if (!publishes) return html`<span class="quiet">nothing is published</span>`;
  return html`${code(url)} ${answers ? pill("good", "answers") : pill("bad", "does not answer")}`;
}

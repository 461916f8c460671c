import type { Status } from "./core/view.js";
import { clusterSection } from "./page/cluster.js";
import { html } from "./page/html.js";
import { lookUpSection } from "./page/look-ups.js";
import { aliveNodes, leftEntries } from "./page/nodes.js";
import { overview, readiness } from "./page/overview.js";
import { pictureSection } from "./page/picture.js";
import { relaySection } from "./page/relays.js";
import { timeOfDay } from "./page/words.js";

/** Two nodes and the line between them. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M4 11 12 5' stroke='%23888' stroke-width='2'/%3E%3Ccircle cx='4' cy='11' r='3' fill='%230969da'/%3E%3Ccircle cx='12' cy='5' r='3' fill='%231a7f37'/%3E%3C/svg%3E";

/**
 * The status page: whole as it is, without JavaScript. Where there is some, page.client.js fetches it anew when something
 * has happened, and carries over what has changed. @param now milliseconds since the epoch
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
<noscript><p>Without JavaScript the page stays as it was loaded: reload it to see what is new.</p></noscript>
</header>
<main>
${overview(status, now)}${aliveNodes(status, now)}${leftEntries(status)}${clusterSection(status, now)}${pictureSection(lookUps, now)}${lookUpSection(status, now)}${relaySection(status, now)}</main>
</body>
</html>
`.text;
}

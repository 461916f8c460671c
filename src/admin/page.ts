import type { InboundLink } from "../connect/core/inbound.js";
import { hostPort } from "../net/ip.js";
import type { RelayState } from "../relay/wire/status.js";
import { type FoundLookUps, findLookUps } from "./core/recent-look-ups.js";
import type { ReadyCheck, Status } from "./core/status.js";
import { clusterSection } from "./page/cluster.js";
import {
  age,
  bytes,
  type Content,
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
  table,
  timeOfDay,
} from "./page/html.js";
import { lookUpSection } from "./page/look-ups.js";
import { aliveNodes, leftEntries } from "./page/nodes.js";
import { problemSection, readinessPill } from "./page/problems.js";
import { agedTone, lastAnswer, type Silence, silences } from "./page/silence.js";

/** Two nodes and the line between them. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M4 11 12 5' stroke='%23888' stroke-width='2'/%3E%3Ccircle cx='4' cy='11' r='3' fill='%230969da'/%3E%3Ccircle cx='12' cy='5' r='3' fill='%231a7f37'/%3E%3C/svg%3E";

/**
 * The status page. It is complete without JavaScript; with it, page.client.js fetches the page again when something has
 * happened and replaces what has changed.
 * @param now milliseconds since the epoch
 * @param found the look-ups to show; those of the status unless given
 */
export function renderPage(status: Status, now: number, found: FoundLookUps = allOf(status)): string {
  const { version, hostName } = status;
  return html`<!DOCTYPE html>
<html lang="en" data-version="${version}">
<head>
<meta charset="utf-8">
<title>${titlePrefix(status)}srv-epmd at ${hostName}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="${ICON}">
<link rel="stylesheet" href="page.css">
<script src="page.js" type="module"></script>
</head>
<body>
<header>
<h1><span>srv-epmd</span> <b>${hostName}</b> <small>${version}</small></h1>
<p id="readiness">${readinessPill(status)}</p>
<p id="live"><span id="live-word" role="status">as loaded</span> <span id="as-of">${timeOfDay(now)}</span></p>
<noscript><p>Without JavaScript the page does not update itself: reload it.</p></noscript>
</header>
<main>
${problemSection(status, now)}${overview(status, now)}${aliveNodes(status, now)}${leftEntries(status)}${clusterSection(status, now)}${relaySection(status, now)}${connectSection(status, now)}${lookUpSection(status, found, now)}</main>
</body>
</html>
`.text;
}

function allOf({ lookUps }: Status): FoundLookUps {
  return findLookUps(lookUps, { text: "", kind: "all" });
}

function titlePrefix({ readiness, problems }: Status): string {
  if (!readiness.ready) return "not ready: ";
  return problems.length === 0 ? "" : `${counted(problems.length, "problem")}: `;
}

/** In words, when a condition of readiness is met, when it is not, and while the catalogue does not tell. */
const CHECKS: Record<ReadyCheck["name"], readonly [met: string, failed: string, untold?: string]> = {
  stopping: ["running", "stopping"],
  node: ["a node is here", "no node is here"],
  gateway: ["relay process answers", "relay process does not answer"],
  connect: ["certificates of Consul Connect are there", "no end of Consul Connect"],
  consul: ["Consul answers", "Consul does not answer"],
  published: ["nodes are in Consul", "nodes are missing in Consul", "not known which nodes are in Consul"],
  nomad: ["Nomad answers", "Nomad does not answer"],
  entry: ["nodes are in Nomad", "nodes are missing in Nomad", "not known which nodes are in Nomad"],
};

/** What this daemon is, where it answers, and what its readiness depends on. */
function overview(status: Status, now: number): Markup {
  const { epmd, dns, consul, nomad, followed, domains, resolver, readiness, since } = status;
  const { consul: consulSilence, nomad: nomadSilence } = silences(status);
  const silenceOf: Partial<Record<ReadyCheck["name"], Silence | undefined>> = {
    ...{ consul: consulSilence, published: consulSilence, nomad: nomadSilence, entry: nomadSilence },
  };
  const isUnknown = status.nodes.some(({ publication }) => publication === "unknown");
  const checks = readiness.checks
    .filter(({ name, ok }) => name !== "stopping" || !ok)
    .map(({ name, ok }) => {
      const [met, failed, untold] = CHECKS[name];
      if ((!ok || isUnknown) && untold !== undefined && silenceOf[name]) return html`${pill("quiet", untold)} `;
      return html`${ok ? pill(agedTone("good", silenceOf[name]), met) : pill("bad", failed)} `;
    });
  const facts: readonly (readonly [title: string, content: Content])[] = [
    ["EPMD", html`port ${code(epmd.port)} at ${fewOf(epmd.addresses.map(ipOf), 6)}`],
    ["Up for", age(Date.parse(since), now)],
    ["Domains", domains.length === 0 ? undefined : fewOf(domains, 6)],
    ["Consul", nomad && !consul.publishes ? undefined : consulWords(consul, consulSilence, now)],
    ["Nomad", nomad && html`${code(nomad.url)} ${answersPill(nomad.answers, nomadSilence, now)}`],
    ["Followed", followedWords(followed)],
    ["Name servers", resolverWords(resolver, consulSilence)],
    ["DNS zone", dns.embedded === undefined ? undefined : code(dns.embedded)],
    ["Gateway DNS", dns.gateway === undefined ? undefined : code(dns.gateway)],
    ["Readiness", checks.length === 0 ? undefined : checks],
  ];
  const shown = facts.filter(([, content]) => content !== undefined);
  return html`<section id="overview" aria-label="This srv-epmd">
<dl>${shown.map(([title, content]) => html`<div><dt>${title}</dt><dd>${content}</dd></div>\n`)}</dl>
</section>
`;
}

function consulWords(
  { url, publishes, answers, trouble }: Status["consul"],
  silence: Silence | undefined,
  now: number,
): Content {
  const failed = trouble?.fault === "no-server" ? "reaches no server" : "does not answer";
  const shown = html`${code(url)} ${answersPill(answers, silence, now, failed)}`;
  if (publishes) return shown;
  const quiet = html`<span class="quiet">nothing is published</span>`;
  return silence ? html`${shown} ${quiet}` : quiet;
}

function answersPill(answers: boolean, silence: Silence | undefined, now: number, failed = "does not answer"): Markup {
  if (silence) return html`${pill("bad", failed)} ${lastAnswer(silence, now)}`;
  return answers ? pill("good", "answers") : pill("quiet", "not asked yet");
}

/** How many services are followed, and whether the catalogue tells of their changes; undefined while none is. */
function followedWords(followed: Status["followed"]): Content {
  if (followed.length === 0) return undefined;
  const silent = followed.filter(({ state }) => state !== "current").length;
  const state = silent === 0 ? pill("good", "up to date") : pill("doubtful", `${silent} not up to date`);
  return html`${counted(followed.length, "service")} ${state}`;
}

/** Whether the name servers know the domains; undefined where none is left to them. @param silence of Consul, whose agent may be one of them */
function resolverWords(resolver: Status["resolver"], silence: Silence | undefined): Content {
  if (resolver.length === 0) return undefined;
  const unknown = resolver.filter(({ state }) => state === "unknown").length;
  if (unknown > 0)
    return pill("bad", resolver.length === 1 ? "do not know it" : `do not know ${counted(unknown, "domain")}`);
  const agent = resolver.find(({ state }) => state === "agent")?.agent;
  // They are asked now and then: no green, which is for what is known of this moment.
  const domains = resolver.length === 1 ? "the domain" : "the domains";
  if (agent === undefined) return silence ? `knew ${domains} when asked last` : `know ${domains}`;
  return html`Consul's agent ${code(agent)}${silence && ", which answered when asked last"}`;
}

/** The native end of Consul Connect: its certificate, and who has come in. */
function connectSection({ relays }: Status, now: number): Content {
  const native = relays?.native;
  if (!native) return undefined;
  const { port, certificate, links, refused } = native;
  const turned = Object.entries(refused).map(([code, count]) => `${count} ${code}`);
  const beside = html`callers come in at port ${port}${turned.length === 0 ? "" : html`; not let in: ${turned.join(", ")}`}`;
  const valid =
    certificate &&
    html`<p>Certificate of ${code(certificate.service)}: ${code(certificate.uri)}, for ${age(now, Date.parse(certificate.validBefore))} more.</p>`;
  if (links.length === 0)
    return section(
      "connect",
      "Consul Connect",
      beside,
      html`${valid}${nothing("Nobody has come in. ", "A link is made when a VM elsewhere dials a node here.")}`,
    );
  const body = table<InboundLink>({
    label: "Callers that came in by Consul Connect",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      { title: "Caller", cell: ({ caller }) => code(caller), kind: "wide" },
      { title: "For", cell: ({ since }) => age(since, now), kind: "number" },
    ],
    rows: links,
    keyOf: ({ node, caller, since }) => `${node} ${caller} ${since}`,
  });
  return section("connect", "Consul Connect", beside, html`${valid}${body}`);
}

/** The relays of the gateway; nothing without a relay process. */
function relaySection({ relays: status }: Status, now: number): Content {
  if (status === undefined) return undefined;
  const { relays, totals, pid, since } = status;
  const beside = html`process ${pid}, up for ${age(since, now)}: ${counted(totals.openLinks, "open link")} of
${totals.links} since then, ${bytes(totals.bytesToNode)} to nodes, ${bytes(totals.bytesFromNode)} from them, ${counted(totals.dialsFailed, "failed dial")}`;
  if (relays.length === 0) {
    const how = "A relay is opened when a VM asks for a node on another machine.";
    return section("relays", "Relays", beside, nothing("No relay is open. ", how));
  }
  const body = table<RelayState>({
    label: "Relays",
    columns: [
      { title: "Node", cell: ({ node }) => nodeName(node), kind: "wide" },
      { title: "Listens on", cell: ({ address, port }) => code(hostPort(address, port)), kind: "address" },
      {
        title: "Leads to",
        cell: ({ endpoints }) =>
          fewOf(
            endpoints.map(({ address, port }) => hostPort(address, port)),
            2,
          ),
      },
      { title: "Open links", cell: ({ openLinks }) => openLinks, kind: "number" },
      { title: "All links", cell: ({ links }) => links, kind: "number" },
      { title: "To the node", cell: ({ bytesToNode }) => bytes(bytesToNode), kind: "number" },
      { title: "From the node", cell: ({ bytesFromNode }) => bytes(bytesFromNode), kind: "number" },
      { title: "Up for", cell: ({ since }) => age(since, now), kind: "number" },
    ],
    rows: relays,
    keyOf: ({ address, port }) => hostPort(address, port),
  });
  return section("relays", "Relays", beside, body);
}

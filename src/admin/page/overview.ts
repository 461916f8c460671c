import type { ReadyCheck, Status } from "../core/view.js";
import { type Content, html, type Markup } from "./html.js";
import { age, code, counted, fewOf, ipOf, pill } from "./words.js";

const CHECKS: Record<ReadyCheck["name"], string> = {
  stopping: "stopping",
  gateway: "gateway",
  consul: "Consul",
  published: "published",
};

/** One word for all of it. */
export function readiness({ readiness: { ready } }: Status): Markup {
  return html`<p id="readiness">${ready ? pill("good", "ready") : pill("bad", "not ready")}</p>`;
}

/** What this daemon is and where it answers, with why it is not ready. */
export function overview(status: Status, now: number): Markup {
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
    ["DNS of its own", dns.embedded === undefined ? undefined : code(dns.embedded)],
    ["DNS of the gateway", dns.gateway === undefined ? undefined : code(dns.gateway)],
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
  const lines = failed.map(({ name, reason }) => html`<li><b>${CHECKS[name]}</b>: ${reason ?? "is not so"}</li>`);
  return html`<div class="notice"><p>Not ready, for ${counted(failed.length, "reason")}:</p><ul>${lines}</ul></div>`;
}

function consulWords({ url, publishes, answers }: Status["consul"]): Content {
  if (!publishes) return html`<span class="quiet">nothing is published</span>`;
  return html`${code(url)} ${answers ? pill("good", "answers") : pill("bad", "does not answer")}`;
}

import type { Status } from "../core/status.js";
import { age, type Content, html, type Markup, type Tone } from "./html.js";

/** A catalogue that does not answer: what is shown of it is as it was then. */
export interface Silence {
  /** Milliseconds since the epoch; undefined: it has not answered since this srv-epmd started. */
  readonly at: number | undefined;
}

/** Of the catalogue that the nodes here are published in, and of the one that lists the cluster; undefined: it answers. */
export function silences({ consul, nomad, cluster }: Pick<Status, "consul" | "nomad" | "cluster">) {
  const publication = silence(nomad ?? consul);
  const listed = { at: cluster.outcome === "unavailable" && cluster.last ? Date.parse(cluster.last.at) : undefined };
  // A list is kept for a moment: the publication may have seen the silence before.
  const { code = "", fault } = (nomad ?? consul).trouble ?? {};
  const isSilent = /^(CONSUL|NOMAD)_SILENT$/.test(code) || fault === "no-server";
  return {
    consul: silence(consul),
    nomad: nomad && silence(nomad),
    publication,
    cluster: cluster.outcome === "unavailable" ? listed : isSilent ? publication : undefined,
  };
}

function silence({ trouble, answeredAt }: Status["consul"] | NonNullable<Status["nomad"]>): Silence | undefined {
  if (!trouble) return undefined;
  return { at: answeredAt === undefined ? undefined : Date.parse(answeredAt) };
}

/** Nothing that is old is shown as good. */
export function agedTone(tone: Tone, silence: Silence | undefined): Tone {
  return silence && tone === "good" ? "quiet" : tone;
}

/** `as of 12 s ago` */
export function asOf({ at }: Silence, now: number): Markup {
  return html`<b class="as-of">${at === undefined ? "no answer yet" : html`as of ${age(at, now)} ago`}</b>`;
}

/** `last answer 12 s ago` */
export function lastAnswer({ at }: Silence, now: number): Markup {
  return html`<b class="as-of">${at === undefined ? "no answer yet" : html`last answer ${age(at, now)} ago`}</b>`;
}

/** The same behind other words, where there is a silence. */
export function alsoAsOf(silence: Silence | undefined, now: number): Content {
  return silence && html`, ${asOf(silence, now)}`;
}

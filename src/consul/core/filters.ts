import { ID_PREFIX, META_NODE, META_OWNER } from "../../publish/core/service-entry.js";

/**
 * Expressions by which Consul leaves out of a list what is not asked for (Filtering in its API, from 1.5; an older one lists
 * everything): an instance that it writes costs it ten times as much as one that it only looks at. A filtered list has what
 * was asked for, and may have more.
 */

/** Names in one expression: the query is part of an HTTP header. */
const MOST_NAMES = 500;

/**
 * The instances of a service that may be nodes of these names: by the node in their meta, whatever its case; those without
 * one have their names in tags, and are all asked for.
 * @returns undefined for so many names that the whole list is asked for
 */
export function namedFilter(aliveNames: ReadonlySet<string>): string | undefined {
  if (aliveNames.size > MOST_NAMES) return undefined;
  const names = Array.from(aliveNames, literally).join("|");
  const pattern = JSON.stringify(`^(?i:${names})@`);
  const named = `Service.Meta["${META_NODE}"]`;
  return `"${META_NODE}" not in Service.Meta or ${named} not matches "@" or ${named} matches ${pattern}`;
}

/** Whose entries of the agent are asked for. */
export interface Whose {
  /** In the ids of a daemon's entries. */
  readonly instance: string;
  /** META_OWNER of its entries: those of its predecessor may have been published as another instance. */
  readonly owner: string;
}

/** The agent's entries under ids of the instance, whoever has written them, and all of the owner. */
export function entriesFilter({ instance, owner }: Whose): string {
  const isOwners = `"${META_OWNER}" in Meta and Meta["${META_OWNER}"] ${is(owner)}`;
  return `ID matches ${ofInstance(instance)} or (${isOwners})`;
}

/**
 * The checks of entries under ids of the instance, and all that are critical, which keep entries out of DNS. Of an entry that
 * our predecessor published as another instance no more is asked for.
 */
export function checksFilter({ instance }: Pick<Whose, "instance">): string {
  return `Status == "critical" or ServiceID matches ${ofInstance(instance)}`;
}

/** The checks of one entry. */
export function checksOfFilter(id: string): string {
  return `ServiceID ${is(id)}`;
}

/** No escape of a quotation mark can be written in a string of Consul's filters. */
function is(text: string): string {
  return `matches ${JSON.stringify(`^${literally(text)}$`)}`;
}

/** Of ids, with those of `withDistinctId`: a regular expression of RE2, as a string of Consul's filters. */
function ofInstance(instance: string): string {
  return JSON.stringify(`^${literally(ID_PREFIX + instance)}(~[0-9a-f]{8})*:`);
}

/** The text as it stands, in a regular expression of RE2. */
function literally(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_]/gu, (character) => `\\x{${character.codePointAt(0)?.toString(16)}}`);
}

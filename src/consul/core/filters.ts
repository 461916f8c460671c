import { META_NODE } from "../../publish/core/service-entry.js";

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

/** The text as it stands, in a regular expression of RE2. */
function literally(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_]/gu, (character) => `\\x{${character.codePointAt(0)?.toString(16)}}`);
}

import { nearest } from "../../text.js";

/** Longest part of a name that counts the members of a cluster: `1`, `b`, `eu`, `west`. */
const LONGEST_COUNTER = 4;

/**
 * The name that was probably meant by one that is not there. Undefined where none is near, and where those that are near
 * are its siblings: `node_b` is no misspelling of `node_a`, but another member of the cluster.
 */
export function meantBy(written: string, names: readonly string[]): string | undefined {
  return nearest(
    written,
    names.filter((name) => !areSiblings(written.toLowerCase(), name.toLowerCase())),
  );
}

/** Two names that differ as the members of a cluster do: by numbers, by a last letter, or by short parts behind the first. */
function areSiblings(one: string, other: string): boolean {
  if (uncounted(one) === uncounted(other)) return true;
  const [[first = "", ...rest], [otherFirst = "", ...otherRest]] = [partsOf(one), partsOf(other)];
  if (rest.length !== otherRest.length) return false;
  if (rest.length === 0) return first.length === otherFirst.length && first.slice(0, -1) === otherFirst.slice(0, -1);
  const differing = rest.flatMap((part, index) => (part === otherRest[index] ? [] : [part, otherRest[index] ?? ""]));
  return uncounted(first) === uncounted(otherFirst) && differing.every((part) => part.length <= LONGEST_COUNTER);
}

const uncounted = (name: string) => name.replaceAll(/[0-9]+/g, "");
const partsOf = (name: string) => name.split(/[-_.]/);

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
  return (
    uncounted(first) === uncounted(otherFirst) &&
    rest.every((part, index) => part === otherRest[index] || areCounters(part, otherRest[index] ?? ""))
  );
}

/** Short, and not the same letters in another order, which is a slip. */
function areCounters(one: string, other: string): boolean {
  const letters = (part: string) => Array.from(part).sort().join("");
  return Math.max(one.length, other.length) <= LONGEST_COUNTER && letters(one) !== letters(other);
}

const uncounted = (name: string) => name.replaceAll(/[0-9]+/g, "");
const partsOf = (name: string) => name.split(/[-_.]/);

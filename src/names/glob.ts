/** `*` matches any characters, `?` one; every other character matches itself, case-sensitively. */
export interface Glob {
  readonly pattern: string;
  readonly matches: (text: string) => boolean;
}

export function parseGlob(pattern: string): Glob {
  const characters = Array.from(pattern);
  return { pattern, matches: (text) => matches(characters, Array.from(text)) };
}

/**
 * Backtracks to the last star only, so the time is at most pattern length times text length. Patterns come from peers
 * too, and `*a*a*a*b` as a regular expression takes exponential time.
 */
function matches(pattern: readonly string[], text: readonly string[]): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < text.length; ) {
    // The star is tested first: the text may contain a star too.
    if (pattern[at] === "*") {
      star = at++;
      resume = i;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === text[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else return false;
  }
  return pattern.slice(at).every((character) => character === "*");
}

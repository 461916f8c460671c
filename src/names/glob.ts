/** `*` stands for any run of characters, `?` for one; everything else is itself. Names are matched case-sensitively. */
export interface Glob {
  readonly pattern: string;
  readonly matches: (text: string) => boolean;
}

export function parseGlob(pattern: string): Glob {
  const characters = Array.from(pattern);
  return { pattern, matches: (text) => matches(characters, Array.from(text)) };
}

/**
 * Goes back to the last star only, so time is bounded by pattern times text: patterns come from peers too, and as a
 * regular expression `*a*a*a*b` takes time without end.
 */
function matches(pattern: readonly string[], text: readonly string[]): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < text.length; ) {
    // The star first: a text may hold the character itself.
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

/** A line that is narrower than this is no easier to read. */
const NARROWEST = 30;

/** A line in parts no wider than a terminal, broken between words; what follows stands below where its text begins. */
export function wrap(text: string, columns: number): string[] {
  // After the last run of two blanks or more begins the text of a line in columns.
  const indent = /^(.* {2,}| *)/.exec(text)?.[0].length ?? 0;
  const room = columns - indent;
  if (text.length <= columns || room < NARROWEST) return [text];
  const lines: string[] = [];
  let line = "";
  for (const word of text.slice(indent).split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((part, index) => `${index === 0 ? text.slice(0, indent) : " ".repeat(indent)}${part}`);
}

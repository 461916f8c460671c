import { type StaticNode, staticNode } from "../../config/network-values.js";
import { ValueError } from "../../config/values.js";

/**
 * Entries of a nodes file: one `name@host=address:port` a line; blank lines and what follows a `#` do not count.
 * @throws ValueError that names the line
 */
export function parseNodesFile(text: string): StaticNode[] {
  const entries: StaticNode[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const entry = line.replace(/#.*$/, "").trim();
    if (entry === "") continue;
    try {
      entries.push(staticNode(entry));
    } catch (error) {
      throw new ValueError(`line ${index + 1}: ${JSON.stringify(entry)} ${(error as Error).message}`, { cause: error });
    }
  }
  return entries;
}

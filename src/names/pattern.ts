import { hostName } from "../config/network-values.js";
import { ValueError } from "../config/values.js";
import { type Glob, parseGlob } from "./glob.js";

/** `<glob>@<host>`: the alive names that match the glob, of the nodes that the host stands for. */
export interface NamePattern {
  readonly glob: Glob;
  /** As in a node name: lower case, without trailing dot, and not expanded yet (`svc`). */
  readonly host: string;
}

/** No alive name is longer (epmd_srv.c), and matching takes time with the length of the pattern. */
const MAX_GLOB = 255;

/** @throws ValueError that says what would be right */
export function parseNamePattern(text: string): NamePattern {
  const at = text.indexOf("@");
  const glob = text.slice(0, Math.max(0, at));
  if (glob === "" || Array.from(glob).length > MAX_GLOB) {
    throw new ValueError("must be a pattern such as 'node_*@svc' (* and ? stand for characters of the alive name)");
  }
  try {
    return { glob: parseGlob(glob), host: hostName(text.slice(at + 1)) };
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ValueError("must be a pattern such as 'node_*@svc': what stands behind the @ is no host name", {
      cause: error,
    });
  }
}

/** A pattern as it is sent. @throws ValueError */
export function namePattern(text: string): string {
  parseNamePattern(text);
  return text;
}

export function isNamePattern(text: string): boolean {
  try {
    parseNamePattern(text);
    return true;
  } catch {
    return false;
  }
}

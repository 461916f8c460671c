import { readFileSync } from "node:fs";
import { COMMANDS } from "../cli/commands.js";
import { manPage } from "../help/roff.js";
import { TOPIC_NAMES } from "../help/topic-names.js";
import { ROOT, VERSION } from "./settings.js";

/** `srv-epmd.1`: the commands and all topics as one page for man. */
export function manual(): string {
  const topics = TOPIC_NAMES.map((name) => readFileSync(`${ROOT}src/help/${name}.md`, "utf8"));
  return manPage({ version: VERSION, commands: COMMANDS, topics });
}

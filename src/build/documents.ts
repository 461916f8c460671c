import { readdirSync, readFileSync } from "node:fs";
import { COMMANDS } from "../cli/commands.js";
import { manPage } from "../help/roff.js";
import { TOPIC_NAMES } from "../help/topic-names.js";
import { ROOT, VERSION } from "./settings.js";

/** `srv-epmd.1`: the commands and all topics as one page for man. */
export function manual(): string {
  const topics = TOPIC_NAMES.map((name) => readFileSync(`${ROOT}src/help/${name}.md`, "utf8"));
  return manPage({ version: VERSION, commands: COMMANDS, topics });
}

const LICENCE = /^(licen[cs]e|notice|copying)/i;

/** Names and licences of the packages in a bundle; the licences require that they go with the code. @param modules files */
export function noticesFor(modules: readonly string[]): string {
  const packages = new Set(modules.flatMap((file) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []));
  // Some are there twice, for packages that want another version.
  const notices = new Set(Array.from(packages).sort().map(noticeOf));
  return Array.from(notices).join(`\n${"-".repeat(80)}\n\n`);
}

/** @param folder of the package */
function noticeOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const files = readdirSync(folder).filter((file) => LICENCE.test(file));
  if (files.length === 0) throw new Error(`${folder} has no file with its licence`);
  const texts = files.map((file) => readFileSync(`${folder}/${file}`, "utf8").trim());
  return [`${name} ${version} (${license})`, ...texts, ""].join("\n\n");
}

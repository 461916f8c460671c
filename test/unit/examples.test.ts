import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { complaintsOf } from "../support/calls.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const EXAMPLES = readdirSync(`${ROOT}examples`).filter((name) => statSync(`${ROOT}examples/${name}`).isDirectory());
const TOPICS = readdirSync(`${ROOT}src/help`).filter((name) => name.endsWith(".md"));
const READMES = [
  ...TOPICS.map((name) => `src/help/${name}`),
  ...["README.md", "SECURITY.md", "nomad/README.md", "examples/README.md"],
  ...EXAMPLES.map((name) => `examples/${name}/README.md`).filter((path) => existsSync(ROOT + path)),
];
const read = (path: string) => readFileSync(ROOT + path, "utf8");

/** What a shell makes of a line that has nothing but words and single quotes. */
function wordsOf(line: string): string[] {
  return Array.from(line.matchAll(/(?:'[^']*'|[^\s'])+/g), ([word]) => word.replaceAll("'", ""));
}

/** Calls of srv-epmd in the blocks that show what to type or to write. */
function callsIn(markdown: string): string[] {
  const blocks = Array.from(markdown.matchAll(/```(?:sh|console)\n(.*?)```/gs), ([, block = ""]) => block);
  const lines = blocks.flatMap((block) => block.replaceAll(/\\\n */g, "").split("\n"));
  return lines.flatMap(
    (line) => /^(?:[a-z0-9]*\$ )?srv-epmd (?!--version)(.*?)(?: [0-9]?[>|&].*)?$/.exec(line)?.[1] ?? [],
  );
}

test("the list of examples has every one, with a command that is there", () => {
  const rows = Array.from(read("examples/README.md").matchAll(/^\| \[([a-z-]+)\]\(\1\) \|.* \| (.*) \|$/gm));
  expect(rows.map(([, name]) => name).sort()).toEqual(EXAMPLES.sort());
  for (const [, name = "", command = ""] of rows) {
    const script = `examples/${name}/run.sh`;
    expect(command === `\`${name}/run.sh\``, `${name}: ${command}`).toBe(existsSync(ROOT + script));
    if (existsSync(ROOT + script)) expect(statSync(ROOT + script).mode & 0o111, script).toBe(0o111);
  }
});

describe.each(READMES)("%s", (path) => {
  const text = read(path);

  test("calls srv-epmd as it can be called", () => {
    for (const call of callsIn(text)) {
      expect(complaintsOf(wordsOf(call.replaceAll("\\*", "*"))), call).toEqual([]);
    }
  });

  test("links to files that are there, and to sections that they have", () => {
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)]*)\)/g)) {
      const [file = "", section] = target.split("#");
      const linked = file === "" ? path : join(dirname(path), file);
      expect(existsSync(ROOT + linked), target).toBe(true);
      if (section === undefined) continue;
      const titles = Array.from(read(linked).matchAll(/^#+ (.*)$/gm), ([, title = ""]) => title);
      const anchors = titles.map((title) =>
        title
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, "")
          .replaceAll(" ", "-"),
      );
      expect(anchors, target).toContain(section);
    }
  });
});

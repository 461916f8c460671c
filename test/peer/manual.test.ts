import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { run } from "../support/child.js";
import { consoleBlocks, installInto, runShown, scripts } from "../support/console-blocks.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, "utf8");
const topics = readdirSync(`${root}src/help`).filter((file) => file.endsWith(".md"));

const shownInTopics = topics.flatMap((file) =>
  consoleBlocks(read(`src/help/${file}`)).map(({ title, shown }) => ({ title: `${file}: ${title}`, shown })),
);
/** Those of the set-up and of the installation are for a place with a network: they are run elsewhere. */
const scriptsOfReadme = scripts(read("README.md")).filter(({ script }) => !/npm|docker/.test(script));

/** An empty folder, and one with `srv-epmd` for the PATH. */
async function place() {
  const [cwd, bin] = await Promise.all([temporaryFolder("copied"), temporaryFolder("bin")]);
  installInto(bin);
  return { cwd, bin };
}

requirePeer(
  "erl",
  "consul",
  "netns",
  "curl",
)("copied literally into an empty folder", () => {
  test.each(shownInTopics)("$title prints what is shown and leaves nothing running", async ({ shown }) => {
    await runShown(shown, { ...(await place()), endsClean: true });
  });

  test.each(scriptsOfReadme)("README.md: $title: $script", async ({ script, output }) => {
    await runShown([{ command: script, output }], { ...(await place()), endsClean: true });
  });
});

test("the commands that set up a clone are what CI runs, and the demo shows the main job from the start to the end", async () => {
  const commands = scripts(read("README.md")).map(({ script }) => script);
  expect(commands).toContain("npm ci && npm run demo");
  expect(commands).toContain("npm ci && npm test");
  expect(read(".ci/run")).toContain('step "npm ci && npm test"');
  const { code, stdout, stderr } = await run("npm", ["run", "--silent", "demo"], { cwd: root, timeout: 25_000 });
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/node_b@demo\.test: found by srv .*\n {2}127\.0\.0\.1:[0-9]+ /);
  expect(stdout).toMatch(/node_b@demo\.test: not found/);
});

describe("the library's topic", () => {
  test("has an example that runs as it stands", async () => {
    const example = /```ts\n(.*?)```/s.exec(read("src/help/library.md"))?.[1] ?? "";
    const script = example.replace('"srv-epmd"', JSON.stringify(`${root}dist/index.js`));
    const { code, stdout, stderr } = await run(process.execPath, ["--input-type=module", "--eval", script], {
      timeout: 20_000,
    });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/127\.0\.0\.1:[0-9]+.*outcome: '(not-found|unavailable)'/s);
  });
});

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../support/child.js";
import { consoleBlocks, installInto, runShown } from "../support/console-blocks.js";
import { requirePeer } from "../support/require-peer.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");

requirePeer(
  "erl",
  "consul",
  "netns",
)("the README's console examples, copied literally", () => {
  let directory = "";

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "srv-epmd-readme-"));
    installInto(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each(consoleBlocks(readme))("$title", ({ shown }) => runShown(shown, { bin: directory, cwd: directory }));
});

test("npm run demo shows the main job from the start to the end", async () => {
  const { code, stdout, stderr } = await run("npm", ["run", "--silent", "demo"], { cwd: root, timeout: 25_000 });
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/node_b@demo\.test: found by srv .*\n {2}127\.0\.0\.1:[0-9]+ /);
  expect(stdout).toMatch(/node_b@demo\.test: not found/);
});

test("the library example of the README runs as it stands", async () => {
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";
  const script = example.replace('"srv-epmd"', JSON.stringify(`${root}dist/index.js`));
  const { code, stdout, stderr } = await run(process.execPath, ["--input-type=module", "--eval", script], {
    timeout: 20_000,
  });
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/127\.0\.0\.1:[0-9]+.*outcome: '(not-found|unavailable)'/s);
});

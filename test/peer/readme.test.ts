import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../support/child.js";
import { findConsul } from "../support/consul-agent.js";
import { cleanEnvironment } from "../support/environment.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN } from "../support/srv-epmd.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");

/** A command of a console block and the lines that it is shown to print. */
interface Shown {
  readonly command: string;
  readonly output: readonly string[];
}

function consoleBlocks(): { title: string; shown: Shown[] }[] {
  return readme.split(/^#+ /m).flatMap((section) =>
    Array.from(section.matchAll(/```console\n(.*?)```/gs), ([, block = ""]) => ({
      title: section.split("\n")[0] ?? "",
      shown: block
        .split(/^\$ /m)
        .slice(1)
        .map((entry) => entry.trimEnd().split("\n"))
        .map(([command = "", ...output]) => ({ command, output })),
    })),
  );
}

const MARK = "=== next command ===";

/** The same text with any number for a number: ports and times differ from run to run. */
function pattern(line: string): RegExp {
  const literal = line.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll(/[0-9a-f]{8}(?=\\\.addr)|[0-9]+(\\\.[0-9]+)*/g, "[0-9a-f.]+")}$`);
}

requirePeer(
  "erl",
  "consul",
  "netns",
)("the README's console examples, copied literally", () => {
  let directory = "";

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "srv-epmd-readme-"));
    symlinkSync(BIN, join(directory, "srv-epmd"));
    chmodSync(BIN, 0o755);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each(consoleBlocks())("$title", async ({ shown }) => {
    const script = ["ip link set lo up", ...shown.map(({ command }) => `echo '${MARK}'; ${command}`)].join("\n");
    const path = [directory, dirname(findConsul() ?? ""), process.env.PATH].join(":");
    // Namespaces of its own: every port is free, and every process ends with the script.
    const flags = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const { code, stdout, stderr } = await run("unshare", [...flags, "bash", "-euc", script], {
      cwd: directory,
      env: { ...cleanEnvironment(), PATH: path, HOME: directory },
      timeout: 25_000,
    });
    const printed = stdout.split(`${MARK}\n`).slice(1);
    for (const [index, { command, output }] of shown.entries()) {
      const lines = (printed[index] ?? "").split("\n").filter((line) => line !== "");
      expect(lines, `${command}\n${stderr}`).toEqual(output.map((line) => expect.stringMatching(pattern(line))));
    }
    // The last command shown may be a look-up of what is not there.
    expect([0, 1], stderr).toContain(code);
  });
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

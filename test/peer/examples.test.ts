import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { consoleBlocks, installInto, runShown } from "../support/console-blocks.js";
import { cleanEnvironment } from "../support/environment.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";

const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));

const shownIn = (example: string) =>
  consoleBlocks(readFileSync(join(EXAMPLES, example, "README.md"), "utf8")).flatMap(({ shown }) => shown);

/** A copy of an example with what its script sources, and a folder with `srv-epmd` in it for the PATH. */
async function copyOf(example: string) {
  const folder = await temporaryFolder(example);
  const [cwd, bin] = [join(folder, "example"), join(folder, "bin")];
  await cp(join(EXAMPLES, example), cwd, { recursive: true });
  for (const name of ["private.sh", "typed.sh"]) await cp(join(EXAMPLES, name), join(folder, name));
  await mkdir(bin);
  installInto(bin);
  return { cwd, bin };
}

const NEEDED: readonly [string, ...Peer[]][] = [
  ["erlang", "erl", "erlc"],
  ["elixir-release", "mix"],
  ["relx", "rebar3"],
];

for (const [example, ...peers] of NEEDED) {
  requirePeer("netns", ...peers)(`the example ${example}`, () => {
    test("does and prints what its README shows with one command, and leaves the folder as it was", async () => {
      const place = await copyOf(example);
      const before = readdirSync(place.cwd);
      const output = shownIn(example).flatMap((shown) => [`$ ${shown.command}`, ...shown.output]);
      // The resolver's file is runShown's.
      await runShown([{ command: "./run.sh", output }], { ...place, timeout: 180_000 });
      expect(readdirSync(place.cwd).filter((name) => name !== "resolv.conf")).toEqual(before);
    }, 200_000);
  });
}

/** The commands of the README up to the stop of the node, then a shell in a terminal. */
const REMOTE = [
  ["elixir-release", "mix", "demo remote", "node()", /:"node_a@demo\.test"/],
  ["relx", "rebar3", "demo remote_console", "node().", /'node_a@demo\.test'/],
] as const;

for (const [example, peer, command, typed, answer] of REMOTE) {
  requirePeer("netns", peer)(`the remote shell of the example ${example}`, () => {
    test("is one on the node, found through the module", async () => {
      const { cwd, bin } = await copyOf(example);
      const before = shownIn(example).filter(({ command: shown }) => !/^demo (stop|rpc|eval)|names$/.test(shown));
      // Not the shell's last command, in whose place it would run: script(1) takes the nodes for its own child then.
      const terminal = [`script -qc '${command}' /dev/null`, "exit"];
      const script = ["ip link set lo up", ...before.map((shown) => shown.command), ...terminal];
      const flags = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
      const env = cleanEnvironment({ PATH: `${bin}:${process.env.PATH}`, HOME: cwd, LANG: "C.UTF-8", TERM: "xterm" });
      const shell = startChild("unshare", [...flags, "bash", "-euc", script.join("\n")], { cwd, env });
      await shell.waitForOutput(/\(node_a@demo\.test\)1?>/, 150_000);
      shell.write(`${typed}\n`);
      await shell.waitForOutput(answer);
      expect(shell.hasExited()).toBe(false);
      await shell.kill();
    }, 200_000);
  });
}

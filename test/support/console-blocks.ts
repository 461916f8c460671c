import { chmodSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { run } from "./child.js";
import { findConsul } from "./consul-agent.js";
import { cleanEnvironment } from "./environment.js";
import { BIN } from "./srv-epmd.js";

/** A command of a console block and the lines that it is shown to print. */
export interface Shown {
  readonly command: string;
  readonly output: readonly string[];
}

/** The console blocks of a Markdown text, with the title of the section that each stands in. */
export function consoleBlocks(markdown: string): { title: string; shown: Shown[] }[] {
  return markdown.split(/^#+ /m).flatMap((section) =>
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
export function pattern(line: string): RegExp {
  const literal = line.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll(/[0-9a-f]{8}(?=\\\.addr)|[0-9]+(\\\.[0-9]+)*/g, "[0-9a-f.]+")}$`);
}

/** Puts `srv-epmd` into a folder, for the PATH. */
export function installInto(folder: string, program = BIN): void {
  chmodSync(program, 0o755);
  if (!readdirSync(folder).includes("srv-epmd")) symlinkSync(program, join(folder, "srv-epmd"));
}

export interface ShellOptions {
  /** Folder with `srv-epmd`. */
  readonly bin: string;
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds for all of them. */
  readonly timeout?: number;
}

/**
 * Runs commands one after the other in one shell and expects each to print what is shown. In namespaces of its own:
 * every port is free, the resolver is theirs, and every process ends with the shell.
 */
export async function runShown(
  shown: readonly Shown[],
  { bin, cwd, env = {}, timeout = 25_000 }: ShellOptions,
): Promise<void> {
  const ownResolver = "cp /etc/resolv.conf resolv.conf && mount --bind resolv.conf /etc/resolv.conf";
  const script = ["ip link set lo up", ownResolver, ...shown.map(({ command }) => `echo '${MARK}'; ${command}`)].join(
    "\n",
  );
  const path = [bin, dirname(findConsul() ?? ""), env.PATH ?? process.env.PATH].join(":");
  const flags = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const { code, stdout, stderr } = await run("unshare", [...flags, "bash", "-euc", script], {
    cwd,
    env: { ...cleanEnvironment(env), PATH: path, HOME: cwd, LANG: "C.UTF-8" },
    timeout,
  });
  const printed = stdout.split(`${MARK}\n`).slice(1);
  for (const [index, { command, output }] of shown.entries()) {
    const lines = (printed[index] ?? "").split(/\r?\n/).filter((line) => line !== "");
    expect(lines, `${command}\n${stderr}`).toEqual(output.map((line) => expect.stringMatching(pattern(line))));
  }
  // The last command shown may be a look-up of what is not there.
  expect([0, 1], stderr).toContain(code);
}

import { chmodSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { run } from "./child.js";
import { findConsul } from "./consul-agent.js";
import { cleanEnvironment } from "./environment.js";
import { BIN } from "./srv-epmd.js";

const MARK = "=== next command ===";

/** A command of a console block and the lines that it is shown to print. */
export interface Shown {
  readonly command: string;
  readonly output: readonly string[];
}

/** A block of commands to be copied as a whole. */
export interface Script {
  readonly title: string;
  readonly script: string;
  /** Lines of the block of text behind it, in which it is shown what it prints. */
  readonly output: readonly string[] | undefined;
}

/** The blocks of a Markdown text that have commands without prompts, with the title of the section that each stands in. */
export function scripts(markdown: string): Script[] {
  const blocks = /```sh\n(.*?)```(?:\s+It prints:\s+```text\n(.*?)```)?/gs;
  return sectionsOf(markdown).flatMap(({ title, text }) =>
    Array.from(text.matchAll(blocks), ([, script = "", output]) => ({
      title,
      script: script.trimEnd(),
      output: output?.trimEnd().split("\n"),
    })),
  );
}

function sectionsOf(markdown: string): { title: string; text: string }[] {
  return markdown.split(/^#+ /m).map((text) => ({ title: text.split("\n")[0] ?? "", text }));
}

/** The console blocks of a Markdown text, with the title of the section that each stands in. */
export function consoleBlocks(markdown: string): { title: string; shown: Shown[] }[] {
  return sectionsOf(markdown).flatMap(({ title, text }) =>
    Array.from(text.matchAll(/```console\n(.*?)```/gs), ([, block = ""]) => ({
      title,
      shown: block
        .split(/^\$ /m)
        .slice(1)
        .map((entry) => {
          const lines = entry.trimEnd().split("\n");
          // A command goes on behind a backslash or a bar at the end of its line.
          const last = lines.findIndex((line) => !/[\\|]$/.test(line));
          return { command: lines.slice(0, last + 1).join("\n"), output: lines.slice(last + 1) };
        }),
    })),
  );
}

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
  /** At the end, which is reached whatever a command before it finds, no process is left, no variable is exported, and the resolver is what it was. */
  readonly endsClean?: boolean;
}

/** Prints what is left of the commands. The shell is process 1 here; what was told to end may take a while. */
const LEFT = `
left() {
  for _ in {1..100}; do
    local processes=()
    for process in /proc/[0-9]*; do
      [[ $process == /proc/1 ]] || processes+=("$(tr '\\0' ' ' 2>/dev/null <"$process/cmdline" || true)")
    done
    [[ \${#processes[*]} -gt 0 ]] || break
    sleep 0.1
  done
  echo '${MARK}'
  for process in "\${processes[@]}"; do echo "still running: $process"; done
  [[ $(compgen -e) == "$exported" ]] || echo "exported: $(compgen -e)"
  [[ $(</etc/resolv.conf) == "$resolver" ]] || echo "/etc/resolv.conf: $(</etc/resolv.conf)"
}
exported=$(compgen -e)
resolver=$(</etc/resolv.conf)
trap left EXIT`;

/**
 * Runs commands one after the other in one shell and expects each to print what is shown, where something is. In namespaces of its own:
 * every port is free, the resolver is theirs, and every process ends with the shell.
 */
export async function runShown(
  shown: readonly (Pick<Shown, "command"> & Pick<Script, "output">)[],
  { bin, cwd, env = {}, timeout = 25_000, endsClean = false }: ShellOptions,
): Promise<void> {
  const ownResolver = "cp /etc/resolv.conf resolv.conf && mount --bind resolv.conf /etc/resolv.conf";
  const commands = shown.map(({ command }) => `echo '${MARK}'; ${command}`);
  const script = ["ip link set lo up", ownResolver, ...(endsClean ? [LEFT] : []), ...commands].join("\n");
  const path = [bin, dirname(findConsul() ?? ""), env.PATH ?? process.env.PATH].join(":");
  const flags = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const { code, stdout, stderr } = await run("unshare", [...flags, "bash", endsClean ? "-uc" : "-euc", script], {
    cwd,
    env: { ...cleanEnvironment(env), PATH: path, HOME: cwd, LANG: "C.UTF-8" },
    timeout,
  });
  const printed = stdout.split(`${MARK}\n`).slice(1);
  for (const [index, { command, output }] of shown.entries()) {
    if (output === undefined) continue;
    const lines = (printed[index] ?? "").split(/\r?\n/).filter((line) => line !== "");
    expect(lines, `${command}\n${stderr}`).toEqual(output.map((line) => expect.stringMatching(pattern(line))));
  }
  if (endsClean) expect(printed[shown.length], stderr).toBe("");
  // A command shown may be a look-up of what is not there, or where there is nothing to ask.
  expect(endsClean ? [0, 1, 3] : [0, 1], stderr).toContain(code);
}

import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { run, startChild } from "../support/child.js";
import { cleanEnvironment, findProgram } from "../support/environment.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, runCli } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dist = `${root}dist/`;

describe("the manual of the built program", () => {
  test("is plain in a pipe, whatever pager there is", async () => {
    const { code, stdout, stderr } = await runCli(["help", "gateway"], { env: { PAGER: "false" } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^gateway: unmodified VMs reach every node, on any port\n\n {2}The gateway serves/);
    expect(stdout).not.toContain("\u001b");
  });

  test("costs the start of a command nothing: it is in a file that only help loads", () => {
    const chunks = readdirSync(`${dist}chunks`).map((file) => `chunks/${file}`);
    const withTopics = chunks.filter((file) => readFileSync(dist + file, "utf8").includes("# rabbitmq: "));
    expect(withTopics).not.toEqual([]);
    const entries = ["srv-epmd.cjs", ...chunks.filter((file) => /^chunks\/(serve|help)-/.test(file))];
    expect(entries).toHaveLength(3);
    const loaded = new Set(entries.flatMap((entry) => loadedWith(entry)));
    expect(loaded.size).toBeGreaterThan(20);
    expect(withTopics.filter((file) => loaded.has(file))).toEqual([]);
  });
});

describe("completion", () => {
  /** Runs a script of a shell in which `srv-epmd` is the built program. */
  async function inShell(shell: string, flags: readonly string[], script: string) {
    const folder = await temporaryFolder("completion");
    await writeFile(join(folder, "srv-epmd"), `#!/bin/sh\nexec ${process.execPath} ${BIN} "$@"\n`, { mode: 0o755 });
    const env = cleanEnvironment({ PATH: `${folder}:${process.env.PATH}`, HOME: folder });
    const { code, stdout, stderr } = await run(shell, [...flags, "-c", script], { env, timeout: 15_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout.trim().split("\n");
  }

  test("in bash offers commands, values and files", async () => {
    const lines = [
      ["srv-epmd", "reso"],
      ["srv-epmd", "serve", "--register", ""],
      ["srv-epmd", "serve", "--register", "=", "n"],
      ["srv-epmd", "serve", "--config", `${dist}srv-epmd.c`],
      ["srv-epmd", "help", "gat"],
    ];
    const attempts = lines.map((words) => `try ${words.map((word) => `'${word}'`).join(" ")}`);
    const script = [
      'eval "$(srv-epmd completion bash)"',
      // compopt is for a completion under way.
      "compopt() { :; }",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own.
      'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMPREPLY=(); _srv_epmd; echo "${COMPREPLY[*]}"; }',
      ...attempts,
    ].join("\n");
    const found = ["resolve", "consul none", "none", `${dist}srv-epmd.cjs`, "gateway"];
    expect(await inShell("bash", ["--norc"], script)).toEqual(found);
  });

  requirePeer("fish")("in fish", () => {
    test("offers commands, values and files", async () => {
      const lines = ["reso", "serve --register n", "serve --register=n", `serve --config ${dist}srv-epmd.c`];
      const attempts = lines.map((line) => `complete -C 'srv-epmd ${line}'`);
      const script = ["srv-epmd completion fish | source", ...attempts].join("\n");
      const found = ["resolve", "none", "--register=none", `${dist}srv-epmd.cjs`];
      expect(await inShell("fish", ["--no-config"], script)).toEqual(found);
    });
  });

  requirePeer("zsh")("in zsh", () => {
    test("is a script that the shell takes", async () => {
      const script = 'autoload -U compinit; compinit -u -D; eval "$(srv-epmd completion zsh)"; echo $_comps[srv-epmd]';
      expect(await inShell("zsh", ["-f"], script)).toEqual(["_srv_epmd"]);
    });
  });
});

/** A file of the build and all that it imports at once. */
function loadedWith(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  // What is loaded late stands behind an arrow.
  const imports = readFileSync(dist + file, "utf8").matchAll(/(?<!=>)require\("(\.[^"]+)"\)/g);
  for (const [, path = ""] of imports) loadedWith(join(dirname(file), path), seen);
  return Array.from(seen);
}

describe.skipIf(findProgram("script") === undefined)("on a terminal", () => {
  /** What a terminal of 80 columns shows. */
  async function onTerminal(args: string, env: NodeJS.ProcessEnv) {
    const { PATH = process.env.PATH } = env;
    const command = `stty cols 80 rows 24; PATH=${PATH} ${process.execPath} ${BIN} ${args}`;
    const place = { env: cleanEnvironment({ TERM: "xterm", ...env, PATH: process.env.PATH }), timeout: 15_000 };
    const { code, stdout } = await run("script", ["-qec", command, "/dev/null"], place);
    return { code, shown: stdout.replaceAll("\r\n", "\n") };
  }

  test("a topic goes through $PAGER, in colour", async () => {
    const { code, shown } = await onTerminal("help limits", { PAGER: "sed 's/^/paged: /'" });
    expect(code).toBe(0);
    expect(shown).toContain("paged: \u001b[1mlimits:");
    expect(shown.split("\n").filter((line) => line !== "" && !line.startsWith("paged: "))).toEqual([]);
  });

  test.each([
    ["$PAGER is empty", { PAGER: "" }],
    ["the terminal is a dumb one", { TERM: "dumb", PAGER: "false" }],
    ["there is no shell for the pager", { PAGER: "cat", PATH: "/nowhere" }],
  ])("a topic is written as it is where %s", async (_, env) => {
    const { code, shown } = await onTerminal("help limits", { NO_COLOR: "1", ...env });
    expect(code).toBe(0);
    expect(shown).toMatch(/limits: what does not work.*\n\n {2}- A stock VM/);
  });

  test("without $PAGER it is less that shows it, with what is wanted of less", async () => {
    const folder = await temporaryFolder("pager");
    await mkdir(join(folder, "bin"));
    await writeFile(join(folder, "bin/less"), '#!/bin/sh\necho "less with $LESS"\ncat >/dev/null\n', { mode: 0o755 });
    const env = { PATH: `${folder}/bin:${process.env.PATH}` };
    expect((await onTerminal("help limits", env)).shown).toContain("less with -F -X -R");
    expect((await onTerminal("help limits", { ...env, LESS: "-i" })).shown).toContain("less with -i -R");
  });

  test("leaving the pager early ends the command without a complaint", async () => {
    const { code, shown } = await onTerminal("help options", { PAGER: "true" });
    expect({ code, shown }).toEqual({ code: 0, shown: "" });
  });

  test("Ctrl-C is the pager's", async () => {
    const pager = "trap 'echo interrupted; exit 0' INT; echo reading; while :; do sleep 0.1; done";
    const env = cleanEnvironment({ TERM: "xterm", PAGER: pager });
    // exec: Ctrl-C would end a shell that waits for the command (dash, with $SHELL unset), and its exit code would be seen.
    const command = `exec ${process.execPath} ${BIN} help options`;
    const terminal = startChild("script", ["-qec", command, "/dev/null"], { env });
    await terminal.waitForOutput(/reading/);
    terminal.write("\u0003");
    await terminal.waitForOutput(/interrupted/);
    expect(await terminal.exited).toMatchObject({ code: 0 });
  });
});

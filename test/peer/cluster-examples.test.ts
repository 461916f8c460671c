import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { consoleBlocks, installInto, runShown } from "../support/console-blocks.js";
import { findConsul } from "../support/consul-agent.js";
import { cleanEnvironment, findProgram } from "../support/environment.js";
import { programForAll } from "../support/program-for-all.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const TIMEOUT = 60_000;

/** A copy of an example with what it sources, and a folder with `srv-epmd` in it for the PATH. */
async function copyOf(example: string, program?: string) {
  const folder = await temporaryFolder(example);
  const [cwd, bin] = [join(folder, example), join(folder, "bin")];
  await cp(join(EXAMPLES, example), cwd, { recursive: true });
  for (const name of ["private.sh", "machines.sh", "nodes.sh", "typed.sh"])
    await cp(join(EXAMPLES, name), join(folder, name));
  await mkdir(bin);
  installInto(bin, program);
  return { cwd, bin };
}

/** Processes that were started with this variable in their environment, whatever they made of the rest. */
function processesWith(variable: string): string[] {
  const environ = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    } catch {
      // It has gone, or is a zombie.
      return [];
    }
  };
  return readdirSync("/proc").filter((pid) => /^[0-9]+$/.test(pid) && environ(pid).includes(variable));
}

requirePeer(
  "erl",
  "erlc",
  "erl_call",
  "epmd",
  "consul",
  "netns",
)("the example", () => {
  test.each(["consul", "connect", "migrate"])(
    "%s does and prints what its README shows",
    async (example) => {
      const { cwd, bin } = await copyOf(example);
      const blocks = consoleBlocks(readFileSync(join(cwd, "README.md"), "utf8"));
      const shown = blocks.flatMap((block) => block.shown);
      expect(shown.map(({ command }) => command)).toEqual(["./run.sh"]);
      await runShown(shown, { cwd, bin, timeout: TIMEOUT });
    },
    TIMEOUT,
  );

  describe("leaves nothing behind", () => {
    const mark = `EXAMPLE=${process.pid}`;
    afterEach(() => expect(processesWith(mark)).toEqual([]));

    /** Runs it as a terminal does: in a process group of its own. */
    const start = (cwd: string, path: string) => {
      const PATH = [path, dirname(findConsul() ?? ""), process.env.PATH].join(":");
      const [name = "", value] = mark.split("=");
      return startChild("setsid", ["./run.sh"], { cwd, env: cleanEnvironment({ PATH, [name]: value }) });
    };

    test.each([
      ["Ctrl-C", "connect", 10, -1, "SIGINT", 130],
      ["Ctrl-C", "erlang", 3, -1, "SIGINT", 130],
      ["being killed", "connect", 10, 1, "SIGKILL", null],
    ] as const)(
      "at %s: %s",
      async (_, name, processes, sign, signal, code) => {
        const { cwd, bin } = await copyOf(name);
        const example = start(cwd, bin);
        await example.waitForOutput(/net_adm:ping/, TIMEOUT / 2);
        expect(processesWith(mark).length).toBeGreaterThan(processes);
        process.kill(sign * example.pid, signal);
        expect(await example.exited).toMatchObject({ code });
        await waitFor(() => processesWith(mark).length === 0, { what: "their end" });
      },
      TIMEOUT,
    );

    test.each([
      ["a daemon", "consul", "serve", 2],
      ["a daemon, of commands that are typed", "erlang", "serve", 3],
    ])(
      "and does not wait where what was started has failed: %s",
      async (_, name, command, exit) => {
        const { cwd, bin } = await copyOf(name);
        const broken = await temporaryFolder("broken");
        const script = `#!/bin/sh\n[ "$1" != ${command} ] || { echo "why it fails" >&2; exit ${exit}; }\nexec ${process.execPath} ${BIN} "$@"\n`;
        await writeFile(join(broken, "srv-epmd"), script, { mode: 0o755 });
        const example = start(cwd, `${broken}:${bin}`);
        const { code, ms } = await example.exited;
        expect(code).toBe(1);
        expect(example.stderr()).toMatch(new RegExp(`ended with ${exit}: .*srv-epmd serve`));
        expect(example.stderr()).toContain("why it fails");
        // srv-epmd wait would wait a minute.
        expect(ms).toBeLessThan(25_000);
        await waitFor(() => processesWith(mark).length === 0, { what: "their end" });
      },
      40_000,
    );

    test.each(["consul", "erlang"])(
      "at %s whose VMs fail: no crash dump, and no wait for them",
      async (name) => {
        const { cwd, bin } = await copyOf(name);
        const before = readdirSync(cwd);
        const broken = await temporaryFolder("broken");
        // erlc runs it too.
        const erl = `#!/bin/sh\ncase "$*" in *-name*) set -- "$@" -s no_such_module;; esac\nexec ${findProgram("erl")} "$@"\n`;
        await writeFile(join(broken, "erl"), erl, { mode: 0o755 });
        const example = start(cwd, `${broken}:${bin}`);
        const { code, ms } = await example.exited;
        expect(code).toBe(1);
        expect(example.stderr()).toMatch(/ended with 1: .*erl /);
        expect(ms).toBeLessThan(25_000);
        expect(readdirSync(cwd)).toEqual(before);
        await waitFor(() => processesWith(mark).length === 0, { what: "their end" });
      },
      40_000,
    );

    test("when something fails, whose log is shown", async () => {
      const { cwd, bin } = await copyOf("consul");
      const broken = await temporaryFolder("broken");
      const script = `#!/bin/sh\n[ "$1" != module ] || exit 3\nexec ${process.execPath} ${BIN} "$@"\n`;
      await writeFile(join(broken, "srv-epmd"), script, { mode: 0o755 });
      const example = start(cwd, `${broken}:${bin}`);
      expect(await example.exited).toMatchObject({ code: 3 });
      expect(example.stderr()).toContain('"msg":"ready"');
      await waitFor(() => processesWith(mark).length === 0, { what: "their end" });
    });
  });

  test(
    "needs no root where users may make namespaces",
    async ({ skip }) => {
      const asNobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
      const may = startChild("setpriv", [
        ...asNobody,
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "--net",
        "true",
      ]);
      if ((await may.exited).code !== 0) skip("users may not make namespaces here");
      const { cwd, bin } = await copyOf("consul", await programForAll());
      const PATH = [bin, dirname(findConsul() ?? ""), process.env.PATH].join(":");
      await startChild("chmod", ["-R", "go+rX", dirname(cwd)]).exited;
      const example = startChild("setpriv", [...asNobody, "./run.sh"], { cwd, env: cleanEnvironment({ PATH }) });
      const { code } = await example.exited;
      expect(code, example.stderr()).toBe(0);
    },
    TIMEOUT,
  );
});

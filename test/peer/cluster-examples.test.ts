import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { consoleBlocks, installInto, runShown } from "../support/console-blocks.js";
import { findConsul } from "../support/consul-agent.js";
import { cleanEnvironment } from "../support/environment.js";
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
    ] as const)("at %s: %s", async (_, name, processes, sign, signal, code) => {
      const { cwd, bin } = await copyOf(name);
      const example = start(cwd, bin);
      await example.waitForOutput(/net_adm:ping/, 20_000);
      expect(processesWith(mark).length).toBeGreaterThan(processes);
      process.kill(sign * example.pid, signal);
      expect(await example.exited).toMatchObject({ code });
      await waitFor(() => processesWith(mark).length === 0, { what: "their end" });
    });

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

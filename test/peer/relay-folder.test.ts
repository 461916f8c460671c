import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Child, run, startChild } from "../support/child.js";
import { cleanEnvironment, findProgram } from "../support/environment.js";
import { freePort } from "../support/free-port.js";
import { programForAll } from "../support/program-for-all.js";
import { BIN } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const NOBODY = 65_534;
const canBecomeNobody = process.getuid?.() === 0 && findProgram("setpriv") !== undefined;

describe.skipIf(!canBecomeNobody)("$TMPDIR/srv-epmd-<uid>", () => {
  test("that another user has made is no obstacle: daemon and relay process meet in a private folder", async () => {
    const shared = await temporaryFolder("shared");
    await chmod(shared, 0o1777);
    const taken = join(shared, `srv-epmd-${NOBODY}`);
    await mkdir(taken);
    // Anybody but nobody and root.
    await chown(taken, 1, 1);
    const bin = await programForAll();
    const port = await freePort();
    const asNobody = (...args: string[]): Child => {
      const identity = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--", process.execPath, bin];
      const child = startChild("setpriv", [...identity, ...args, "--port", String(port), "--log-format", "json"], {
        env: cleanEnvironment({ TMPDIR: shared, SRV_EPMD_ADMIN: "none", INVOCATION_ID: "a-unit" }),
        cwd: "/",
      });
      onTestFinished(() => void child.stop());
      return child;
    };
    const relay = asNobody("relay");
    const [, socket = ""] = await relay.waitForOutput(/"socket":"([^"]+)".*"msg":"ready"/);
    expect(socket).toContain(`${shared}/srv-epmd-${NOBODY}-`);
    expect(relay.stderr()).toContain(`"taken":"${taken}","user":1,"msg":"another user has taken`);
    const daemon = asNobody("serve", "--gateway", "--gateway-listen", "none", "--domain", "svc.test");
    await daemon.waitForOutput(/"msg":"ready"/);
    expect(daemon.stderr()).toMatch(
      new RegExp(`"relay":${relay.pid},"socket":"${socket}","msg":"relay process connected"`),
    );
  });
});

test.each([
  ["relay --relay-socket a/b/relay.sock", 3, "the folder a/b cannot be made: ENOENT"],
  ["module --out a/b", 2, "--out: cannot write to a/b: ENOENT"],
  ["module --app a/b", 2, "--app: cannot write to a/b: ENOENT"],
])(
  "a working directory that was deleted under the process ends `%s`: Node's own mkdir would try for ever",
  async (command, code, said) => {
    const folder = await temporaryFolder("deleted");
    const script = `mkdir gone && cd gone && rmdir ../gone && exec ${process.execPath} ${BIN} ${command}`;
    const result = await run("sh", ["-c", script], { env: cleanEnvironment(), cwd: folder, timeout: 20_000 });
    expect(result).toMatchObject({ code, stdout: "" });
    expect(result.stderr).toContain(said);
  },
);

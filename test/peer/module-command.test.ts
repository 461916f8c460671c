import { mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, runCli } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const SOURCE = fileURLToPath(new URL("../../src/beam/srv_epmd.erl", import.meta.url));

test("srv-epmd module writes the source to stdout, and takes no more than one place for it", async () => {
  const source = await readFile(SOURCE, "utf8");
  expect(await runCli(["module", "--out", "-"])).toEqual({ code: 0, stdout: source, stderr: "" });
  expect(await runCli(["module", "--app", "y", "--out", "x"])).toMatchObject({ code: 2, stdout: "" });
  expect(await runCli(["module"])).toMatchObject({ code: 2, stdout: "" });
});

test("srv-epmd module --out without erlc on the PATH writes the source and says how to compile it", async () => {
  const folder = await temporaryFolder("no-erlc");
  const { code, stdout } = await run(process.execPath, [BIN, "module", "--out", folder], {
    env: { ...cleanEnvironment(), PATH: folder },
  });
  expect(code).toBe(0);
  expect(stdout).toContain(`there is no erlc on the PATH`);
  expect(stdout).toContain(`erlc -o ${folder} ${folder}/srv_epmd.erl`);
  expect(await readdir(folder)).toEqual(["srv_epmd.erl"]);
});

test("srv-epmd module into a place that is none says so", async () => {
  const result = await runCli(["module", "--app", "/dev/null/app"]);
  expect(result).toMatchObject({ code: 2, stdout: "" });
  expect(result.stderr).toContain("--app: cannot write to /dev/null/app");
});

requirePeer("erlc")("srv-epmd module --out", () => {
  test("compiles it where it puts it, and gives the flags for erl", async () => {
    const folder = join(await temporaryFolder("out"), "ebin");
    const { stdout } = await runCli(["module", "--out", folder]);
    expect(stdout).toBe(
      `wrote and compiled ${folder}/srv_epmd.erl\n  erl -pa ${folder} -start_epmd false -epmd_module srv_epmd ...\n  (other releases of OTP may want it compiled by an erlc of their own)\n`,
    );
    expect((await readdir(folder)).sort()).toEqual(["srv_epmd.beam", "srv_epmd.erl"]);
  });
});

requirePeer("rebar3")("srv-epmd module --app", () => {
  test("is taken by rebar3 through a link in _checkouts, as it advises", async () => {
    const folder = await temporaryFolder("app");
    const [app, project] = [join(folder, "srv_epmd"), join(folder, "project")];
    const { stdout } = await runCli(["module", "--app", app]);
    expect(stdout).toContain(`mix.exs: {:srv_epmd, path: "${app}"}`);
    expect(stdout).toContain("a folder or link _checkouts/srv_epmd; rebar.config: {deps, [srv_epmd]}");
    await mkdir(join(project, "_checkouts"), { recursive: true });
    await symlink(app, join(project, "_checkouts", "srv_epmd"));
    const script = `echo '{deps, [srv_epmd]}.' >rebar.config && rebar3 compile && find -L _build -name srv_epmd.beam`;
    // On a busy machine rebar3 takes most of a minute.
    const place = { cwd: project, env: cleanEnvironment({ HOME: dirname(app) }), timeout: 120_000 };
    const built = await run("sh", ["-ec", script], place);
    expect(built.code, built.stdout).toBe(0);
    expect(built.stdout).toMatch(/checkouts\/srv_epmd\/ebin\/srv_epmd\.beam/);
  }, 150_000);
});

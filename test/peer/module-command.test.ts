import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
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

describe("srv-epmd module replaces what it wrote itself, and nothing else", () => {
  const APP = ["mix.exs", "rebar.config", "src/srv_epmd.app.src", "src/srv_epmd.erl"];
  /** Every file below a folder, with its text. */
  const filesOf = async (folder: string) => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    const texts = await Promise.all(
      paths.sort().map(async (path) => [relative(folder, path), await readFile(path, "utf8")]),
    );
    return Object.fromEntries(texts) as Record<string, string>;
  };

  test.each(APP)("a project's %s stays, and the folder as it was", async (path) => {
    const folder = await temporaryFolder("project");
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), "defmodule Shop.MixProject do\nend\n");
    await writeFile(join(folder, "README.md"), "a shop\n");
    const before = await filesOf(folder);
    const { code, stdout, stderr } = await runCli(["module", "--app", folder]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toBe(
      `srv-epmd: --app: ${join(folder, path)} is not a file that srv-epmd wrote and nobody changed, so nothing was written: give a folder for this application alone, such as deps/srv_epmd, or remove it\n`,
    );
    expect(await filesOf(folder)).toEqual(before);
  });

  test("a second run changes nothing; a file of another version, or of before the mark, is replaced", async () => {
    const folder = join(await temporaryFolder("app"), "srv_epmd");
    expect((await runCli(["module", "--app", folder])).code).toBe(0);
    const first = await filesOf(folder);
    expect(Object.keys(first).sort()).toEqual(APP);
    expect((await runCli(["module", "--app", folder])).code).toBe(0);
    expect(await filesOf(folder)).toEqual(first);

    const older = "%% of an older version\n-module(srv_epmd).\n";
    const mark = `%% Written by srv-epmd 0.0.9, sha256 of the lines below ${createHash("sha256").update(older).digest("hex")}\n`;
    await writeFile(join(folder, "src/srv_epmd.erl"), mark + older);
    await writeFile(join(folder, "rebar.config"), "{erl_opts, [debug_info]}.\n");
    expect((await runCli(["module", "--app", folder])).code).toBe(0);
    expect(await filesOf(folder)).toEqual(first);
  });

  test("what was changed since stays: each file that is in the way is named", async () => {
    const folder = join(await temporaryFolder("app"), "srv_epmd");
    await runCli(["module", "--app", folder]);
    const changed = ["mix.exs", "src/srv_epmd.erl"].map((path) => join(folder, path));
    for (const path of changed) await writeFile(path, `${await readFile(path, "utf8")}\n`);
    const before = await filesOf(folder);
    const { code, stderr } = await runCli(["module", "--app", folder]);
    expect(code).toBe(2);
    expect(stderr).toContain(`--app: ${changed[1]} and ${changed[0]} are not files that srv-epmd wrote`);
    expect(await filesOf(folder)).toEqual(before);
  });

  test("--out leaves a srv_epmd.erl of somebody else alone, and what a link of that name leads to", async () => {
    const folder = await temporaryFolder("out");
    const [own, out] = [join(folder, "mine.erl"), join(folder, "out")];
    await writeFile(own, "-module(srv_epmd).\n");
    await mkdir(out);
    await symlink(own, join(out, "srv_epmd.erl"));
    const { code, stderr } = await runCli(["module", "--out", out]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(`--out: ${join(out, "srv_epmd.erl")} is not a file that`),
    ]);
    expect(await readFile(own, "utf8")).toBe("-module(srv_epmd).\n");
    // A link that leads nowhere would make the file that it names.
    const dangling = join(folder, "dangling");
    await mkdir(dangling);
    await symlink(join(folder, "new.erl"), join(dangling, "srv_epmd.erl"));
    expect(await runCli(["module", "--out", dangling])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`--out: cannot write to ${dangling}: EEXIST`),
    });
    expect((await readdir(folder)).sort()).toEqual(["dangling", "mine.erl", "out"]);
  });
});

requirePeer("erlc")("srv-epmd module --out", () => {
  test("compiles it where it puts it, and gives the flags for erl", async () => {
    const folder = join(await temporaryFolder("out"), "ebin");
    const { stdout } = await runCli(["module", "--out", folder]);
    expect(stdout).toBe(
      `wrote and compiled ${folder}/srv_epmd.erl
  erl -name node_a@svc.service.consul -pa ${folder} -start_epmd false -epmd_module srv_epmd ...
  releases need the module in them (--app), and those of Mix RELEASE_DISTRIBUTION=name RELEASE_NODE=node_a@svc.service.consul
  (other releases of OTP may want it compiled by an erlc of their own)
`,
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
    expect(stdout).toContain("rel/env.sh.eex: export RELEASE_DISTRIBUTION=name RELEASE_NODE=node_a@svc.service.consul");
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

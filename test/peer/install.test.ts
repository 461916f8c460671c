import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { run } from "../support/child.js";
import { scripts } from "../support/console-blocks.js";
import { cleanEnvironment, findProgram } from "../support/environment.js";
import { BIN } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NPM = findProgram("npm") ?? "npm";

/** The blocks of the README that install srv-epmd, by their last lines. */
const readme = await readFile(`${ROOT}README.md`, "utf8");
const blocks = scripts(readme)
  .filter(({ title }) => title === "Install")
  .map(({ script }) => ({ script, last: script.split("\n").at(-1) ?? "" }));

/** `npm ci` would install what is installed here, by the same lock file, and take the tests' own packages away first. */
const NPM_WITHOUT_CI = `#!/bin/sh
case " $* " in *" ci "*) exec test -f "$HOME/srv-epmd/package-lock.json";; esac
exec ${NPM} "$@"
`;

/** What the Dockerfile builds is tested elsewhere: here an image is the folder that it is built from. */
const DOCKER = `#!/bin/sh
case "$*" in
  "build --tag srv-epmd $HOME/srv-epmd") exec test -f "$HOME/srv-epmd/Dockerfile";;
  "run --rm srv-epmd "*) shift 3; exec node ${BIN} "$@";;
esac
echo "docker $*: what is that?" >&2
exit 1
`;

/** Where a global installation goes; the rest of the user's configuration stays. */
const npmConfiguration = (prefix: string) => ({
  npm_config_prefix: prefix,
  npm_config_userconfig: process.env.npm_config_userconfig ?? `${process.env.HOME}/.npmrc`,
  npm_config_cache: process.env.npm_config_cache ?? `${process.env.HOME}/.npm`,
  npm_config_prefer_offline: "true",
  // For the registry, whose certificate may be of this machine's own authority.
  ...(process.env.NODE_EXTRA_CA_CERTS && { NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS }),
});

let home = "";
let version = "";

beforeAll(async () => {
  home = await temporaryFolder("home");
  const clone = join(home, "srv-epmd");
  const { files, version: own } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8"));
  version = own;
  const sources = [
    "src",
    "examples",
    "nomad",
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE",
    "Dockerfile",
    "tsconfig.json",
  ];
  expect(sources).toEqual(
    expect.arrayContaining(files.filter((file: string) => /^[a-zA-Z.]+$/.test(file) && file !== "dist")),
  );
  for (const file of [...sources, "package.json", "package-lock.json", ".npmrc"]) {
    await cp(ROOT + file, join(clone, file), { recursive: true });
  }
  await symlink(`${ROOT}node_modules`, join(clone, "node_modules"));
  await mkdir(join(home, "bin"));
  await writeFile(join(home, "bin/npm"), NPM_WITHOUT_CI, { mode: 0o755 });
  await writeFile(join(home, "bin/docker"), DOCKER, { mode: 0o755 });
}, 20_000);

test.each([
  ["npm pack", ["pack", "--silent"], ["dist/srv-epmd.cjs"]],
  ["npm install --global .", ["install", "--global", "."], ["../prefix/bin/srv-epmd"]],
] as const)(
  "%s works in a fresh clone, in which nothing is installed",
  async (_, args, program) => {
    const own = await temporaryFolder("fresh");
    const clone = join(own, "srv-epmd");
    await cp(join(home, "srv-epmd"), clone, { recursive: true, filter: (path) => !path.endsWith("node_modules") });
    const env = cleanEnvironment({ HOME: home, ...npmConfiguration(join(own, "prefix")) });
    const { code, stdout, stderr } = await run(NPM, args, { cwd: clone, env, timeout: 240_000 });
    expect(code, stderr).toBe(0);
    // A script reads the name of the file.
    if (args[0] === "pack") expect(stdout).toBe(`srv-epmd-${version}.tgz\n`);
    const told = await run(process.execPath, [...program, "--version"], { cwd: clone, env });
    expect(told).toMatchObject({ code: 0, stdout: `${version}\n` });
  },
  260_000,
);

test("the README installs in four ways", () => {
  expect(blocks.map(({ last }) => last)).toEqual([
    "srv-epmd --version",
    "node srv-epmd-*.cjs --version",
    "./srv-epmd-*-linux-* --version",
    "docker run --rm srv-epmd --version",
  ]);
});

test.each(blocks)(
  "$last: the block of the README, copied into an empty folder, ends with the version",
  async ({ script }) => {
    const cwd = await temporaryFolder("empty");
    const prefix = join(home, "prefix");
    const env = cleanEnvironment({
      HOME: home,
      PATH: `${home}/bin:${prefix}/bin:${process.env.PATH}`,
      ...npmConfiguration(prefix),
    });
    const { code, stdout, stderr } = await run("bash", ["-euc", script], { cwd, env, timeout: 80_000 });
    expect(code, stderr).toBe(0);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe(version);
    if (!script.includes("--global")) return;
    expect(await readdir(join(prefix, "share/man/man1"))).toEqual(["srv-epmd.1"]);
    const installed = await run(join(prefix, "bin/srv-epmd"), ["help", "limits"], { env });
    expect(installed).toMatchObject({ code: 0, stdout: expect.stringContaining("limits: ") });
  },
  90_000,
);

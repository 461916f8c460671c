import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import source from "../beam/srv_epmd.erl";
import { ConfigError, describeError } from "../errors.js";
import { MEBIBYTE, makeFolder, readBounded } from "../os/files.js";
import { version } from "../version.js";
import { type CommandContext, EXIT, type ExitCode, type Io } from "./io.js";
import { applicationFiles, type Files, isReplaceable, moduleFiles } from "./module-files.js";

/** Mix releases take short names unless they are told otherwise, and short names do not reach long ones. */
const MIX_NAME = "RELEASE_DISTRIBUTION=name RELEASE_NODE=node_a@svc.service.consul";

/** Writes the Erlang module: alone (`--out DIR`), to stdout (`--out -`), or as an application (`--app DIR`). */
export async function writeModule({ config, io }: CommandContext): Promise<ExitCode> {
  const { out, app } = config;
  if (out !== undefined && out !== "-") return writeAndCompile(out, io);
  if (app !== undefined) {
    await writeFiles(app, applicationFiles(source, version), "--app");
    io.stdout(`wrote the application srv_epmd to ${app}: releases need the module in them (examples/elixir-release, examples/relx)
  Mix     mix.exs: {:srv_epmd, path: "${app}"}
          rel/vm.args.eex and rel/remote.vm.args.eex: -start_epmd false -epmd_module srv_epmd
          rel/env.sh.eex: export ${MIX_NAME}
  rebar3  a folder or link _checkouts/srv_epmd; rebar.config: {deps, [srv_epmd]}, and srv_epmd in the release
          config/vm.args.src: -name node_a@svc.service.consul -start_epmd false -epmd_module srv_epmd
`);
    return EXIT.done;
  }
  io.stdout(source);
  return EXIT.done;
}

async function writeAndCompile(folder: string, { env, stdout: say }: Io): Promise<ExitCode> {
  const file = join(folder, "srv_epmd.erl");
  await writeFiles(folder, moduleFiles(source, version), "--out");
  const start = `  erl -name node_a@svc.service.consul -pa ${resolve(folder)} -start_epmd false -epmd_module srv_epmd ...
  releases need the module in them (--app), and those of Mix ${MIX_NAME}
`;
  try {
    await promisify(execFile)("erlc", ["-o", folder, file], {
      env: { ...env, ERL_FLAGS: "", ERL_AFLAGS: "", ERL_ZFLAGS: "" },
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw new Error("erlc failed", { cause: error });
    say(`wrote ${file}; there is no erlc on the PATH: compile it with the erlc of the VM that will load it\n`);
    say(`  erlc -o ${folder} ${file}\n${start}`);
    return EXIT.done;
  }
  say(`wrote and compiled ${file}\n${start}  (other releases of OTP may want it compiled by an erlc of their own)\n`);
  return EXIT.done;
}

/** @throws ConfigError when the folder cannot be written, or has a file of a user's in a place of ours: nothing is written then */
async function writeFiles(folder: string, files: Files, flag: string): Promise<void> {
  try {
    const paths = Object.keys(files);
    const held = await Promise.all(paths.map((path) => textOf(join(folder, path))));
    const foreign = paths.filter((path, index) => {
      const text = held[index];
      return text !== undefined && !isReplaceable(text, files[path] ?? "");
    });
    if (foreign.length > 0) throw new ConfigError("CONFIG_FILE", refusal(folder, foreign, flag));
    for (const [index, path] of paths.entries()) {
      await makeFolder(dirname(join(folder, path)));
      // A file that has come meanwhile is not replaced either.
      await writeFile(join(folder, path), files[path] ?? "", { flag: held[index] === undefined ? "wx" : "w" });
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError("CONFIG_FILE", `${flag}: cannot write to ${folder}: ${describeError(error)}`, {
      cause: error,
    });
  }
}

function refusal(folder: string, foreign: readonly string[], flag: string): string {
  const [are, them] = foreign.length === 1 ? ["is not a file", "it"] : ["are not files", "them"];
  const files = foreign.map((path) => join(folder, path)).join(" and ");
  const place = flag === "--app" ? "a folder for this application alone, such as deps/srv_epmd" : "another folder";
  return `${flag}: ${files} ${are} that srv-epmd wrote and nobody changed, so nothing was written: give ${place}, or remove ${them}`;
}

/** Undefined where there is no such file. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readBounded(path, { limit: MEBIBYTE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

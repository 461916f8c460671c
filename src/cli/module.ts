import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import source from "../beam/srv_epmd.erl";
import { ConfigError, describeError } from "../errors.js";
import { makeFolder } from "../os/files.js";
import { version } from "../version.js";
import { type CommandContext, EXIT, type ExitCode, type Io } from "./io.js";

/** Writes the Erlang module: alone (`--out DIR`), to stdout (`--out -`), or as an application (`--app DIR`). */
export async function writeModule({ config, io }: CommandContext): Promise<ExitCode> {
  const { out, app } = config;
  if (out !== undefined && out !== "-") return writeAndCompile(out, io);
  if (app !== undefined) {
    await writeFiles(app, applicationFiles(source, version), "--app");
    io.stdout(`wrote the application srv_epmd to ${app}: releases need the module in them (examples/elixir-release, examples/relx)
  Mix     mix.exs: {:srv_epmd, path: "${app}"}
          rel/vm.args.eex and rel/remote.vm.args.eex: -start_epmd false -epmd_module srv_epmd
  rebar3  a folder or link _checkouts/srv_epmd; rebar.config: {deps, [srv_epmd]}, and srv_epmd in the release
          config/vm.args.src: -start_epmd false -epmd_module srv_epmd
`);
    return EXIT.done;
  }
  io.stdout(source);
  return EXIT.done;
}

async function writeAndCompile(folder: string, { env, stdout: say }: Io): Promise<ExitCode> {
  const file = join(folder, "srv_epmd.erl");
  await writeFiles(folder, { "srv_epmd.erl": source }, "--out");
  const start = `  erl -pa ${resolve(folder)} -start_epmd false -epmd_module srv_epmd ...\n`;
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

/** @throws ConfigError when the folder cannot be written */
async function writeFiles(folder: string, files: Readonly<Record<string, string>>, flag: string): Promise<void> {
  try {
    for (const [name, text] of Object.entries(files)) {
      await makeFolder(dirname(join(folder, name)));
      await writeFile(join(folder, name), text);
    }
  } catch (error) {
    throw new ConfigError("CONFIG_FILE", `${flag}: cannot write to ${folder}: ${describeError(error)}`, {
      cause: error,
    });
  }
}

/** The files of an OTP application with the module, for releases: rebar3 uses the app.src and Mix the mix.exs, as a path dependency. */
function applicationFiles(source: string, version: string): Record<string, string> {
  return {
    "src/srv_epmd.erl": source,
    "src/srv_epmd.app.src": `{application, srv_epmd,
 [{description, "Nodes find each other through srv-epmd"},
  {vsn, "${version}"},
  {registered, []},
  {modules, [srv_epmd]},
  {applications, [kernel, stdlib]},
  {licenses, ["Apache-2.0"]}]}.
`,
    "rebar.config": "{erl_opts, [debug_info]}.\n",
    "mix.exs": `defmodule SrvEpmd.MixProject do
  use Mix.Project

  def project do
    [app: :srv_epmd, version: "${version}", language: :erlang, erlc_options: [:debug_info], deps: []]
  end

  def application, do: []
end
`,
  };
}

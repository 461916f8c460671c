import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT, sourcesDigest, VERSION } from "../../../src/build/settings.js";
import { run } from "../../support/child.js";
import { cleanEnvironment } from "../../support/environment.js";
import { findRabbitmq } from "../../support/rabbitmq.js";
import { cached, digestOf } from "./cache.js";

const PROJECT = fileURLToPath(new URL("../release/", import.meta.url));

/** Milliseconds that one of these builds may take on a busy machine. */
const BUILD = 600_000;

/** For `find`; a release has no windows, whose library (wx) wants those of a desktop. */
const PROGRAMS_OF_ERLANG = ["(", "-name", "beam.smp", "-o", "-name", "*.so", "-o", "-path", "*/priv/bin/*", ")"];

/** The programs and libraries of this machine's Erlang, whose own libraries a release needs where it runs. */
export async function erlangPrograms(): Promise<string[]> {
  const root = await rootOf("erl");
  const { stdout } = await run("find", [
    root,
    "-name",
    "wx-*",
    "-prune",
    "-o",
    "-type",
    "f",
    ...PROGRAMS_OF_ERLANG,
    "-print",
  ]);
  return stdout.split("\n").filter(Boolean);
}

/** `npm run package`. @returns path of the executable */
export async function executable(): Promise<string> {
  const folder = await cached("executable", digestOf(sourcesDigest()), async (out) => {
    await succeed("npm", ["run", "--silent", "package", "--", "--out", out], { cwd: ROOT });
  });
  return join(folder, `srv-epmd-${VERSION}-linux-${process.arch}`);
}

export interface ReleaseOptions {
  readonly version: string;
  /** The srv_epmd module, as `srv-epmd module --app` writes it. */
  readonly hasModule: boolean;
  /** Its env.sh, which the start script reads after the job's variables are there: a mistake of who built it. */
  readonly envSh?: string;
}

/** A Mix release of test/nomad/release, with its own Erlang. @returns path of the archive, with bin/svc in it */
export async function elixirRelease(options: ReleaseOptions): Promise<string> {
  const { version, hasModule, envSh } = options;
  const name = `svc-${version}${hasModule ? "" : "-plain"}`;
  const program = await executable();
  const sources = await Promise.all(
    ["mix.exs", "lib/svc.ex", "rel/env.sh.eex"].map((file) => readFile(join(PROJECT, file))),
  );
  const digest = digestOf(JSON.stringify(options), program, ...sources);
  const folder = await cached(name, digest, async (out) => {
    const project = join(out, "project");
    await cp(PROJECT, project, { recursive: true });
    if (hasModule) await succeed(program, ["module", "--app", "vendor/srv_epmd"], { cwd: project });
    const env = cleanEnvironment({
      HOME: out,
      LANG: "C.UTF-8",
      MIX_ENV: "prod",
      SVC_VERSION: version,
      ...(hasModule && { SVC_MODULE: "vendor/srv_epmd" }),
      ...(envSh !== undefined && { SVC_ENV_SH: envSh }),
    });
    await succeed("mix", ["release", "--quiet", "--path", join(out, "svc")], { cwd: project, env });
    await archive(join(out, "svc"), join(out, `${name}.tar.gz`));
  });
  return join(folder, `${name}.tar.gz`);
}

/** Where the jobs unpack a release, as its tasks see it. */
const UNPACKED = "/local/release";

/**
 * A stock RabbitMQ 3 and the Erlang that it wants. `bin/svc start` runs it in the foreground, with all its state under the folder
 * SVC_STATE; `bin/svc ctl ...` is rabbitmqctl.
 * @returns path of the archive
 */
export async function rabbitmqRelease(): Promise<string> {
  const server = findRabbitmq();
  if (server === undefined) throw new Error("RabbitMQ is not there: bash test/install-peers.sh");
  const erlang = await rootOf(server.otp.program("erl"));
  const home = server.path("usr/lib/rabbitmq/lib/rabbitmq_server-*");
  const folder = await cached("rabbitmq", digestOf(home, erlang, RABBITMQ_SCRIPT), async (out) => {
    const release = join(out, "release");
    await cp(erlang, join(release, "erlang"), { recursive: true });
    await cp(server.path("usr/lib/erlang/lib"), join(release, "erlang/lib"), { recursive: true, dereference: true });
    await cp(home, join(release, "rabbitmq"), { recursive: true, dereference: true });
    const erl = join(release, "erlang/bin/erl");
    await writeFile(erl, (await readFile(erl, "utf8")).replaceAll(`ROOTDIR=${erlang}`, `ROOTDIR=${UNPACKED}/erlang`));
    await mkdir(join(release, "bin"));
    await writeFile(join(release, "bin/svc"), RABBITMQ_SCRIPT);
    await chmod(join(release, "bin/svc"), 0o755);
    await archive(release, join(out, "rabbitmq.tar.gz"));
  });
  return join(folder, "rabbitmq.tar.gz");
}

const RABBITMQ_SCRIPT = `#!/bin/sh
state=\${SVC_STATE:-/local/state}
mkdir -p "$state"
cd "$state" || exit
export HOME="$state" PATH="${UNPACKED}/erlang/bin:/usr/bin:/bin" RUNNING_UNDER_SYSTEMD=true
export RABBITMQ_MNESIA_BASE="$state/mnesia" RABBITMQ_LOG_BASE="$state/log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$state/pid"
export RABBITMQ_GENERATED_CONFIG_DIR="$state/generated" RABBITMQ_PLUGINS_EXPAND_DIR="$state/expanded"
export RABBITMQ_ENABLED_PLUGINS_FILE="$state/plugins" RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_ADVANCED_CONFIG_FILE="$state/advanced.config"
[ -f "$state/plugins" ] || echo '[].' >"$state/plugins"
[ -f "$state/.erlang.cookie" ] || { echo -n the-cookie-of-rabbit >"$state/.erlang.cookie"; chmod 600 "$state/.erlang.cookie"; }
case $1 in
  start) exec "${UNPACKED}/rabbitmq/sbin/rabbitmq-server" ;;
  ctl) shift; exec "${UNPACKED}/rabbitmq/sbin/rabbitmqctl" "$@" ;;
esac
`;

/** The folder that an Erlang runs from, which is written into its start script. */
async function rootOf(erl: string): Promise<string> {
  const { stdout } = await run(erl, ["-noshell", "-eval", "io:put_chars(code:root_dir()), halt()."], {
    timeout: 60_000,
  });
  return stdout;
}

const archive = (folder: string, file: string) => succeed("tar", ["-C", folder, "-czf", file, "."]);

async function succeed(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const { code, stdout, stderr } = await run(command, args, { timeout: BUILD, ...options });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}${stdout}`);
}

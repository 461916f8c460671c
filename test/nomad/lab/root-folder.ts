import { cp, mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../../support/child.js";
import { findProgram } from "../../support/environment.js";
import { cached, digestOf } from "./cache.js";
import { findConsulProgram } from "./needs.js";

/** What start scripts of releases and brokers call, and what a person or a check would. */
const PROGRAMS = [
  ...[
    "sh",
    "bash",
    "env",
    "ls",
    "cat",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "chmod",
    "touch",
    "ln",
    "readlink",
    "realpath",
    "dirname",
  ],
  ...[
    "basename",
    "sed",
    "grep",
    "awk",
    "cut",
    "tr",
    "head",
    "tail",
    "sort",
    "uniq",
    "wc",
    "od",
    "tee",
    "id",
    "date",
    "sleep",
  ],
  ...[
    "hostname",
    "uname",
    "expr",
    "test",
    "printf",
    "kill",
    "ps",
    "getent",
    "mktemp",
    "find",
    "xargs",
    "stat",
    "which",
    "true",
  ],
];

/** Loaded when it is used, so that no program names it: crypto of Erlang, names and addresses of the C library. */
const LIBRARIES = ["libcrypto.so.3", "libssl.so.3", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/** Those of names are the tasks' own where they share the machine's network. */
const FILES = ["/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache"];

/**
 * A root folder for tasks of the exec driver, for the client's `chroot_env`: small, and linked into each task instead of copied where
 * both are on one file system. Nomad's default copies the machine's whole /usr for each task, half a minute each.
 * @param programs whose libraries are there too, such as those of a release
 */
export async function rootFolder(programs: readonly string[]): Promise<string> {
  // Consul is the proxy of a mesh without Envoy.
  const own = [...PROGRAMS.map((name) => findProgram(name)), findConsulProgram()].filter((path) => path !== undefined);
  const libraries = await librariesOf([...own, ...programs]);
  const files = [...own, ...libraries, ...FILES];
  const times = await Promise.all(files.map(async (file) => String((await stat(file)).mtimeMs)));
  return cached("root", digestOf(...files, ...times), async (folder) => {
    for (const program of own) await copyInto(folder, program, join("/usr/bin", program.replace(/.*\//, "")));
    for (const file of [...libraries, ...FILES]) await copyInto(folder, file, file);
    // Scripts name both.
    await cp(join(folder, "usr/bin"), join(folder, "bin"), { recursive: true });
    for (const empty of ["tmp", "var/tmp", "etc/ssl"]) await mkdir(join(folder, empty), { recursive: true });
  });
}

/** The client's option: every folder of it to its place. */
export async function chrootEnv(folder: string): Promise<Record<string, string>> {
  return Object.fromEntries((await readdir(folder)).map((name) => [join(folder, name), `/${name}`]));
}

async function copyInto(folder: string, from: string, to: string): Promise<void> {
  await mkdir(dirname(join(folder, to)), { recursive: true });
  await cp(from, join(folder, to), { dereference: true });
}

/** Paths as programs look for them; the loader among them. */
async function librariesOf(programs: readonly string[]): Promise<string[]> {
  const { stdout } = await run("ldd", programs);
  const needed = Array.from(stdout.matchAll(/(?:=> |^\t)(\/\S+) \(0x/gm), ([, path = ""]) => path);
  const { stdout: known } = await run("ldconfig", ["-p"]);
  const loaded = LIBRARIES.flatMap(
    (name) => new RegExp(`^\t${name.replaceAll(".", "\\.")} .*=> (\\S+)$`, "m").exec(known)?.[1] ?? [],
  );
  return Array.from(new Set([...needed, ...loaded])).sort();
}

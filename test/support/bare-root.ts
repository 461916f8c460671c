import { readFileSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Child, type Place, type RunResult, run } from "./child.js";

/** What a base image has at least: the C library with what belongs to it, the machine's own. Network: loopback. */
const ENTER = `
for lib in lib lib64; do if test -d /usr/$lib; then mount --bind /usr/$lib "$0/usr/$lib"; fi; done
mount -t proc proc "$0/proc"
ip link set lo up
user=$1
shift
exec chroot --userspec="$user" "$0" "$@"
`;

/** A folder as the file system of a container: the command there is process 1, as that user (`uid:gid`). Needs root. */
export async function bareRoot(root: string, user: string): Promise<Place> {
  for (const folder of ["usr/lib", "usr/lib64", "proc", "etc"]) await mkdir(join(root, folder), { recursive: true });
  for (const lib of ["lib", "lib64"]) await symlink(`usr/${lib}`, join(root, lib));
  await writeFile(join(root, "etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n");
  await writeFile(join(root, "etc/resolv.conf"), "nameserver 127.0.0.1\n");
  const spaces = ["--mount", "--pid", "--net", "--fork", "--kill-child"];
  return { wrap: (command, args) => ["unshare", ...spaces, "sh", "-ec", ENTER, root, user, command, ...args] };
}

/** The process that runs as number 1 there. */
export function processOne({ pid }: Child): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"));
}

/** Runs a command where that process is, as `docker exec` does. */
export function runBeside(pid: number, [command, ...args]: readonly [string, ...string[]]): Promise<RunResult> {
  const spaces = ["--mount", "--pid", "--net", "--root", "--wd", "--setuid", "65532", "--setgid", "65532"];
  return run("nsenter", ["--target", String(pid), ...spaces, command, ...args], { env: {} });
}

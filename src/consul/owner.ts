import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";

/**
 * What a daemon has in common with the one that stands in its place after a restart, and with no other that is alive:
 * boot id, network namespace and EPMD port. Elsewhere than on Linux the host name stands for the first two.
 */
export async function readOwner(port: number): Promise<string> {
  const [boot, namespace] = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/net").catch(() => ""),
  ]);
  // `net:[4026531840]`
  const inode = /[0-9]+/.exec(namespace)?.[0];
  return `${boot.trim() || hostname()}/${inode ?? "-"}/${port}`;
}

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { findOtp, type Otp } from "./otp.js";

/** Where test/install-brokers.sh puts them. */
const PEERS = "/opt/srv-epmd-peers";

/** A Debian package that was unpacked together with its libraries; nothing of it is installed. */
export interface Unpacked {
  readonly root: string;
  /** Path of a file in it; a `*` stands for the rest of one folder's name. */
  readonly path: (pattern: string) => string;
}

export function findUnpacked(name: string): Unpacked | undefined {
  const root = join(PEERS, name);
  if (!existsSync(root)) return undefined;
  return { root, path: (pattern) => expand(root, pattern) };
}

/** A server written in Erlang, and the release that its packages were made for. */
export interface UnpackedServer extends Unpacked {
  readonly otp: Otp;
}

export function findUnpackedServer(name: string, release = 25): UnpackedServer | undefined {
  const found = findUnpacked(name);
  const otp = findOtp(release);
  return found && otp && { ...found, otp };
}

/** Beside what the machine has: for LD_LIBRARY_PATH. */
export function sharedLibraries({ root, path }: Unpacked): string {
  const folders = [path("usr/lib/*-linux-gnu"), path("lib/*-linux-gnu")];
  return folders.filter((folder) => folder !== root && existsSync(folder)).join(":");
}

function expand(root: string, pattern: string): string {
  return pattern.split("/").reduce((folder, part) => {
    const [before, after] = part.split("*") as [string, string?];
    if (after === undefined) return join(folder, part);
    const entries = existsSync(folder) ? readdirSync(folder) : [];
    return join(folder, entries.find((entry) => entry.startsWith(before) && entry.endsWith(after)) ?? part);
  }, root);
}

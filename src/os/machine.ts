import { readFileSync } from "node:fs";
import { readFile, readlink } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { ConfigError } from "../errors.js";
import { canonicalIp } from "../net/ip.js";
import { MEBIBYTE, readBounded } from "./files.js";
import { hasTcpTables } from "./sockets.js";

/** The names and addresses of this machine. */
export interface Machine {
  /** As `hostname` prints it. */
  readonly hostName: string;
  /** Lower case: the host name, its first label, and `localhost`. They are no services. */
  readonly names: ReadonlySet<string>;
  /** Addresses of all interfaces, canonical; at most a second old. */
  readonly addresses: () => readonly string[];
}

/** Milliseconds; asking the system would be the slowest step of a look-up. */
const ADDRESSES_LIFETIME = 1000;

export function thisMachine(): Machine {
  let known: readonly string[] = [];
  let knownUntil = Number.NEGATIVE_INFINITY;
  const hostName = hostname();
  const lower = hostName.toLowerCase();
  return {
    hostName,
    names: new Set(["localhost", lower, lower.replace(/\..*$/s, "")]),
    addresses: () => {
      if (performance.now() >= knownUntil) {
        known = interfaceAddresses();
        knownUntil = performance.now() + ADDRESSES_LIFETIME;
      }
      return known;
    },
  };
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => canonicalIp(address))
    .filter((address) => address !== undefined);
}

/** Another with each boot; undefined elsewhere than on Linux. */
export async function bootId(): Promise<string | undefined> {
  const id = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return id.trim() || undefined;
}

/** Number of this process's network namespace, as in `net:[4026531840]`; undefined elsewhere than on Linux. */
export async function networkNamespace(pid: number | "self" = "self"): Promise<string | undefined> {
  const link = await readlink(`/proc/${pid}/ns/net`).catch(() => "");
  return /[0-9]+/.exec(link)?.[0];
}

/** The soft limit of open files, which Node raises to the hard one at its start; undefined: none, or not Linux. */
export function openFileLimit(): number | undefined {
  try {
    const limit = /^Max open files +([0-9]+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** A directory service may not answer; the start goes on after this. Milliseconds. */
const USER_LOOKUP_LIMIT = 5_000;

/** The numbers of the users of `--register-uid`; undefined when none is named. @throws ConfigError for an unknown name */
export async function uidsOf(users: readonly (number | string)[]): Promise<ReadonlySet<number> | undefined> {
  if (users.length === 0) return undefined;
  if (!(await hasTcpTables())) {
    throw new ConfigError("CONFIG_CONFLICT", "--register-uid needs /proc/net/tcp, and this system has none");
  }
  return new Set(await Promise.all(users.map(uidOf)));
}

async function uidOf(user: number | string): Promise<number> {
  if (typeof user === "number") return user;
  const uid =
    findUser(await readBounded("/etc/passwd", { limit: MEBIBYTE }).catch(() => ""), user) ??
    findUser(await getent("passwd", user, USER_LOOKUP_LIMIT), user);
  if (uid === undefined) {
    throw new ConfigError(
      "CONFIG_VALUE",
      `--register-uid: "${user}" is no user of this machine; give a name or a number`,
    );
  }
  return uid;
}

/** passwd(5): name, password, uid, ... */
function findUser(passwd: string, name: string): number | undefined {
  const uid = passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find(([first]) => first === name)?.[2];
  return uid !== undefined && /^[0-9]+$/.test(uid) ? Number(uid) : undefined;
}

/**
 * What the system knows of a key, from LDAP, systemd, DNS and the like: getent(1), in another process, because
 * getaddrinfo(3) cannot be aborted, and a silent server would keep this process from ending. Empty where there is no
 * getent (it belongs to the C library on Linux). It is killed after `limit` milliseconds. Never rejects.
 */
export async function getent(database: string, key: string, limit: number): Promise<string> {
  const { execFile } = await import("node:child_process");
  return new Promise((resolve) => {
    execFile("getent", [database, key], { timeout: limit, killSignal: "SIGKILL" }, (_error, stdout) => resolve(stdout));
  });
}

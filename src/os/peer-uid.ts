import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { IpPort } from "../config/network-values.js";
import { ConfigError } from "../errors.js";
import { MEBIBYTE, readBounded } from "./bounded-file.js";
import { uidAtEnd } from "./core/tcp-table.js";

/** Those of /proc/net, where a unit has hidden the rest of /proc too (ProcSubset=pid). */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/** A directory service that does not answer must not hold up the start for ever. Milliseconds. */
const USER_LOOKUP_LIMIT = 5_000;

/**
 * The user of the process that has this end of a connection; undefined where no process of this network namespace has
 * it. Linux alone tells (proc(5)).
 */
export async function uidOfSocket(local: IpPort, remote: IpPort): Promise<number | undefined> {
  const tables = await Promise.all(TABLES.map((table) => readFile(table, "utf8").catch(() => "")));
  return uidAtEnd(tables, local, remote);
}

/** The numbers of users; undefined when none is named. @throws ConfigError for a name that is no user's */
export async function uidsOf(users: readonly (number | string)[]): Promise<ReadonlySet<number> | undefined> {
  if (users.length === 0) return undefined;
  const isTold = await readFile("/proc/self/net/tcp").then(
    () => true,
    () => false,
  );
  if (!isTold) throw new ConfigError("CONFIG_CONFLICT", "--register-uid needs /proc/net/tcp, and this system has none");
  return new Set(await Promise.all(users.map(uidOf)));
}

async function uidOf(user: number | string): Promise<number> {
  if (typeof user === "number") return user;
  const uid =
    findUser(await readBounded("/etc/passwd", { limit: MEBIBYTE }).catch(() => ""), user) ??
    findUser(await askSystem(user), user);
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

/** Users that are not in the file: of LDAP, systemd and the like. */
function askSystem(name: string): Promise<string> {
  return new Promise((resolve) => {
    execFile("getent", ["passwd", name], { timeout: USER_LOOKUP_LIMIT, killSignal: "SIGKILL" }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

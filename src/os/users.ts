import { execFile } from "node:child_process";
import { ConfigError } from "../errors.js";
import { MEBIBYTE, readBounded } from "./bounded-file.js";
import { hasTcpTables } from "./sockets.js";

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

/** For users that are not in the file: of LDAP, systemd and the like. */
function askSystem(name: string): Promise<string> {
  return new Promise((resolve) => {
    execFile("getent", ["passwd", name], { timeout: USER_LOOKUP_LIMIT, killSignal: "SIGKILL" }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

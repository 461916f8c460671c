import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../daemon/logger.js";

/** Group and others: no right of any kind. */
const OTHERS = 0o077;

/**
 * Why a folder is not private: another user who can write there could pose as the relay process. Undefined: it is
 * private.
 * A missing folder is made, with those above it.
 */
export async function makePrivateFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    return `the folder ${path} cannot be made: ${(error as Error).message}`;
  }
  return (await privateFolderFault(path))?.message;
}

/** What is wrong with a folder. */
interface FolderFault {
  readonly message: string;
  readonly isMissing: boolean;
}

/** Names that are tried beside the usual one. */
const MORE_NAMES = 99;

/**
 * Our folder in a parent where every user may make folders. When another user has taken its name, it is the first numbered
 * name that is ours already, else the first that can be made. No other user can make a folder that belongs to us, so that
 * all of our processes find the same folder.
 */
export async function ownFolderIn(parent: string, name: string, log: Logger): Promise<string> {
  const usual = join(parent, name);
  const others = Array.from({ length: MORE_NAMES }, (_, index) => `${usual}-${index + 1}`);
  const user = process.geteuid?.() ?? 0;
  const holder = (await lstat(usual).catch(() => undefined))?.uid;
  if (holder === user) return usual;
  const isOurs = async (path: string) => (await privateFolderFault(path)) === undefined;
  const make = (path: string) => mkdir(path, { mode: 0o700 }).catch(() => {});
  const find = async (prepare: (path: string) => Promise<unknown>) => {
    for (const path of others) {
      await prepare(path);
      if (await isOurs(path)) return path;
    }
    return undefined;
  };
  // The usual name may become free again while our processes use another.
  const folder = (await find(async () => {})) ?? (holder === undefined ? undefined : await find(make));
  if (folder === undefined) return usual;
  if (holder !== undefined) {
    log.warn({ folder, taken: usual, user: holder }, "another user has taken the folder of the relays' control socket");
  }
  return folder;
}

/** As makePrivateFolder, of a folder that should be there. */
export async function privateFolderFault(path: string): Promise<FolderFault | undefined> {
  const fault = (message: string) => ({ message, isMissing: false });
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    return { message: `the folder ${path} cannot be used: ${found.message}`, isMissing: found.code === "ENOENT" };
  }
  const user = process.geteuid?.() ?? found.uid;
  if (!found.isDirectory()) return fault(`${path} is no folder`);
  if (found.uid !== user)
    return fault(
      `the folder ${path} belongs to user ${found.uid}, not to ours (${user}): choose another --relay-socket`,
    );
  if ((found.mode & OTHERS) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    return fault(
      `the folder ${path} is open to other users (mode ${mode}): chmod 700 it, or choose another --relay-socket`,
    );
  }
  return undefined;
}

import { lstat, mkdir } from "node:fs/promises";

/** Group and others: no right of any kind. */
const OTHERS = 0o077;

/**
 * Why a folder is not ours alone: whoever else can write there could pose as the relay process. Undefined: it is.
 * A missing folder is made, with those above it.
 */
export async function makePrivateFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    return `the folder ${path} cannot be made: ${(error as Error).message}`;
  }
  return privateFolderFault(path);
}

/** As makePrivateFolder, of a folder that should be there. */
export async function privateFolderFault(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch((error: Error) => error);
  if (found instanceof Error) return `the folder ${path} cannot be used: ${found.message}`;
  const user = process.geteuid?.() ?? found.uid;
  if (!found.isDirectory()) return `${path} is no folder`;
  if (found.uid !== user)
    return `the folder ${path} belongs to user ${found.uid}, not to ours (${user}): choose another --relay-socket`;
  if ((found.mode & OTHERS) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    return `the folder ${path} is open to other users (mode ${mode}): chmod 700 it, or choose another --relay-socket`;
  }
  return undefined;
}

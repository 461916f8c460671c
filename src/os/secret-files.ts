import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { flagOf, OPTION_KEYS, optionOf, type Settings } from "../config/options.js";

/** Bits of st_mode for users who neither own a file nor are in its group. */
const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;

/** Complaints about files with a secret that every user of this machine may read. @param file of `--config` */
export async function exposedSecrets(
  { consulTokenFile, consulKey }: Pick<Settings, "consulTokenFile" | "consulKey">,
  file?: { readonly path: string; readonly contents: unknown },
): Promise<string[]> {
  const secretKeys = OPTION_KEYS.filter((key) => optionOf(key).secret).map(flagOf);
  const hasSecret = secretKeys.some((key) => Object.hasOwn(Object(file?.contents), key));
  const secrets = [
    { flag: "--consul-token-file", path: consulTokenFile },
    { flag: "CONSUL_CLIENT_KEY", path: consulKey },
    { flag: "--config", path: hasSecret ? file?.path : undefined },
  ];
  const complaints = secrets.map(async ({ flag, path }) => {
    if (path === undefined || !(await othersMayRead(path))) return undefined;
    return `${flag}: every user of this machine may read ${path}, and act as srv-epmd in Consul with what is in it: chmod o-r ${path}`;
  });
  return (await Promise.all(complaints)).filter((complaint) => complaint !== undefined);
}

/** Whether others may read the file and enter all folders above it. False for a missing file: its reader reports that. */
async function othersMayRead(path: string): Promise<boolean> {
  try {
    const file = await realpath(path);
    if (((await stat(file)).mode & OTHERS_READ) === 0) return false;
    for (let folder = dirname(file); ; folder = dirname(folder)) {
      if (((await stat(folder)).mode & OTHERS_ENTER) === 0) return false;
      if (folder === dirname(folder)) return true;
    }
  } catch {
    return false;
  }
}

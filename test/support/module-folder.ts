import { run } from "./child.js";
import type { Otp } from "./otp.js";
import { runCli } from "./srv-epmd.js";
import { lastingFolder } from "./temporary.js";

const folders = new Map<number, Promise<string>>();

/** The module as `srv-epmd module --out` writes it, compiled by the release that will load it; the machine's own when not given. */
export function moduleFolder(otp?: Otp): Promise<string> {
  const release = otp?.release ?? 0;
  const folder = folders.get(release) ?? compile(otp);
  folders.set(release, folder);
  return folder;
}

async function compile(otp: Otp | undefined): Promise<string> {
  const folder = await lastingFolder("module");
  const written = await runCli(["module", "--out", folder]);
  if (written.code !== 0) throw new Error(`srv-epmd module: ${written.stderr}`);
  if (otp === undefined) return folder;
  const compiled = await run(otp.program("erlc"), ["-Werror", "-o", folder, `${folder}/srv_epmd.erl`]);
  if (compiled.code !== 0) throw new Error(`erlc of OTP ${otp.release}: ${compiled.stdout}`);
  return folder;
}

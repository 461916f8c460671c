import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { findProgram } from "./environment.js";

/** Where test/install-otp.sh puts them. */
const INSTALLED = "/opt/srv-epmd-peers";

/** An Erlang/OTP release; the programs of one that is not the machine's own run in a tree of their own. */
export interface Otp {
  readonly release: number;
  /** Path of `erl`, `erlc`, `erl_call`, `elixir`, ... */
  readonly program: (name: string) => string;
}

/** The machine's own when it is that release, else what test/install-otp.sh put there. */
export function findOtp(release: number): Otp | undefined {
  if (ownReleases().includes(release)) return { release, program: (name) => findProgram(name) ?? name };
  const tree = join(INSTALLED, `otp${release}`);
  if (!existsSync(join(tree, "complete"))) return undefined;
  return { release, program: (name) => join(tree, "bin-host", name) };
}

function ownReleases(): number[] {
  const erl = findProgram("erl");
  if (erl === undefined) return [];
  const releases = join(dirname(realpathSync(erl)), "..", "releases");
  return existsSync(releases) ? readdirSync(releases).map(Number).filter(Number.isInteger) : [];
}

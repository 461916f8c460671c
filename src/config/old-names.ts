import { ConfigError } from "../errors.js";
import { flagOf, OPTION_KEYS, optionOf, variableNamed } from "./options.js";

/** Names that options had, without dashes, and how the same is written now. */
const REPLACED: Readonly<Record<string, string>> = {
  "no-admin": "--admin none",
  "probe-endpoints": "--prefer-reachable",
  "gateway-host": "--gateway-domain, for the domains of --domain too: it replaces them",
  stdout: "--out -",
  "fallback-epmd": "--fallback epmd",
  "fallback-port": "--fallback N, the port",
  "negative-ttl": "--max-ttl, which holds for all answers",
};

/** The same where it was switched off: `--no-probe-endpoints`, or `false` in a file or a variable. */
const WHEN_OFF: Readonly<Record<string, string>> = {
  "no-admin": "--admin IP:PORT",
  "probe-endpoints": "--no-prefer-reachable",
  stdout: "--out FILE",
  "fallback-epmd": "nothing, which is the default",
};

/** Options that had a flag and have none. */
const WITHOUT_FLAG = OPTION_KEYS.filter((key) => optionOf(key).only === "variable or file");

/** How an old name is written now; undefined: it is none. */
function replacementOf(flag: string, isOff: boolean): string | undefined {
  if (isOff && Object.hasOwn(WHEN_OFF, flag)) return WHEN_OFF[flag];
  const key = WITHOUT_FLAG.find((candidate) => flagOf(candidate) === flag);
  if (key !== undefined) return `${optionOf(key).variable}, or ${flag} in the configuration file`;
  return Object.hasOwn(REPLACED, flag) ? REPLACED[flag] : undefined;
}

/**
 * An old name stops the start: a setting that is ignored would be noticed too late.
 * @param where as it was written: a flag, a variable, or a key with its file
 * @param flag the name without dashes
 * @param isOff whether it switched something off
 * @throws ConfigError CONFIG_UNKNOWN that names the new one
 */
export function refuseOldName(where: string, flag: string, isOff = false): void {
  const now = replacementOf(flag, isOff);
  if (now !== undefined) throw new ConfigError("CONFIG_UNKNOWN", `${where} is no longer an option: give ${now}`);
}

/** @throws ConfigError CONFIG_UNKNOWN for the first variable with an old name; an empty one counts as not set */
export function refuseOldVariables(env: Readonly<Record<string, string | undefined>>): void {
  for (const flag of [...Object.keys(REPLACED), ...WITHOUT_FLAG.map(flagOf)]) {
    const variable = variableNamed(flag);
    if (env[variable]) refuseOldName(variable, flag, env[variable] === "false");
  }
}

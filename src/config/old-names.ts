import { ConfigError } from "../errors.js";
import { flagOf, keyOfFlag, OPTION_KEYS, optionOf, variableNamed } from "./options.js";

/** How an old name is written now, and how where it was switched off: `--no-probe-endpoints`, or `false` in a file. */
interface Replacement {
  readonly now: string;
  readonly off?: string;
}

/** By the names that options had, without dashes. */
const REPLACED: Readonly<Record<string, Replacement>> = {
  "no-admin": { now: "--admin none", off: "--admin IP:PORT" },
  "probe-endpoints": { now: "--prefer-reachable", off: "--no-prefer-reachable" },
  "gateway-host": { now: "--gateway-domain, for the domains of --domain too: it replaces them" },
  stdout: { now: "--out -", off: "--out DIR" },
  "fallback-epmd": { now: "--fallback epmd", off: "nothing, which is the default" },
  "fallback-port": { now: "--fallback N, the port" },
  "negative-ttl": { now: "--max-ttl, which holds for all answers" },
};

/** Options that had a flag and have none. */
const WITHOUT_FLAG = OPTION_KEYS.filter((key) => optionOf(key).only === "variable or file");

/** How an old name is written now; undefined: it is none. */
function replacementOf(flag: string, isOff: boolean): string | undefined {
  const key = keyOfFlag(flag);
  if (key !== undefined && WITHOUT_FLAG.includes(key))
    return `${optionOf(key).variable}, or ${flag} in the configuration file`;
  const replacement = Object.hasOwn(REPLACED, flag) ? REPLACED[flag] : undefined;
  return isOff ? (replacement?.off ?? replacement?.now) : replacement?.now;
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

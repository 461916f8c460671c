import { ConfigError } from "../errors.js";
import type { OptionKey } from "./options.js";

/** Where an option was set; the earlier place wins. */
const PLACES = ["flag", "variable", "file", "ecosystem", "daemon"] as const;
export type Place = (typeof PLACES)[number];

/** An option that was set, and how a complaint names it. */
interface SetOption {
  readonly place: Place;
  readonly where: string;
}

/** The credentials for Consul: a login, or a token that is given. */
const LOGIN = ["consulAuthMethod", "consulBearerTokenFile"] as const satisfies readonly OptionKey[];
const TOKEN = ["consulTokenFile", "consulToken"] as const satisfies readonly OptionKey[];

/**
 * Which options the command does without, because another credential for Consul was set in a place that wins: a flag
 * before SRV_EPMD_*, that before the file, and all of them before Consul's own variables, which Nomad sets by itself.
 * @throws ConfigError CONFIG_CONFLICT when a login and a token were set in the same place
 */
export function unusedCredentials(set: ReadonlyMap<OptionKey, SetOption>): {
  readonly keys: readonly OptionKey[];
  /** For the log. */
  readonly remark: string | undefined;
} {
  const method = set.get("consulAuthMethod");
  const tokens = TOKEN.flatMap((key) => set.get(key) ?? []);
  const [token] = tokens.sort((one, other) => rank(one) - rank(other));
  if (!method || !token) return { keys: [], remark: undefined };
  if (method.place === token.place) {
    const message = `${method.where} and ${token.where} are two ways to get a token for Consul: give one`;
    throw new ConfigError("CONFIG_CONFLICT", message);
  }
  const [used, unused, keys] = rank(method) < rank(token) ? [method, token, TOKEN] : [token, method, LOGIN];
  return { keys, remark: `${unused.where} is not used: ${used.where} says how to get a token for Consul` };
}

function rank({ place }: SetOption): number {
  return PLACES.indexOf(place);
}

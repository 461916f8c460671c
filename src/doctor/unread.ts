import type { Config } from "../config/config.js";
import { type ReadRights, readsAll } from "../consul/rights.js";
import { tokenOfServe } from "./core/serve-token.js";

/** That Consul does not show all that it has, for want of a token or of its rights. */
export interface Unread {
  readonly code: "TOKEN_NOT_GIVEN" | "TOKEN_CANNOT_READ" | "DEFAULT_TOKEN_CANNOT_READ";
  /** Names of Consul's services of which nodes may be missing. */
  readonly services: readonly string[];
  readonly why: string;
  readonly advice: string;
}

type TokenSettings = Parameters<typeof tokenOfServe>[0];

/** Whether Consul may leave something out. @param rights undefined: the agent does not answer */
export function mayHide(rights: ReadRights | undefined): boolean {
  return rights !== undefined && !readsAll(rights);
}

/** Undefined: Consul shows all of the services, or does not say what it leaves out. */
export function unreadBy(
  rights: ReadRights | undefined,
  services: readonly string[],
  config: TokenSettings,
): Unread | undefined {
  if (!rights || !mayHide(rights)) return undefined;
  const way = tokenOfServe(config);
  if (way !== undefined) {
    return {
      ...{ code: "TOKEN_NOT_GIVEN", services: rights.kind === "known" ? rights.unread : services },
      ...notGiven(way),
    };
  }
  if (rights.kind !== "known") return undefined;
  const policies = rights.missing.join(" ");
  const found = { services: rights.unread, why: `${tokenWords(config)} lacks ${policies}` };
  return isNone(config)
    ? {
        ...{ ...found, code: "DEFAULT_TOKEN_CANNOT_READ" },
        advice: `give that policy to the agent's default token (acl.tokens.default), with which DNS is answered too, or give a token that has it: --consul-token-file FILE, CONSUL_HTTP_TOKEN`,
      }
    : { ...found, code: "TOKEN_CANNOT_READ", advice: `give it the policy ${policies}` };
}

/** @param way how serve has a token */
export function notGiven(way: string): Pick<Unread, "why" | "advice"> {
  return {
    why: `serve has ${way}, and this command has none`,
    advice: "give it the same: --consul-token-file FILE, CONSUL_HTTP_TOKEN, or the login that serve has",
  };
}

/** Without a token the agent uses its default one, as for DNS, and without that the anonymous one. */
export const NO_TOKEN_GIVEN = "the agent's default token, or the anonymous one (none is given)";

/** For people: the token of a command. */
export function tokenWords({
  consulToken,
  consulTokenFile,
  consulAuthMethod,
}: Pick<Config, "consulToken" | "consulTokenFile" | "consulAuthMethod">): string {
  if (consulAuthMethod !== undefined) return `the token of a login by ${consulAuthMethod}`;
  if (consulTokenFile !== undefined) return `the token in ${consulTokenFile}`;
  return consulToken !== undefined ? "the token" : NO_TOKEN_GIVEN;
}

const isNone = (config: TokenSettings) => tokenWords(config) === NO_TOKEN_GIVEN;

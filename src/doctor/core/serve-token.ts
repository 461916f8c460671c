import type { Config } from "../../config/config.js";

type TokenSettings = Pick<Config, "consulToken" | "consulTokenFile" | "consulAuthMethod" | "left">;

/** How serve has a token for Consul, where this command has none of its own; undefined: it has one, or serve has none. */
export function tokenOfServe({
  consulToken,
  consulTokenFile,
  consulAuthMethod,
  left,
}: TokenSettings): string | undefined {
  if ((consulToken ?? consulTokenFile ?? consulAuthMethod) !== undefined) return undefined;
  if (left.has("consulTokenFile")) return "a token in a file (--consul-token-file)";
  if (left.has("consulAuthMethod")) return "a login (--consul-auth-method)";
  return left.has("consulToken") ? "a token (CONSUL_HTTP_TOKEN)" : undefined;
}

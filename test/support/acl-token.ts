import type { Consul } from "./consul-agent.js";

/** A token with these rules alone. */
export async function aclToken(consul: Consul, rules: string): Promise<string> {
  return (await deletableToken(consul, rules)).token;
}

export interface DeletableToken {
  readonly token: string;
  /** Nobody knows it any more. */
  readonly remove: () => Promise<void>;
}

/** A token with these rules alone, and its end. */
export async function deletableToken(consul: Consul, rules: string): Promise<DeletableToken> {
  const Name = `p${Math.random().toString(36).slice(2)}`;
  await consul.request("PUT", "/v1/acl/policy", { Name, Rules: rules });
  const { body } = await consul.request("PUT", "/v1/acl/token", { Policies: [{ Name }] });
  const { SecretID: token, AccessorID } = body as { SecretID: string; AccessorID: string };
  const remove = async () => {
    await consul.request("DELETE", `/v1/acl/token/${AccessorID}`);
  };
  return { token, remove };
}

/** What an agent's default token needs: Consul's DNS answers with it. */
export const DNS_RULES = 'node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }';

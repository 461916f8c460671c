import type { Consul } from "./consul-agent.js";

/** A token with these rules alone. */
export async function aclToken(consul: Consul, rules: string): Promise<string> {
  const Name = `p${Math.random().toString(36).slice(2)}`;
  await consul.request("PUT", "/v1/acl/policy", { Name, Rules: rules });
  const { body } = await consul.request("PUT", "/v1/acl/token", { Policies: [{ Name }] });
  return (body as { SecretID: string }).SecretID;
}

/** What an agent's default token needs: Consul's DNS answers with it. */
export const DNS_RULES = 'node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }';

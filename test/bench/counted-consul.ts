import { type Consul, startConsul } from "../support/consul-agent.js";

/** What an agent was asked since its start, by its own count. */
export interface Asked {
  /** `GET agent/service/:id` and so on. */
  readonly calls: ReadonlyMap<string, number>;
  /** DNS queries for names in its domain. */
  readonly queries: number;
}

/** A path has `_` both for `/` and for a part that varies: a call is counted under the first pattern that matches. */
const CALLS: readonly (readonly [string, RegExp])[] = [
  ["GET agent/service", /^GET_v1_agent_service_/],
  ["PUT register", /^PUT_v1_agent_service_register/],
  ["PUT pass", /^PUT_v1_agent_check_pass/],
  ["PUT fail", /^PUT_v1_agent_check_fail/],
  ["PUT deregister", /^PUT_v1_agent_service_deregister/],
  ["GET agent/services", /^GET_v1_agent_services/],
  ["GET agent/checks", /^GET_v1_agent_checks/],
  ["GET health/service", /^GET_v1_health_service_/],
];

/**
 * An agent that counts. In production each daemon has an agent of its own; here one serves all, so that the limit of connections for each
 * client (200) is out of the way.
 */
export function startCountedConsul(): Promise<Consul> {
  const telemetry = { prometheus_retention_time: "1h", disable_hostname: true };
  return startConsul({ config: { telemetry, limits: { http_max_conns_per_client: 8192 } } });
}

export async function askedOf(consul: Consul): Promise<Asked> {
  const text = String((await consul.request("GET", "/v1/agent/metrics?format=prometheus")).body);
  const calls = new Map<string, number>();
  for (const [, path = "", count] of text.matchAll(/^consul_http_(\w+?)_count (\d+)$/gm)) {
    const call = CALLS.find(([, pattern]) => pattern.test(path))?.[0];
    if (call !== undefined) calls.set(call, (calls.get(call) ?? 0) + Number(count));
  }
  return { calls, queries: Number(/^consul_dns_domain_query_count\S* (\d+)$/m.exec(text)?.[1] ?? 0) };
}

export function askedSince(before: Asked, { calls, queries }: Asked): Asked {
  const more = Array.from(calls, ([call, count]) => [call, count - (before.calls.get(call) ?? 0)] as const);
  return { calls: new Map(more.filter(([, count]) => count > 0)), queries: queries - before.queries };
}

import { record, text } from "../api/core/json.js";
import { ConsulError, describeError } from "../errors.js";
import { canonicalIp } from "../net/ip.js";
import { META_NODE } from "../publish/core/service-entry.js";
import type { ConsulClient } from "./client.js";
import { parseAgentDns, type ToldDns } from "./core/agent-dns.js";
import { parseServers, type ServerMember } from "./core/members.js";
import { AgentAnswer } from "./transport.js";

/** Questions that change nothing, most of them doctor's. Each throws ConsulError unless it says otherwise. */

export interface Leader {
  /** Undefined while the servers have no leader, or the agent reaches no server. */
  readonly address: string | undefined;
  /** The agent's message, where it sent one. */
  readonly said: string | undefined;
  /** The agent's clock: milliseconds since the epoch, in whole seconds; undefined when the answer has no date. */
  readonly now: number | undefined;
  /** This machine's clock when the answer came: milliseconds since the epoch. */
  readonly askedAt: number;
}

/** The leader of the servers. */
export async function leader(client: ConsulClient): Promise<Leader> {
  try {
    const { body, headers } = await client.leader();
    const askedAt = Date.now();
    const now = Date.parse(headers?.date ?? "");
    const address = typeof body === "string" && body !== "" ? body : undefined;
    return { address, said: undefined, now: Number.isNaN(now) ? undefined : now, askedAt };
  } catch (error) {
    // An agent that reaches no server answers 500, "No known Consul servers".
    const isThere = error instanceof ConsulError && error.code === "CONSUL_UNAVAILABLE";
    if (!isThere || !(error.cause instanceof AgentAnswer)) throw error;
    return { address: undefined, said: error.cause.message, now: undefined, askedAt: Date.now() };
  }
}

/** The datacenter of the agent; undefined where it does not tell: with ACLs that needs agent:read. Never rejects. */
export async function datacenterOf(client: ConsulClient): Promise<string | undefined> {
  try {
    const { body } = await client.ask({ method: "_get", path: "/agent/self" });
    const { Config: config } = (body ?? {}) as { readonly Config?: { readonly Datacenter?: unknown } };
    return typeof config?.Datacenter === "string" ? config.Datacenter : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The name of the agent's Consul node; undefined where it does not tell. With ACLs that needs agent:read, or the right to
 * read one of its checks. Never rejects.
 */
export async function machineOf(client: ConsulClient): Promise<string | undefined> {
  const ask = async (path: string) => record((await client.ask({ method: "_get", path }).catch(() => undefined))?.body);
  const name = text(record((await ask("/agent/self"))?.Config)?.NodeName);
  if (name !== "") return name;
  const checks = Object.values((await ask("/agent/checks")) ?? {}).map((check) => text(record(check)?.Node));
  return checks.find((node) => node !== "");
}

/** The datacenters that the servers know, which everybody may ask. */
export async function datacenters(client: ConsulClient): Promise<string[]> {
  const { body } = await client.ask({ method: "_get", path: "/catalog/datacenters" });
  return Array.isArray(body) ? body.filter((one): one is string => typeof one === "string") : [];
}

/** Addresses of the servers that the agent's Consul knows, as IP literals. Everybody may ask. */
export async function serverAddresses(client: ConsulClient): Promise<string[]> {
  const { body } = await client.ask({ method: "_get", path: "/status/peers" });
  const peers = Array.isArray(body) ? body.filter((one): one is string => typeof one === "string") : [];
  // `10.0.0.1:8300`, `[fd00::1]:8300`
  return peers.flatMap((peer) => canonicalIp(peer.replace(/:[0-9]+$/, "").replace(/^\[(.*)\]$/, "$1")) ?? []);
}

/**
 * The servers that the agent knows by gossip, whether it reaches them or not; undefined where it does not tell: with ACLs
 * that needs node:read. Never rejects.
 */
export async function knownServers(client: ConsulClient): Promise<ServerMember[] | undefined> {
  const { body } = (await client.ask({ method: "_get", path: "/agent/members" }).catch(() => undefined)) ?? {};
  return parseServers(body);
}

/** Whether intentions allow one service to connect to another. */
export async function isIntended(client: ConsulClient, source: string, destination: string): Promise<boolean> {
  const query = { source, destination };
  const { body } = await client.ask({ method: "_get", path: "/connect/intentions/check", query });
  return (body as { readonly Allowed?: unknown } | undefined)?.Allowed === true;
}

/** The address of a machine by its name in Consul; undefined where Consul has none, or the token may not read it. @throws ConsulError */
export async function machineAddress(client: ConsulClient, machine: string): Promise<string | undefined> {
  const address = record((await machineNamed(client, machine))?.Node)?.Address;
  return typeof address === "string" ? canonicalIp(address) : undefined;
}

/**
 * Full names of the nodes that srv-epmd has published on a machine; undefined where Consul has no machine of that name, or
 * the token may not read it. @throws ConsulError
 */
export async function nodesOnMachine(
  client: ConsulClient,
  machine: string,
  datacenter: string | undefined,
): Promise<string[] | undefined> {
  const found = await machineNamed(client, machine, datacenter);
  if (!record(found?.Node)) return undefined;
  const metas = Object.values(record(found?.Services) ?? {}).map((service) => record(record(service)?.Meta));
  return metas.map((meta) => text(meta?.[META_NODE])).filter((node) => node !== "");
}

async function machineNamed(
  client: ConsulClient,
  machine: string,
  datacenter?: string,
): Promise<ReturnType<typeof record>> {
  const path = `/catalog/node/${encodeURIComponent(machine)}`;
  const query = { stale: "", ...(datacenter !== undefined && { dc: datacenter }) };
  return record((await client.ask({ method: "_get", path, query })).body);
}

/** Names of all services that the token may read. */
export async function serviceNames(client: ConsulClient, datacenter: string | undefined): Promise<string[]> {
  const query = { stale: "", ...(datacenter !== undefined && { dc: datacenter }) };
  const { body } = await client.ask({ method: "_get", path: "/catalog/services", query });
  return Object.keys(typeof body === "object" && body !== null ? body : {});
}

/** What the agent says of its own DNS, or why it does not; the right for it is `agent:read`. Never rejects. */
export async function agentDns(
  connect: () => Promise<ConsulClient>,
  signal?: AbortSignal,
): Promise<
  { readonly told: ToldDns } | { readonly told?: undefined; readonly isForbidden: boolean; readonly why: string }
> {
  try {
    const { body } = await (await connect()).ask({ method: "_get", path: "/agent/self" }, signal);
    const told = parseAgentDns(body);
    return told ? { told } : { isForbidden: false, why: "Consul's agent does not say where its DNS is" };
  } catch (error) {
    const isForbidden = error instanceof ConsulError && error.code === "CONSUL_FORBIDDEN";
    return { isForbidden, why: describeError(error) };
  }
}

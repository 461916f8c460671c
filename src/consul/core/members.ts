import { list, record, text } from "../../api/core/json.js";
import { canonicalIp } from "../../net/ip.js";

/** As Serf numbers the states of a member (serf.MemberStatus). */
const STATES = ["unknown", "alive", "leaving", "left", "failed"] as const;

/** A server among the members that an agent knows by gossip. */
export interface ServerMember {
  /** Of its machine. */
  readonly name: string;
  /** IP literal. */
  readonly address: string;
  readonly state: (typeof STATES)[number];
}

/** The servers in an answer to /v1/agent/members; undefined where the members are hidden from the token: the agent is one itself. */
export function parseServers(body: unknown): ServerMember[] | undefined {
  const members = list(body).map(record);
  if (members.length === 0) return undefined;
  return members.flatMap((member): ServerMember[] => {
    const address = canonicalIp(text(member?.Addr));
    if (record(member?.Tags)?.role !== "consul" || address === undefined) return [];
    return [{ name: text(member?.Name), address, state: STATES[Number(member?.Status)] ?? "unknown" }];
  });
}

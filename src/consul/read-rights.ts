import { ConsulError } from "../errors.js";
import type { ConsulClient } from "./client.js";
import { areAclsOff } from "./transport.js";

/** What a token lacks to see the instances of services. Consul leaves out of its lists, without an error, what a token may not read. */
export type ReadRights =
  | { readonly kind: "acls-off" }
  /** The policies that are missing; empty: none is. */
  | { readonly kind: "known"; readonly missing: readonly string[] }
  /** This Consul does not tell a token's rights. */
  | { readonly kind: "untold" };

/** Lets a token see the machines of instances: without it Consul lists none of the instances there. */
export const NODE_POLICY = 'node_prefix "" { policy = "read" }';
/** No machine has such a name: only a rule for all of them allows it. */
const ANY_MACHINE = "srv-epmd doctor";

export const readsAll = (rights: ReadRights): boolean =>
  rights.kind === "acls-off" || (rights.kind === "known" && rights.missing.length === 0);

/** Asks as Consul's own user interface does (1.8 and later); every token may ask for its own rights. @throws ConsulError when the agent does not answer */
export async function readRights(
  client: Pick<ConsulClient, "ask">,
  services: readonly string[],
  signal?: AbortSignal,
): Promise<ReadRights> {
  const asked = [
    ...services.map((name) => ({ Resource: "service", Access: "read", Segment: name })),
    { Resource: "node", Access: "read", Segment: ANY_MACHINE },
  ];
  try {
    const { body } = await client.ask({ method: "_post", path: "/internal/acl/authorize", body: asked }, signal);
    if (!Array.isArray(body)) return { kind: "untold" };
    const answers = body as readonly {
      readonly Resource?: unknown;
      readonly Segment?: unknown;
      readonly Allow?: unknown;
    }[];
    const isDenied = ({ Resource, Segment }: (typeof asked)[number]) =>
      answers.some((one) => one.Resource === Resource && one.Segment === Segment && one.Allow === false);
    return { kind: "known", missing: asked.filter(isDenied).map(policyOf) };
  } catch (error) {
    if (!(error instanceof ConsulError)) throw error;
    if (areAclsOff(error)) return { kind: "acls-off" };
    if (error.code === "CONSUL_UNAVAILABLE") throw error;
    return { kind: "untold" };
  }
}

function policyOf({ Resource, Segment }: { readonly Resource: string; readonly Segment: string }): string {
  return Resource === "node" ? NODE_POLICY : `service "${Segment}" { policy = "read" }`;
}

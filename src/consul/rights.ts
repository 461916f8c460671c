import { ConsulError } from "../errors.js";
import type { ConsulClient } from "./client.js";
import { areAclsOff, isUnknownToken } from "./transport.js";

/** What a token lacks to see the instances of services. Consul leaves out of its lists, without an error, what a token may not read. */
export type ReadRights =
  | { readonly kind: "acls-off" }
  /** The policies that are missing, and the services of which Consul shows not all instances because of that. */
  | { readonly kind: "known"; readonly missing: readonly string[]; readonly unread: readonly string[] }
  /** This Consul does not tell a token's rights, or does not know the token. */
  | { readonly kind: "untold" };

export type WriteRights =
  | Exclude<Asked, { readonly kind: "answered" }>
  /** The services that the token may not write. */
  | { readonly kind: "known"; readonly denied: readonly string[] };

/** Lets a token see the machines of instances: without it Consul lists none of the instances there. */
export const NODE_POLICY = 'node_prefix "" { policy = "read" }';
/** No machine has such a name: only a rule for all of them allows it. */
const ANY_MACHINE = "srv-epmd doctor";

export const readsAll = (rights: ReadRights): boolean =>
  rights.kind === "acls-off" || (rights.kind === "known" && rights.missing.length === 0);

/** @throws ConsulError when the agent does not answer */
export async function readRights(
  client: Pick<ConsulClient, "ask">,
  services: readonly string[],
  signal?: AbortSignal,
): Promise<ReadRights> {
  const ofService = (name: string): Right => ({ Resource: "service", Access: "read", Segment: name });
  const ofMachines: Right = { Resource: "node", Access: "read", Segment: ANY_MACHINE };
  const rights = [...services.map(ofService), ofMachines];
  const asked = await authorize(client, rights, signal);
  if (asked.kind === "answered") {
    const lacks = (right: Right) => asked.allows(right) === false;
    const unread = services.filter((name) => lacks(ofMachines) || lacks(ofService(name)));
    return { kind: "known", missing: rights.filter(lacks).map(policyOf), unread };
  }
  return asked.kind === "acls-off" ? asked : { kind: "untold" };
}

/** Which services the token may write. @throws ConsulError when the agent does not answer */
export async function writeRights(
  client: Pick<ConsulClient, "ask">,
  services: readonly string[],
): Promise<WriteRights> {
  const rightTo = (name: string): Right => ({ Resource: "service", Access: "write", Segment: name });
  const asked = await authorize(client, services.map(rightTo));
  if (asked.kind !== "answered") return asked;
  return { kind: "known", denied: services.filter((name) => asked.allows(rightTo(name)) !== true) };
}

/** As Consul's API has it. */
interface Right {
  readonly Resource: "service" | "node";
  readonly Access: "read" | "write";
  readonly Segment: string;
}

type Asked =
  | { readonly kind: "acls-off" }
  | { readonly kind: "token-unknown" }
  /** This Consul does not tell a token's rights. */
  | { readonly kind: "untold"; readonly said: string }
  /** `allows`: undefined where nothing is said of a right. */
  | { readonly kind: "answered"; readonly allows: (right: Right) => boolean | undefined };

/** Asks as Consul's own user interface does (1.8 and later); every token may ask for its own rights. @throws ConsulError when the agent does not answer */
async function authorize(
  client: Pick<ConsulClient, "ask">,
  rights: readonly Right[],
  signal?: AbortSignal,
): Promise<Asked> {
  try {
    const { body } = await client.ask({ method: "_post", path: "/internal/acl/authorize", body: rights }, signal);
    if (!Array.isArray(body)) return { kind: "untold", said: "it answers with something else" };
    const answers = body as readonly { readonly [Key in keyof Right | "Allow"]?: unknown }[];
    const allows = ({ Resource, Segment }: Right) => {
      const said = answers
        .filter((one) => one.Resource === Resource && one.Segment === Segment)
        .map(({ Allow }) => Allow);
      return said.includes(false) ? false : said.includes(true) ? true : undefined;
    };
    return { kind: "answered", allows };
  } catch (error) {
    if (!(error instanceof ConsulError)) throw error;
    if (areAclsOff(error)) return { kind: "acls-off" };
    if (isUnknownToken(error)) return { kind: "token-unknown" };
    if (error.code === "CONSUL_UNAVAILABLE") throw error;
    return { kind: "untold", said: error.message };
  }
}

function policyOf({ Resource, Segment }: Right): string {
  return Resource === "node" ? NODE_POLICY : `service "${Segment}" { policy = "read" }`;
}

import type { Status } from "../../admin/core/status.js";
import { listed } from "../../text.js";

/** What options make of a daemon, as its status tells it. Undefined: not known. */
export interface Way {
  readonly mesh: boolean | undefined;
  readonly publishes: boolean | undefined;
  readonly gateway: boolean | undefined;
  readonly embedded: boolean | undefined;
  /** Fully qualified. */
  readonly domains: readonly string[] | undefined;
}

export function wayOf({
  mesh,
  consul,
  dns,
  domains,
}: Partial<Pick<Status, "mesh" | "consul" | "dns" | "domains">>): Way {
  return {
    mesh,
    publishes: consul?.publishes,
    gateway: dns && dns.gateway !== undefined,
    embedded: dns && dns.embedded !== undefined,
    domains,
  };
}

/** A difference, and what doctor would have to be given to have none. */
export interface Difference {
  readonly evidence: string;
  /** As a variable, which `nomad alloc exec` and `docker exec` pass on. */
  readonly variable: string;
}

/** @param daemon of the srv-epmd that runs @param own by the options of doctor */
export function otherOptions(daemon: Way, own: Way): Difference[] {
  const found: Difference[] = [];
  const compare = (key: "mesh" | "publishes" | "gateway" | "embedded", yes: Difference, no: Difference) => {
    if (daemon[key] === undefined || own[key] === undefined || daemon[key] === own[key]) return;
    found.push(daemon[key] ? yes : no);
  };
  const difference = (evidence: string, variable: string): Difference => ({ evidence, variable });
  compare(
    "mesh",
    difference("it is in a mesh (--mesh)", "SRV_EPMD_MESH=true"),
    difference("it is not in a mesh", "SRV_EPMD_MESH=false"),
  );
  const written = daemon.domains?.filter((domain) => !own.domains?.includes(domain)) ?? [];
  const extra = own.domains?.filter((domain) => !daemon.domains?.includes(domain)) ?? [];
  if (daemon.domains && own.domains && written.length + extra.length > 0) {
    const domains = daemon.domains.length === 0 ? "no --domain" : `--domain ${listed(daemon.domains)}`;
    found.push(difference(`it has ${domains}`, `SRV_EPMD_DOMAIN=${daemon.domains.join(",")}`));
  }
  compare(
    "publishes",
    difference("it publishes nodes in Consul", "SRV_EPMD_REGISTER=consul"),
    difference("it publishes nothing in Consul", "SRV_EPMD_REGISTER=none"),
  );
  compare(
    "gateway",
    difference("it is a gateway (--gateway)", "SRV_EPMD_GATEWAY=true"),
    difference("it is no gateway", "SRV_EPMD_GATEWAY=false"),
  );
  compare(
    "embedded",
    difference("it has an embedded DNS (--dns-listen)", "SRV_EPMD_DNS_LISTEN=<its address>"),
    difference("it has no embedded DNS", "SRV_EPMD_DNS_LISTEN="),
  );
  return found;
}

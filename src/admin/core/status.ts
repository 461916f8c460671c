import type { AgentFault } from "../../api/core/silence.js";
import type { FollowedStatus } from "../../catalogue/core/backend.js";
import type { ClusterNode } from "../../catalogue/core/instances.js";
import type { ToldSettings } from "../../config/told.js";
import type { LookUp } from "../../daemon/core/observations.js";
import { type RelayTrouble, SILENT_RELAY } from "../../relay/core/trouble.js";
import type { RelayStatus } from "../../relay/wire/status.js";
import type { KnownDomain } from "../../resolve/core/known-domain.js";
import { listed } from "../../text.js";
import type { Problem } from "./problem.js";

/** A condition of readiness. */
export interface ReadyCheck {
  readonly name: "stopping" | "gateway" | "connect" | "node" | "consul" | "published" | "nomad" | "entry";
  readonly ok: boolean;
  /** Why it is not met. */
  readonly reason?: string;
  /** What to do, where that is known. */
  readonly advice?: string;
}

export interface Readiness {
  readonly ready: boolean;
  /** The conditions that apply to this daemon. */
  readonly checks: readonly ReadyCheck[];
}

/** A node alive here, and how it stands in Consul. */
export interface LocalNode {
  readonly name: string;
  /** Where its VM listens. */
  readonly port: number;
  readonly creation: number;
  /** Family over which it registered. */
  readonly family: 4 | 6;
  /** Where it lives, when that is not this machine. */
  readonly address?: string;
  /** ISO 8601. */
  readonly since: string;
  /** `configured`: of --publish-node */
  readonly origin: "alive2" | "configured";
  /**
   * `in-consul`: in Consul's DNS as it should be. `not-in-consul`: it should be there and is not.
   * `unknown`: it should be there, and the agent does not say what it holds. `pending`: it has registered a moment ago.
   * `local`: it is not meant to be there. `off`: this daemon publishes nothing. `reason` says why, where it is known.
   * `in-nomad`, `not-in-nomad`: Nomad's catalogue leads to it, or should and does not; Nomad registers it.
   */
  readonly publication:
    | "in-consul"
    | "not-in-consul"
    | "in-nomad"
    | "not-in-nomad"
    | "unknown"
    | "pending"
    | "local"
    | "off";
  readonly serviceIds: readonly string[];
  readonly reason?: string;
  /**
   * Of an entry in Nomad that is missing or wrong: NOMAD_NO_ENTRY, NOMAD_NO_TAG, NOMAD_OTHER_PORT, NODE_UNREACHABLE. Of a node
   * that is not in Consul: the code of the ConsulError of the last call.
   */
  readonly code?: string;
  /** What to do about the reason, where it is known: a clause without a full stop. */
  readonly advice?: string;
  /** Where else Consul has a node of the same name, `10.0.0.9:20002 on box2`: look-ups lead to either. Absent: nowhere. */
  readonly elsewhere?: readonly string[];
}

/** What the VM of a node here has said of its links. */
export type NodeLinks = {
  /** Alive name, as in `nodes`. */
  readonly name: string;
  /** It registered as a hidden node. */
  readonly hidden: boolean;
} & (
  | {
      readonly state: "told";
      /** Full name, as the VM has it. */
      readonly node: string;
      /** Full names of the nodes that it is linked with, hidden ones too. */
      readonly linked: readonly string[];
      /** When it said so, ISO 8601. */
      readonly at: string;
    }
  /** It told before (`at`), or offered to, and does not answer now. */
  | { readonly state: "silent"; readonly at?: string }
  /** It does not offer to tell: it has no module, or an older one. */
  | { readonly state: "not-offered" }
  /** It names more nodes than are kept. */
  | { readonly state: "too-many" }
);

/** An entry of this daemon in Consul whose VM is gone. It is removed unless the VM returns. */
export interface LeftEntry {
  readonly name: string;
  readonly serviceIds: readonly string[];
}

/** The nodes of the services of `--domain`, or why they are not known. */
export type Cluster =
  | {
      readonly outcome: "listed";
      readonly patterns: readonly string[];
      readonly nodes: readonly ClusterNode[];
      /** Consul lists none, and the token lacks these policies to see them. */
      readonly missingPolicies?: readonly string[];
    }
  /** No `--domain` is a service of Consul's or Nomad's. */
  | { readonly outcome: "none"; readonly reason: string }
  | {
      readonly outcome: "unavailable";
      readonly cause: string;
      /** Of a ConsulError or NomadError. */
      readonly code?: string;
      /** What was listed last, at the time `at` (ISO 8601). */
      readonly last?: {
        readonly at: string;
        readonly patterns: readonly string[];
        readonly nodes: readonly ClusterNode[];
      };
    };

/** Why an agent does not tell what it has. */
export interface Trouble {
  /** Of Consul: see AgentTrouble in src/publish/agent-state.ts. Of Nomad: NOMAD_SILENT. */
  readonly code: string;
  /** For people. */
  readonly reason: string;
  /** How it does not answer, or that it reaches no server; absent: the reason alone tells. */
  readonly fault?: AgentFault;
}

/** Whether an agent answers. */
interface Answering {
  readonly url: string;
  readonly answers: boolean;
  /** Absent while it answers. */
  readonly trouble?: Trouble;
  /** When it told last what it has, ISO 8601. Absent: never. */
  readonly answeredAt?: string;
}

/** All that the status page shows, at one moment. */
export interface Status {
  readonly version: string;
  readonly hostName: string;
  /** In the ids of this daemon's entries in Consul: `srv-epmd:<instance>:<name>`. */
  readonly instance: string;
  /** ISO 8601. */
  readonly since: string;
  readonly epmd: { readonly port: number; readonly addresses: readonly string[] };
  /** `ip:port`; of --dns-listen and of the gateway. */
  readonly dns: { readonly embedded: string | undefined; readonly gateway: string | undefined };
  /** The agent that nodes are published with. */
  readonly consul: Answering & { readonly publishes: boolean };
  /** Nomad's API, where a `--domain` is in its catalogue. */
  readonly nomad: Answering | undefined;
  readonly domains: readonly string[];
  /** --mesh: nodes on other machines are reached through upstreams alone. */
  readonly mesh: boolean;
  /** Its options, for the commands that look up as it does. */
  readonly settings: Pick<ToldSettings, "options" | "withheld">;
  /** How the name servers stand to the domains; empty before they were asked, and where none is left to DNS. */
  readonly resolver: readonly KnownDomain[];
  readonly readiness: Readiness;
  /** What is wrong, the root cause first. */
  readonly problems: readonly Problem[];
  readonly nodes: readonly LocalNode[];
  readonly left: readonly LeftEntry[];
  readonly cluster: Cluster;
  /** With whom the nodes here are linked; absent for strangers. */
  readonly links?: readonly NodeLinks[];
  /** The services that look-ups and patterns follow. */
  readonly followed: readonly FollowedStatus[];
  /** Newest first. */
  readonly lookUps: readonly LookUp[];
  /** Undefined without a gateway, and without a relay process. */
  readonly relays: RelayStatus | undefined;
}

/** What readiness depends on. */
export interface ReadinessInput {
  readonly stopping: boolean;
  /** The node of this Nomad allocation, or its entry that is kept while it comes back. Undefined without `--port-label`. */
  readonly node?: { readonly label: string; readonly isHere: boolean } | undefined;
  /** Undefined without a gateway. */
  readonly gateway: { readonly hasRelayProcess: boolean; readonly trouble: RelayTrouble | undefined } | undefined;
  /** Undefined where this is no native end of Consul Connect; `process` is undefined without a relay process. */
  readonly native?:
    | { readonly process: RelayStatus | undefined; readonly trouble: RelayTrouble | undefined }
    | undefined;
  /** Undefined when nothing is published. */
  readonly consul:
    | {
        /** False while the Consul side is being loaded. */
        readonly started: boolean;
        /** Why nothing is known from the agent, as of the last call; undefined while it answers as it should. */
        readonly trouble: string | undefined;
        /** Nodes that should be in Consul's DNS by now and are not, with the reason as far as it is known. */
        readonly missing: readonly MissingNode[];
      }
    | undefined;
  /** Undefined where no `--domain` is in Nomad's catalogue. */
  readonly nomad?: { readonly trouble: string | undefined; readonly missing: readonly MissingNode[] } | undefined;
}

interface MissingNode {
  readonly name: string;
  readonly reason: string | undefined;
}

/** Readiness: the daemon does all that its VMs and their peers need. (Liveness: it answers at all.) */
export function readinessOf({ stopping, node, gateway, native, consul, nomad }: ReadinessInput): Readiness {
  const checks = [
    check("stopping", !stopping, "srv-epmd is stopping"),
    // A VM that never registers is nowhere to be found, and would pass every check of what is published.
    ...(node ? [check("node", node.isHere, `no node is registered, and the port ${node.label} is for one`)] : []),
    ...(gateway ? [gatewayCheck(gateway)] : []),
    ...(native ? [connectCheck(native)] : []),
    ...(consul ? consulChecks(consul) : []),
    ...(nomad ? nomadChecks(nomad) : []),
  ];
  return { ready: checks.every(({ ok }) => ok), checks };
}

function gatewayCheck({ hasRelayProcess, trouble }: NonNullable<ReadinessInput["gateway"]>): ReadyCheck {
  return hasRelayProcess ? check("gateway", true, "") : relayCheck("gateway", trouble);
}

function connectCheck({ process, trouble }: NonNullable<ReadinessInput["native"]>): ReadyCheck {
  if (!process) return relayCheck("connect", trouble);
  const why = whyNotNative(process.native);
  return check("connect", why === undefined, why ?? "");
}

/** No relay process answers. */
function relayCheck(name: ReadyCheck["name"], trouble: RelayTrouble | undefined): ReadyCheck {
  const why = trouble === undefined ? "" : `: ${trouble.reason}`;
  return {
    name,
    ok: false,
    reason: `the relay process does not answer${why}`,
    advice: trouble?.advice ?? SILENT_RELAY,
  };
}

/** Undefined: callers are let in, and VMs here reach others. */
function whyNotNative(native: RelayStatus["native"]): string | undefined {
  return native ? native.trouble : "the relay process is no native end of Consul Connect yet";
}

/** Nodes that are named: a machine may have thousands. */
const MOST_NAMED = 20;

function consulChecks({ started, trouble, missing }: NonNullable<ReadinessInput["consul"]>): ReadyCheck[] {
  return [
    check("consul", started && trouble === undefined, trouble ?? "not asked yet"),
    check("published", missing.length === 0, `not in Consul's DNS: ${namesOf(missing)}`),
  ];
}

function nomadChecks({ trouble, missing }: NonNullable<ReadinessInput["nomad"]>): ReadyCheck[] {
  return [
    check("nomad", trouble === undefined, trouble ?? ""),
    check("entry", missing.length === 0, `Nomad's catalogue does not lead to: ${namesOf(missing)}`),
  ];
}

function namesOf(missing: readonly MissingNode[]): string {
  const names = missing.map(({ name, reason }) => (reason === undefined ? name : `${name} (${reason})`));
  return listed(names, MOST_NAMED);
}

function check(name: ReadyCheck["name"], ok: boolean, reason: string): ReadyCheck {
  return ok ? { name, ok } : { name, ok, reason };
}

import { listed } from "../../text.js";
import type { Readiness, ReadyCheck } from "./view.js";

/** What readiness depends on. */
export interface ReadinessInput {
  readonly stopping: boolean;
  /** Undefined without a gateway. */
  readonly gateway: { readonly hasRelayProcess: boolean; readonly trouble: string | undefined } | undefined;
  /** Undefined when nothing is published. */
  readonly consul:
    | {
        /** False while the Consul side is being loaded. */
        readonly started: boolean;
        /** Why nothing is known from the agent, as of the last call; undefined while it answers as it should. */
        readonly trouble: string | undefined;
        /** Nodes that should be in Consul's DNS by now and are not, with the reason as far as it is known. */
        readonly missing: readonly { readonly name: string; readonly reason: string | undefined }[];
      }
    | undefined;
}

/** Readiness: the daemon does all that its VMs and their peers need. (Liveness: it answers at all.) */
export function readinessOf({ stopping, gateway, consul }: ReadinessInput): Readiness {
  const checks = [
    check("stopping", !stopping, "srv-epmd is stopping"),
    ...(gateway ? [gatewayCheck(gateway)] : []),
    ...(consul ? consulChecks(consul) : []),
  ];
  return { ready: checks.every(({ ok }) => ok), checks };
}

function gatewayCheck({ hasRelayProcess, trouble }: NonNullable<ReadinessInput["gateway"]>): ReadyCheck {
  const why = trouble === undefined ? "" : `: ${trouble}`;
  return check("gateway", hasRelayProcess, `the relay process does not answer${why}`);
}

/** Nodes that are named: a machine may have thousands. */
const MOST_NAMED = 20;

function consulChecks({ started, trouble, missing }: NonNullable<ReadinessInput["consul"]>): ReadyCheck[] {
  const names = missing.map(({ name, reason }) => (reason === undefined ? name : `${name} (${reason})`));
  return [
    check("consul", started && trouble === undefined, trouble ?? "not asked yet"),
    check("published", missing.length === 0, `not in Consul's DNS: ${listed(names, MOST_NAMED)}`),
  ];
}

function check(name: ReadyCheck["name"], ok: boolean, reason: string): ReadyCheck {
  return ok ? { name, ok } : { name, ok, reason };
}

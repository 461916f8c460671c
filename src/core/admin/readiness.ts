import type { Readiness, ReadyCheck } from "./view.js";

/** What readiness is judged by. */
export interface ReadinessInput {
  readonly stopping: boolean;
  /** Undefined without a gateway. */
  readonly gateway: { readonly hasRelayProcess: boolean; readonly trouble: string | undefined } | undefined;
  /** Undefined when nothing is published. */
  readonly consul:
    | {
        /** False while the Consul side is being loaded. */
        readonly started: boolean;
        readonly answers: boolean;
        /** Nodes that should be in Consul's DNS and are not, with what Consul said last. */
        readonly missing: readonly { readonly name: string; readonly reason: string | undefined }[];
      }
    | undefined;
}

/** Whether this daemon does all that its VMs and their peers need of it. That it answers at all is liveness. */
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

function consulChecks({ started, answers, missing }: NonNullable<ReadinessInput["consul"]>): ReadyCheck[] {
  const why = started ? "the Consul agent does not answer" : "not asked yet";
  const names = missing.map(({ name, reason }) => (reason === undefined ? name : `${name} (${reason})`));
  return [
    check("consul", started && answers, why),
    check("published", missing.length === 0, `not in Consul yet: ${names.join(", ")}`),
  ];
}

function check(name: ReadyCheck["name"], ok: boolean, reason: string): ReadyCheck {
  return ok ? { name, ok } : { name, ok, reason };
}

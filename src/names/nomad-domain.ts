/** Under it are the services of Nomad's own catalogue, as in CoreDNS's plug-in nomad: `<service>[.<namespace>].service.nomad`. */
export const NOMAD_DOMAIN = "service.nomad";

/** A service of Nomad's catalogue. */
export interface NomadService {
  readonly service: string;
  /** Undefined: the namespace of this allocation, or NOMAD_NAMESPACE, or `default`. */
  readonly namespace: string | undefined;
}

/** The kind of a name under Nomad's domain: a service, or something that Nomad cannot have. */
type NomadName = ({ readonly kind: "service" } & NomadService) | { readonly kind: "other"; readonly reason: string };

/** RFC 1123, at most 63 characters (nomad/structs/services.go). Nomad tells capitals apart, DNS does not, so there are none here. */
const SERVICE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Nomad allows 128 characters (nomad/structs/structs.go, validNamespaceName); one label of a name has 63. */
const NAMESPACE = /^[a-z0-9-]{1,63}$/;

/**
 * Reads a name under Nomad's domain; undefined when it is not under it.
 * @param name lower case, without trailing dot
 * @param consulDomain where Consul's own domain is `nomad`, its names are not Nomad's
 */
export function readNomadName(name: string, consulDomain: string): NomadName | undefined {
  if (!isNomadHost(name, consulDomain)) return undefined;
  const other = (reason: string): NomadName => ({ kind: "other", reason });
  if (name === NOMAD_DOMAIN) return other("it names no service");
  const [service = "", namespace, ...more] = name.slice(0, -NOMAD_DOMAIN.length - 1).split(".");
  if (more.length > 0) {
    return other(
      `it is not <service>.<namespace>.${NOMAD_DOMAIN}: there are ${2 + more.length} labels before .${NOMAD_DOMAIN}`,
    );
  }
  if (!SERVICE.test(service)) {
    return other(
      `${JSON.stringify(service)} is no service of Nomad's: at most 63 of a-z, 0-9 and -, and no - at either end`,
    );
  }
  if (namespace !== undefined && !NAMESPACE.test(namespace)) {
    return other(`${JSON.stringify(namespace)} is no namespace of Nomad's: at most 63 of a-z, 0-9 and -`);
  }
  return { kind: "service", service, namespace };
}

/** Undefined when it is no `<service>[.<namespace>].service.nomad`. */
export function parseNomadService(name: string, consulDomain: string): NomadService | undefined {
  const read = readNomadName(name, consulDomain);
  return read?.kind === "service" ? { service: read.service, namespace: read.namespace } : undefined;
}

/** Whether a host is asked of Nomad's catalogue, and of nothing else. */
export function isNomadHost(name: string, consulDomain: string): boolean {
  return UNDER.test(name) && consulDomain !== NOMAD_DOMAIN && consulDomain !== "nomad";
}

const UNDER = /(?:^|\.)service\.nomad$/;

import { silenceOf } from "../api/core/silence.js";
import type { ClusterNode } from "../catalogue/core/instances.js";
import { type AskedService, readService, serviceOfPattern, servicesOfDomains } from "../catalogue/core/matching.js";
import type { Config } from "../config/config.js";
import { readRights } from "../consul/rights.js";
import type { ConsulSide } from "../consul/side.js";
import { AgentAnswer, faultOf } from "../consul/transport.js";
import { ConsulError, describeError, NomadError } from "../errors.js";
import { qualifiedDomain } from "../names/domains.js";
import { nodesInCatalogues } from "../nomad/cluster.js";
import type { NomadSide } from "../nomad/side.js";
import type { Machine } from "../os/machine.js";
import { withoutOutput } from "../publish/core/service-entry.js";
import type { Cluster, Trouble } from "./core/status.js";

/** For one call of the agent, milliseconds: the page waits no longer for a part of it. */
const TIMEOUT = 2_000;
/** How long an answer is used, milliseconds: open pages ask again with every event. */
const LIFETIME = 1_000;

export interface ListingDeps {
  readonly config: Config;
  readonly machine: Machine;
  readonly consul: ConsulSide;
  readonly nomad: NomadSide;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

type Last = NonNullable<Extract<Cluster, { readonly outcome: "unavailable" }>["last"]>;

export interface Listing {
  readonly cluster: Cluster;
  /** The agent that did not answer. */
  readonly trouble?: Trouble & { readonly of: "consul" | "nomad" };
}

/** The nodes of the services of `--domain`, as the catalogues list them, and what was listed last. */
export class ClusterListing {
  readonly #deps: ListingDeps;
  #current: { readonly pending: Promise<Listing>; readonly until: number } | undefined;
  #last: Last | undefined;

  constructor(deps: ListingDeps) {
    this.#deps = deps;
  }

  /** Never rejects. */
  now(): Promise<Listing> {
    const now = performance.now();
    if (!this.#current || this.#current.until <= now) {
      this.#current = { pending: this.#ask(), until: now + LIFETIME };
    }
    return this.#current.pending;
  }

  /** When a catalogue listed the nodes last, milliseconds since the epoch; undefined: it never did. */
  get listedAt(): number | undefined {
    return this.#last && Date.parse(this.#last.at);
  }

  /** The nodes in Consul or Nomad that match. @param pattern `node_*@svc` @throws ConfigError, ConsulError, NomadError, ValueError */
  async matching(
    pattern: string,
  ): Promise<{ readonly catalogue: AskedService["catalogue"]; readonly nodes: readonly ClusterNode[] }> {
    const asked = this.#serviceOf(pattern);
    return { catalogue: asked.catalogue, nodes: await this.#list([asked]) };
  }

  /**
   * The same, where all of them are to be known.
   * @throws ConsulError also where Consul shows none because the token may not read them
   */
  async allMatching(pattern: string): Promise<readonly ClusterNode[]> {
    const asked = [this.#serviceOf(pattern)];
    const nodes = await this.#list(asked);
    const missing = nodes.length > 0 ? [] : await this.#missingPolicies(asked);
    if (missing.length === 0) return nodes;
    throw new ConsulError("CONSUL_FORBIDDEN", `Consul shows none to the token, which lacks ${missing.join(" ")}`);
  }

  #serviceOf(pattern: string): AskedService {
    const { config, machine } = this.#deps;
    return serviceOfPattern(pattern, config, machine.names);
  }

  async #ask(): Promise<Listing> {
    const { domain, consulDomain } = this.#deps.config;
    const known = domain.filter((rule) => readService(qualifiedDomain(rule.domain, consulDomain), consulDomain));
    if (known.length === 0) {
      return { cluster: { outcome: "none", reason: `no --domain is a service under ${consulDomain}` } };
    }
    const services = servicesOfDomains({ domain: known, consulDomain });
    const patterns = services.map(({ glob, host }) => `${glob.pattern}@${host}`);
    try {
      const nodes = await this.#list(services);
      this.#last = { at: new Date(this.#deps.now()).toISOString(), patterns, nodes };
      const missing = nodes.length > 0 ? [] : await this.#missingPolicies(services);
      const unseen = missing.length > 0 && { missingPolicies: missing };
      return { cluster: { outcome: "listed", patterns, nodes, ...unseen } };
    } catch (error) {
      const trouble = troubleOf(error);
      const code = error instanceof ConsulError || error instanceof NomadError ? { code: error.code } : undefined;
      const last = this.#last && { last: this.#last };
      return {
        cluster: { outcome: "unavailable", cause: causeOf(error), ...code, ...last },
        ...(trouble && { trouble }),
      };
    }
  }

  /** Consul leaves out of a list, without an error, what the token may not read. Never rejects. */
  async #missingPolicies(services: readonly AskedService[]): Promise<readonly string[]> {
    const ofConsul = services.flatMap((one) => (one.catalogue === "consul" ? one.domain.service : []));
    if (ofConsul.length === 0) return [];
    try {
      const rights = await readRights(await this.#deps.consul.connect(), ofConsul, AbortSignal.timeout(TIMEOUT));
      return rights.kind === "known" ? rights.missing : [];
    } catch {
      // The list is there all the same.
      return [];
    }
  }

  async #list(services: readonly AskedService[]): Promise<ClusterNode[]> {
    const { config, consul, nomad, now } = this.#deps;
    const deps = { consul: () => consul.connect(), nomad, settings: config, timeout: TIMEOUT, now: now() };
    const nodes = await nodesInCatalogues(services, deps);
    // What a check says is not for strangers, who may see the list.
    return nodes.map((node) => (node.obstacle ? { ...node, obstacle: withoutOutput(node.obstacle) } : node));
  }
}

/** With the time for which it was waited. */
function causeOf(error: unknown): string {
  return silenceOf(error) === "timeout" ? `no answer within ${TIMEOUT} ms` : describeError(error);
}

/** Undefined for a refusal, which is an answer. */
function troubleOf(error: unknown): Listing["trouble"] {
  const reason = causeOf(error);
  if (error instanceof NomadError && error.code === "NOMAD_UNAVAILABLE") {
    const fault = silenceOf(error);
    return { of: "nomad", code: "NOMAD_SILENT", reason, ...(fault && { fault }) };
  }
  if (!(error instanceof ConsulError) || error.code !== "CONSUL_UNAVAILABLE") return undefined;
  const fault = faultOf(error);
  const code = error.cause instanceof AgentAnswer ? "CONSUL_ERRORS" : "CONSUL_SILENT";
  return { of: "consul", code, reason, ...(fault && { fault }) };
}

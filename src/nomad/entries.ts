import { type Silence, silenceOf } from "../api/core/silence.js";
import type { Logger } from "../daemon/logger.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { describeError } from "../errors.js";
import type { DomainSettings } from "../names/domains.js";
import { type NomadService, parseNomadService } from "../names/nomad-domain.js";
import { Outages } from "../sampling.js";
import type { NomadServiceQuery } from "./client.js";
import { type EntryFault, type EntrySettings, entryFault, nomadServiceOf } from "./core/entries.js";
import { type NomadApiSettings, type NomadSide, queryOf } from "./side.js";

/** How a node that is alive here stands in Nomad's catalogue. */
export type NomadStanding =
  | { readonly state: "in-nomad" }
  | { readonly state: "not-in-nomad"; readonly fault: EntryFault }
  /** It has registered a moment ago. */
  | { readonly state: "pending" }
  /** Nomad does not tell. */
  | { readonly state: "unknown" };

interface EntriesDeps {
  readonly registry: Registry;
  readonly settings: EntrySettings & Pick<DomainSettings, "publish"> & Pick<NomadApiSettings, "nomadNamespace">;
  readonly nomad: Pick<NomadSide, "instances" | "catalogue">;
  readonly log: Logger;
  readonly timings?: Partial<EntryTimings>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Milliseconds. */
interface EntryTimings {
  /** From one look to the next; what Nomad has is followed, so a look costs no request. */
  readonly look: number;
  /** How long a node may be without its entry before that is told, as in Consul. */
  readonly patience: number;
}

const TIMINGS: EntryTimings = { look: 1_000, patience: 1_000 };

/** What the log has of a node. */
interface Told {
  readonly node: RegisteredNode;
  /** Undefined: its entry leads to it. */
  readonly code: EntryFault["code"] | undefined;
}

/**
 * Compares what Nomad's catalogue has with the nodes alive here, for readiness, the page and the log. Nomad registers the
 * service of an allocation and takes it away; nothing is written here.
 */
export class NomadEntries {
  readonly #deps: EntriesDeps;
  readonly #timings: EntryTimings;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  readonly #outages = new Outages(() => performance.now());
  readonly #unsubscribe: () => void;
  readonly #told = new Map<string, Told>();
  #standings: ReadonlyMap<string, NomadStanding> = new Map();
  /** The services of the nodes here and of --domain, and whether anything is known of them. */
  #asked: readonly { readonly query: NomadServiceQuery; readonly isKnown: boolean }[] = [];
  #looking: Promise<void> | undefined;
  #closed = false;

  constructor(deps: EntriesDeps) {
    this.#deps = deps;
    this.#timings = { ...TIMINGS, ...deps.timings };
    this.#now = deps.now ?? Date.now;
    const look = () => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
    };
    this.#timer = setInterval(look, this.#timings.look);
    this.#unsubscribe = deps.registry.subscribe(look);
    look();
  }

  /** Undefined for a node that is not meant to be found in Nomad's catalogue. */
  standing(node: RegisteredNode): NomadStanding | undefined {
    if (!this.#serviceOf(node)) return undefined;
    const standing = this.#standings.get(node.aliveName) ?? { state: "unknown" };
    const isNew = this.#now() - node.since < this.#timings.patience;
    return isNew && standing.state !== "in-nomad" ? { state: "pending" } : standing;
  }

  /** Why nothing is known of a service here; undefined while Nomad tells. */
  get trouble(): string | undefined {
    const failure = this.#failure();
    if (failure !== undefined) return `Nomad does not tell what its catalogue has: ${describeError(failure)}`;
    const unknown = this.#asked.find(({ isKnown }) => !isKnown)?.query;
    return unknown && `Nomad has not told yet which instances ${nameOf(unknown)} has`;
  }

  /** How it does not answer, where that is known. */
  get silence(): Silence | undefined {
    return silenceOf(this.#failure());
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#unsubscribe();
  }

  #failure(): unknown {
    const { catalogue } = this.#deps.nomad;
    return this.#asked.map(({ query }) => catalogue?.failure(query)).find((one) => one !== undefined);
  }

  #serviceOf({ aliveName }: RegisteredNode): NomadService | undefined {
    const { registry, settings } = this.#deps;
    return nomadServiceOf(aliveName, settings, registry.isAlive);
  }

  /** The services of --domain are asked for before a node registers: readiness tells early that Nomad does not answer. */
  async #look(): Promise<void> {
    const { registry, settings, nomad } = this.#deps;
    const nodes = registry.nodes().flatMap((node) => {
      const service = this.#serviceOf(node);
      return service ? [{ node, query: queryOf(service, settings) }] : [];
    });
    const configured = settings.domain.flatMap(({ domain }) => parseNomadService(domain, settings.consulDomain) ?? []);
    const queries = new Map(
      [...configured.map((service) => queryOf(service, settings)), ...nodes.map(({ query }) => query)].map((query) => [
        nameOf(query),
        query,
      ]),
    );
    const lists = new Map(
      await Promise.all(Array.from(queries, async ([key, query]) => [key, await nomad.instances(query, 0)] as const)),
    );
    if (this.#closed) return;
    this.#asked = Array.from(queries, ([key, query]) => ({ query, isKnown: lists.get(key) !== undefined }));
    const standings = nodes.map(({ node, query }): readonly [RegisteredNode, NomadStanding] => {
      const entries = lists.get(nameOf(query));
      if (!entries) return [node, { state: "unknown" }];
      const fault = entryFault(node, query, entries, settings);
      return [node, fault ? { state: "not-in-nomad", fault } : { state: "in-nomad" }];
    });
    this.#standings = new Map(standings.map(([node, standing]) => [node.aliveName, standing]));
    this.#tell(standings);
  }

  #tell(standings: readonly (readonly [RegisteredNode, NomadStanding])[]): void {
    for (const name of this.#told.keys()) if (!this.#standings.has(name)) this.#told.delete(name);
    const changed = standings.filter(([node, standing]) => this.#isNews(node, standing));
    const gone = changed.flatMap(([node, standing]) => (this.#isGone(node, standing) ? node.aliveName : []));
    for (const [node, standing] of changed) {
      this.#told.set(node.aliveName, {
        node,
        code: standing.state === "not-in-nomad" ? standing.fault.code : undefined,
      });
    }
    const found = changed.flatMap(([{ aliveName }, { state }]) => (state === "in-nomad" ? aliveName : []));
    if (found.length > 0) this.#tellFound(found);
    if (gone.length > 0) this.#deps.log.info(named(gone), GONE);
    this.#tellFaults(changed.filter(([{ aliveName }]) => !gone.includes(aliveName)));
  }

  /** One line for each kind of fault. */
  #tellFaults(changed: readonly (readonly [RegisteredNode, NomadStanding])[]): void {
    const faults = new Map<string, { readonly fault: EntryFault; readonly names: string[] }>();
    for (const [{ aliveName }, standing] of changed) {
      if (standing.state !== "not-in-nomad") continue;
      const { fault } = standing;
      const same = faults.get(fault.code) ?? { fault, names: [] };
      same.names.push(aliveName);
      faults.set(fault.code, same);
    }
    for (const { fault, names } of faults.values()) this.#tellFault(fault, names);
  }

  /** Its entry was right, and Nomad has taken it away. */
  #isGone(node: RegisteredNode, standing: NomadStanding): boolean {
    if (standing.state !== "not-in-nomad" || standing.fault.code !== "NOMAD_NO_ENTRY") return false;
    const before = this.#told.get(node.aliveName);
    return before?.node === node && before.code === undefined;
  }

  #isNews(node: RegisteredNode, standing: NomadStanding): boolean {
    const before = this.#told.get(node.aliveName);
    switch (standing.state) {
      case "in-nomad":
        return before?.node !== node || before.code !== undefined;
      case "not-in-nomad":
        if (this.#now() - node.since < this.#timings.patience) return false;
        return before?.node !== node || before.code !== standing.fault.code;
      default:
        return false;
    }
  }

  #tellFound(names: readonly string[]): void {
    const isEnd = this.#outages.end("entry");
    this.#deps.log.info(
      named(names),
      isEnd ? "Nomad's catalogue leads to the node again" : "Nomad's catalogue leads to the node",
    );
  }

  #tellFault({ code, reason, advice }: EntryFault, names: readonly string[]): void {
    if (!this.#outages.begin("entry")) return;
    const more = names.length > 1 ? ` (${names.length} nodes)` : "";
    this.#deps.log.warn({ ...named(names), code }, `other nodes do not find this one${more}: ${reason}; ${advice}`);
  }
}

/** At the stop of an allocation Nomad takes its services away first (`shutdown_delay`), so this is no fault. */
const GONE =
  "Nomad has taken the entry of this allocation out of its catalogue, as it does when the allocation is to stop";
/** A service in its namespace. */
function nameOf({ service, namespace }: NomadServiceQuery): string {
  return `${service}.${namespace}`;
}

/** Names in one line. */
const MOST_NAMED = 8;

function named(names: readonly string[]): object {
  const [first, ...others] = names;
  return others.length === 0 ? { node: first } : { nodes: names.slice(0, MOST_NAMED) };
}

import type { ConsulClient } from "../consul/client.js";
import type { Logger } from "../daemon/logger.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { describeError } from "../errors.js";
import { isHelperBeside } from "../names/node-name.js";
import { AgentEntries } from "./agent-entries.js";
import { AgentState } from "./agent-state.js";
import { Audits } from "./audits.js";
import { type Change, type Claim, Claims } from "./core/claims.js";
import {
  type DaemonIdentity,
  instanceOf,
  type Publication,
  type PublicationSettings,
  publicationOf,
} from "./core/publication.js";
import { nameKey, type Target } from "./core/reconcile.js";
import { Handover } from "./handover.js";
import { Namesakes } from "./namesakes.js";
import { Leftovers } from "./ownership.js";
import { Presence, type Standing } from "./presence.js";
import { Publisher } from "./publisher.js";
import { type SharedServiceSettings, SharedServices } from "./shared-service.js";
import { Throttle, TIMINGS, type Timings } from "./timing.js";
import { Turns } from "./turns.js";

/** The settings of the publication. */
export interface RegistrarSettings extends Omit<PublicationSettings, "nomad">, Omit<SharedServiceSettings, "nomad"> {
  readonly nomad: PublicationSettings["nomad"] & SharedServiceSettings["nomad"];
  readonly deregisterOnStop: boolean;
  readonly consulTokenFile: string | undefined;
  readonly consulAuthMethod: string | undefined;
}

interface RegistrarDeps {
  readonly registry: Registry;
  readonly settings: RegistrarSettings;
  readonly client: ConsulClient;
  readonly identity: DaemonIdentity;
  readonly log: Logger;
  /** Monotonic milliseconds. A step of the wall clock must not let TTLs run out. */
  readonly now?: () => number;
  /** [0,1) */
  readonly random?: () => number;
  readonly timings?: Partial<Timings>;
  /** How many nodes are published at once at most. */
  readonly mostPublished?: number;
}

/** The state of one name in Consul. */
export interface NameStatus {
  readonly name: string;
  /** The node is alive here and meant to be published. */
  readonly wanted: boolean;
  /** It is in Consul's DNS as far as is known: its check was passed within the TTL, and no other check keeps it out. */
  readonly published: boolean;
  /** It is to be published, or otherwise, since a moment ago, and that is under way. */
  readonly pending: boolean;
  /** Only the limit of names keeps it out. A peer that may register can cause that. */
  readonly isBeyondLimit: boolean;
  readonly serviceIds: readonly string[];
  /** Why it is not published although it is alive. */
  readonly reason: string | undefined;
  readonly lastError: string | undefined;
  /** Of the ConsulError of the last call, where that is why it is not published. */
  readonly code?: string | undefined;
  /** Other places at which a node of the same name is published: a look-up gives any of them. */
  readonly elsewhere: readonly string[];
}

/** Makes Consul match the registry, from its construction until it is stopped. An agent that is down delays nothing else. */
export class Registrar {
  readonly #deps: RegistrarDeps;
  readonly #timings: Timings;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #agent: AgentState;
  readonly #entries: AgentEntries;
  readonly #abort = new AbortController();
  readonly #endOfLooks = new AbortController();
  readonly #publishers = new Map<string, Publisher>();
  readonly #claims: Claims;
  readonly #shared: SharedServices;
  readonly #namesakes: Namesakes;
  readonly #unsubscribe: () => void;
  readonly #audits: Audits;
  readonly #handover: Handover;
  readonly #turns = new Turns();
  readonly #presence: Presence;
  readonly #looks: NodeJS.Timeout;
  /** Ends the pauses of all names. An agent that fails every other call recovers many times a second. */
  readonly #retryAll: Throttle;
  #settings: RegistrarSettings;
  /** When the nodes that hold a name were given it, or other entries. */
  readonly #since = new WeakMap<RegisteredNode, number>();
  #stopping: Promise<void> | undefined;

  constructor(deps: RegistrarDeps) {
    this.#deps = deps;
    this.#settings = deps.settings;
    this.#claims = new Claims(deps.mostPublished);
    this.#timings = { ...TIMINGS, ...deps.timings };
    this.#now = deps.now ?? (() => performance.now());
    this.#random = deps.random ?? Math.random;
    // What a survey finds later is removed: the VMs of our predecessor have had time to return.
    const adoptUntil = this.#now() + this.#timings.adoption;
    this.#retryAll = new Throttle(() => {
      for (const publisher of this.#publishers.values()) publisher.retry();
    }, deps.settings.ttl / 3);
    this.#agent = new AgentState({
      servers: deps.client.servers,
      log: deps.log,
      recovered: () => this.#retryAll.request(),
      now: this.#now,
      hasTokenFile: deps.settings.consulTokenFile !== undefined,
      logsIn: deps.settings.consulAuthMethod !== undefined,
    });
    const timings = this.#timings;
    const { owner } = deps.identity;
    const self = { instance: instanceOf(deps.settings, deps.identity), owner };
    const { client } = deps;
    this.#entries = new AgentEntries({ client, self, now: this.#now, timings, signal: this.#abort.signal });
    this.#presence = new Presence({ log: deps.log, now: this.#now, timings });
    this.#looks = setInterval(() => this.#look(), this.#timings.look);
    this.#shared = new SharedServices({ ...deps, signal: this.#abort.signal });
    const holders = () => this.#claims.holders();
    this.#namesakes = new Namesakes({ ...deps, owner, holders, timings: this.#timings, now: this.#now });
    this.#unsubscribe = deps.registry.subscribe(({ type, node }) => {
      if (type === "registered") this.#appeared(node);
      else this.#apply(this.#claims.remove(node));
      this.#reviseHelpersOf(node.aliveName);
    });
    for (const node of deps.registry.nodes().reverse()) this.#appeared(node);
    const { signal } = this.#abort;
    const common = { ...deps, self, agent: this.#agent, entries: this.#entries, timings, signal };
    const leftovers = new Leftovers({ ...common, times: deps.settings });
    this.#handover = new Handover({ client, publishers: this.#publishers, leftovers });
    this.#audits = new Audits({
      ...common,
      publishers: this.#publishers,
      adopt: (key) => this.#publisher(key, { state: "awaited", until: adoptUntil }),
      leftovers,
      ttl: deps.settings.ttl,
      now: this.#now,
      random: this.#random,
    });
  }

  /** Whether the agent answers, with what Consul has, and since when it does not. */
  get agent(): Pick<AgentState, "trouble" | "troubleSaid" | "answeredAt" | "isCutOff"> {
    return this.#agent;
  }

  /**
   * Publishes the nodes with other settings that say where they are reached. An entry changes in one call: no node is out
   * of DNS meanwhile. After the stop has begun nothing changes any more: our successor publishes with its own settings.
   */
  use(settings: RegistrarSettings): void {
    if (this.#stopping) return;
    this.#settings = settings;
    for (const claim of this.#claims.all()) this.#revise(claim, this.#publicationOf(claim.node));
  }

  /** Entries stay at the agent, as far as is known. */
  get hasEntries(): boolean {
    return this.#handover.hasEntries;
  }

  status(): NameStatus[] {
    const alive = this.#claims.all().map((claim): NameStatus => {
      const publisher = this.#publisherOf(claim);
      const wanted = claim.publication.outcome !== "skip";
      const reason = this.#claims.reason(claim);
      const known = inConsul(publisher);
      const age = this.#now() - (this.#since.get(claim.node) ?? 0);
      return {
        ...{ name: claim.node.aliveName, wanted, ...known },
        pending: wanted && !known.published && reason === undefined && age < this.#timings.patience,
        isBeyondLimit: this.#claims.isBeyondLimit(claim),
        reason: reason ?? (known.published ? undefined : publisher?.obstacle),
        code: reason === undefined && publisher?.obstacle === undefined ? publisher?.lastError?.code : undefined,
        elsewhere: publisher ? this.#namesakes.of(claim.node.aliveName) : [],
      };
    });
    const rest = Array.from(this.#publishers).filter(([key]) => !this.#claims.holder(key));
    return [
      ...alive,
      ...rest.map(([key, publisher]) => ({
        ...{ name: key, wanted: false, pending: false, isBeyondLimit: false, ...inConsul(publisher) },
        ...{ reason: undefined, elsewhere: [] },
      })),
    ];
  }

  /**
   * Removes what has gone, and passes what is alive once more, or removes it too (--deregister-on-stop). Never rejects;
   * takes about a second at most.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#unsubscribe();
    clearInterval(this.#looks);
    this.#retryAll.stop();
    const lastAudit = this.#audits.stop();
    this.#abort.abort(new Error("srv-epmd is stopping"));
    const publishers = Array.from(this.#publishers.values());
    const work = Promise.all([
      ...publishers.map((publisher) => publisher.finish(this.#deps.settings.deregisterOnStop)),
      lastAudit,
      this.#namesakes.close(),
    ]);
    const looks = setTimeout(() => this.#endOfLooks.abort(), this.#timings.stop / 3);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#timings.stop);
    });
    await Promise.race([work, late]);
    for (const pending of [timer, looks]) clearTimeout(pending);
    for (const publisher of publishers) publisher.close();
    await work;
  }

  #appeared(node: RegisteredNode): void {
    const claim = { node, publication: this.#publicationOf(node) };
    this.#apply(this.#claims.add(claim));
    this.#tell(claim);
  }

  /** A node that is alive here is published otherwise from now on, or not any more, or at last. */
  #revise(before: Claim, publication: Publication): void {
    const claim = { node: before.node, publication };
    this.#apply(this.#claims.update(claim));
    if (publication.outcome !== before.publication.outcome) this.#tell(claim);
  }

  /** Some names are those of helpers only beside a node that is alive: it has just appeared, or left. */
  #reviseHelpersOf(aliveName: string): void {
    for (const claim of this.#claims.all()) {
      if (!isHelperBeside(claim.node.aliveName, aliveName)) continue;
      const publication = this.#publicationOf(claim.node);
      if (publication.outcome !== claim.publication.outcome) this.#revise(claim, publication);
    }
  }

  /** Logs why a node is not published, or what is doubtful. */
  #tell(claim: Claim): void {
    const { log } = this.#deps;
    const { node, publication } = claim;
    const { aliveName, port } = node;
    const reason = this.#claims.reason(claim);
    if (publication.outcome === "skip") log.info({ node: aliveName, port, reason }, "not published");
    else if (reason !== undefined)
      log.warn({ node: aliveName, port, reason }, "not published, though it is registered here");
    else if (publication.outcome === "publish" && publication.warning !== undefined) {
      log.warn({ node: aliveName, port }, publication.warning);
    }
  }

  #publicationOf(node: RegisteredNode): Publication {
    const { identity, registry } = this.#deps;
    return publicationOf(node, this.#settings, identity, registry.isAlive);
  }

  #apply(changes: readonly Change[]): void {
    for (const { key, holder } of changes) {
      if (holder) {
        this.#since.set(holder.node, this.#now());
        // A name without a connection is one of --publish-node.
        const share = holder.node.connection ?? "configured";
        this.#publisher(key).aim({ state: "up", entries: holder.entries }, share);
      } else this.#publishers.get(key)?.aim({ state: "leaving", until: this.#now() + this.#timings.grace });
    }
  }

  #publisherOf({ node }: Claim): Publisher | undefined {
    const key = nameKey(node.aliveName);
    return this.#claims.holder(key)?.node === node ? this.#publishers.get(key) : undefined;
  }

  /** Logs what has changed since the last look. */
  #look(): void {
    this.#handover.look();
    this.#agent.look();
    const standings = this.#claims.all().flatMap((claim): Standing[] => {
      const publisher = this.#publisherOf(claim);
      if (!publisher) return [];
      const { lastError, obstacle } = publisher;
      const age = this.#now() - (this.#since.get(claim.node) ?? 0);
      const isMissing = !publisher.isPublished && age >= this.#timings.patience;
      return [
        {
          ...{ name: claim.node.aliveName, visible: publisher.visible, wanted: publisher.wanted, isMissing },
          reason: obstacle ?? (lastError && describeError(lastError.cause ?? lastError)),
          isTold: obstacle === undefined && (lastError ? this.#agent.isTold(lastError) : this.#agent.isSilent),
        },
      ];
    });
    this.#presence.look(standings);
  }

  #publisher(key: string, target: Target = { state: "gone" }): Publisher {
    let publisher = this.#publishers.get(key);
    if (!publisher) {
      publisher = new Publisher(key, target, {
        ...this.#deps,
        owner: this.#deps.identity.owner,
        ttl: this.#deps.settings.ttl,
        deregisterAfter: this.#deps.settings.deregisterAfter,
        agent: this.#agent,
        entries: this.#entries,
        lookSignal: this.#endOfLooks.signal,
        turns: this.#turns,
        presence: this.#presence,
        now: this.#now,
        random: this.#random,
        timings: this.#timings,
        published: (entry) => {
          this.#shared.examine(entry);
          this.#audits.soon();
          this.#namesakes.soon();
        },
        emptied: () => {
          if (!this.#claims.holder(key)) this.#publishers.delete(key);
        },
      });
      this.#publishers.set(key, publisher);
    }
    return publisher;
  }
}

function inConsul(publisher: Publisher | undefined): Pick<NameStatus, "published" | "serviceIds" | "lastError"> {
  return {
    published: publisher?.isPublished ?? false,
    serviceIds: publisher?.visible ?? [],
    lastError: publisher?.lastError?.message,
  };
}

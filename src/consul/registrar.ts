import { Claims } from "../core/claims.js";
import type { Config } from "../core/config.js";
import { ConsulError } from "../core/errors.js";
import { type DaemonIdentity, instanceOf, publicationOf } from "../core/publication.js";
import { abandoned, keyOf, ownedKeys, type Survey, type Target } from "../core/reconcile.js";
import type { RegisteredNode, Registry } from "../core/registry.js";
import { serviceId } from "../core/service-entry.js";
import type { Logger } from "../logger.js";
import { AgentState } from "./agent-state.js";
import { Audits } from "./audits.js";
import type { ConsulClient } from "./client.js";
import { criticalIds, standingOf } from "./ownership.js";
import { Publisher } from "./publisher.js";
import { SharedServices } from "./shared-service.js";
import { retryDelay, TIMINGS, type Timings } from "./timings.js";

export interface RegistrarDeps {
  readonly registry: Registry;
  readonly config: Config;
  readonly client: ConsulClient;
  readonly identity: DaemonIdentity;
  readonly log: Logger;
  /** Monotonic milliseconds: after a step of the wall clock TTLs would run out. */
  readonly now?: () => number;
  /** [0,1) */
  readonly random?: () => number;
  readonly timings?: Partial<Timings>;
}

/** How one name stands in Consul. */
export interface NameStatus {
  readonly name: string;
  /** The node is alive here and meant to be published. */
  readonly wanted: boolean;
  /** It can be found in Consul's DNS, as far as we know. */
  readonly published: boolean;
  readonly serviceIds: readonly string[];
  /** Why it is not published although it is alive. */
  readonly reason: string | undefined;
  readonly lastError: string | undefined;
}

export interface Registrar {
  status(): NameStatus[];
  /** False while the agent does not answer. */
  readonly agentAnswers: boolean;
  /** Removes what has gone, passes what is alive once more (or removes it with --deregister-on-stop). Never throws; about a second at most. */
  stop(): Promise<void>;
}

/** Makes Consul match the registry until it is stopped. An agent that is down at the start holds up nothing. */
export function startRegistrar(deps: RegistrarDeps): Registrar {
  return new ConsulRegistrar(deps);
}

class ConsulRegistrar implements Registrar {
  readonly #deps: RegistrarDeps;
  readonly #timings: Timings;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #agent: AgentState;
  readonly #abort = new AbortController();
  readonly #publishers = new Map<string, Publisher>();
  readonly #claims = new Claims();
  readonly #shared: SharedServices;
  readonly #unsubscribe: () => void;
  readonly #adoptUntil: number;
  readonly #audits: Audits;
  #surveyed = false;
  #stopping: Promise<void> | undefined;

  constructor(deps: RegistrarDeps) {
    this.#deps = deps;
    this.#timings = { ...TIMINGS, ...deps.timings };
    this.#now = deps.now ?? (() => performance.now());
    this.#random = deps.random ?? Math.random;
    this.#adoptUntil = this.#now() + this.#timings.adoption;
    const retryAll = () => {
      for (const publisher of this.#publishers.values()) publisher.retry();
    };
    this.#agent = new AgentState(deps.log, retryAll);
    deps.client.onNewToken(retryAll);
    this.#shared = new SharedServices({ ...deps, signal: this.#abort.signal });
    this.#unsubscribe = deps.registry.subscribe(({ type, node }) => {
      if (type === "registered") this.#appeared(node);
      else this.#left(node);
    });
    for (const node of deps.registry.nodes().reverse()) this.#appeared(node);
    this.#audits = new Audits({
      survey: () => this.#survey(),
      failed: (error, failures) => this.#surveyFailed(error, failures),
      now: this.#now,
      timings: this.#timings,
    });
  }

  get agentAnswers(): boolean {
    return !this.#agent.down;
  }

  status(): NameStatus[] {
    const alive = this.#claims.all().map((claim): NameStatus => {
      const key = keyOf(claim.node.aliveName);
      const holds = this.#claims.holder(key)?.node === claim.node;
      return {
        name: claim.node.aliveName,
        wanted: claim.publication.outcome !== "skip",
        ...inConsul(holds ? this.#publishers.get(key) : undefined),
        reason: this.#claims.reason(claim),
      };
    });
    const rest = Array.from(this.#publishers).filter(([key]) => !this.#claims.holder(key));
    return [
      ...alive,
      ...rest.map(([key, publisher]) => ({ name: key, wanted: false, ...inConsul(publisher), reason: undefined })),
    ];
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#unsubscribe();
    const lastAudit = this.#audits.stop();
    this.#abort.abort(new Error("srv-epmd is stopping"));
    const publishers = Array.from(this.#publishers.values());
    const work = Promise.all([
      ...publishers.map((publisher) => publisher.finish(this.#deps.config.deregisterOnStop)),
      lastAudit,
    ]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#timings.stop);
    });
    await Promise.race([work, late]);
    clearTimeout(timer);
    for (const publisher of publishers) publisher.close();
    await work;
  }

  #appeared(node: RegisteredNode): void {
    const { config, identity, log, registry } = this.#deps;
    const { aliveName: name, port } = node;
    const publication = publicationOf(node, config, identity, (aliveName) => registry.get(aliveName) !== undefined);
    const claim = { node, publication };
    const holder = this.#claims.add(claim);
    if (holder) this.#publisher(keyOf(name)).aim({ state: "up", entries: holder.entries });
    const reason = this.#claims.reason(claim);
    if (publication.outcome === "skip") log.info({ name, port, reason }, "not published");
    else if (reason !== undefined) log.warn({ name, port, reason }, "not published, though it is registered here");
    else if (publication.outcome === "publish" && publication.warning !== undefined) {
      log.warn({ name, port }, publication.warning);
    }
  }

  #left(node: RegisteredNode): void {
    if (!this.#claims.remove(node)) return;
    const key = keyOf(node.aliveName);
    const holder = this.#claims.holder(key);
    this.#publishers
      .get(key)
      ?.aim(
        holder
          ? { state: "up", entries: holder.entries }
          : { state: "leaving", until: this.#now() + this.#timings.grace },
      );
  }

  #publisher(key: string, target: Target = { state: "gone" }): Publisher {
    let publisher = this.#publishers.get(key);
    if (!publisher) {
      publisher = new Publisher(key, target, {
        ...this.#deps,
        owner: this.#deps.identity.owner,
        ttl: this.#deps.config.ttl,
        agent: this.#agent,
        now: this.#now,
        random: this.#random,
        timings: this.#timings,
        published: (entry) => {
          this.#shared.examine(entry);
          this.#audits.soon();
        },
        emptied: () => {
          if (!this.#claims.holder(key)) this.#publishers.delete(key);
        },
      });
      this.#publishers.set(key, publisher);
    }
    return publisher;
  }

  #surveyFailed(error: unknown, failures: number): number {
    if (error instanceof ConsulError && !this.#abort.signal.aborted) this.#agent.failed(error, undefined);
    const { firstRetry, audit } = this.#timings;
    return retryDelay(failures, firstRetry, this.#surveyed ? audit : this.#deps.config.ttl / 3, this.#random);
  }

  async #survey(): Promise<void> {
    const { client, identity, config, log } = this.#deps;
    const { owner } = identity;
    const { signal } = this.#abort;
    const changes = new Map(Array.from(this.#publishers, ([key, publisher]) => [key, publisher.changes]));
    const [services, checks] = await Promise.all([client.services(signal), client.checks(signal)]);
    this.#agent.succeeded(undefined);
    const survey: Survey = { services, critical: criticalIds(checks) };
    for (const key of ownedKeys(survey, owner)) {
      if (this.#publishers.has(key)) continue;
      // Past the deadline, and in later audits, that is "gone": nobody returns any more.
      log.info({ name: key }, "found an entry of ours without its VM: it stays while the VM may return");
      changes.set(key, this.#publisher(key, { state: "awaited", until: this.#adoptUntil }).changes);
    }
    for (const [key, publisher] of this.#publishers) publisher.observe(survey, changes.get(key) ?? -1);
    if (this.#surveyed) return;
    this.#surveyed = true;
    for (const id of abandoned(survey, owner, serviceId(instanceOf(config, identity), ""))) {
      // A publisher may have taken it over meanwhile, or its daemon may be alive after all.
      if ((await standingOf(id, { client, owner }, signal)) !== "abandoned") continue;
      log.info({ serviceId: id }, "removing what a daemon left here before the machine was started anew");
      await client.deregister(id, signal);
    }
  }
}

function inConsul(publisher: Publisher | undefined): Pick<NameStatus, "published" | "serviceIds" | "lastError"> {
  const serviceIds = publisher?.visible ?? [];
  return { published: serviceIds.length > 0, serviceIds, lastError: publisher?.lastError?.message };
}

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { IpPort } from "../config/network-values.js";
import { type Refusal, type ServedNode, serverNameOf } from "../connect/core/inbound.js";
import { Inbound } from "../connect/inbound.js";
import { secure } from "../connect/outbound.js";
import { ServiceCredentials } from "../connect/trust.js";
import { ConsulClient } from "../consul/client.js";
import type { Logger } from "../daemon/logger.js";
import { ConnectError, describeError } from "../errors.js";
import { hostPort } from "../net/ip.js";
import type { NativeSettings } from "./wire/protocol.js";
import type { NativeStatus } from "./wire/status.js";
import type { RelayPeer } from "./wire/target.js";

interface NativeEndOptions {
  /** Milliseconds for the other direction of a link, when one has ended. */
  readonly linger: number;
  readonly admit: () => boolean;
  readonly onLinkEnd: () => void;
  readonly hasRoomFor: (callers: number) => boolean;
  readonly onRefused: (refusal: Refusal) => void;
  readonly onNotice: (message: string) => void;
  readonly log: Logger;
}

/** @param node full name of the peer */
export type MakeSecure = (far: Socket, node: string, peer: RelayPeer) => Promise<TLSSocket>;

/** A daemon, told from others by its connection to the control socket. */
type Daemon = object;

/** Milliseconds for which the nodes of a daemon that has gone are served: its successor names those that live. */
const ORPHANED = 60_000;
/** Milliseconds after which the agent is asked again for which nobody could be let in. */
const ASK_AGAIN = 2_000;
/** Milliseconds for calls that began with the settings before. */
const CALL_LIMIT = 10_000;

/**
 * The relay process as a native end of Consul Connect, from the first settings of a daemon on. It speaks to the agent by itself,
 * so that it goes on while daemons come and go: as long as the token is valid that it got last.
 */
export class NativeEnd {
  readonly #options: NativeEndOptions;
  readonly #inbound: Inbound;
  readonly #refused: Partial<Record<Refusal["code"], number>> = {};
  /** The daemon that has named each node; undefined: it has gone, at that moment of performance.now(). */
  readonly #nodes = new Map<string, { readonly by: Daemon | undefined; readonly since: number }>();
  readonly #clients = new Set<ConsulClient>();
  #settings: NativeSettings | undefined;
  /** The last daemon whose settings were taken, while it is there. */
  #daemon: Daemon | undefined;
  #client: ConsulClient | undefined;
  #credentials: ServiceCredentials | undefined;
  #listening: IpPort | undefined;
  #configuring: Promise<number> | undefined;
  /** Why the agent did not answer a question about a caller; undefined once it does. */
  #agentTrouble: string | undefined;
  #again: NodeJS.Timeout | undefined;

  constructor(options: NativeEndOptions) {
    this.#options = options;
    const { linger, admit, onLinkEnd, hasRoomFor, onNotice } = options;
    this.#inbound = new Inbound({
      ...{ linger, admit, onLinkEnd, hasRoomFor },
      agent: { authorize: (service, caller) => this.#authorize(service, caller) },
      own: () => this.#own(),
      onRefused: (refusal) => this.#count(refusal),
      onError: (error) => onNotice(`the port for callers failed: ${describeError(error)}`),
    });
  }

  /** Takes the settings of a daemon. @returns the port for callers @throws the error of the system, or why they cannot be taken */
  async configure(settings: NativeSettings, by: Daemon): Promise<number> {
    // One after the other: two daemons may come at the same time.
    const before = this.#configuring;
    this.#configuring = (async () => {
      await before?.catch(() => undefined);
      return this.#configure(settings, by);
    })();
    return this.#configuring;
  }

  /** Callers of this node are joined with its VM from now on. */
  serve(node: ServedNode, by: Daemon): void {
    this.#nodes.set(node.node, { by, since: performance.now() });
    this.#inbound.serve(node);
  }

  /** The node has ended. What another daemon has named since stays. */
  drop(node: string, by: Daemon): void {
    if (this.#nodes.get(node)?.by === by) this.#forget(node);
  }

  /** A daemon has gone. */
  left(by: Daemon): void {
    if (this.#daemon === by) this.#daemon = undefined;
    const since = performance.now();
    for (const [node, { by: its }] of this.#nodes) if (its === by) this.#nodes.set(node, { by: undefined, since });
  }

  /**
   * Makes mutual TLS on a connection to a peer, with the certificate of our service, for which it waits when it is on its way.
   * Rejects with a ConnectError; the connection is closed then.
   */
  readonly secure: MakeSecure = async (far, node, peer) => {
    const own = await this.#credentials?.first();
    if (far.destroyed) throw new ConnectError("TLS", "it ends the connection");
    if (own) return secure(far, own, peer, serverNameOf(node));
    far.destroy();
    const why = this.#credentials?.trouble ?? "no daemon has said how to get one";
    throw new ConnectError("NO_CERTIFICATE", `there is no certificate of Connect: ${why}`);
  };

  /** Undefined before the first settings. */
  get status(): NativeStatus | undefined {
    if (!this.#listening || !this.#settings || !this.#credentials) return undefined;
    const { now, trouble } = this.#credentials;
    return {
      port: this.#listening.port,
      trouble: this.#agentTrouble ?? (trouble === undefined ? undefined : `${this.#settings.service}: ${trouble}`),
      certificate: now && { service: this.#settings.service, uri: now.uri, validBefore: now.validBefore },
      nodes: Array.from(this.#nodes.keys()),
      links: this.#inbound.links,
      refused: { ...this.#refused },
    };
  }

  /** Cuts links that have stalled, and ends what nobody names any more. @param stall milliseconds */
  sweep(stall: number, now = performance.now()): void {
    this.#inbound.sweep(stall);
    for (const [node, { by, since }] of this.#nodes) if (!by && now - since > ORPHANED) this.#forget(node);
  }

  /** Cuts every link. */
  async close(): Promise<void> {
    clearTimeout(this.#again);
    this.#credentials?.stop();
    await this.#inbound.close();
    await Promise.all(Array.from(this.#clients, (client) => client.close()));
  }

  async #configure(settings: NativeSettings, by: Daemon): Promise<number> {
    const { agent, listen, recheck, service } = settings;
    const before = this.#settings;
    if (
      this.#listening &&
      (listen.address !== this.#listening.address || ![0, this.#listening.port].includes(listen.port))
    ) {
      const is = `the relay process takes callers at ${hostPort(this.#listening)}`;
      throw new Error(`${is}, and ${hostPort(listen)} is wanted: start it anew`);
    }
    if (before && before.service !== service && this.#daemon !== undefined && this.#daemon !== by) {
      const is = `the relay process is an end of ${before.service} for another srv-epmd`;
      throw new Error(`${is}, and ${service} is wanted: give each its own --relay-socket`);
    }
    if (JSON.stringify(agent) !== JSON.stringify(before?.agent))
      this.#use(new ConsulClient({ ...agent, log: this.#options.log }));
    if (service !== before?.service) {
      this.#credentials?.stop();
      this.#credentials = new ServiceCredentials(service, this.#agent, () => this.#inbound.renew());
      this.#agentTrouble = undefined;
    }
    this.#settings = settings;
    this.#daemon = by;
    this.#inbound.recheckEvery(recheck);
    this.#listening ??= { address: listen.address, port: await this.#listen(settings) };
    return this.#listening.port;
  }

  async #listen({ listen, formerPort }: NativeSettings): Promise<number> {
    if (listen.port === 0 && formerPort !== undefined) {
      try {
        return await this.#inbound.listen({ ...listen, port: formerPort });
      } catch (error) {
        this.#options.onNotice(`callers get another port: ${describeError(error)}`);
      }
    }
    return this.#inbound.listen(listen);
  }

  /** The client before it ends when its calls have had their time; its blocking queries go on with this one. */
  #use(client: ConsulClient): void {
    const former = this.#client;
    this.#client = client;
    this.#clients.add(client);
    if (!former) return;
    const end = () => {
      this.#clients.delete(former);
      void former.close();
    };
    setTimeout(end, CALL_LIMIT).unref();
  }

  readonly #agent: Pick<ConsulClient, "leaf" | "roots"> = {
    leaf: (...asked) => this.#current().leaf(...asked),
    roots: (...asked) => this.#current().roots(...asked),
  };

  async #authorize(...asked: Parameters<ConsulClient["authorize"]>): ReturnType<ConsulClient["authorize"]> {
    const [service] = asked;
    // A link to the service before may stand for long, and the token of now may not ask about it.
    const isOfNow = () => service === this.#settings?.service;
    try {
      const answer = await this.#current().authorize(...asked);
      if (isOfNow()) this.#agentTrouble = undefined;
      return answer;
    } catch (error) {
      if (isOfNow()) this.#troubled(error, asked);
      throw error;
    }
  }

  #troubled(error: unknown, asked: Parameters<ConsulClient["authorize"]>): void {
    this.#agentTrouble = `nobody can be let in: ${describeError(error)}`;
    // Another caller may not come for long, and what is said of readiness must become true again.
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      if (this.#agentTrouble !== undefined) void this.#authorize(...asked).catch(() => {});
    }, ASK_AGAIN).unref();
  }

  #current(): ConsulClient {
    if (!this.#client) throw new Error("no daemon has said how to reach the Consul agent");
    return this.#client;
  }

  #own() {
    if (!this.#settings || !this.#credentials) throw new Error("no daemon has said of which service this is an end");
    return { service: this.#settings.service, credentials: this.#credentials };
  }

  #forget(node: string): void {
    this.#nodes.delete(node);
    this.#inbound.drop(node);
  }

  #count(refusal: Refusal): void {
    this.#refused[refusal.code] = (this.#refused[refusal.code] ?? 0) + 1;
    this.#options.onRefused(refusal);
  }
}

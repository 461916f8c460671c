import { resolve } from "node:path";
import type { IpPort } from "../config/network-values.js";
import type { AgentSettings, ConsulSide } from "../consul/side.js";
import type { Logger } from "../daemon/logger.js";
import type { RegisteredNode, Registry } from "../epmd/core/registry.js";
import { describeError } from "../errors.js";
import {
  type DomainSettings,
  isLeftOut,
  nodeDomain,
  ownServices,
  parseServiceDomain,
  serviceOf,
} from "../names/domains.js";
import { hostPartOf, isHelperBeside, type NodeName } from "../names/node-name.js";
import { type Family, LOOPBACK } from "../net/endpoint.js";
import { familyOf } from "../net/ip.js";
import { type SelectionSettings, whyLeftOut } from "../publish/core/publication.js";
import type { AskRelay, RelayClient } from "../relay/client.js";
import type { RelayTrouble } from "../relay/core/trouble.js";
import type { CallerRefused } from "../relay/wire/protocol.js";
import type { RelayStatus } from "../relay/wire/status.js";
import type { RelayPeer, RelayTarget } from "../relay/wire/target.js";
import { type Found, notFound, type Resolution, unavailable } from "../resolve/core/resolution.js";
import type { NodeResolver, ResolveOptions } from "../resolve/node-resolver.js";
import type { ServedNode } from "./core/inbound.js";

interface NativeSideSettings extends AgentSettings, DomainSettings, SelectionSettings {
  readonly connectListen: IpPort | undefined;
  /** Milliseconds; 0: never. */
  readonly connectRecheck: number;
}

export interface NativeSideDeps {
  readonly settings: NativeSideSettings;
  /** Where callers are taken unless `--connect-listen` says else; undefined: at any free port. */
  readonly defaultPort: number | undefined;
  readonly registry: Registry;
  readonly nodes: Pick<NodeResolver, "resolve" | "fullName">;
  readonly consul: ConsulSide;
  readonly log: Logger;
}

/** @param former undefined: the listener has not been told a port yet */
type OnPort = (port: number, former: number | undefined) => void;

/** A stock client asks for no family: it dials the address at which it asked. */
function familyAsked({ family }: NodeName, { dialled }: ResolveOptions): Family {
  return family ?? familyOf(dialled ?? "") ?? 4;
}

/**
 * The daemon's part of a native end of Consul Connect. The relay process holds the certificates and the links; the daemon tells it
 * how to reach the agent and which nodes are here, and sends VMs to its relays.
 */
export class NativeSide {
  readonly #deps: NativeSideDeps;
  readonly #service: string;
  readonly #stopFollowing: () => void;
  #relays: RelayClient | undefined;
  #port: number | undefined;
  #onPort: OnPort = () => {};

  constructor(deps: NativeSideDeps) {
    this.#deps = deps;
    // config/conflicts lets one alone through.
    [this.#service = ""] = ownServices(deps.settings);
    this.#stopFollowing = deps.registry.subscribe(({ type, node }) => {
      if (type === "registered") this.#tell(node);
      else void this.#relays?.ask({ type: "drop", node: this.#fullName(node) });
      // Others may be helpers only while this one is alive.
      for (const other of deps.registry.nodes()) if (isHelperBeside(other.aliveName, node.aliveName)) this.#tell(other);
    });
  }

  /**
   * Calls the listener with the port for callers, as soon as there is one. It is called again when there is another: a relay process
   * that is started anew may find the former port taken.
   */
  onPort(listener: OnPort): void {
    this.#onPort = listener;
    if (this.#port !== undefined) listener(this.#port, undefined);
  }

  /** The client of the relay process, which calls `greet` at each connection. */
  use(relays: RelayClient): void {
    this.#relays = relays;
    void this.#deps.consul.connect().then(
      (client) => client.onNewToken(() => void this.greet(relays.ask)),
      (error: unknown) => this.#deps.log.error({ err: error }, "the Consul side cannot be started"),
    );
  }

  /** Tells a relay process all that it has to know. @returns why it cannot be a native end */
  readonly greet = async (ask: AskRelay): Promise<string | undefined> => {
    const { settings, defaultPort, registry } = this.#deps;
    const { address = "::", port = defaultPort ?? 0 } = settings.connectListen ?? {};
    try {
      const agent = await this.#agent();
      const reply = await ask({
        type: "native",
        service: this.#service,
        agent,
        listen: { address, port },
        formerPort: this.#port,
        recheck: settings.connectRecheck,
      });
      if (reply?.type === "refused") return `it cannot be a native end of Connect: ${reply.reason}`;
      if (reply?.type !== "native") return "it does not answer";
      this.#listensAt(reply.port);
    } catch (error) {
      return describeError(error);
    }
    const told = new Set<RegisteredNode>();
    // Nodes may register while the relay process takes the others: until it has all of them, nothing else reaches it.
    for (let nodes = registry.nodes(); nodes.length > 0; nodes = registry.nodes().filter((node) => !told.has(node))) {
      for (const node of nodes) {
        told.add(node);
        const served = this.#served(node);
        // It may have ended, or registered anew.
        if (served && registry.get(node.aliveName) === node) await ask({ type: "serve", ...served });
      }
    }
    return undefined;
  };

  /** As the resolver, with a relay here in place of each node elsewhere: VMs dial that. */
  readonly nodes: Pick<NodeResolver, "resolve" | "fullName"> = {
    fullName: (name) => this.#deps.nodes.fullName(name),
    resolve: (name, options) => {
      // A relay is on the loopback address of either family, whatever that of the node is.
      const raw = this.#deps.nodes.resolve({ ...name, family: undefined }, { ...options, mayProbe: false });
      return raw instanceof Promise
        ? raw.then((found) => this.#relayed(name, found, options))
        : this.#relayed(name, raw, options);
    },
  };

  /** The service that has to be at the other end of a link to a node; undefined: its host is no service of Consul's. */
  peerOf(host: string): RelayPeer | undefined {
    const asked = parseServiceDomain(host, this.#deps.settings.consulDomain);
    return asked && { service: asked.service, datacenter: asked.datacenter };
  }

  /** A caller was not let in. */
  readonly refused = ({ code, reason, node, service, caller, from, leftOut }: CallerRefused): void => {
    const more = leftOut > 0 && { leftOut };
    // Who looks for a helper asks at each machine.
    this.#deps.log[code === "TLS" || code === "NO_NODE" ? "info" : "warn"](
      { node, service, caller, ...(from !== "" && { from }), code, reason, ...more },
      code === "CUT" ? "a link of Connect is cut" : "a caller of Connect is not let in",
    );
  };

  /** Undefined: no relay process answers. */
  async status(): Promise<RelayStatus | undefined> {
    return this.#relays?.status();
  }

  /** Why there is no relay process that is a native end, when that is known. */
  get trouble(): RelayTrouble | undefined {
    return this.#relays?.trouble();
  }

  close(): void {
    this.#stopFollowing();
  }

  #tell(node: RegisteredNode): void {
    const served = this.#served(node);
    if (served) void this.#relays?.ask({ type: "serve", ...served });
  }

  #listensAt(port: number): void {
    const former = this.#port;
    if (port === former) return;
    this.#port = port;
    this.#onPort(port, former);
  }

  #relayed(name: NodeName, found: Resolution, options: ResolveOptions): Resolution | Promise<Resolution> {
    if (found.outcome !== "found") return found;
    // Another EPMD, or a command, wants to know where the node is.
    if (options.forStranger) return ofFamily(name, found);
    if (found.source === "catalogue") return this.#throughRelay(name, found, options);
    return this.#toOtherFamily(name, found, options);
  }

  /** A node here listens on the loopback address of its own family alone. */
  #toOtherFamily(name: NodeName, found: Found, options: ResolveOptions): Resolution | Promise<Resolution> {
    const node = found.source === "registry" ? this.#deps.registry.get(name.aliveName) : undefined;
    const family = familyAsked(name, options);
    if (!node || node.address !== undefined || node.family === family || !options.sameHost) {
      return ofFamily(name, found);
    }
    const endpoints = [{ address: LOOPBACK[node.family], port: node.port }];
    return this.#relay(this.#deps.nodes.fullName(name), family, found, { endpoints });
  }

  async #throughRelay(name: NodeName, found: Found, options: ResolveOptions): Promise<Resolution> {
    const full = this.#deps.nodes.fullName(name);
    const peer = this.peerOf(hostPartOf(full));
    if (!peer)
      return unavailable(
        "CONNECT_NO_RELAY",
        `${full} is no node of a service of Consul, whose certificate it would show`,
      );
    if (!options.sameHost) return unavailable("CONNECT_NO_RELAY", "a relay serves processes of this machine alone");
    return this.#relay(full, familyAsked(name, options), found, { endpoints: found.endpoints, peer });
  }

  async #relay(
    node: string,
    family: Family,
    found: Found,
    target: Pick<RelayTarget, "endpoints" | "peer">,
  ): Promise<Resolution> {
    const address = LOOPBACK[family];
    const relayed = await this.#relays?.ensure({ node, address, ...target });
    if (relayed?.outcome !== "relayed")
      return unavailable("CONNECT_NO_RELAY", relayed?.reason ?? "there is no relay process yet");
    const endpoint = { address, family, port: relayed.port, priority: 0, weight: 0, target: node };
    return { ...found, endpoints: [endpoint] };
  }

  /** Undefined for a node that callers cannot ask for. Helpers are not published, and may be asked for by --helpers ask. */
  #served(node: RegisteredNode): ServedNode | undefined {
    const { settings, registry } = this.#deps;
    const { aliveName, port, address, family } = node;
    if (serviceOf(aliveName, settings) === undefined || port === 0 || address !== undefined) return undefined;
    if (isLeftOut(aliveName, settings)) return undefined;
    const isHelper = whyLeftOut(aliveName, registry.isAlive, settings) !== undefined;
    return { node: this.#fullName(node), place: { address: LOOPBACK[family], port }, isHelper };
  }

  /** As it is looked up, whatever its own host part is (--node-host). */
  #fullName({ aliveName }: RegisteredNode): string {
    const { settings } = this.#deps;
    return `${aliveName}@${nodeDomain(aliveName, settings) ?? `${this.#service}.service.${settings.consulDomain}`}`;
  }

  /** The relay process speaks to the same agent, with the token that is in use. */
  async #agent() {
    const { settings, consul } = this.#deps;
    const client = await consul.connect();
    const token = settings.consulTokenFile === undefined ? await client.token() : undefined;
    return {
      url: settings.consul,
      ...(token !== undefined && token !== "" && { token }),
      ...files({
        tokenFile: settings.consulTokenFile,
        ca: settings.consulCa,
        cert: settings.consulCert,
        key: settings.consulKey,
      }),
      sslVerify: settings.consulSslVerify,
      ...(settings.consulTlsServerName !== undefined && { tlsServerName: settings.consulTlsServerName }),
    };
  }
}

/** The endpoints that a client can use that has asked for one family. */
function ofFamily({ aliveName, family }: NodeName, found: Found): Resolution {
  if (family === undefined) return found;
  const endpoints = found.endpoints.filter((endpoint) => endpoint.family === family);
  if (endpoints.length > 0) return { ...found, endpoints };
  return notFound("NODE_NO_ADDRESS", `${aliveName} has no IPv${family} address`);
}

/** A relay process has another working directory. */
function files<K extends string>(paths: Readonly<Record<K, string | undefined>>): Partial<Record<K, string>> {
  const given = Object.entries<string | undefined>(paths).flatMap(([key, path]) =>
    path === undefined ? [] : [[key, resolve(path)]],
  );
  return Object.fromEntries(given);
}

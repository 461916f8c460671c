import type { AgentSettings, ConsulSide } from "../consul/side.js";
import { type DomainSettings, ownServices, parseServiceDomain } from "../names/domains.js";
import type { ExpectedPeer } from "./core/service-uri.js";
import type { Credentials } from "./trust.js";

/** How a command goes inside the mutual TLS of a node. */
export interface ConnectWay {
  readonly credentials: Credentials;
  readonly expected: ExpectedPeer;
}

type ConnectSettings = AgentSettings & Pick<DomainSettings, "domain" | "consulDomain" | "service" | "publishNode">;

/**
 * The way inside the mutual TLS of nodes for a command, by the certificate of the service of `--domain`, which is asked for
 * once. A text: why there is none.
 */
export class ConnectWays {
  readonly #settings: ConnectSettings;
  readonly #consul: Pick<ConsulSide, "connect">;
  #own: Promise<Credentials | string> | undefined;

  constructor(settings: ConnectSettings, consul: Pick<ConsulSide, "connect">) {
    this.#settings = settings;
    this.#consul = consul;
  }

  /** Never rejects. @param host of the node, expanded */
  async to(host: string): Promise<ConnectWay | string> {
    const asked = parseServiceDomain(host, this.#settings.consulDomain);
    if (!asked) return `${host} is no service of Consul, so no certificate can be that of its nodes`;
    this.#own ??= this.#ask();
    const own = await this.#own;
    if (typeof own === "string") return own;
    return { credentials: own, expected: { service: asked.service, datacenter: asked.datacenter } };
  }

  async #ask(): Promise<Credentials | string> {
    const [service] = ownServices(this.#settings);
    if (service === undefined) return "no --domain is a service of Consul, whose certificate would be shown";
    const [client, trust] = await Promise.all([this.#consul.connect(), import("./trust.js")]);
    const followed = new trust.ServiceCredentials(service, client, () => {});
    const own = await followed.first();
    followed.stop();
    return own ?? `there is no certificate of ${service}: ${followed.trouble}`;
  }
}

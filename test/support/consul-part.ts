import { afterEach } from "vitest";
import type { OptionKey } from "../../src/config/options.js";
import { type ClientOptions, ConsulClient } from "../../src/consul/client.js";
import { type RegisteredNode, Registry } from "../../src/epmd/core/registry.js";
import { Registrar } from "../../src/publish/registrar.js";
import type { Timings } from "../../src/publish/timing.js";
import type { Consul } from "./consul-agent.js";
import { collectLog } from "./log-lines.js";
import { registration, serveConfig } from "./registered-node.js";

export interface ConsulPartOptions {
  readonly flags?: Partial<Record<OptionKey, string | readonly string[]>>;
  readonly client?: Partial<ClientOptions>;
  readonly owner?: string;
  readonly timings?: Partial<Timings>;
}

/** As much of a daemon as publishes into a real Consul; each is stopped after its test. */
export function useConsulParts() {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });
  return (consul: Consul, { flags = {}, client: over = {}, owner, timings = {} }: ConsulPartOptions = {}) => {
    const registry = new Registry();
    const { log, lines, messages } = collectLog();
    const client = new ConsulClient({ url: consul.url, log, ...over });
    const registrar = new Registrar({
      registry,
      settings: serveConfig({ domain: ["svc"], ...flags }),
      client,
      identity: { hostName: "box1", port: 4369, owner: owner ?? "boot/1/4369" },
      log,
      timings,
    });
    const stop = async () => {
      await registrar.stop();
      await client.close(registrar.hasEntries);
    };
    stops.push(stop);
    const up = (name: string, over: Parameters<typeof registration>[2] = {}, port = 20001) =>
      registry.register(registration(name, port, over), Date.now()) as RegisteredNode;
    return { registry, registrar, client, lines, messages, up, stop };
  };
}

import { afterEach, beforeEach } from "vitest";
import type { Environment } from "../../src/config/nomad.js";
import type { OptionKey } from "../../src/config/options.js";
import { type ClientOptions, ConsulClient } from "../../src/consul/client.js";
import { type RegisteredNode, type Registration, Registry } from "../../src/epmd/core/registry.js";
import { Registrar, type RegistrarSettings } from "../../src/publish/registrar.js";
import type { Timings } from "../../src/publish/timing.js";
import { type FakeConsul, startFakeConsul } from "./fake-consul.js";
import { collectLog, type LogLines } from "./log-lines.js";
import { registration, serveConfig } from "./registered-node.js";
import { OWNER } from "./service-entry.js";
import { waitFor } from "./wait-for.js";

/** The service id of node_a, for every daemon on box1 that has no --instance. */
export const ID = "srv-epmd:box1:node_a";

/** Everything a hundred times as fast. */
export const FAST: Timings = {
  grace: 150,
  adoption: 300,
  audit: 300,
  recheck: 60_000,
  watch: 50,
  look: 10,
  patience: 200,
  gather: 60,
  firstRetry: 20,
  maxRetry: 200,
  refusalRetry: 150,
  stop: 300,
};

export interface PartOptions {
  readonly owner?: string;
  readonly flags?: Partial<Record<OptionKey, string | readonly string[]>>;
  readonly env?: Environment;
  readonly client?: Partial<ClientOptions>;
  readonly timings?: Partial<Timings>;
  readonly mostPublished?: number;
}

/** As much of a daemon as publishes: registry, registrar and client. */
export interface Part extends Pick<LogLines, "lines" | "messages"> {
  readonly registry: Registry;
  readonly registrar: Registrar;
  readonly settings: RegistrarSettings;
  readonly client: ConsulClient;
  readonly up: (name: string, port?: number, over?: Partial<Registration>) => RegisteredNode;
  readonly down: (node: RegisteredNode) => void;
}

export interface Bench {
  /** The agent: a new one for every test. */
  readonly fake: FakeConsul;
  /** Stopped after the test. */
  readonly start: (options?: PartOptions) => Part;
  /** Not stopped after the test. */
  readonly abandon: (part: Part) => void;
  /** Ends the agent. @returns what starts it anew at the same place, empty */
  readonly stopAgent: () => Promise<() => Promise<void>>;
  readonly isPassing: (id?: string) => Promise<true>;
  readonly isGone: (id?: string) => Promise<true>;
  readonly isPublished: (part: Part, name?: string) => Promise<true>;
}

/** A fake agent and daemons for the tests of one file. */
export function useRegistrars(): Bench {
  const parts = new Set<Part>();
  let fake: FakeConsul;

  beforeEach(async () => {
    fake = await startFakeConsul();
  });
  afterEach(async () => {
    for (const { registrar, client } of parts) {
      await registrar.stop();
      await client.close();
    }
    parts.clear();
    await fake.close();
  });

  return {
    get fake() {
      return fake;
    },
    start: (options) => {
      const part = startPart(fake, options);
      parts.add(part);
      return part;
    },
    abandon: (part) => parts.delete(part),
    stopAgent: async () => {
      const { port } = fake;
      await fake.close();
      return async () => {
        fake = await startFakeConsul(port);
      };
    },
    isPassing: (id = ID) => waitFor(() => fake.status(id) === "passing", { what: `${id} to be passing` }),
    isGone: (id = ID) => waitFor(() => !fake.services.has(id), { what: `${id} to be gone` }),
    isPublished: ({ registrar }, name = "node_a") =>
      waitFor(() => registrar.status().some((status) => status.name === name && status.published), {
        what: `${name} to be published`,
      }),
  };
}

function startPart(
  fake: FakeConsul,
  { owner = OWNER, flags = {}, env, client: over, timings, mostPublished }: PartOptions = {},
): Part {
  const registry = new Registry();
  const config = serveConfig({ domain: ["svc"], ...flags }, env);
  const { log, lines, messages } = collectLog();
  const client = new ConsulClient({ url: fake.url, timeoutMs: 300, log, ...over });
  // Shorter than a user may choose: many tests wait for its end.
  const settings = { ...config, ttl: flags.ttl === undefined ? 300 : config.ttl };
  const registrar = new Registrar({
    registry,
    settings,
    client,
    identity: { hostName: "box1", port: 4369, owner },
    log,
    random: () => 0.5,
    timings: { ...FAST, ...timings },
    ...(mostPublished !== undefined && { mostPublished }),
  });
  return {
    registry,
    registrar,
    settings,
    client,
    messages,
    lines,
    up: (name, port = 20001, over = {}) => {
      const node = registry.register(registration(name, port, over), Date.now());
      if (!node) throw new Error(`${name} is taken`);
      return node;
    },
    down: (node) => registry.unregister(node),
  };
}

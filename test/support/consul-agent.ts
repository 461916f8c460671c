import { rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { type Child, type Exit, type Place, startChild } from "./child.js";
import { cleanEnvironment, findProgram } from "./environment.js";
import { freePorts } from "./free-port.js";
import { removeFolder, temporaryFolder } from "./temporary.js";
import { waitFor } from "./wait-for.js";

/** Where test/install-peers.sh puts it. */
const INSTALLED = "/opt/srv-epmd-peers/consul/usr/bin";

export function findConsul(): string | undefined {
  return findProgram("consul", INSTALLED);
}

export interface ConsulTls {
  /** PEM files. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Asks clients for a certificate of the CA too. */
  readonly verifyIncoming?: boolean;
}

export interface ConsulOptions {
  /** Everything is denied to whoever has no token; `masterToken` may all. */
  readonly acl?: boolean;
  /** HTTPS beside HTTP, on `httpsPort`. */
  readonly tls?: ConsulTls;
  /** State kept on disk, so that a restart can find it again; slower to start than the default in memory. */
  readonly dataDir?: boolean;
  /** Its DNS is off. */
  readonly withoutDns?: boolean;
  /** Merged into `dns_config`. */
  readonly dnsConfig?: object;
  /** Merged into the whole configuration. */
  readonly config?: object;
  /** The agent's own address, which services without address are published with; 127.0.0.1. */
  readonly bind?: string;
  /** As on a machine of its own: Consul's own ports, open at the agent's address too. */
  readonly usualPorts?: boolean;
  /** A client agent of this server. */
  readonly join?: Consul;
  /** One of several datacenters: the CA of the primary one is that of all. */
  readonly datacenter?: { readonly name: string; readonly primary: string; readonly joinWan?: Consul };
  readonly node?: string;
  readonly netns?: Place;
}

export interface ConsulAnswer {
  readonly status: number;
  /** Parsed when it is JSON, else text. */
  readonly body: unknown;
}

export interface Consul {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly dnsPort: number;
  /** `http://127.0.0.1:<port>`; in a namespace that is the namespace's loopback. */
  readonly url: string;
  /** The same over a unix socket, which is reached from every network namespace. */
  readonly socketUrl: string;
  readonly address: string;
  readonly serfPort: number;
  readonly serfWanPort: number;
  readonly masterToken: string;
  readonly child: () => Child;
  /** Speaks to the agent from wherever it runs; with the master token where there are ACLs. @param body sent as JSON */
  readonly request: (method: string, path: string, body?: unknown, token?: string) => Promise<ConsulAnswer>;
  /** Same ports; state is lost unless there is a data directory and `loseState` is not set. */
  readonly restart: (options?: { readonly loseState?: boolean }) => Promise<void>;
  readonly stop: () => Promise<Exit>;
  readonly kill: () => Promise<Exit>;
}

const MASTER_TOKEN = "5eb17e57-0000-4000-8000-000000000001";

/** Real `consul agent`; answers HTTP and DNS, and has a leader, when this returns. */
export async function startConsul(options: ConsulOptions = {}): Promise<Consul> {
  const program = findConsul();
  if (program === undefined) throw new Error("consul is not installed: bash test/install-peers.sh");
  const folder = await temporaryFolder("consul");
  const ports = options.usualPorts ? [8500, 8501, 8600, 8301, 8300, 8302] : await freePorts(6);
  const [httpPort = 0, httpsPort = 0, dnsPort = 0, serfPort = 0, serverPort = 0, serfWanPort = 0] = ports;
  const address = options.bind ?? "127.0.0.1";
  const client = options.usualPorts ? `127.0.0.1 ${address}` : "127.0.0.1";
  const socket = join(folder, "http.sock");
  const dataDir = join(folder, "data");
  const inMemory = options.dataDir !== true && options.join === undefined;
  const file = join(folder, "agent.json");
  await writeFile(
    file,
    JSON.stringify({
      node_name: options.node ?? "test-agent",
      bind_addr: address,
      client_addr: client,
      // The socket is reached from outside of a network namespace too.
      addresses: { http: `${client} unix://${socket}`, https: "127.0.0.1" },
      ports: {
        http: httpPort,
        https: options.tls ? httpsPort : -1,
        dns: options.withoutDns ? -1 : dnsPort,
        grpc: -1,
        serf_lan: serfPort,
        serf_wan: options.datacenter ? serfWanPort : -1,
        server: serverPort,
      },
      ...(inMemory ? {} : { data_dir: dataDir }),
      ...(options.join
        ? { retry_join: [`${options.join.address}:${options.join.serfPort}`], retry_interval: "1s" }
        : { server: true, ...(inMemory ? {} : { bootstrap_expect: 1 }) }),
      ...(options.datacenter && wanOf(options.datacenter)),
      performance: { raft_multiplier: 1 },
      disable_update_check: true,
      dns_config: options.dnsConfig ?? {},
      ...(options.acl && {
        acl: { enabled: true, default_policy: "deny", tokens: { master: MASTER_TOKEN, agent: MASTER_TOKEN } },
      }),
      ...(options.tls && {
        ca_file: options.tls.ca,
        cert_file: options.tls.cert,
        key_file: options.tls.key,
        verify_incoming_https: options.tls.verifyIncoming ?? false,
      }),
      ...options.config,
    }),
  );
  const args = ["agent", ...(inMemory ? ["-dev"] : []), "-log-level", "warn", "-config-file", file];
  const start = () =>
    startChild(program, args, { env: cleanEnvironment(), ...(options.netns && { netns: options.netns }) });
  const call: Consul["request"] = (method, path, body, token = options.acl ? MASTER_TOKEN : undefined) =>
    ask(socket, method, path, body, token);
  const hasLeader = async () => {
    if (running.hasExited()) return "ended" as const;
    const { body } = await call("GET", "/v1/status/leader");
    // A leader of the last run is named before there is one again: the catalogue answers only with one.
    return body !== "" && (await call("GET", "/v1/catalog/nodes")).status === 200 ? "leader" : undefined;
  };
  const isReady = async () => {
    const found = await waitFor(hasLeader, { timeout: 25_000, what: "a Consul leader" }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${running.stdout()}`);
    });
    if (found === "ended") throw new Error(`consul has ended:\n${running.stdout()}\n${running.stderr()}`);
  };
  const leave = async (exit: Promise<Exit>) => {
    const how = await exit;
    await removeFolder(folder);
    return how;
  };

  let running = start();
  try {
    await isReady();
  } catch (error) {
    await leave(running.kill());
    throw error;
  }
  return {
    httpPort,
    httpsPort,
    dnsPort,
    url: `http://127.0.0.1:${httpPort}`,
    socketUrl: `unix://${socket}`,
    address,
    serfPort,
    serfWanPort,
    masterToken: MASTER_TOKEN,
    child: () => running,
    request: call,
    restart: async ({ loseState = false } = {}) => {
      await running.kill();
      if (loseState) await rm(dataDir, { recursive: true, force: true });
      running = start();
      await isReady();
    },
    stop: () => leave(running.stop("SIGINT")),
    kill: () => leave(running.kill()),
  };
}

function wanOf({ name, primary, joinWan }: NonNullable<ConsulOptions["datacenter"]>): object {
  const join = joinWan && [`${joinWan.address}:${joinWan.serfWanPort}`];
  return {
    datacenter: name,
    primary_datacenter: primary,
    ...(join && { retry_join_wan: join, retry_interval_wan: "1s" }),
  };
}

function ask(socketPath: string, method: string, path: string, body: unknown, token: string | undefined) {
  return new Promise<ConsulAnswer>((resolve, reject) => {
    const headers = token === undefined ? {} : { "X-Consul-Token": token };
    const outgoing = request({ socketPath, method, path, headers, timeout: 10_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: parse(text) }));
      response.on("error", reject);
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer to ${method} ${path}`)));
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

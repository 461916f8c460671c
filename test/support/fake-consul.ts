import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How a request is answered instead of rightly. */
export type Misbehaviour =
  | "hang"
  /** Status 200, half of a body, then a reset. */
  | "reset"
  /** A list is sent as JSON. */
  | { readonly status: number; readonly body: string | readonly object[] }
  /** Rightly, after so many milliseconds. */
  | { readonly delay: number };

export interface SeenRequest {
  readonly method: string;
  /** With query, decoded. */
  readonly path: string;
  readonly token: string | undefined;
}

interface FakeService {
  readonly ID: string;
  readonly Service: string;
  readonly Tags: readonly string[];
  readonly Address: string;
  readonly Port: number;
  readonly Meta: Record<string, string>;
  readonly Weights: { readonly Passing: number; readonly Warning: number };
  readonly ModifyIndex?: number;
  readonly Kind?: string;
  readonly Proxy?: {
    readonly DestinationServiceName: string;
    readonly DestinationServiceID: string;
    readonly Upstreams?: readonly object[];
  };
}

interface FakeCheck {
  readonly CheckID: string;
  readonly ServiceID: string;
  Status: string;
  Output: string;
  readonly Notes?: string;
  ModifyIndex?: number;
}

export interface FakeConsul {
  readonly url: string;
  readonly port: number;
  readonly services: Map<string, FakeService>;
  readonly checks: Map<string, FakeCheck>;
  readonly requests: SeenRequest[];
  /** Bodies of registrations, in order. */
  readonly registrations: Record<string, unknown>[];
  /** Status of the TTL check of a service; undefined: no such service. */
  status(serviceId: string): string | undefined;
  /** X-Consul-Index of the health API; setting it ends the queries that wait for another one, or for what has changed. */
  index: number;
  /** Of the servers, as X-Consul-KnownLeader says. */
  hasLeader: boolean;
  /** Queries that are being held. */
  readonly held: number;
  /** Asked for each request, before it is done. */
  misbehave(how: ((request: SeenRequest) => Misbehaviour | undefined) | undefined): void;
  /** As an agent in memory that was started anew. */
  loseState(): void;
  close(): Promise<void>;
}

/** The agent API as far as srv-epmd uses it, in memory. @param port 0: any free one */
export async function startFakeConsul(port = 0): Promise<FakeConsul> {
  const services = new Map<string, FakeService>();
  const checks = new Map<string, FakeCheck>();
  const requests: SeenRequest[] = [];
  const registrations: Record<string, unknown>[] = [];
  let index = 10;
  let hasLeader = true;
  let closing = false;
  const waiting = new Set<() => void>();
  const changed = (to = index + 1) => {
    index = to;
    for (const wake of Array.from(waiting)) wake();
  };
  const lastPart = (url: URL) => decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf("/") + 1));
  const hashOf = (id: string) => {
    const service = services.get(id);
    return service ? createHash("md5").update(JSON.stringify(service)).digest("hex") : "";
  };
  /** Blocking queries: held while the index, or the hash, is the one that is known, and `wait` lasts. */
  const hold = async (url: URL) => {
    const known = Number(url.searchParams.get("index") ?? 0);
    const hash = url.searchParams.get("hash") ?? "";
    const wait = Number(url.searchParams.get("wait")?.replace("ms", "") ?? 0);
    const isSame = () => (hash !== "" ? hash === hashOf(lastPart(url)) : known >= index && known !== 0);
    if (!isSame()) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        if (hash !== "" && isSame() && !closing) return;
        clearTimeout(timer);
        waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(resolve, wait);
      waiting.add(wake);
    });
  };
  let misbehaviour: ((request: SeenRequest) => Misbehaviour | undefined) | undefined;

  const answer = (url: URL, body: string): { status: number; body: unknown } => {
    const path = decodeURIComponent(url.pathname);
    const last = lastPart(url);
    if (path === "/v1/acl/login") return { status: 200, body: { SecretID: `token-${requests.length}` } };
    if (path.startsWith("/v1/acl/")) return { status: 200, body: {} };
    if (path === "/v1/status/leader") return { status: 200, body: "10.0.0.1:8300" };
    if (path === "/v1/agent/services") {
      const proxiesOnly = url.searchParams.get("filter") === 'Kind == "connect-proxy"';
      const listed = [...services].filter(([, { Kind }]) => !proxiesOnly || Kind === "connect-proxy");
      return { status: 200, body: Object.fromEntries(listed) };
    }
    if (path === "/v1/agent/checks") return { status: 200, body: Object.fromEntries(checks) };
    if (path.startsWith("/v1/health/service/")) {
      const instances = [...services.values()].filter((service) => service.Service === last);
      const checksOf = (id: string) => [...checks.values()].filter((check) => check.ServiceID === id);
      const Node = { Node: "box1", Address: "10.9.9.9" };
      return { status: 200, body: instances.map((Service) => ({ Node, Service, Checks: checksOf(Service.ID) })) };
    }
    if (path === "/v1/agent/service/register") {
      const entry = JSON.parse(body) as FakeService & { Name: string; Checks: FakeCheck[] };
      registrations.push(entry as unknown as Record<string, unknown>);
      services.set(entry.ID, { ...entry, Service: entry.Name, Address: entry.Address ?? "", ModifyIndex: index + 1 });
      if (url.searchParams.has("replace-existing-checks")) {
        const given = entry.Checks.map(({ CheckID }) => CheckID);
        for (const [id, check] of checks) if (check.ServiceID === entry.ID && !given.includes(id)) checks.delete(id);
      }
      for (const check of entry.Checks) {
        // A check that is there keeps its status over a re-registration.
        const status = checks.get(check.CheckID)?.Status ?? check.Status;
        checks.set(check.CheckID, { ...check, ServiceID: entry.ID, Status: status, Output: "" });
      }
      return { status: 200, body: "" };
    }
    if (path.startsWith("/v1/agent/service/deregister/")) {
      if (!services.delete(last)) return { status: 500, body: `Unknown service "${last}"` };
      for (const [id, check] of checks) if (check.ServiceID === last) checks.delete(id);
      return { status: 200, body: "" };
    }
    if (path.startsWith("/v1/agent/service/")) {
      const service = services.get(last);
      return service ? { status: 200, body: service } : { status: 404, body: `unknown service ID: ${last}` };
    }
    if (path.startsWith("/v1/agent/check/deregister/")) {
      return checks.delete(last) ? { status: 200, body: "" } : { status: 404, body: `Unknown check ID "${last}"` };
    }
    const update = /^\/v1\/agent\/check\/(pass|fail)\/(.*)$/.exec(path);
    const check = update ? checks.get(update[2] ?? "") : undefined;
    if (!check) return { status: 500, body: `CheckID "${last}" does not have associated TTL` };
    check.Status = update?.[1] === "pass" ? "passing" : "critical";
    check.ModifyIndex = index + 1;
    check.Output = url.searchParams.get("note") ?? "";
    return { status: 200, body: "" };
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse) => {
    let body = "";
    for await (const chunk of incoming) body += String(chunk);
    const url = new URL(incoming.url ?? "/", "http://fake");
    const request: SeenRequest = {
      method: incoming.method ?? "",
      path: decodeURIComponent(incoming.url ?? ""),
      token: incoming.headers["x-consul-token"] as string | undefined,
    };
    requests.push(request);
    const how = misbehaviour?.(request);
    if (how === "hang") return;
    if (how === "reset") {
      response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
      response.write('{"half":');
      setTimeout(() => incoming.socket.resetAndDestroy(), 20);
      return;
    }
    if (how !== undefined && "delay" in how) await new Promise((resolve) => setTimeout(resolve, how.delay));
    const isHealth = url.pathname.startsWith("/v1/health/");
    if (how === undefined && (isHealth || url.searchParams.has("hash"))) await hold(url);
    const result = how !== undefined && "status" in how ? how : answer(url, body);
    if (request.method === "PUT") changed();
    const isText = typeof result.body === "string";
    response.writeHead(result.status, {
      "content-type": isText ? "text/plain" : "application/json",
      ...(isHealth && { "x-consul-index": index, "x-consul-knownleader": String(hasLeader) }),
      ...(url.pathname.startsWith("/v1/agent/service/") && { "x-consul-contenthash": hashOf(lastPart(url)) }),
    });
    response.end(isText ? (result.body as string) : JSON.stringify(result.body));
  };

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => response.destroy());
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    services,
    checks,
    requests,
    registrations,
    get index() {
      return index;
    },
    set index(to) {
      changed(to);
    },
    get hasLeader() {
      return hasLeader;
    },
    set hasLeader(to) {
      hasLeader = to;
    },
    get held() {
      return waiting.size;
    },
    status: (serviceId) => (services.has(serviceId) ? checks.get(`service:${serviceId}`)?.Status : undefined),
    misbehave: (how) => {
      misbehaviour = how;
    },
    loseState: () => {
      services.clear();
      checks.clear();
    },
    close: async () => {
      closing = true;
      for (const wake of Array.from(waiting)) wake();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How a request is answered instead of rightly. */
type NomadMisbehaviour =
  | "hang"
  /** Status 200, half of a body, then the end of the connection. */
  | "half"
  /** Status 200 and a list that does not end before so many bytes. */
  | { readonly bytes: number }
  | { readonly status: number; readonly body: string; readonly type?: string }
  /** Rightly, after so many milliseconds. */
  | { readonly delay: number }
  /** Rightly, at once, also a blocking query, and with this X-Nomad-Index; undefined: without one. */
  | { readonly index: number | undefined };

interface SeenNomadRequest {
  readonly path: string;
  readonly token: string | undefined;
}

/** As in an answer of GET /v1/service/:name of Nomad 2.0. */
interface FakeRegistration {
  readonly ID: string;
  readonly ServiceName: string;
  readonly Namespace: string;
  readonly Tags: readonly string[] | null;
  readonly Address: string;
  readonly Port: number;
  readonly AllocID: string;
  readonly NodeID: string;
  readonly JobID: string;
  readonly Datacenter: string;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

export interface FakeNomad {
  readonly url: string;
  /** The tokens that are known, with the namespaces that each may read; undefined: every token, and every namespace. */
  tokens: ReadonlyMap<string, readonly string[]> | undefined;
  readonly requests: SeenNomadRequest[];
  /** Queries that are being held. */
  readonly held: number;
  readonly index: number;
  /** Of the servers, as X-Nomad-KnownLeader says. */
  hasLeader: boolean;
  /** Registers an instance, as Nomad does when a task starts, and ends the queries that wait. @returns its id */
  register(instance: Partial<FakeRegistration> & Pick<FakeRegistration, "Tags" | "Port">): string;
  deregister(id: string): void;
  misbehave(how: ((request: SeenNomadRequest) => NomadMisbehaviour | undefined) | undefined): void;
  /** The socket goes away, with its connections. */
  stop(): Promise<void>;
  /** It is there again, at the same address, and counts from the beginning, as servers that have lost their state. */
  restart(index?: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Nomad's API as far as srv-epmd uses it, in memory: what real Nomad 2.0 was seen to answer, and what it cannot be made to.
 * @param path of the unix socket; undefined: a free TCP port
 */
export async function startFakeNomad(path?: string): Promise<FakeNomad> {
  const registrations = new Map<string, FakeRegistration>();
  const requests: SeenNomadRequest[] = [];
  const waiting = new Set<() => void>();
  let index = 10;
  let port = 0;
  let server: Server | undefined;
  let misbehaviour: ((request: SeenNomadRequest) => NomadMisbehaviour | undefined) | undefined;
  const wakeAll = () => {
    for (const wake of Array.from(waiting)) wake();
  };
  const changed = () => {
    index++;
    wakeAll();
  };

  const hold = async (url: URL) => {
    const known = Number(url.searchParams.get("index") ?? 0);
    if (known === 0 || known < index) return;
    const wait = Number(url.searchParams.get("wait")?.replace("ms", "") ?? 0);
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, wait);
      waiting.add(wake);
    });
  };

  const fake: FakeNomad = {
    get url() {
      return path === undefined ? `http://127.0.0.1:${port}` : `unix://${path}`;
    },
    tokens: undefined,
    hasLeader: true,
    requests,
    get held() {
      return waiting.size;
    },
    get index() {
      return index;
    },
    register: (given) => {
      const AllocID = given.AllocID ?? "0a1b2c3d-0000-0000-0000-000000000000";
      const ServiceName = given.ServiceName ?? "svc";
      const ID = given.ID ?? `_nomad-task-${AllocID}-group-node-${ServiceName}-dist-${registrations.size}`;
      const rest = { NodeID: "c1000000-0000-0000-0000-000000000000", JobID: "svc", Datacenter: "dc1" };
      const place = { Namespace: "default", Address: "127.0.0.1" };
      const indexes = { CreateIndex: index + 1, ModifyIndex: index + 1 };
      registrations.set(ID, { ...rest, ...place, ...indexes, ...given, ID, ServiceName, AllocID });
      changed();
      return ID;
    },
    deregister: (id) => {
      registrations.delete(id);
      changed();
    },
    misbehave: (how) => {
      misbehaviour = how;
    },
    stop: async () => {
      const stopped = server;
      server = undefined;
      stopped?.closeAllConnections();
      if (stopped) await new Promise((resolve) => stopped.close(resolve));
      wakeAll();
    },
    restart: async (from = 1) => {
      index = from;
      await listen();
    },
    close: async () => {
      await fake.stop();
      if (path !== undefined) await rm(path, { force: true });
    },
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse) => {
    const url = new URL(incoming.url ?? "/", "http://fake");
    const token = incoming.headers["x-nomad-token"] as string | undefined;
    const request = { path: decodeURIComponent(incoming.url ?? ""), token };
    requests.push(request);
    const plain = (status: number, body: string, type = "text/plain; charset=utf-8") => {
      response.writeHead(status, { "content-type": type });
      response.end(body);
    };
    const json = (value: unknown, at: number | undefined) => {
      const header = at === undefined ? {} : { "x-nomad-index": at, "x-nomad-knownleader": String(fake.hasLeader) };
      response.writeHead(200, { "content-type": "application/json", ...header });
      response.end(JSON.stringify(value));
    };
    const how = misbehaviour?.(request);
    if (how === "hang") return;
    if (how === "half") {
      response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
      response.write('[{"half":');
      setTimeout(() => incoming.socket.destroy(), 20);
      return;
    }
    if (how !== undefined && "bytes" in how) return endless(response, how.bytes);
    if (how !== undefined && "status" in how) return plain(how.status, how.body, how.type);
    if (how !== undefined && "delay" in how) await new Promise((resolve) => setTimeout(resolve, how.delay));
    // The task API wants a token, also where ACLs are off; without ACLs the agent's own port takes anything.
    if (path !== undefined && token === undefined) return plain(401, "Unauthorized");
    const namespaces = fake.tokens?.get(token ?? "");
    if (fake.tokens && !namespaces) return plain(403, path === undefined ? "Permission denied" : "Forbidden");
    const isEarly = how !== undefined && "index" in how;
    if (!isEarly) await hold(url);
    const namespace = url.searchParams.get("namespace") ?? "default";
    const mayRead = namespaces?.includes(namespace) ?? true;
    const all = Array.from(registrations.values()).filter((one) => mayRead && one.Namespace === namespace);
    const at = isEarly ? how.index : index;
    if (url.pathname === "/v1/services") {
      const names = Array.from(new Set(all.map(({ ServiceName }) => ServiceName)));
      const Services = names.map((ServiceName) => ({ ServiceName, Tags: [] }));
      return json(names.length === 0 ? [] : [{ Namespace: namespace, Services }], at);
    }
    const name = /^\/v1\/service\/([^/]+)$/.exec(decodeURIComponent(url.pathname))?.[1];
    if (name === undefined) return plain(404, "404 page not found");
    return json(
      all.filter(({ ServiceName }) => ServiceName === name),
      at,
    );
  };

  const listen = async () => {
    const made = createServer((incoming, response) => {
      serve(incoming, response).catch(() => response.destroy());
    });
    server = made;
    if (path === undefined) made.listen(port, "127.0.0.1");
    else {
      await rm(path, { force: true });
      made.listen(path);
    }
    await once(made, "listening");
    if (path === undefined) port = (made.address() as AddressInfo).port;
  };
  await listen();
  return fake;
}

/** A list that goes on until it has so many bytes, or nobody reads it. */
function endless(response: ServerResponse, bytes: number): void {
  const piece = Buffer.from(`${JSON.stringify({ ID: "x".repeat(60_000) })},`);
  response.writeHead(200, { "content-type": "application/json", "x-nomad-index": 11 });
  response.write("[");
  let left = bytes;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= piece.length;
      if (!response.write(piece)) return;
    }
    response.end("{}]");
  };
  response.on("drain", more);
  more();
}

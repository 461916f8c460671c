import { Agent, request } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { findLookUps } from "../../src/admin/core/recent-look-ups.js";
import { EventStreams } from "../../src/admin/event-streams.js";
import { createHttp } from "../../src/admin/http.js";
import { createRoutes, type Route, text } from "../../src/admin/routes.js";
import { Observations } from "../../src/daemon/core/observations.js";
import { type Peer, PeerLogs } from "../../src/epmd/peer.js";
import { collectLog } from "../support/log-lines.js";
import { linkedStatus } from "../support/status.js";
import { waitFor } from "../support/wait-for.js";

const open: (() => void)[] = [];

afterEach(() => {
  for (const close of open.splice(0)) close();
});

const LIMITS = { first: 200, next: 400 };

/** The HTTP server alone; its connections are handed to it as the daemon does. */
async function serve(routes: Record<string, Route>, isSpare: () => boolean = () => false): Promise<number> {
  const { log } = collectLog();
  const logs = new PeerLogs(log);
  const observations = new Observations();
  const streams = new EventStreams(observations, async () => "", log);
  const http = createHttp({ routes, streams, hosts: [], allow: [], limits: LIMITS, isSpare, logs });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    http.emit("connection", socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    streams.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

interface Client {
  readonly socket: Socket;
  readonly read: () => string;
  readonly isClosed: () => boolean;
}

function client(port: number): Client {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  let got = "";
  let closed = false;
  socket.on("data", (chunk) => {
    got += chunk.toString();
  });
  socket.on("close", () => {
    closed = true;
  });
  open.push(() => socket.destroy());
  return { socket, read: () => got, isClosed: () => closed };
}

/** A byte now and then, so that the connection is never idle. */
function trickle({ socket }: Client): void {
  const timer = setInterval(() => socket.writable && socket.write("a"), 20);
  socket.on("close", () => clearInterval(timer));
  open.push(() => clearInterval(timer));
}

const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
const BEGINNING = "GET /fast HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ";
const fast: Route = () => text(200, "done");

test("a request that never ends does not keep its place", async () => {
  const slow = client(await serve({ "/fast": fast }));
  slow.socket.write(BEGINNING);
  trickle(slow);
  await waitFor(slow.isClosed, { what: "the end of the connection" });
  expect(slow.read()).toBe("");
});

test("nor does one behind an answer", async () => {
  const slow = client(await serve({ "/fast": fast }));
  slow.socket.write(ask("/fast"));
  await waitFor(() => slow.read().endsWith("done\n"), { what: "the answer" });
  slow.socket.write(BEGINNING);
  trickle(slow);
  await waitFor(slow.isClosed, { what: "the end of the connection" });
});

test("requests that are sent ahead are not worked on all at once: the connection ends", async () => {
  let asked = 0;
  const slow: Route = async () => {
    asked++;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return text(200, "done");
  };
  const eager = client(await serve({ "/slow": slow }));
  eager.socket.write(ask("/slow").repeat(1000));
  await waitFor(eager.isClosed, { what: "the end of the connection" });
  expect(asked).toBe(1);
});

test("requests one after the other share a connection, and an answer may take its time", async () => {
  const slow: Route = async () => {
    await new Promise((resolve) => setTimeout(resolve, 2 * LIMITS.next));
    return text(200, "done");
  };
  const port = await serve({ "/slow": slow, "/fast": fast });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  open.push(() => agent.destroy());
  const ports = new Set<number | undefined>();
  for (const path of ["/fast", "/slow", "/fast", "/fast"]) {
    const status = await new Promise((resolve, reject) => {
      const sent = request({ host: "127.0.0.1", port, path, agent }, (response) => {
        ports.add(response.socket.localPort);
        response.resume().on("end", () => resolve(response.statusCode));
      });
      sent.on("error", reject).end();
    });
    expect(status).toBe(200);
  }
  expect(ports.size).toBe(1);
});

test("an event stream outlives the time that a request may take", async () => {
  const reader = client(await serve({}));
  reader.socket.write(ask("/v1/events"));
  await waitFor(() => reader.read().includes("retry: 1000"), { what: "the stream" });
  await new Promise((resolve) => setTimeout(resolve, 2 * LIMITS.next));
  expect(reader.isClosed()).toBe(false);
});

test("on a spare connection only health is told, and then it ends", async () => {
  const port = await serve({ "/livez": fast, "/readyz": fast, "/v1/status": fast }, () => true);
  for (const [path, status] of [
    ["/livez", 200],
    ["/readyz", 200],
    ["/v1/status", 503],
    ["/v1/events", 503],
    ["/nope", 503],
  ] as const) {
    const one = client(port);
    one.socket.write(ask(path));
    await waitFor(one.isClosed, { what: "the end of the connection" });
    expect(one.read()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  }
});

const peer: Peer = { address: "10.9.9.9", port: 5, dialled: "10.1.2.3", local: false, sameHost: false };

test.each(["n1@svc.service.consul", "n1.svc.service.consul", "web@localhost", "web@10.1.2.3", "n1@svc/4"])(
  "a stranger may not look up %s, which EPMD refuses it too",
  async (node) => {
    // Nothing is looked up: there is nothing to look up with.
    const routes = createRoutes({} as Parameters<typeof createRoutes>[0]);
    expect(
      await routes["/v1/resolve"]?.({ query: new URLSearchParams({ node }), peer, forUnknownPage: false }),
    ).toMatchObject({
      status: 403,
      body: expect.stringContaining("--allow 10.9.9.9"),
    });
  },
);

test("a stranger may not look through the catalog with patterns", async () => {
  const routes = createRoutes({} as Parameters<typeof createRoutes>[0]);
  const query = new URLSearchParams({ match: "*@secret" });
  expect(await routes["/v1/cluster"]?.({ query, peer, forUnknownPage: false })).toMatchObject({
    status: 403,
    body: expect.stringContaining("--allow 10.9.9.9"),
  });
});

test("a stranger may ask whether the nodes of --domain are linked, and those of no other service", async () => {
  const inCluster = {
    isServed: (pattern: string) => pattern.endsWith("@svc"),
    check: async () => ({ name: "cluster", ok: true }),
  };
  const status = { inCluster, readiness: async () => ({ ready: true, checks: [] }) };
  const deps = { status, onReadyAsked: () => {} };
  const routes = createRoutes(deps as unknown as Parameters<typeof createRoutes>[0]);
  const get = async (query: string, local = false) => {
    const asked = { query: new URLSearchParams(query), peer: { ...peer, local }, forUnknownPage: false };
    const reply = await routes["/readyz"]?.(asked);
    return `${reply?.status} ${reply?.body.includes("--allow 10.9.9.9")}`;
  };
  expect(await get("cluster=*@svc")).toBe("200 false");
  expect(await get("cluster=*@secret")).toBe("403 true");
  expect(await get("cluster=*@svc&cluster=*@secret")).toBe("403 true");
  expect(await get("cluster=*@secret", true)).toBe("200 false");
});

test("a stranger is not told the settings, nor the links of nodes; local peers are", async () => {
  const settings = { options: { domain: ["svc"] }, withheld: ["nodes-file"] };
  const links = [{ name: "node_a", state: "not-offered" }];
  const all = async (isLocal: boolean) => ({ hostName: "box1", settings, ...(isLocal && { links }) });
  const status = { epmdPort: 4369, settings: () => settings, all };
  const routes = createRoutes({ status } as unknown as Parameters<typeof createRoutes>[0]);
  const get = async (path: string, local: boolean) => {
    const asked = { query: new URLSearchParams(), peer: { ...peer, local }, forUnknownPage: false };
    const reply = await routes[path]?.(asked);
    return [reply?.status, reply?.status === 200 ? JSON.parse(reply.body) : reply?.body] as const;
  };
  expect(await get("/v1/settings", false)).toEqual([403, expect.stringContaining("--allow 10.9.9.9")]);
  expect(await get("/v1/status", false)).toEqual([200, { hostName: "box1" }]);
  expect(await get("/v1/status", true)).toEqual([200, { hostName: "box1", links, settings }]);
  const told = { version: expect.any(String), epmd: { port: 4369 }, ...settings };
  expect(await get("/v1/settings", true)).toEqual([200, told]);
});

test.each([
  [true, "2 links missing"],
  [false, "shown to local peers alone"],
])("the page draws links for local peers alone (local: %s)", async (local, words) => {
  const { links, problems, ...rest } = linkedStatus();
  // Missing links are a problem, which is found where the links are known.
  const without = { ...rest, problems: [] };
  const one = links?.filter(({ name }) => name !== "node_b") ?? [];
  const all = async (isLocal: boolean) => ({ ...without, ...(isLocal && { links: one, problems }) });
  const status = { all, lookUps: () => findLookUps([], { text: "", kind: "all" }) };
  const routes = createRoutes({ status } as unknown as Parameters<typeof createRoutes>[0]);
  const reply = await routes["/"]?.({ query: new URLSearchParams(), peer: { ...peer, local }, forUnknownPage: false });
  expect(reply?.body).toContain(words);
  expect(reply?.body.includes("not linked")).toBe(local);
});

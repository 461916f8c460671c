import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { IpPort } from "../../src/config/network-values.js";
import { type RelayServer, type RelayServerOptions, startRelayServer } from "../../src/relay/server.js";
import { collectLog, type LogLines } from "./log-lines.js";
import { temporaryFolder } from "./temporary.js";
import { waitFor } from "./wait-for.js";

/** Loopback addresses of this test process: others take the same ports on theirs. */
export const ADDRESS = `127.65.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
export const PORTS = { low: 61_000, high: 64_999 };

export interface TestRelay {
  readonly path: string;
  readonly server: RelayServer;
  readonly logged: LogLines;
}

/** The relay process's inside, in this process, until the test is over. */
export async function startRelay(options: Partial<RelayServerOptions> = {}): Promise<TestRelay> {
  const path = options.socket ?? (await relaySocket());
  const logged = collectLog();
  const server = await startRelayServer({
    ports: PORTS,
    untilIdle: false,
    descriptors: 10_000,
    log: logged.log,
    ...options,
    socket: path,
  });
  onTestFinished(server.close);
  return { path, server, logged };
}

/** Path of a control socket whose folder is not there yet. */
export async function relaySocket(): Promise<string> {
  return join(await temporaryFolder("relay"), "run", "relay.sock");
}

type Line = Readonly<Record<string, unknown>>;

/** A daemon's end of the control socket, with lines written by hand. */
export interface ControlClient {
  readonly socket: Socket;
  readonly lines: Line[];
  readonly write: (...lines: readonly (Line | string)[]) => void;
  /** The first line that has these values. */
  readonly line: (like: Line) => Promise<Line>;
  /** The reply to a request. */
  readonly ask: (request: Line) => Promise<Line>;
  readonly closed: Promise<void>;
}

export const HELLO = { type: "hello", version: 1, pid: 4711 };

export async function controlClient(path: string, ...first: readonly (Line | string)[]): Promise<ControlClient> {
  const socket = connect(path);
  onTestFinished(() => void socket.destroy());
  const lines: Line[] = [];
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    text += chunk;
    const complete = text.split("\n");
    text = complete.pop() ?? "";
    lines.push(...complete.map((line) => JSON.parse(line) as Line));
  });
  socket.on("error", () => undefined);
  const write: ControlClient["write"] = (...some) => {
    for (const one of some) socket.write(typeof one === "string" ? one : `${JSON.stringify(one)}\n`);
  };
  const line: ControlClient["line"] = (like) =>
    waitFor(() => lines.find((one) => Object.entries(like).every(([key, value]) => one[key] === value)), {
      what: `${JSON.stringify(like)} among ${JSON.stringify(lines)}`,
    });
  let id = 0;
  const client: ControlClient = {
    socket,
    lines,
    write,
    line,
    ask: (request) => {
      id += 1;
      write({ id, ...request });
      return line({ id });
    },
    closed: new Promise((resolve) => socket.once("close", () => resolve())),
  };
  write(...first);
  return client;
}

/** A daemon that said hello, and the relay process's first line. */
export async function daemon(path: string): Promise<ControlClient> {
  const client = await controlClient(path, HELLO);
  await client.line({ type: "hello" });
  return client;
}

/** Asks for a relay. @returns its port */
export async function ensure(client: ControlClient, node: string, endpoints: readonly IpPort[]): Promise<number> {
  const reply = await client.ask({ type: "ensure", node, address: ADDRESS, endpoints });
  if (reply.type !== "ensured") throw new Error(JSON.stringify(reply));
  return reply.port as number;
}

export interface TestPeer {
  readonly endpoint: IpPort;
  /** Accepted connections, in order; half-open allowed. */
  readonly sockets: Socket[];
  readonly accepted: (index: number) => Promise<Socket>;
}

/** A node elsewhere. @param onConnection what it does with each connection; it is not read when that does nothing */
export async function startPeer(onConnection: (socket: Socket) => void = () => undefined): Promise<TestPeer> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    sockets.push(socket);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as { port: number };
  return {
    endpoint: { address: "127.0.0.1", port },
    sockets,
    accepted: (index) => waitFor(() => sockets[index], { what: `connection ${index} at the peer` }),
  };
}

export const echo = (socket: Socket) => void socket.pipe(socket);

/** A VM here: connected to a relay, half-open allowed. */
export async function dialRelay(port: number): Promise<Socket> {
  const socket = connect({ port, host: ADDRESS, allowHalfOpen: true, noDelay: true });
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

/** All that a socket receives from now on. */
export function received(socket: Socket): () => string {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** How a connection ended: with the other side's FIN, or with this error. */
export function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.resume();
  });
}

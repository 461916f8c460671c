import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** Below Linux's ephemeral ports (32768 up), so that no outgoing connection takes a port between probe and use. */
const FIRST_PORT = 10_000;
const BLOCK_SIZE = 50;
const BLOCKS = 400;

const ports = portsOfThisProcess();

/** A port that is free for TCP and UDP on every address; no other test process is given the same one. */
export async function freePort(): Promise<number> {
  const { value } = await ports.next();
  return value;
}

export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) found.push(await freePort());
  return found;
}

/** Test files run in processes of their own: each claims a block of ports by listening on its first one. */
async function* portsOfThisProcess(): AsyncGenerator<number, never> {
  let block = (process.pid * 7) % BLOCKS;
  let claim: Server | undefined;
  for (let tries = 0; claim === undefined; tries++) {
    if (tries === BLOCKS) throw new Error("every block of test ports is taken");
    block = (block + 1) % BLOCKS;
    claim = await listen(FIRST_PORT + block * BLOCK_SIZE, "127.0.0.1");
  }
  claim.unref();
  for (let next = 1; ; next = (next % (BLOCK_SIZE - 1)) + 1) {
    const port = FIRST_PORT + block * BLOCK_SIZE + next;
    if (await isFree(port)) yield port;
  }
}

async function isFree(port: number): Promise<boolean> {
  for (const address of ["0.0.0.0", "::"]) {
    const server = await listen(port, address);
    if (!server) return false;
    server.close();
    await once(server, "close");
  }
  const socket = createSocket("udp4");
  const free = await new Promise<boolean>((resolve) => {
    socket.once("listening", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.bind(port, "0.0.0.0");
  });
  socket.close();
  return free;
}

function listen(port: number, host: string): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("listening", () => resolve(server));
    server.once("error", () => resolve(undefined));
    server.listen({ port, host, ipv6Only: true, exclusive: true });
  });
}

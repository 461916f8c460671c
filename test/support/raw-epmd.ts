import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "./wait-for.js";

/** A client that speaks EPMD in bytes, with no code of ours in between. */
export interface RawClient {
  readonly socket: Socket;
  readonly send: (bytes: Buffer) => void;
  /** All that came so far. */
  readonly bytes: () => Buffer;
  /** The first bytes, once there are so many. @throws when the server closes before */
  readonly receive: (length: number) => Promise<Buffer>;
  /** All bytes up to the server's close, in whatever way it closes. */
  readonly closed: (timeout?: number) => Promise<Buffer>;
  readonly isClosed: () => boolean;
  /** FIN, both ways. */
  readonly close: () => Promise<void>;
  /** RST. */
  readonly reset: () => void;
}

export interface RawOptions {
  /** Where the EPMD listens; 127.0.0.1. */
  readonly address?: string;
  /** Own address; one that is not a loopback makes a stranger of a client of 127.0.0.1. */
  readonly localAddress?: string | undefined;
}

export async function rawClient(
  port: number,
  { address = "127.0.0.1", localAddress }: RawOptions = {},
): Promise<RawClient> {
  const socket = connect({ port, host: address, noDelay: true, ...(localAddress !== undefined && { localAddress }) });
  const chunks: Buffer[] = [];
  let ended = false;
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("end", () => (ended = true));
  socket.on("close", () => (ended = true));
  await once(socket, "connect");
  // A reset is a close to these tests.
  socket.on("error", () => (ended = true));
  const bytes = () => Buffer.concat(chunks);
  return {
    socket,
    send: (sent) => void socket.write(sent),
    bytes,
    receive: async (length) => {
      await waitFor(() => ended || bytes().length >= length, { what: `${length} bytes from the EPMD`, interval: 5 });
      if (bytes().length >= length) return bytes().subarray(0, length);
      throw new Error(`the EPMD closed after ${bytes().length} of ${length} bytes`);
    },
    closed: async (timeout = 8000) => {
      await waitFor(() => ended, { what: "the EPMD to close", timeout, interval: 5 });
      return bytes();
    },
    isClosed: () => ended,
    close: async () => {
      if (socket.destroyed) return;
      socket.end();
      socket.destroy();
      await once(socket, "close");
    },
    reset: () => void socket.resetAndDestroy(),
  };
}

/** Sends a request and gives what came up to the close. */
export async function ask(port: number, request: Buffer, options: RawOptions = {}): Promise<Buffer> {
  const client = await rawClient(port, options);
  client.send(request);
  const answer = await client.closed();
  await client.close();
  return answer;
}

/** The names that NAMES lists, in its order; the header is not looked at. */
export async function liveNames(port: number): Promise<string[]> {
  const text = (await ask(port, request("n"))).subarray(4).toString();
  return Array.from(text.matchAll(/^name (.*) at port [0-9]+$/gm), ([, name = ""]) => name);
}

export interface Alive2Fields {
  readonly name: string | Buffer;
  readonly port?: number;
  readonly version?: number;
  /** 77: a normal node. */
  readonly type?: number;
  readonly extra?: Buffer;
}

/** ALIVE2_REQ with its length, laid out as erl_dist_protocol has it: protocol 0. */
export function alive2({ name, port = 4711, version = 5, type = 77, extra = Buffer.alloc(0) }: Alive2Fields): Buffer {
  const fixed = [type, 0x00, 0x00, version, 0x00, 0x05];
  return request(
    "x",
    u16(port),
    Buffer.from(fixed),
    u16(Buffer.from(name).length),
    Buffer.from(name),
    u16(extra.length),
    extra,
  );
}

/** A request of any opcode, with its length. */
export function request(opcode: string, ...rest: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat([Buffer.from(opcode), ...rest.map((part) => Buffer.from(part))]);
  return Buffer.concat([u16(body.length), body]);
}

/** 16 bits, most significant byte first. */
export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** Registers and stays. @throws when it is refused */
export async function rawNode(port: number, fields: Alive2Fields, options: RawOptions = {}): Promise<RawClient> {
  const client = await rawClient(port, options);
  client.send(alive2({ version: 6, ...fields }));
  const answer = await client.receive(6);
  if (answer[0] !== 0x76 || answer[1] !== 0)
    throw new Error(`registration of ${fields.name} was answered ${answer.toString("hex")}`);
  return client;
}

/** One byte after the other, with a pause before each. */
export async function sendSlowly(client: RawClient, bytes: Buffer, pause: number): Promise<void> {
  for (const byte of bytes) {
    await sleep(pause);
    client.send(Buffer.of(byte));
  }
}

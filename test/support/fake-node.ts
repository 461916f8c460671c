import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";

/** What a fake does with a connection: `received` are all bytes up to now, called with each piece that comes. */
export type Behaviour = (socket: Duplex, received: Buffer, connection: number) => void;

/** Listens on a free port of 127.0.0.1 until the test is over. */
export async function listenWith(onConnection: (socket: Socket, connection: number) => void): Promise<number> {
  let connections = 0;
  return bound(createServer((socket) => onConnection(socket, connections++)));
}

export async function bound(server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return (server.address() as AddressInfo).port;
}

/** A fake that acts on what it has been sent. */
export function fakeNode(behaviour: Behaviour): Promise<number> {
  return listenWith((socket, connection) => act(socket, behaviour, connection));
}

export function act(socket: Duplex, behaviour: Behaviour, connection = 0): void {
  let received = Buffer.alloc(0);
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    behaviour(socket, received, connection);
  });
}

const uint16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);

/** A message with its length; four octets over TLS. */
export function framed(body: Buffer | string, octets: 2 | 4 = 2): Buffer {
  const bytes = Buffer.from(body);
  return Buffer.concat([octets === 4 ? Buffer.of(0, 0) : Buffer.alloc(0), uint16(bytes.length), bytes]);
}

/** <<$N, Flags:64, Challenge:32, Creation:32, NameLen:16>>, name: flags of OTP 25, creation 7. */
export function challenge6(name: string, flags = "0000000d07df7fbd"): Buffer {
  const head = Buffer.from(`4e${flags}0102030400000007`, "hex");
  return Buffer.concat([head, uint16(Buffer.from(name).length), Buffer.from(name)]);
}

/** <<$n, Version:16, Flags:32, Challenge:32>>, name: flags of OTP 22. */
export function challenge5(name: string): Buffer {
  return Buffer.concat([Buffer.from("6e00050007dfbd01020304", "hex"), Buffer.from(name)]);
}

/** Name in the send_name that came, of either version. */
export function sentName(received: Buffer): string {
  return /srv-epmd-probe-.*$/s.exec(received.toString("latin1"))?.[0] ?? "";
}

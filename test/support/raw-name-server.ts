import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { freePort } from "./free-port.js";

/** A message as it came, octet by octet. */
export interface RawQuery {
  readonly transport: "udp" | "tcp";
  readonly bytes: Buffer;
  readonly fromPort: number;
}

/** What is sent back as it is; undefined: nothing. */
export type RawHandler = (query: RawQuery) => Buffer | readonly Buffer[] | undefined | Promise<Buffer | undefined>;

export interface RawNameServer {
  readonly address: string;
  readonly port: number;
  readonly queries: readonly RawQuery[];
  readonly close: () => Promise<void>;
}

/** A name server that knows nothing of DNS: for what must pass unchanged. */
export async function startRawNameServer(handler: RawHandler): Promise<RawNameServer> {
  const address = "127.0.0.1";
  const port = await freePort();
  const queries: RawQuery[] = [];
  const connections = new Set<net.Socket>();
  let open = true;
  const answer = async (query: RawQuery, send: (response: Buffer) => void) => {
    queries.push(query);
    const responses = [(await handler(query)) ?? []].flat();
    if (open) for (const response of responses) send(response);
  };
  const udp = dgram.createSocket("udp4");
  udp.on("message", (bytes, from) => {
    const query = { transport: "udp" as const, bytes, fromPort: from.port };
    void answer(query, (response) => udp.send(response, from.port, from.address, () => {}));
  });
  const tcp = net.createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => {});
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const query = { transport: "tcp" as const, bytes: received.subarray(2), fromPort: socket.remotePort ?? 0 };
      void answer(query, (response) => {
        socket.write(Buffer.concat([Buffer.from([response.length >> 8, response.length & 0xff]), response]));
      });
    });
  });
  tcp.listen(port, address);
  await once(tcp, "listening");
  udp.bind(port, address);
  await once(udp, "listening");
  return {
    address,
    port,
    queries,
    close: async () => {
      open = false;
      for (const socket of connections) socket.destroy();
      udp.close();
      tcp.close();
      await once(tcp, "close");
    },
  };
}

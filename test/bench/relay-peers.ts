import { type Child, startChild } from "../support/child.js";

/** Programs of their own: the relay between them has its core to itself as far as there are cores. */
const SINK = `
const { createServer, Socket } = require("node:net");
const buffer = Buffer.allocUnsafeSlow(1 << 20);
createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
  let bytes = 0;
  const handle = accepted._handle;
  accepted._handle = null;
  const socket = new Socket({ handle, allowHalfOpen: true, onread: { buffer, callback: (size) => { bytes += size; return true; } } });
  socket.on("error", () => {});
  socket.on("end", () => socket.end(String(bytes)));
}).listen(Number(process.argv[1]), "127.0.0.1", () => console.log("listening"));
`;

const ECHO = `
require("node:net").createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.on("data", (bytes) => socket.write(bytes));
}).listen(Number(process.argv[1]), "127.0.0.1", () => console.log("listening"));
`;

/**
 * One line of commands, one line of result: "send host port MiB" in MiB/s, "rtt host port count" in microseconds, "burst host port
 * count" in milliseconds until each of count connections has had its echo.
 */
const CLIENT = `
const { connect } = require("node:net");
const chunk = Buffer.alloc(256 * 1024);
const send = (host, port, mib) => new Promise((resolve, reject) => {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  let left = mib * 4, started, count = "";
  const write = () => {
    while (left-- > 0) if (!socket.write(chunk) && socket.writableLength > 0) return;
    socket.end();
  };
  socket.on("connect", () => { started = performance.now(); write(); });
  socket.on("drain", write);
  socket.on("data", (bytes) => { count += bytes; });
  socket.on("error", reject);
  socket.on("end", () => {
    if (Number(count) !== mib * 1024 * 1024) reject(new Error(count + " bytes arrived"));
    resolve(mib / ((performance.now() - started) / 1000));
  });
});
const WARM = 300;
const rtt = (host, port, count) => new Promise((resolve, reject) => {
  const socket = connect({ host, port, noDelay: true });
  const times = [];
  let got = 0, at;
  const write = () => { got = 0; at = performance.now(); socket.write(chunk.subarray(0, 64)); };
  socket.on("connect", write);
  socket.on("error", reject);
  socket.on("data", (bytes) => {
    got += bytes.length;
    if (got < 64) return;
    times.push(performance.now() - at);
    if (times.length < count + WARM) return write();
    socket.destroy();
    const sorted = times.slice(WARM).sort((a, b) => a - b);
    resolve(sorted[sorted.length >> 1] * 1000);
  });
});
const burst = (host, port, count) => new Promise((resolve, reject) => {
  const started = performance.now();
  const sockets = [];
  let waiting = count;
  for (let n = 0; n < count; n++) {
    const socket = connect({ host, port, noDelay: true });
    sockets.push(socket);
    let got = 0;
    socket.write(chunk.subarray(0, 64));
    socket.on("error", reject);
    socket.on("data", (bytes) => {
      got += bytes.length;
      if (got < 64 || --waiting > 0) return;
      const took = performance.now() - started;
      for (const one of sockets) one.destroy();
      resolve(took);
    });
  }
});
require("node:readline").createInterface(process.stdin).on("line", async (line) => {
  const [what, host, port, count] = line.split(" ");
  const done = { send, rtt, burst }[what](host, Number(port), Number(count));
  console.log(await done.catch((error) => error.message));
});
`;

export interface BenchPeers {
  /** MiB/s to the sink through `host:port`. */
  readonly send: (host: string, port: number, mib: number) => Promise<number>;
  /** Median round trip of 64 bytes with the echo through `host:port`, microseconds. */
  readonly roundTrip: (host: string, port: number, count: number) => Promise<number>;
  /** Milliseconds until each of so many connections that begin at once has had its echo. */
  readonly burst: (host: string, port: number, count: number) => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** A sender, a receiver and an echo. */
export async function startBenchPeers(sink: number, echo: number): Promise<BenchPeers> {
  const node = (program: string, ...args: readonly string[]) => startChild(process.execPath, ["-e", program, ...args]);
  const servers = [node(SINK, String(sink)), node(ECHO, String(echo))];
  for (const server of servers) await server.waitForOutput(/listening/);
  const client = node(CLIENT);
  let results = 0;
  const ask = async (command: string) => {
    client.write(`${command}\n`);
    const lines = await nextLine(client, results);
    results += 1;
    const value = Number(lines);
    if (Number.isNaN(value)) throw new Error(`${command}: ${lines}`);
    return value;
  };
  return {
    send: (host, port, mib) => ask(`send ${host} ${port} ${mib}`),
    roundTrip: (host, port, count) => ask(`rtt ${host} ${port} ${count}`),
    burst: (host, port, count) => ask(`burst ${host} ${port} ${count}`),
    stop: async () => {
      await Promise.all([...servers, client].map((child) => child.kill()));
    },
  };
}

/** The line behind as many as have been read. */
async function nextLine(child: Child, read: number): Promise<string> {
  const pattern = new RegExp(`^(?:.*\\n){${read}}(.*)\\n`);
  return (await child.waitForOutput(pattern, 60_000))[1] ?? "";
}

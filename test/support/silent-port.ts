import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { onTestFinished } from "vitest";

/** Listens and never accepts: its thread is asleep, and the system queues no more than a few connections for it. */
const LISTEN_AND_SLEEP = `
  const { createServer } = require("node:net");
  const { parentPort, workerData } = require("node:worker_threads");
  const server = createServer().listen({ port: 0, host: workerData, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });
`;
/** Milliseconds without an answer after which a connection will have none. */
const SILENCE = 50;

/** A port that neither accepts connections nor refuses them, until the test is over. */
export async function silentPort(address = "127.0.0.1"): Promise<number> {
  const worker = new Worker(LISTEN_AND_SLEEP, { eval: true, workerData: address });
  const sockets: Socket[] = [];
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await worker.terminate();
  });
  const [port] = (await once(worker, "message")) as [number];
  for (;;) {
    const socket = connect(port, address);
    socket.on("error", () => {});
    sockets.push(socket);
    await Promise.race([once(socket, "connect"), sleep(SILENCE)]);
    // Under load the time may end before a connection that was made is seen: that takes one turn of the event loop.
    await turn();
    if (socket.connecting) return port;
  }
}

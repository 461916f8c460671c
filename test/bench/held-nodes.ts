import { connect, type Socket } from "node:net";
import { alive2 } from "../support/raw-epmd.js";

const ALIVE2_X_RESP = 118;
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/** Nodes that are registered, a connection each. */
export interface HeldNodes {
  /** Ends all connections, as VMs do that end. */
  readonly release: () => void;
}

interface HeldOptions {
  readonly count: number;
  /** Number of the first name; 0. */
  readonly from?: number;
  /** Registrations under way with one EPMD; stock epmd has a backlog of 5. */
  readonly atOnce?: number;
}

/**
 * Registers n0, n1, ... in the bytes of a stock VM, in equal shares: the first names with the first EPMD. Nothing listens at their ports.
 * @throws when one is refused
 */
export async function holdNodes(
  epmds: readonly number[],
  { count, from = 0, atOnce = count }: HeldOptions,
): Promise<HeldNodes> {
  const sockets: Socket[] = [];
  const share = Math.ceil(count / epmds.length);
  const registerAll = async (epmd: number, first: number, end: number) => {
    let next = first;
    const one = async () => {
      while (next < end) sockets.push(await register(epmd, from + next++));
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, end - first) }, one));
  };
  await Promise.all(epmds.map((epmd, index) => registerAll(epmd, index * share, Math.min(count, (index + 1) * share))));
  return {
    release: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function register(epmd: number, number: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: epmd, host: "127.0.0.1", noDelay: true });
    socket.write(alive2({ name: `n${number}`, port: FIRST_PORT + (number % PORTS), version: 6 }));
    socket.once("data", (answer) => {
      if (answer[0] === ALIVE2_X_RESP && answer[1] === 0) resolve(socket);
      else reject(new Error(`the registration of n${number} was answered ${answer.toString("hex")}`));
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`the EPMD closed the connection of n${number}`)));
  });
}

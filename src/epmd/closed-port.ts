import { connect } from "node:net";
import type { IpPort } from "../core/network-values.js";

/** A VM waits 10 s for the answer to its registration (erl_epmd.erl). Milliseconds. */
const CONNECT_TIMEOUT = 2_000;

/**
 * Whether nothing listens at a port: the machine refuses the connection. Silence, or no way to it, says nothing of whoever
 * may listen there: a firewall, a backlog that is full.
 * @param limit milliseconds
 */
export function isClosedPort({ address, port }: IpPort, limit = CONNECT_TIMEOUT): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: limit });
    const done = (closed: boolean) => {
      socket.destroy();
      resolve(closed);
    };
    socket.once("connect", () => done(false));
    socket.once("timeout", () => done(false));
    // Stays for an error after the end: without a listener that would be thrown.
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code === "ECONNREFUSED"));
  });
}

import dgram from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import type { Logger } from "../daemon/logger.js";
import { type Respond, toPeer } from "./query-peer.js";

export interface Listening {
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** Rejects with the system's error when the port cannot be bound. */
export async function startUdpResponder(
  at: { address: string; port: number },
  respond: Respond,
  log: Logger,
): Promise<Listening> {
  const socket = dgram.createSocket(isIPv6(at.address) ? "udp6" : "udp4");
  let open = true;
  socket.on("message", (query, from) => {
    // RFC 768: source port 0 means that no reply is expected, and none can be sent there.
    if (from.port === 0) return;
    respond(query, toPeer("udp", from))
      .then((response) => {
        // What the network says of one answer (EMSGSIZE, EHOSTUNREACH) is the asker's to find out: it asks again.
        if (response && open) socket.send(response, from.port, from.address, () => {});
      })
      .catch((err: unknown) => log.error({ peer: from.address, err }, "DNS response could not be sent"));
  });
  const listening = once(socket, "listening");
  socket.bind(at.port, at.address);
  try {
    await listening;
  } catch (error) {
    socket.close();
    throw error;
  }
  // Errors of single datagrams must not end the daemon.
  socket.on("error", () => {});
  return {
    port: socket.address().port,
    close: async () => {
      if (!open) return;
      open = false;
      await new Promise<void>((resolve) => {
        socket.close(resolve);
      });
    },
  };
}

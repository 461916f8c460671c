import { Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { start } from "../../src/daemon/daemon.js";
import { collectLog } from "../support/log-lines.js";
import { ask, rawNode, request } from "../support/raw-epmd.js";
import { serveConfig } from "../support/registered-node.js";

afterEach(() => {
  vi.restoreAllMocks();
});

test("the connection of a node, which may have several answers, sends each at once and is probed; that of a look-up ends with its answer", async () => {
  const running = await start(serveConfig({ port: "0", admin: "none" }), { log: collectLog().log });
  /** The clients at the other end of the daemon's sockets. */
  const clientsOf = (contexts: readonly unknown[]) => {
    const sockets = contexts.filter((context) => context instanceof Socket);
    return sockets.filter(({ localPort }) => localPort === running.port).map(({ remotePort }) => remotePort);
  };
  const noDelay = vi.spyOn(Socket.prototype, "setNoDelay");
  const keepAlive = vi.spyOn(Socket.prototype, "setKeepAlive");
  const node = await rawNode(running.port, { name: "node_a" });
  const answer = await ask(running.port, request("z", "node_a"));
  expect(answer.subarray(0, 2)).toEqual(Buffer.of(119, 0));
  const kept = [node.socket.localPort];
  expect([clientsOf(noDelay.mock.contexts), clientsOf(keepAlive.mock.contexts)]).toEqual([kept, kept]);
  expect(noDelay).toHaveBeenCalledWith(true);
  await node.close();
  await running.close();
});

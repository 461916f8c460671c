import { Socket } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { OpenSockets } from "../../src/os/open-sockets.js";

test("in whatever order sockets close, those that are left are known, and are ended", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 20 }), fc.infiniteStream(fc.nat()), async (stays, order) => {
      const open = new OpenSockets();
      const sockets = stays.map(() => new Socket());
      for (const socket of sockets) open.add(socket);
      const leaving = sockets.filter((_, index) => !stays[index]);
      while (leaving.length > 0) {
        const [socket] = leaving.splice((order.next().value ?? 0) % leaving.length, 1);
        // As its close is told, which comes later.
        socket?.emit("close", false);
      }
      const left = sockets.filter((_, index) => stays[index]);
      expect(open.size).toBe(left.length);
      await open.destroy();
      expect(open.size).toBe(0);
      expect(sockets.filter(({ destroyed }) => destroyed)).toEqual(left);
    }),
  );
});

test("the end of all waits until each has emitted its close", async () => {
  const open = new OpenSockets();
  const socket = new Socket();
  open.add(socket);
  let isClosed = false;
  socket.on("close", () => {
    isClosed = true;
  });
  await open.destroy();
  expect(isClosed).toBe(true);
});

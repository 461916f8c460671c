import { expect, test } from "vitest";
import { lookAt } from "../../src/doctor/local-epmd.js";
import { fakeNode } from "../support/fake-node.js";

test("a srv-epmd that stops between two questions is no stock epmd", async () => {
  const asked: number[] = [];
  const port = await fakeNode((socket, received) => {
    asked.push(received[2] ?? 0);
    // NAMES is answered once; then connections are closed, as by a daemon that stops.
    if (asked.length === 1) socket.end(Buffer.from("00001111", "hex"));
    else socket.end();
  });
  expect((await lookAt("127.0.0.1", port)).kind).toBe("other");
  expect(asked).toEqual([0x6e, 0x7a, 0x6e]);
});

import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { adopt } from "../../src/relay/link.js";

test("a socket whose handle is not to be had is read itself, and stops when it is told to", async () => {
  const stream = new PassThrough({ readableHighWaterMark: 4 });
  stream.pause();
  const got: string[] = [];
  const callback = (size: number, buffer: Uint8Array) => {
    got.push(Buffer.from(buffer.subarray(0, size)).toString());
    return got.length !== 1;
  };
  const socket = adopt(stream as unknown as Socket, { buffer: Buffer.alloc(1), callback });
  expect(socket).toBe(stream);
  for (const text of ["one", "two", "three"]) stream.write(text);
  await turn();
  await turn();
  expect(got).toEqual(["one"]);
  socket.resume();
  await turn();
  await turn();
  expect(got).toEqual(["one", "two", "three"]);
});

import type { ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { EventStreams } from "../../src/admin/event-streams.js";
import { Observations } from "../../src/daemon/core/observations.js";
import { collectLog } from "../support/log-lines.js";
import { waitFor } from "../support/wait-for.js";

const { log } = collectLog();
const LOCAL = { local: true };
const STRANGER = { local: false };

/** As much of a response as a stream of events needs; nobody reads it before `resume`. */
function reader(): PassThrough & { asResponse: ServerResponse } {
  const response = new PassThrough();
  return Object.assign(response, {
    asResponse: Object.assign(response, { writeHead: () => response }) as unknown as ServerResponse,
  });
}

test("a reader that takes nothing is let go, and the others go on", async () => {
  const observations = new Observations();
  const streams = new EventStreams(observations, async () => "", log);
  const [mute, eager] = [reader(), reader()];
  let read = "";
  eager.on("data", (chunk: Buffer) => {
    read += chunk.toString();
  });
  for (const { asResponse } of [mute, eager]) streams.add(asResponse, LOCAL);
  for (let port = 0; !mute.destroyed; port++) {
    expect(mute.writableLength + mute.readableLength).toBeLessThan(400 * 1024);
    observations.emit({ type: "node", change: "registered", name: "x".repeat(200), port });
    await new Promise(setImmediate);
  }
  observations.emit({ type: "node", change: "unregistered", name: "last", port: 1 });
  await waitFor(() => read.includes('"last"'), { what: "the last event" });
  streams.close();
  expect(eager.destroyed).toBe(true);
});

test("nothing is looked at while nobody reads", async () => {
  let looks = 0;
  const streams = new EventStreams(new Observations(), async () => String(looks++), log);
  expect(looks).toBe(0);
  const only = reader();
  streams.add(only.asResponse, LOCAL);
  await waitFor(() => looks === 1, { what: "a look" });
  only.destroy();
  await waitFor(() => only.closed, { what: "its end" });
  const before = looks;
  await new Promise((resolve) => setTimeout(resolve, 1100));
  expect(looks).toBe(before);
});

test("a look that fails is no end of the looking, nor of the daemon", async () => {
  const logged = collectLog();
  let looks = 0;
  const streams = new EventStreams(
    new Observations(),
    async () => {
      if (++looks === 1) throw new Error("no such thing");
      return String(looks);
    },
    logged.log,
  );
  const only = reader();
  streams.add(only.asResponse, LOCAL);
  await waitFor(() => looks > 1, { what: "another look" });
  streams.close();
  expect(logged.messages("error")).toHaveLength(1);
});

test("strangers leave half of the streams to local peers, whose places come back", () => {
  const streams = new EventStreams(new Observations(), async () => "", log);
  const add = (who: typeof LOCAL) => {
    const one = reader();
    return { one, added: streams.add(one.asResponse, who) };
  };
  const strangers = Array.from({ length: 40 }, () => add(STRANGER));
  expect(strangers.filter(({ added }) => added)).toHaveLength(16);
  const locals = Array.from({ length: 40 }, () => add(LOCAL));
  expect(locals.filter(({ added }) => added)).toHaveLength(16);
  strangers[0]?.one.emit("close");
  expect(add(STRANGER).added).toBe(true);
  streams.close();
});

test("what only local peers may see is looked at for them alone", async () => {
  const looks: boolean[] = [];
  const streams = new EventStreams(new Observations(), async (isLocal) => String(looks.push(isLocal)), log);
  streams.add(reader().asResponse, STRANGER);
  await waitFor(() => looks.length === 2, { what: "two looks" });
  expect(looks).toEqual([false, false]);
  streams.add(reader().asResponse, LOCAL);
  await waitFor(() => looks.at(-1), { what: "a look for the local one" });
  streams.close();
});

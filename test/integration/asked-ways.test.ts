import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { askedWays } from "../../src/resolve/asked-ways.js";
import { type Way, wayWords } from "../../src/resolve/core/ways-in.js";
import { freePort } from "../support/free-port.js";

/** An EPMD that gives every name this port, says that it has none, or closes. */
async function epmd(answer: number | "none" | "closes") {
  const bytes = answer === "closes" ? [] : answer === "none" ? [119, 1] : [119, 0, answer >> 8, answer & 255];
  const rest = typeof answer === "number" ? [77, 0, 0, 6, 0, 5, 0, 1, 97, 0, 0] : [];
  const server = createServer((socket) => socket.once("data", () => socket.end(Buffer.from([...bytes, ...rest]))));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return { asks: `127.0.0.1:${port}`, close: () => server.close() };
}

test("what a stock VM would dial is said as the EPMD on its way says it, not as it should be", async () => {
  const [right, other, none, closes] = await Promise.all([epmd(9100), epmd(9200), epmd("none"), epmd("closes")]);
  const nobody = `127.0.0.1:${await freePort()}`;
  const host = (asks: string): Way => ({ way: "host", family: 4, asks, dials: "127.0.0.1:9100" });
  const ways: Way[] = [
    { way: "module", family: 4, dials: "10.0.0.9:9100" },
    { way: "host", reason: "no address" },
    host(right.asks),
    host(other.asks),
    host(none.asks),
    host(closes.asks),
    host(nobody),
    { way: "gateway", asks: other.asks, dials: "127.0.0.1" },
    { way: "gateway", asks: none.asks, dials: "127.0.0.1" },
  ];
  const asked = await askedWays(ways, "a", { timeout: 1_000, fallback: [] });
  for (const one of [right, other, none, closes]) one.close();
  expect(asked.slice(0, 3)).toEqual(ways.slice(0, 3));
  expect(asked.slice(3).map(({ dials, reason }) => dials ?? reason)).toEqual([
    `the EPMD at ${other.asks} gives port 9200, and the node is at 127.0.0.1:9100`,
    `the EPMD at ${none.asks} gives no port for a`,
    expect.stringContaining(`${closes.asks} closed the connection without an answer`),
    expect.stringMatching(/cannot ask the EPMD at .*ECONNREFUSED/),
    "127.0.0.1:9200",
    `the EPMD at ${none.asks} gives no port for a`,
  ]);
  expect(wayWords(asked[5] as Way)).toMatch(/^host, IPv4: a stock VM asks .* and reaches nothing: .* closed the conn/);
});

test("the question is that of a srv-epmd, which counts as no look-up of a VM, unless --fallback is to answer it", async () => {
  const questions: Buffer[] = [];
  const server = createServer((socket) =>
    socket.once("data", (bytes) => {
      questions.push(bytes);
      socket.end(Buffer.from([119, 1]));
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const asks = `127.0.0.1:${(server.address() as { port: number }).port}`;
  for (const fallback of [[], ["epmd"] as const]) {
    await askedWays([{ way: "gateway", asks, dials: "127.0.0.1" }], "a", { timeout: 1_000, fallback });
  }
  server.close();
  expect(questions.map((bytes) => bytes.subarray(3).toString())).toEqual(["a\0", "a"]);
});

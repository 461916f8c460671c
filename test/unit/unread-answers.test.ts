import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { UnreadAnswers } from "../../src/epmd/connection.js";

/** A client that takes nothing until it is told to. */
function slowClient(bytes: number) {
  let take = () => {};
  const duplex = new Duplex({
    read: () => {},
    write: (_chunk, _encoding, done) => {
      take = () => done();
    },
  });
  duplex.end(Buffer.alloc(bytes));
  return { duplex, take: () => take() };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("of thousands that do not read their answers those go that wait longest, and memory has a bound", async () => {
  const unread = new UnreadAnswers(1_000_000);
  const clients = Array.from({ length: 3_000 }, () => slowClient(100_000));
  for (const { duplex } of clients) unread.keep(duplex);
  await settled();
  const open = clients.filter(({ duplex }) => !duplex.destroyed);
  expect(open).toEqual(clients.slice(-10));
});

test("a client that has taken its answer, or has gone, takes no room from others", async () => {
  const unread = new UnreadAnswers(1_000_000);
  for (let round = 0; round < 50; round++) {
    const [reader, leaver] = [slowClient(400_000), slowClient(400_000)];
    for (const { duplex } of [reader, leaver]) unread.keep(duplex);
    reader.duplex.on("finish", () => reader.duplex.destroy());
    reader.take();
    leaver.duplex.destroy();
    await settled();
  }
  const last = slowClient(900_000);
  unread.keep(last.duplex);
  expect(last.duplex.destroyed).toBe(false);
});

test("short answers are not counted", () => {
  const unread = new UnreadAnswers(10_000);
  const clients = Array.from({ length: 100 }, () => slowClient(4_096));
  for (const { duplex } of clients) unread.keep(duplex);
  expect(clients.every(({ duplex }) => !duplex.destroyed)).toBe(true);
});

describe("a client that stays, as a registered one does,", () => {
  /** Written to, and not ended. */
  function stayingClient(bytes: number) {
    let take = () => {};
    const duplex = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => {
        take = () => done();
      },
    });
    const write = () => void duplex.write(Buffer.alloc(bytes));
    write();
    return { duplex, write, take: () => take() };
  }

  test("counts with all of its answers", () => {
    const unread = new UnreadAnswers(1_000_000);
    const [first, second] = [stayingClient(400_000), stayingClient(400_000)];
    for (const { duplex } of [first, second]) unread.keep(duplex);
    second.write();
    unread.keep(second.duplex);
    expect([first.duplex.destroyed, second.duplex.destroyed]).toEqual([true, false]);
  });

  test("is not dropped once it has read, however long ago it was asked", async () => {
    const unread = new UnreadAnswers(1_000_000);
    const [reader, other, last] = [stayingClient(400_000), stayingClient(400_000), stayingClient(400_000)];
    for (const { duplex } of [reader, other]) unread.keep(duplex);
    reader.take();
    await settled();
    unread.keep(last.duplex);
    expect([reader, other, last].map(({ duplex }) => duplex.destroyed)).toEqual([false, false, false]);
  });

  test("is counted until it has closed: thousands that ask in one moment find no room", async () => {
    const unread = new UnreadAnswers(1_000_000);
    for (let index = 0; index < 30 && !unread.isFull; index++) unread.keep(stayingClient(100_000).duplex);
    expect(unread.isFull).toBe(true);
    await settled();
    expect(unread.isFull).toBe(false);
  });
});

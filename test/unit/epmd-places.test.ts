import { describe, expect, test } from "vitest";
import { connectionLimit } from "../../src/epmd/server.js";
import { Places } from "../../src/os/sockets.js";

describe("places", () => {
  test("are full when all are taken, and that is told once until half of them are free again", () => {
    const places = new Places(4);
    const told: boolean[] = [];
    for (let index = 0; index < 4; index++) {
      expect(places.full).toBe(false);
      places.take();
    }
    expect(places.full).toBe(true);
    told.push(places.tell(), places.tell());
    // One goes and another comes: that is no news.
    places.leave();
    places.take();
    told.push(places.tell());
    for (let index = 0; index < 3; index++) places.leave();
    for (let index = 0; index < 3; index++) places.take();
    told.push(places.tell());
    expect(told).toEqual([true, false, false, true]);
  });
});

test.each([
  { openFiles: undefined, wanted: 4096, limit: 4096 },
  { openFiles: 1_048_576, wanted: 4096, limit: 4096 },
  { openFiles: 1024, wanted: 4096, limit: 768 },
  { openFiles: 1024, wanted: 100, limit: 100 },
  { openFiles: 64, wanted: 4096, limit: 32 },
  { openFiles: 3, wanted: 4096, limit: 2 },
])("of $wanted connections $openFiles open files allow $limit: some descriptors are for the daemon itself", (given) => {
  expect(connectionLimit(given.wanted, given.openFiles)).toBe(given.limit);
});

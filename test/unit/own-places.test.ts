import { describe, expect, test } from "vitest";
import { type OwnPlaces, otherPlaces } from "../../src/resolve/core/own-places.js";

describe("published places of the name of a node that lives here", () => {
  const own: OwnPlaces = {
    port: 9100,
    addresses: ["127.0.0.1", "10.0.0.1", "fd00::1"],
    advertised: undefined,
    registered: new Set(),
  };
  const v4 = (address: string, port = 9100) => ({ address, port, family: 4 as const });
  const v6 = (address: string, port = 9100) => ({ address, port, family: 6 as const });
  const others = (places: readonly ReturnType<typeof v4 | typeof v6>[], over: Partial<OwnPlaces> = {}) =>
    otherPlaces(places, { ...own, ...over }).map(({ place, isCertain }) => `${place.address} ${isCertain}`);

  test("are its own at an address of this machine with its port", () => {
    expect(others([v4("10.0.0.1"), v6("fd00::1"), v4("127.0.0.1")])).toEqual([]);
  });

  test("are others' where it is published at an address of this machine, even with one port at both", () => {
    expect(others([v4("10.0.0.1"), v4("10.0.0.2")])).toEqual(["10.0.0.2 true"]);
  });

  test("of the other family, or with a port of its own here, may be mapped to it", () => {
    expect(others([v4("192.0.2.7", 20001)])).toEqual(["192.0.2.7 false"]);
    expect(others([v6("fd00::1"), v4("192.0.2.7", 20001)])).toEqual(["192.0.2.7 false"]);
    expect(others([v4("10.0.0.1", 20001)])).toEqual(["10.0.0.1 false"]);
  });

  test("are told apart by what is advertised, and not by a host name, which may stand for any address", () => {
    const mapped = { port: 20001, addresses: ["192.0.2.7"] };
    expect(others([v4("192.0.2.7", 20001), v4("192.0.2.8", 20001)], { advertised: mapped })).toEqual([
      "192.0.2.8 true",
    ]);
    const named = { port: 20001, addresses: ["box.test"] };
    expect(others([v4("192.0.2.7", 20001)], { advertised: named })).toEqual(["192.0.2.7 false"]);
  });

  test("are told apart by what the daemon here has registered", () => {
    const registered = new Set(["192.0.2.7:20001"]);
    expect(others([v4("192.0.2.7", 20001), v4("192.0.2.7", 20002)], { registered })).toEqual(["192.0.2.7 true"]);
  });
});

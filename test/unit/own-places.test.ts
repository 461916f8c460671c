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
    otherPlaces(places, { ...own, ...over }).map(({ address, port }) => `${address} ${port}`);

  test("are its own at an address of this machine with its port", () => {
    expect(others([v4("10.0.0.1"), v6("fd00::1"), v4("127.0.0.1")])).toEqual([]);
  });

  test("are others where the address or the port is another", () => {
    expect(others([v4("10.0.0.1"), v4("10.0.0.2")])).toEqual(["10.0.0.2 9100"]);
    // Each answer of DNS has them in another order.
    const two = [v4("192.0.2.7", 20001), v4("10.0.0.1", 20001)];
    for (const places of [two, two.toReversed()]) expect(others(places)).toEqual(["10.0.0.1 20001", "192.0.2.7 20001"]);
  });

  test("are its own where it is advertised, and where the daemon here has registered it", () => {
    const advertised = { port: 20001, addresses: ["192.0.2.7"] };
    const mapped = [v4("192.0.2.7", 20001), v4("192.0.2.8", 20001)];
    expect(others(mapped, { advertised })).toEqual(["192.0.2.8 20001"]);
    const registered = new Set(["192.0.2.8:20001"]);
    expect(others(mapped, { registered })).toEqual(["192.0.2.7 20001"]);
  });

  test("come last where they are of a family of which no place of its own is known", () => {
    const places = [v4("192.0.2.7", 20001), v6("fd00::2"), v6("fd00::1")];
    expect(others(places)).toEqual(["fd00::2 9100", "192.0.2.7 20001"]);
    // A host name may stand for any address.
    expect(others(places, { advertised: { port: 20001, addresses: ["box.test"] } })).toEqual([
      "fd00::2 9100",
      "192.0.2.7 20001",
    ]);
    const known = others(places, { advertised: { port: 9100, addresses: ["198.51.100.1"] } });
    expect(known).toEqual(["192.0.2.7 20001", "fd00::2 9100"]);
  });
});

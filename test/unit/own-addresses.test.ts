import { expect, test } from "vitest";
import { listenAddresses, listenableOwn } from "../../src/epmd/listen-addresses.js";

const OWN = ["127.0.0.1", "::1", "127.0.0.53", "10.0.0.5", "fd00::5", "fe80::1", "febf::1", "fec0::1", "10.0.0.5"];

test("addresses of this machine to listen on are all but loopbacks and link-local ones, each once, 64 at most", () => {
  expect(listenableOwn(OWN)).toEqual(["10.0.0.5", "fd00::5", "fec0::1"]);
  expect(listenableOwn(Array.from({ length: 200 }, (_, index) => `10.1.0.${index}`))).toHaveLength(64);
});

test("are listened on for local peers where nobody says which are meant", async () => {
  const own = async (...listen: string[]) =>
    (await listenAddresses(listen, "localhost", OWN)).filter(
      ({ address }) => address !== "127.0.0.1" && address !== "::1",
    );
  expect(await own()).toEqual(
    ["10.0.0.5", "fd00::5", "fec0::1"].map((address) => ({ address, strangers: false, implied: true, shared: true })),
  );
  expect(await own("10.0.0.5")).toEqual([{ address: "10.0.0.5", strangers: true, implied: false }]);
  expect(await own("127.0.0.1")).toEqual([]);
});

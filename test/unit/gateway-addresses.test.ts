import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loopbackRange } from "../../src/config/network-values.js";
import { GatewayAddresses, hostLimit } from "../../src/gateway/core/addresses.js";
import { cidrContains } from "../../src/net/ip.js";

const RANGE = loopbackRange("127.64.0.0/10");
const SMALL = loopbackRange("127.65.3.0/24");
const ALL_OF_SMALL = 254;

describe("the address of a host", () => {
  test("is the same for every daemon: it is derived from the name, and this must not change with a version", () => {
    const pairs = ["svc.service.consul", "n1.rmq.service.consul", "n2.rmq.service.consul"].map((host) => [
      host,
      new GatewayAddresses(RANGE).assign(host),
    ]);
    expect(pairs).toMatchInlineSnapshot(`
      [
        [
          "svc.service.consul",
          "127.100.220.76",
        ],
        [
          "n1.rmq.service.consul",
          "127.89.185.7",
        ],
        [
          "n2.rmq.service.consul",
          "127.108.203.156",
        ],
      ]
    `);
  });

  test("lies in the range, and is neither its first nor its last address", () => {
    fc.assert(
      fc.property(fc.domain(), (host) => {
        const address = new GatewayAddresses(SMALL).assign(host) ?? "";
        expect(cidrContains(SMALL, address)).toBe(true);
        expect(["127.65.3.0", "127.65.3.255"]).not.toContain(address);
      }),
    );
  });

  test("is the next free one where two names come to the same, until all are given", () => {
    const addresses = new GatewayAddresses(SMALL);
    const given = Array.from({ length: ALL_OF_SMALL }, (_, index) => addresses.assign(`n${index}.svc`));
    expect(new Set(given).size).toBe(ALL_OF_SMALL);
    expect(given).not.toContain(undefined);
    expect(addresses.assign("one.more")).toBeUndefined();
    // Those that have one keep it.
    expect(addresses.assign("n7.svc")).toBe(given[7]);
    expect(addresses.hostOf(given[7] ?? "")).toBe("n7.svc");
  });

  test("is not chosen for more than 1,024 hosts: each costs a listener", () => {
    const addresses = new GatewayAddresses(RANGE);
    const given = Array.from({ length: 1024 }, (_, index) => addresses.assign(`n${index}.svc`));
    expect(given).not.toContain(undefined);
    expect(addresses.assign("one.more")).toBeUndefined();
    expect(addresses.add({ host: "one.more", address: "127.70.0.1" })).toBe(false);
  });
});

describe("a pair from elsewhere", () => {
  test("is taken over, whatever the name would come to", () => {
    const addresses = new GatewayAddresses(RANGE);
    expect(addresses.add({ host: "a.svc", address: "127.64.0.9" })).toBe(true);
    expect([addresses.assign("a.svc"), addresses.hostOf("127.64.0.9")]).toEqual(["127.64.0.9", "a.svc"]);
  });

  test("is a second address of a host that has one: both stand for it, and the first is given out", () => {
    const addresses = new GatewayAddresses(RANGE);
    addresses.add({ host: "a.svc", address: "127.64.0.9" });
    expect(addresses.add({ host: "a.svc", address: "127.64.0.10" })).toBe(true);
    expect(addresses.assign("a.svc")).toBe("127.64.0.9");
    expect(addresses.hostOf("127.64.0.10")).toBe("a.svc");
  });

  test.each([
    ["stands for another host", "127.64.0.9"],
    ["is out of range", "127.0.0.1"],
    ["is of the other family", "::1"],
  ])("is refused when its address %s", (_why, address) => {
    const addresses = new GatewayAddresses(RANGE);
    addresses.add({ host: "a.svc", address: "127.64.0.9" });
    expect(addresses.add({ host: "b.svc", address })).toBe(false);
    expect(addresses.addressOf("b.svc")).toBeUndefined();
  });
});

describe("an address that somebody else has", () => {
  test("stands for nothing, and the host gets the next", () => {
    const addresses = new GatewayAddresses(SMALL);
    const first = addresses.assign("a.svc") ?? "";
    addresses.exclude(first);
    expect(addresses.hostOf(first)).toBeUndefined();
    const second = addresses.assign("a.svc") ?? "";
    expect(second).not.toBe(first);
    expect(Number(second.split(".")[3])).toBe((Number(first.split(".")[3]) % 254) + 1);
    // The program may have gone.
    addresses.forget(second);
    expect(addresses.assign("a.svc", 600_000)).toBe(first);
  });

  test("leaves a host its other address", () => {
    const addresses = new GatewayAddresses(RANGE);
    addresses.add({ host: "a.svc", address: "127.64.0.9" });
    addresses.add({ host: "a.svc", address: "127.64.0.10" });
    addresses.exclude("127.64.0.9");
    expect([addresses.assign("a.svc"), addresses.pairs()]).toEqual([
      "127.64.0.10",
      [{ host: "a.svc", address: "127.64.0.10" }],
    ]);
  });
});

describe("an address that is given up", () => {
  test("may be chosen again, for the same host first of all", () => {
    const addresses = new GatewayAddresses(SMALL);
    const first = addresses.assign("a.svc") ?? "";
    expect(addresses.forget(first)).toBe("a.svc");
    expect([addresses.hostOf(first), addresses.assign("a.svc")]).toEqual([undefined, first]);
  });
});

test("there are as many hosts as the open files allow, and never none", () => {
  expect([hostLimit(undefined), hostLimit(1_000_000), hostLimit(1024), hostLimit(64)]).toEqual([1024, 1024, 128, 16]);
});

import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { loopbackRange } from "../../src/config/network-values.js";
import { listen } from "../../src/epmd/listener.js";
import { PeerLogs } from "../../src/epmd/peer.js";
import { ListenError } from "../../src/errors.js";
import { GatewayAddresses } from "../../src/gateway/core/addresses.js";
import { GatewayHosts } from "../../src/gateway/hosts.js";
import type { Cidr } from "../../src/net/ip.js";
import { collectLog } from "../support/log-lines.js";

const RANGE = loopbackRange("127.65.3.0/24");

interface Situation {
  readonly listen?: (address: string) => Promise<void>;
  readonly range?: ReturnType<typeof loopbackRange>;
  /** Hosts of which nodes are registered here. */
  readonly withNodes?: readonly string[];
  /** Addresses with links. */
  readonly linked?: () => ReadonlySet<string> | undefined;
}

function gatewayHosts(limit: number, situation: Situation = {}) {
  const { listen = async () => {}, range = RANGE, withNodes = [], linked = () => new Set() } = situation;
  const clock = { now: 0 };
  const listening = new Set<string>();
  const kept: string[] = [];
  const { log, lines, messages } = collectLog();
  const hosts = new GatewayHosts({
    addresses: new GatewayAddresses(range, limit),
    listen: async (address) => {
      await listen(address);
      listening.add(address);
    },
    stopListening: async (address) => void listening.delete(address),
    hasNodes: ({ host }) => withNodes.includes(host),
    linked: async () => linked(),
    now: () => clock.now,
    onPair: ({ host }) => kept.push(host),
    log,
  });
  return { hosts, listening, kept, lines, messages, clock };
}

test("a flood of names that nobody asks for takes no room from hosts that are in use, and is not remembered", async () => {
  const { hosts, listening, kept } = gatewayHosts(8);
  await hosts.preload(["svc.test"]);
  const used = (await hosts.addressFor("used.svc.test")) ?? "";
  hosts.markUsed(used);
  for (let flood = 0; flood < 100; flood++) await hosts.addressFor(`flood${flood}.svc.test`);
  const fresh = (await hosts.addressFor("new.svc.test")) ?? "";
  expect(fresh).not.toBe("");
  hosts.markUsed(fresh);
  expect(await hosts.addressFor("used.svc.test")).toBe(used);
  expect(listening.size).toBe(8);
  expect(kept).toEqual(["svc.test", "used.svc.test", "new.svc.test"]);
});

test.each(["one after the other", "all at once"])(
  "names that are looked up while all addresses are in use (%s) do not take the address of a host before its VM asks there",
  async (how) => {
    const { hosts, kept } = gatewayHosts(64);
    for (let host = 0; host < 64; host++) await use(hosts, `used${host}.svc.test`);
    const fresh = (await hosts.addressFor("new.svc.test")) ?? "";
    const flood = Array.from({ length: 8 }, (_, index) => `flood${index}.svc.test`);
    if (how === "all at once") await Promise.all(flood.map((host) => hosts.addressFor(host)));
    else for (const host of flood) await hosts.addressFor(host);
    hosts.markUsed(fresh);
    expect(kept.at(-1)).toBe("new.svc.test");
  },
);

test.each(["one after the other", "all at once"])(
  "a flood of names (%s) takes the addresses of few hosts that are in use, those of the oldest",
  async (how) => {
    const { hosts } = gatewayHosts(64);
    for (let host = 0; host < 64; host++) await use(hosts, `used${host}.svc.test`);
    const flood = Array.from({ length: 500 }, (_, index) => `flood${index}.svc.test`);
    if (how === "all at once") await Promise.all(flood.map((host) => hosts.addressFor(host)));
    else for (const host of flood) await hosts.addressFor(host);
    const rest = Array.from({ length: 55 }, (_, index) => `used${index + 9}.svc.test`);
    expect(hosts.pairs.map(({ host }) => host)).toEqual(rest);
  },
);

test("an address that was given to another host while the EPMD began to listen there is not the answer", async () => {
  let begin: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  let calls = 0;
  const { hosts, kept } = gatewayHosts(1, { listen: async () => void (calls++ === 0 && (await begun)) });
  const slow = hosts.addressFor("slow.test");
  await hosts.addressFor("quick.test");
  begin();
  hosts.markUsed((await slow) ?? "");
  expect(kept).toEqual(["slow.test"]);
});

test("a host that is no longer in /etc/hosts may give way; one of the configuration stays though its line goes", async () => {
  const { hosts } = gatewayHosts(2);
  await hosts.preload(["configured.test"]);
  const [configured] = hosts.pairs;
  const gone = { host: "gone.test", address: "127.65.3.77" };
  await hosts.know([gone, ...(configured ? [configured] : [])], "/etc/hosts");
  expect(await hosts.addressFor("new.test")).toBeUndefined();
  await hosts.know([], "/etc/hosts");
  expect(await hosts.addressFor("new.test")).toBeDefined();
  expect(hosts.pairs.map(({ host }) => host)).toEqual(["configured.test"]);
});

test("when all are in use a further host has none, which is said once; it has one when there is room again", async () => {
  const { hosts, messages } = gatewayHosts(2);
  await hosts.preload(["a.test", "b.test"]);
  expect([await hosts.addressFor("c.test"), await hosts.addressFor("d.test")]).toEqual([undefined, undefined]);
  expect(messages("error")).toHaveLength(1);
});

test("a fault that passes costs a host nothing: it keeps its address", async () => {
  let faults = 3;
  const { hosts } = gatewayHosts(8, {
    listen: async () => {
      if (faults-- > 0) throw new ListenError("LISTEN_FAILED", "too many open files");
    },
  });
  const derived = new GatewayAddresses(RANGE).assign("a.test");
  const tries = [];
  for (let time = 0; time < 4; time++) tries.push(await hosts.addressFor("a.test"));
  expect(tries).toEqual([undefined, undefined, undefined, derived]);
});

/** As a VM does: it resolves the host, and asks at the address. */
async function use(hosts: GatewayHosts, host: string): Promise<string> {
  const address = (await hosts.addressFor(host)) ?? "";
  hosts.markUsed(address);
  return address;
}

test("a host that was used once gives way, the one that was used longest ago first", async () => {
  const { hosts } = gatewayHosts(3);
  for (const host of ["a.test", "b.test", "c.test", "a.test"]) await use(hosts, host);
  expect(await hosts.addressFor("d.test")).toBeDefined();
  expect(hosts.pairs.map(({ host }) => host)).toEqual(["c.test", "a.test"]);
});

test("one user who goes on asking at the addresses of all hosts that there may be keeps no other from a new host", async () => {
  const linked = new Set<string>();
  const { hosts, clock } = gatewayHosts(8, { linked: () => linked });
  linked.add(await use(hosts, "linked.test"));
  for (let round = 0; round < 3; round++) {
    for (let host = 0; host < 8; host++) await use(hosts, `greedy${host}.test`);
    clock.now += 1_000;
    const address = await use(hosts, `new${round}.test`);
    expect(address).not.toBe("");
    // What was asked for a moment ago is there when its VM asks at the address and dials.
    expect(hosts.pairs.at(-1)).toEqual({ host: `new${round}.test`, address });
  }
  expect(hosts.pairs.map(({ host }) => host)).toContain("linked.test");
});

test("a host with a registration, a link, or a line in the configuration or in /etc/hosts never gives way", async () => {
  const linked = new Set<string>();
  const { hosts, clock } = gatewayHosts(4, { withNodes: ["registered.test"], linked: () => linked });
  await hosts.preload(["configured.test"]);
  await hosts.know([{ host: "written.test", address: "127.65.3.77" }], "/etc/hosts");
  await use(hosts, "registered.test");
  linked.add(await use(hosts, "linked.test"));
  clock.now += 86_400_000;
  expect(await hosts.addressFor("new.test")).toBeUndefined();
  linked.clear();
  expect(await hosts.addressFor("new.test")).toBeDefined();
  expect(hosts.pairs.map(({ host }) => host).sort()).toEqual(["configured.test", "registered.test", "written.test"]);
});

test("while nobody knows which hosts have links, as without a relay process, none that was used gives way", async () => {
  const { hosts, clock } = gatewayHosts(1, { linked: () => undefined });
  await use(hosts, "a.test");
  clock.now += 86_400_000;
  expect(await hosts.addressFor("b.test")).toBeUndefined();
});

test("of hosts that nobody asked for the one that was looked up longest ago gives way", async () => {
  const { hosts } = gatewayHosts(2);
  const first = await hosts.addressFor("a.test");
  await hosts.addressFor("b.test");
  await hosts.addressFor("a.test");
  await hosts.addressFor("c.test");
  expect(await hosts.addressFor("a.test")).toBe(first);
});

test("a line of /etc/hosts that cannot be used is logged with the reason", async () => {
  const { hosts, lines } = gatewayHosts(2);
  const [first, second, third] = ["127.65.3.1", "127.65.3.2", "127.65.3.3"] as const;
  const pairs = [
    { host: "a.test", address: first },
    { host: "b.test", address: first },
    { host: "c.test", address: "127.66.0.1" },
    { host: "d.test", address: second },
    { host: "e.test", address: third },
  ];
  await hosts.know(pairs, "/etc/hosts");
  const line = { level: "warn", time: expect.any(String), msg: "gateway address is not used", from: "/etc/hosts" };
  expect(lines).toEqual([
    { ...line, ...pairs[1], reason: "other-host", holder: "a.test" },
    { ...line, ...pairs[2], reason: "out-of-range" },
    { ...line, ...pairs[4], reason: "full" },
  ]);
});

test("more pairs than there is room for: the last used ones are taken, and the rest is told of once", async () => {
  const { hosts, messages } = gatewayHosts(8);
  const pairs = Array.from({ length: 40 }, (_, index) => ({
    host: `h${index}.test`,
    address: `127.65.3.${index + 1}`,
  }));
  await hosts.know(pairs, "relay");
  expect(hosts.pairs).toEqual(pairs.slice(-8));
  expect(messages("warn")).toEqual(["gateway addresses are not used"]);
});

describe("a range of few addresses, behind a real listener", () => {
  const SMALL: Cidr = { bytes: [127, 66, process.pid % 250, 0], prefix: 29 };

  async function realHosts() {
    const { log, messages } = collectLog();
    const listener = await listen([{ address: "127.0.0.1", strangers: false, implied: false }], 0, {
      ...{
        allow: [],
        maxConnections: 100,
        logs: new PeerLogs(log),
        onConnection: (socket) => void socket.destroy(),
        log,
      },
    });
    onTestFinished(() => listener.close());
    const hosts = new GatewayHosts({
      addresses: new GatewayAddresses(SMALL),
      listen: (address) => listener.add(address),
      stopListening: (address) => listener.remove(address),
      ...{ onPair: () => {}, hasNodes: () => false, linked: async () => new Set<string>(), now: () => 0, log },
    });
    return { hosts, messages, port: listener.port };
  }

  test("loses none of them to look-ups of absent names: our own socket is no other program's", async () => {
    const { hosts, messages } = await realHosts();
    for (let round = 0; round < 50; round++) {
      const names = Array.from({ length: 5 }, (_, index) => `absent-${round}-${index}.test`);
      const addresses = await Promise.all(names.map((name) => hosts.addressFor(name)));
      expect(addresses.filter((address) => address !== undefined).length, `round ${round}`).toBe(5);
    }
    expect(messages("warn")).toEqual([]);
  });

  test("gives a host another address where a program has the first", async () => {
    const { hosts, messages, port } = await realHosts();
    const derived = new GatewayAddresses(SMALL).assign("a.test");
    const squatter = createServer().listen(port, derived);
    await once(squatter, "listening");
    onTestFinished(() => void squatter.close());
    const given = await hosts.addressFor("a.test");
    expect(given).toBeDefined();
    expect(given).not.toBe(derived);
    expect(messages("warn")).toEqual(["gateway address is taken; the host gets the next one"]);
  });
});

import { type Duplex, duplexPair } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import type { DaemonEvent } from "../../src/daemon/core/observations.js";
import type { AnswerDeps } from "../../src/epmd/answer.js";
import { type ConnectionDeps, handleConnection, UnreadAnswers } from "../../src/epmd/connection.js";
import { Registry } from "../../src/epmd/core/registry.js";
import { identifyPeer } from "../../src/epmd/peer.js";
import type { RegisteringDeps } from "../../src/epmd/registering.js";
import type { NamedPort } from "../../src/epmd/wire/messages.js";
import { formatNodeName } from "../../src/names/node-name.js";
import { notFound } from "../../src/resolve/core/resolution.js";
import { alive2 } from "../support/raw-epmd.js";
import { registration } from "../support/registered-node.js";
import { registering } from "../support/registering.js";
import { waitFor } from "../support/wait-for.js";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s+/g, ""), "hex");
/** ALIVE2_REQ of `a`, port 4711, type 77, versions 6/5, no extra. */
const ALIVE2_A = hex("000e 78 1267 4d 00 0006 0005 0001 61 0000");
const ALIVE2_B = hex("000e 78 1268 4d 00 0006 0005 0001 62 0000");
const NAMES = hex("0001 6e");
const LOOK_UP_A = hex("0002 7a 61");
const LOOK_UP_Z = hex("0002 7a 7a");
const PORT2_A = hex("77 00 1267 4d 00 0006 0005 0001 61 0000");

const NOWHERE = notFound("SRV_NXDOMAIN", "no SRV record");

interface Options {
  /** Of a node that is not alive here. */
  readonly resolve?: AnswerDeps["nodes"]["resolve"];
  readonly match?: (pattern: string, sameHost: boolean) => NamedPort[] | Promise<NamedPort[]>;
  readonly packetTimeout?: number;
  readonly peerAddress?: string;
  readonly relaxed?: boolean;
  readonly allowKill?: boolean;
  readonly unread?: ConnectionDeps["unread"];
  readonly rules?: Partial<RegisteringDeps>;
  readonly tell?: ConnectionDeps["tell"];
  /** Whether each local peer is the VM of each node. */
  readonly isVm?: boolean;
}

/** An EPMD without a port: any Duplex is a peer. */
function epmd({
  resolve = () => NOWHERE,
  match,
  packetTimeout = 60_000,
  peerAddress = "127.0.0.1",
  relaxed = false,
  allowKill = false,
  unread = new UnreadAnswers(),
  rules = {},
  tell = () => {},
  isVm = true,
}: Options = {}) {
  const registry = new Registry();
  const holders = new Map<unknown, () => void>();
  const faults: string[] = [];
  const events: DaemonEvent[] = [];
  let killed = false;
  const log = pino({ level: "warn" }, { write: (line: string) => void faults.push(line) });
  const connect = () => {
    const [client, server] = duplexPair();
    const peer = identifyPeer(peerAddress, 1, "127.0.0.1", []);
    const received: Buffer[] = [];
    let closed = false;
    client.on("data", (chunk: Buffer) => received.push(chunk));
    // A destroyed end of the pair shows as the end of the other.
    server.on("close", () => {
      closed = true;
    });
    handleConnection(server, {
      peer,
      answering: {
        registry,
        register: registering(registry, rules),
        isVmOf: async () => isVm,
        nodes: { resolve, fullName: formatNodeName },
        advertisedPort: ({ port }) => port,
        logs: { of: () => log },
        now: () => 0,
        observe: () => {},
        gateway: () => undefined,
        match: match ?? (() => []),
        release: (node) => holders.get(node)?.(),
        epmdPort: () => 4369,
        relaxedCommandCheck: relaxed,
        allowKill,
      },
      hold: (node, release) => void holders.set(node, release),
      unregister: (node) => registry.unregister(node),
      tell,
      exit: () => {
        killed = true;
      },
      observe: (event) => void events.push(event),
      packetTimeout,
      unread,
      log,
    });
    return {
      send: (bytes: Buffer) => void client.write(bytes),
      halfClose: () => void client.end(),
      pause: () => void client.pause(),
      cut: () => void (server as Duplex).destroy(new Error("reset")),
      bytes: () => Buffer.concat(received),
      writes: () => received.length,
      closed: () => waitFor(() => closed, { what: "the close" }),
      isClosed: () => closed,
    };
  };
  return { connect, registry, faults, events, killed: () => killed };
}

type Client = ReturnType<ReturnType<typeof epmd>["connect"]>;
const received = (client: Client, length: number) =>
  waitFor(() => client.bytes().length >= length, { what: `${length} bytes` });

async function register(client: Client, request = ALIVE2_A): Promise<void> {
  client.send(request);
  await received(client, 6);
}

describe("a registration", () => {
  test("is answered in one write with result and creation, and lives as long as its connection", async () => {
    const { connect, registry } = epmd();
    const node = connect();
    await register(node);
    expect(node.bytes()).toEqual(hex("76 00 6553f101"));
    expect(node.writes()).toBe(1);
    expect(registry.get("a")).toMatchObject({ port: 4711, creation: 1_700_000_001 });
    node.halfClose();
    await node.closed();
    expect(registry.size).toBe(0);
  });

  test("arrives in pieces of any size", async () => {
    for (let cut = 1; cut < ALIVE2_A.length; cut++) {
      const { connect, registry } = epmd();
      const node = connect();
      node.send(ALIVE2_A.subarray(0, cut));
      await sleep(0);
      expect(registry.size, `after ${cut} bytes`).toBe(0);
      node.send(ALIVE2_A.subarray(cut));
      await received(node, 6);
      expect(registry.size).toBe(1);
      node.halfClose();
    }
  });

  test("ends when the connection is reset", async () => {
    const { connect, registry } = epmd();
    const node = connect();
    await register(node);
    node.cut();
    await node.closed();
    expect(registry.size).toBe(0);
  });

  test("followed at once by a half-close is answered, and then gone", async () => {
    const { connect, registry } = epmd();
    const node = connect();
    node.send(ALIVE2_A);
    node.halfClose();
    await node.closed();
    expect(node.bytes().length).toBe(6);
    expect(registry.size).toBe(0);
  });

  test("of a name that is taken is refused, closed, and leaves the holder alone", async () => {
    const { connect, registry } = epmd();
    const holder = connect();
    await register(holder);
    const second = connect();
    second.send(ALIVE2_A);
    await second.closed();
    expect(second.bytes()).toEqual(hex("76 01 00000063"));
    expect(registry.get("a")).toBeDefined();
    expect(holder.isClosed()).toBe(false);
  });

  test("refused while its connection is reset does not throw the live node out, as stock EPMD does", async () => {
    const { connect, registry } = epmd();
    const holder = connect();
    await register(holder);
    const second = connect();
    second.send(ALIVE2_A);
    second.cut();
    await second.closed();
    expect(registry.get("a")).toBeDefined();
  });

  test("is counted on when a name returns, and remembered in the old form of 1 to 3", async () => {
    const { connect } = epmd();
    const creations: string[] = [];
    const old = hex("000e 78 1267 4d 00 0005 0005 0001 61 0000");
    for (const request of [ALIVE2_A, old, ALIVE2_A]) {
      const node = connect();
      node.send(request);
      await received(node, request === old ? 4 : 6);
      creations.push(node.bytes().toString("hex"));
      node.halfClose();
      await node.closed();
    }
    // 1700000002 mod 3 + 1 = 1 + 1
    expect(creations).toEqual(["76006553f101", "79000002", "76006553f103"]);
  });

  test("may be followed by further requests, answered in order without a close", async () => {
    const { connect, registry } = epmd({
      resolve: ({ aliveName }) => sleep(aliveName === "z" ? 20 : 0).then(() => NOWHERE),
    });
    const node = connect();
    await register(node);
    node.send(Buffer.concat([LOOK_UP_Z, LOOK_UP_A, NAMES]));
    const names = Buffer.concat([hex("00001111"), Buffer.from("name a at port 4711\n")]);
    const expected = Buffer.concat([hex("7701"), PORT2_A, names]);
    await received(node, 6 + expected.length);
    expect(node.bytes().subarray(6)).toEqual(expected);
    expect(node.isClosed()).toBe(false);
    expect(registry.size).toBe(1);
  });

  test("that waits for the user of its process loses none of the requests behind it", async () => {
    let tell: (uid: number) => void = () => {};
    const uid = new Promise<number>((resolve) => {
      tell = resolve;
    });
    const { connect } = epmd({ rules: { uids: new Set([1000]), uidOf: () => uid } });
    const node = connect();
    node.send(ALIVE2_A);
    await sleep(0);
    node.send(NAMES.subarray(0, 2));
    node.send(Buffer.concat([NAMES.subarray(2), LOOK_UP_A]));
    await sleep(0);
    tell(1000);
    const names = Buffer.from("\0\0\x11\x11name a at port 4711\n");
    const expected = Buffer.concat([hex("76 00 6553f101"), names, PORT2_A]);
    await received(node, expected.length);
    expect(node.bytes()).toEqual(expected);
  });

  test("on a connection that holds another name is held with it", async () => {
    const { connect, registry } = epmd();
    const node = connect();
    await register(node);
    node.send(ALIVE2_B);
    await received(node, 12);
    expect(registry.nodes().map(({ aliveName }) => aliveName)).toEqual(["b", "a"]);
    node.halfClose();
    await node.closed();
    expect(registry.size).toBe(0);
  });

  test("holds no more than 16 names on one connection: more are refused, and those before stay", async () => {
    const { connect, registry } = epmd();
    const node = connect();
    const names = Array.from({ length: 40 }, (_, n) => alive2({ name: `n${n}`, version: 6 }));
    node.send(Buffer.concat(names));
    await received(node, 40 * 6);
    const results = Array.from({ length: 40 }, (_, n) => node.bytes()[n * 6 + 1]);
    expect(results).toEqual([...new Array(16).fill(0), ...new Array(24).fill(1)]);
    expect([registry.size, node.isClosed()]).toEqual([16, false]);
    await register(connect());
    expect(registry.size).toBe(17);
  });

  test.each([
    ["an unknown request", hex("0001 ff")],
    ["a length no request has", hex("ffff")],
    ["a request that only relaxed servers obey", hex("0002 73 61")],
  ])("ends with %s behind it", async (_, bytes) => {
    const { connect, registry } = epmd();
    const node = connect();
    await register(node);
    node.send(bytes);
    await node.closed();
    expect(node.bytes().length).toBe(6);
    expect(registry.size).toBe(0);
  });

  test("ends when a request behind it is never completed, but not by silence", async () => {
    const { connect, registry } = epmd({ packetTimeout: 10 });
    const silent = connect();
    await register(silent);
    const halfway = connect();
    await register(halfway, ALIVE2_B);
    halfway.send(hex("00"));
    await halfway.closed();
    expect(registry.get("a")).toBeDefined();
    expect(registry.get("b")).toBeUndefined();
  });
});

test("a registered client that asks and does not read its answers is dropped before they fill the memory", async () => {
  const { connect, registry } = epmd();
  for (const name of ["a", "b"]) {
    registry.register(registration(name.repeat(250), 9100), 0);
  }
  const node = connect();
  await register(node);
  node.pause();
  // Half a megabyte of answers is nothing to complain of.
  const each = 4 + 2 * `name ${"a".repeat(250)} at port 9100\n`.length + "name a at port 4711\n".length;
  const ask = async (times: number) => {
    for (let time = 0; time < times && registry.size === 3; time++) {
      node.send(NAMES);
      await new Promise(setImmediate);
    }
  };
  await ask(Math.floor((512 * 1024) / each));
  expect(registry.size).toBe(3);
  await ask(Math.ceil((1024 * 1024) / each));
  expect(registry.size).toBe(2);
});

describe("while there is no room for answers", () => {
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
  };
  const room = () => ({ isFull: true, keep: () => {} });

  test("a request waits for a later turn, and is answered then", async () => {
    const unread = room();
    const { connect } = epmd({ unread });
    const client = connect();
    client.send(NAMES);
    await turns(20);
    expect([client.bytes().length, client.isClosed()]).toEqual([0, false]);
    unread.isFull = false;
    await client.closed();
    expect(client.bytes()).toEqual(hex("00001111"));
  });

  test("a client that has half-closed behind its request is answered too", async () => {
    const unread = room();
    const { connect } = epmd({ unread });
    const client = connect();
    client.send(NAMES);
    client.halfClose();
    await turns(20);
    unread.isFull = false;
    await client.closed();
    expect(client.bytes()).toEqual(hex("00001111"));
  });

  test("a registered client keeps its name, and gets its answers in order", async () => {
    const unread = { isFull: false, keep: () => {} };
    const { connect, registry } = epmd({ unread });
    const node = connect();
    await register(node);
    unread.isFull = true;
    node.send(LOOK_UP_A);
    node.send(LOOK_UP_Z);
    await turns(20);
    expect([registry.size, node.bytes().length]).toEqual([1, 6]);
    unread.isFull = false;
    await received(node, 6 + PORT2_A.length + 2);
    expect(node.bytes().subarray(6)).toEqual(Buffer.concat([PORT2_A, hex("7701")]));
  });

  test("a registered client that goes on asking is dropped before its requests fill the memory", async () => {
    const unread = { isFull: false, keep: () => {} };
    const { connect, registry } = epmd({ unread });
    const node = connect();
    await register(node);
    unread.isFull = true;
    for (let sent = 0; sent <= 64 * 1024; sent += 1000 * LOOK_UP_A.length) {
      node.send(Buffer.concat(Array.from({ length: 1000 }, () => LOOK_UP_A)));
    }
    await waitFor(() => registry.size === 0, { what: "the end of the registration" });
  });

  test("a client that leaves is forgotten", async () => {
    let looks = 0;
    const unread = {
      get isFull() {
        looks++;
        return true;
      },
      keep: () => {},
    };
    const { connect } = epmd({ unread });
    const client = connect();
    client.send(NAMES);
    await waitFor(() => looks > 3, { what: "a request that waits" });
    client.cut();
    await client.closed();
    const before = looks;
    await turns(20);
    expect(looks).toBe(before);
  });
});

describe("a request", () => {
  test.each([
    ["NAMES", NAMES, hex("00001111")],
    ["a look-up", LOOK_UP_A, hex("7701")],
  ])("%s is answered and closed, also after a half-close", async (_, request, response) => {
    const { connect } = epmd();
    for (const halfClose of [false, true]) {
      const client = connect();
      client.send(request);
      if (halfClose) client.halfClose();
      await client.closed();
      expect(client.bytes()).toEqual(response);
    }
  });

  test("that takes time is answered although the client has half-closed", async () => {
    const { connect } = epmd({ resolve: () => sleep(20).then(() => NOWHERE) });
    const client = connect();
    client.send(LOOK_UP_Z);
    client.halfClose();
    await client.closed();
    expect(client.bytes()).toEqual(hex("7701"));
  });

  test("whose answer fails closes its own connection and says so once", async () => {
    const { connect, faults } = epmd({ resolve: () => Promise.reject(new Error("broken source")) });
    const holder = connect();
    await register(holder);
    const client = connect();
    client.send(LOOK_UP_Z);
    await client.closed();
    expect(client.bytes().length).toBe(0);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain("broken source");
    expect(holder.isClosed()).toBe(false);
  });

  test.each([
    ["no bytes", hex("")],
    ["one byte", hex("00")],
    ["a part of a request", hex("0005 7a 61")],
  ])("of %s is closed without an answer when the time is over", async (_, bytes) => {
    const { connect } = epmd({ packetTimeout: 10 });
    const client = connect();
    client.send(bytes);
    await client.closed();
    expect(client.bytes().length).toBe(0);
  });

  test("of more bytes than its length is closed without an answer", async () => {
    const { connect } = epmd();
    const client = connect();
    client.send(Buffer.concat([LOOK_UP_A, hex("00")]));
    await client.closed();
    expect(client.bytes().length).toBe(0);
  });
});

describe("NAMES with a pattern", () => {
  /** *@svc */
  const NAMES_MATCH = hex("0006 6e 2a 40 737663");
  const found = [{ name: "b@svc.service.consul", port: 20001 }];
  const LINE = Buffer.concat([hex("00001111"), Buffer.from("name b@svc.service.consul at port 20001\n")]);
  const PLAIN = Buffer.concat([hex("00001111"), Buffer.from("name a at port 4711\n")]);

  test("is answered with full names, at once or when they are known", async () => {
    const asked: string[] = [];
    const at = (names: NamedPort[] | Promise<NamedPort[]>) => (pattern: string) => {
      asked.push(pattern);
      return names;
    };
    for (const match of [at(found), at(sleep(20).then(() => found))]) {
      const client = epmd({ match }).connect();
      client.send(NAMES_MATCH);
      await client.closed();
      expect(client.bytes()).toEqual(LINE);
      expect(client.writes()).toBe(1);
    }
    expect(asked).toEqual(["*@svc", "*@svc"]);
  });

  test("keeps its place among the requests of a registered node", async () => {
    const { connect } = epmd({ match: () => sleep(20).then(() => found) });
    const node = connect();
    await register(node);
    node.send(Buffer.concat([NAMES_MATCH, NAMES]));
    await received(node, 6 + LINE.length + PLAIN.length);
    expect(node.bytes().subarray(6)).toEqual(Buffer.concat([LINE, PLAIN]));
  });

  test("is plain NAMES for a stranger, for whom nothing is looked up", async () => {
    let asked = 0;
    const { connect, registry } = epmd({
      peerAddress: "192.0.2.1",
      match: () => {
        asked++;
        return found;
      },
    });
    registry.register(registration("a", 4711), 0);
    const client = connect();
    client.send(NAMES_MATCH);
    await client.closed();
    expect(client.bytes()).toEqual(PLAIN);
    expect(asked).toBe(0);
  });
});

describe("KILL and STOP", () => {
  const KILL = hex("0001 6b");
  const STOP_A = hex("0002 73 61");

  test.each([
    { allowKill: false, relaxed: false, alive: false, answered: "NO" },
    { allowKill: false, relaxed: true, alive: false, answered: "NO" },
    { allowKill: true, relaxed: false, alive: true, answered: "NO" },
    { allowKill: true, relaxed: false, alive: false, answered: "OK" },
    { allowKill: true, relaxed: true, alive: true, answered: "OK" },
  ])("KILL is answered $answered with $allowKill/$relaxed/$alive", async ({ allowKill, relaxed, alive, answered }) => {
    const { connect, killed } = epmd({ allowKill, relaxed });
    if (alive) await register(connect());
    const client = connect();
    client.send(KILL);
    await client.closed();
    expect(client.bytes().toString()).toBe(answered);
    await waitFor(() => killed() === (answered === "OK"), { what: "the end of the daemon" });
  });

  test("a relaxed server takes a name back and closes its connection", async () => {
    const { connect, registry } = epmd({ relaxed: true });
    const node = connect();
    await register(node);
    const client = connect();
    client.send(STOP_A);
    await client.closed();
    expect(client.bytes().toString()).toBe("STOPPED");
    await node.closed();
    expect(registry.size).toBe(0);
    const again = connect();
    again.send(STOP_A);
    await again.closed();
    expect(again.bytes().toString()).toBe("NOEXIST");
  });
});

test("a packet time-out as long as timers go does not fire at once", async () => {
  const { connect } = epmd({ packetTimeout: 0x7fffffff });
  const client = connect();
  client.send(LOOK_UP_A.subarray(0, 1));
  await sleep(20);
  expect(client.isClosed()).toBe(false);
  client.halfClose();
});

test("STOP does not claim to have ended a node that holds no connection", async () => {
  const { connect, registry } = epmd({ relaxed: true });
  registry.register({ ...registration("a", 4711), origin: "configured" }, 0);
  const client = connect();
  client.send(hex("0002 73 61"));
  await client.closed();
  expect(client.bytes().toString()).toBe("NOEXIST");
  expect(registry.size).toBe(1);
});

test.each([
  ["ALIVE2", ALIVE2_A],
  ["ALIVE2 that would be refused", hex("000f 78 1267 4d 00 0006 0005 0002 c080 0000")],
  ["DUMP", hex("0001 64")],
  ["KILL", hex("0001 6b")],
  ["STOP", hex("0002 73 61")],
])("%s of a peer that is not local is closed without an answer", async (_, request) => {
  const { connect, registry, killed } = epmd({ peerAddress: "192.0.2.77", relaxed: true, allowKill: true });
  const client = connect();
  client.send(request);
  await client.closed();
  expect(client.bytes().length).toBe(0);
  expect(registry.size).toBe(0);
  expect(killed()).toBe(false);
});

test("every request is told of with how it was answered, and bytes that are none as invalid", async () => {
  const { connect, events } = epmd();
  await register(connect());
  const requests = [ALIVE2_A, hex("0002 7a 61"), hex("0002 7a 62"), hex("0001 6e"), hex("0001 6b"), hex("0002 73 61")];
  for (const bytes of [...requests, hex("0000"), hex("0001 ff")]) {
    const client = connect();
    client.send(bytes);
    await client.closed();
  }
  expect(events.map((event) => event.type === "request" && `${event.request} ${event.result}`)).toEqual([
    "ALIVE2_REQ ok",
    "ALIVE2_REQ refused",
    "PORT_PLEASE2_REQ ok",
    "PORT_PLEASE2_REQ not-found",
    "NAMES_REQ ok",
    "KILL_REQ refused",
    "STOP_REQ closed",
    "invalid closed",
    "invalid closed",
  ]);
});

describe("the offer of a VM to say with whom it is linked", () => {
  const OFFER = hex("0002 6c 61");

  test("keeps the connection beyond the packet time-out, and its bytes are no requests", async () => {
    const told: string[] = [];
    const { connect, events } = epmd({ packetTimeout: 10, tell: ({ aliveName }) => void told.push(aliveName) });
    await register(connect());
    const teller = connect();
    teller.send(OFFER);
    await waitFor(() => told.length === 1, { what: "the offer" });
    expect(told).toEqual(["a"]);
    teller.send(hex("0001 ff"));
    await sleep(1_100);
    expect(teller.isClosed()).toBe(false);
    expect(events).toContainEqual({ type: "request", request: "LINKS_REQ", result: "ok" });
    teller.halfClose();
    await teller.closed();
  });

  test.each([
    ["for a name that is not registered", {}, "0002 6c 62"],
    ["with a second request behind it", {}, "0002 6c 61 0001 6e"],
    ["without a name", {}, "0001 6c"],
    ["with a NUL in the name", {}, "0003 6c 61 00"],
    ["of a process that is not the VM of the node", { isVm: false }, "0002 6c 61"],
    ["of a stranger", { peerAddress: "192.0.2.1" }, "0002 6c 61"],
  ])("%s is closed without an answer", async (_, options, bytes) => {
    const told: string[] = [];
    const { connect, registry } = epmd({ ...options, tell: ({ aliveName }) => void told.push(aliveName) });
    registry.register(registration("a", 4711), 0);
    const teller = connect();
    teller.send(hex(bytes));
    await teller.closed();
    expect([told, teller.bytes().length, registry.size]).toEqual([[], 0, 1]);
  });

  test("on the connection of a node ends it: what comes on that are requests", async () => {
    const { connect, registry } = epmd();
    const node = connect();
    await register(node);
    node.send(OFFER);
    await node.closed();
    expect(registry.size).toBe(0);
  });
});

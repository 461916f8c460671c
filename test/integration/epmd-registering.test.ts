import { createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { type RegisteredNode, Registry } from "../../src/epmd/core/registry.js";
import { identifyPeer } from "../../src/epmd/peer.js";
import { type Holding, isClosedPort, type Registered, type RegisteringDeps } from "../../src/epmd/registering.js";
import type { Alive2Request } from "../../src/epmd/wire/messages.js";
import { freePort } from "../support/free-port.js";
import { collectLog } from "../support/log-lines.js";
import { registration } from "../support/registered-node.js";
import { registering } from "../support/registering.js";
import { silentPort } from "../support/silent-port.js";

const OPEN: Holding = { names: 0, isOpen: () => true };
const LOCAL = identifyPeer("127.0.0.1", 40_000, "127.0.0.1", []);
/** On another machine, and let in with --allow. */
const far = (address: string) => ({ ...identifyPeer(address, 40_000, "10.0.0.1", []), local: true });

function alive2(aliveName: string, port: number): Alive2Request {
  const { family: _, origin: __, ...request } = registration(aliveName, port);
  return { type: "ALIVE2_REQ", ...request };
}

function start(over: Partial<RegisteringDeps> = {}) {
  const registry = new Registry();
  const { log, lines, messages } = collectLog();
  const probed: string[] = [];
  const released: RegisteredNode[] = [];
  const register = registering(registry, {
    log,
    release: (node) => {
      released.push(node);
      registry.unregister(node);
    },
    ...over,
    isClosed: (at) => {
      probed.push(`${at.address}:${at.port}`);
      return over.isClosed?.(at) ?? Promise.resolve(false);
    },
  });
  return { registry, register, probed, released, lines, messages };
}

const outcome = async (registered: Registered | Promise<Registered>) => (await registered).outcome;

describe("a second registration of a name from the holder's own machine, which is another one", () => {
  const dead = { isClosed: () => Promise.resolve(true) };

  test("gets it when nothing listens at the holder's port any more", async () => {
    const { register, registry, released, probed } = start(dead);
    register(alive2("node_a", 9100), far("10.0.0.2"), OPEN);
    const holder = registry.get("node_a");
    expect(await outcome(register(alive2("node_a", 9200), far("10.0.0.2"), OPEN))).toBe("registered");
    expect([released, probed]).toEqual([[holder], ["10.0.0.2:9100"]]);
    expect(registry.get("node_a")).toMatchObject({ port: 9200, address: "10.0.0.2" });
    expect(registry.get("node_a")?.creation).toBe((holder?.creation ?? 0) + 1);
  });

  test("gets it at once when it listens where the holder did: two cannot", async () => {
    const { register, registry, probed } = start();
    register(alive2("node_a", 9100), far("10.0.0.2"), OPEN);
    expect(await outcome(register(alive2("node_a", 9100), far("10.0.0.2"), OPEN))).toBe("registered");
    expect([registry.size, probed]).toEqual([1, []]);
  });

  test("gets it so once in 30 s: two VMs behind one address do not take it from each other for ever", async () => {
    let now = 1_700_000_000_000;
    const { register, released, probed } = start({ ...dead, now: () => now });
    const again = () => outcome(register(alive2("node_a", 9100), far("10.0.0.2"), OPEN));
    register(alive2("node_a", 9100), far("10.0.0.2"), OPEN);
    expect(await again()).toBe("registered");
    for (let retry = 0; retry < 14; retry++) {
      now += 2_000;
      expect(await again()).toBe("refused");
    }
    expect([released.length, probed]).toEqual([1, []]);
    // Another name does not wait for this one.
    register(alive2("node_b", 9200), far("10.0.0.2"), OPEN);
    expect(await outcome(register(alive2("node_b", 9200), far("10.0.0.2"), OPEN))).toBe("registered");
    now += 2_000;
    expect(await again()).toBe("registered");
  });

  test("is refused while the holder listens", async () => {
    const { register, registry, released } = start();
    register(alive2("node_a", 9100), far("10.0.0.2"), OPEN);
    expect(await outcome(register(alive2("node_a", 9200), far("10.0.0.2"), OPEN))).toBe("refused");
    expect([released, registry.get("node_a")?.port]).toEqual([[], 9100]);
  });

  test("of which two come at once gives the name to one", async () => {
    const { register, registry } = start(dead);
    register(alive2("node_a", 9100), far("10.0.0.2"), OPEN);
    const outcomes = await Promise.all([
      outcome(register(alive2("node_a", 9200), far("10.0.0.2"), OPEN)),
      outcome(register(alive2("node_a", 9300), far("10.0.0.2"), OPEN)),
    ]);
    expect(outcomes.sort()).toEqual(["refused", "registered"]);
    expect(registry.size).toBe(1);
  });

  test("whose connection ends meanwhile registers nothing", async () => {
    const { register, registry } = start(dead);
    register(alive2("node_a", 9100), far("10.0.0.2"), OPEN);
    let open = true;
    const registered = register(alive2("node_a", 9200), far("10.0.0.2"), { names: 0, isOpen: () => open });
    open = false;
    expect(await outcome(registered)).toBe("denied");
    expect(registry.get("node_a")?.port).not.toBe(9200);
  });

  test.each([
    ["from a third machine", far("10.0.0.3")],
    ["from this machine", LOCAL],
  ])("%s is refused, and nobody is probed", async (_, peer) => {
    const { register, registry, probed } = start(dead);
    register(alive2("node_a", 9100), far("10.0.0.2"), OPEN);
    expect(await outcome(register(alive2("node_a", 9200), peer, OPEN))).toBe("refused");
    expect([registry.get("node_a")?.port, probed]).toEqual([9100, []]);
  });

  test("never takes the name of a node on this machine, whose kernel ends its connection", async () => {
    const { register, registry, probed } = start(dead);
    register(alive2("node_a", 9100), LOCAL, OPEN);
    for (const peer of [LOCAL, far("10.0.0.2")]) {
      expect(await outcome(register(alive2("node_a", 9100), peer, OPEN))).toBe("refused");
    }
    expect([registry.size, probed]).toEqual([1, []]);
  });
});

test("a port is closed when its machine refuses the connection, not when somebody listens or is silent", async () => {
  const accepted = new Set<Socket>();
  const server = createServer((socket) => accepted.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  expect(await isClosedPort({ address: "127.0.0.1", port })).toBe(false);
  for (const socket of accepted) socket.destroy();
  server.close();
  expect(await isClosedPort({ address: "127.0.0.1", port: await freePort() })).toBe(true);
  expect(await isClosedPort({ address: "127.0.0.1", port: await silentPort() }, 100)).toBe(false);
});

describe("registered names", () => {
  test("are --max-nodes at most; when one has gone there is room for another", async () => {
    const { register, registry, messages } = start({ maxNodes: 3 });
    for (const name of ["a", "b", "c"])
      expect(await outcome(register(alive2(name, 9100), LOCAL, OPEN))).toBe("registered");
    expect(await outcome(register(alive2("d", 9100), LOCAL, OPEN))).toBe("refused");
    expect(messages("warn")).toEqual([expect.stringContaining("3 nodes are registered (--max-nodes)")]);
    registry.unregister(registry.get("b") as RegisteredNode);
    expect(await outcome(register(alive2("d", 9100), LOCAL, OPEN))).toBe("registered");
  });

  test("that are many are no obstacle to a VM of --publish-node that registers itself", async () => {
    const { register, registry } = start({ maxNodes: 1 });
    registry.register(registration("a", 9100, { origin: "configured" }), 0);
    expect(await outcome(register(alive2("a", 9101), LOCAL, OPEN))).toBe("registered");
  });

  test("that are refused again and again are told ten times a minute at most, with how many were not", () => {
    let now = 1_700_000_000_000;
    const { register, lines } = start({ now: () => now });
    register(alive2("a", 1), LOCAL, OPEN);
    for (let n = 0; n < 30; n++) register(alive2("a", 2), LOCAL, OPEN);
    expect(lines).toHaveLength(1);
    for (let n = 0; n < 500; n++) register(alive2(`n${n}`, 2), LOCAL, { ...OPEN, names: n });
    expect(lines.length).toBeLessThanOrEqual(10);
    now += 60_000;
    register(alive2("a", 2), LOCAL, OPEN);
    expect(lines.at(-1)?.leftOut).toBeGreaterThan(400);
  });
});

describe("with --register-uid", () => {
  const uids = new Set([1000, 1001]);
  const as = (uid: number | undefined) => start({ uids, uidOf: () => Promise.resolve(uid) });

  test.each([
    [1000, LOCAL, "registered"],
    [1002, LOCAL, "denied"],
    [0, LOCAL, "denied"],
    // A process that cannot be found is nobody's.
    [undefined, LOCAL, "denied"],
    // It has no user here, and somebody has let it in with --allow.
    [undefined, far("10.0.0.2"), "registered"],
    // A process of this machine that comes over an address of --allow.
    [1002, far("10.0.0.2"), "denied"],
  ])("a process of user %s at %o is %s", async (uid, peer, expected) => {
    const { register, registry } = as(uid);
    expect(await outcome(register(alive2("a", 9100), peer, OPEN))).toBe(expected);
    expect(registry.size).toBe(expected === "registered" ? 1 : 0);
  });

  test("a refusal is logged with the user, the node and the peer, once a minute for each user", async () => {
    const { register, lines } = as(1002);
    for (const name of ["a", "b"]) await register(alive2(name, 9100), LOCAL, OPEN);
    expect(lines).toEqual([
      expect.objectContaining({ level: "warn", uid: 1002, node: "a", port: 9100, peer: "127.0.0.1:40000" }),
    ]);
    expect(lines[0]?.msg).toContain("--register-uid does not name the user 1002");
  });
});

import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  alive2,
  ask,
  liveNames,
  type RawClient,
  rawClient,
  rawNode,
  request,
  sendSlowly,
  u16,
} from "../support/raw-epmd.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

// The cases of OTP's own test suite for epmd (erts/epmd/test/epmd_SUITE.erl) by their names there, over TCP, in bytes
// written by hand. Its registrations are of version 5, so that answers are `y`, result, creation of 16 bits.

let daemon: Daemon;
let relaxed: Daemon;
beforeAll(async () => {
  const flags = ["--packet-timeout", "1s"];
  [daemon, relaxed] = await Promise.all([
    startDaemon({ args: [...flags, "--listen", "127.0.0.1"] }),
    startDaemon({ args: [...flags, "--relaxed-command-check", "--allow-kill"] }),
  ]);
});
afterAll(() => Promise.all([daemon.stop(), relaxed.stop()]));

const Y_OK = /^7900000[123]$/;
const NOTHING = Buffer.alloc(0);

async function register(name: string | Buffer, { port = daemon.port, extra = NOTHING, address = "127.0.0.1" } = {}) {
  const client = await rawClient(port, { address });
  client.send(alive2({ name, extra }));
  return { client, answer: (await client.receive(4)).toString("hex") };
}

/** Many names at once, each on a connection of its own. */
async function registerMany(prefix: string, count: number): Promise<RawClient[]> {
  const nodes = await Promise.all(
    Array.from({ length: count }, (_, index) => rawNode(daemon.port, { name: `${prefix}${index}` })),
  );
  expect((await liveNames(daemon.port)).filter((name) => name.startsWith(prefix))).toHaveLength(count);
  return nodes;
}

const namesWith = async (prefix: string) => (await liveNames(daemon.port)).filter((name) => name.startsWith(prefix));

describe.concurrent("epmd_SUITE", () => {
  test("register_name: a name is registered over IPv4", async () => {
    expect((await register("foobar")).answer).toMatch(Y_OK);
  });

  test("register_name_ipv6: and over IPv6", async () => {
    expect((await register("foobar6", { address: "::1" })).answer).toMatch(Y_OK);
  });

  test.each([
    ["register_names_1", "first in, first out"],
    ["register_names_2", "last in, first out"],
  ])("%s: two names come and go, %s", async (prefix, order) => {
    const nodes = [(await register(`${prefix}a`)).client, (await register(`${prefix}b`)).client];
    expect(await namesWith(prefix)).toEqual([`${prefix}b`, `${prefix}a`]);
    for (const node of order.startsWith("first") ? nodes : nodes.reverse()) await node.close();
    await waitFor(async () => (await namesWith(prefix)).length === 0, { what: "both names to be gone" });
  });

  test("register_duplicate_name: a live name is refused", async () => {
    const { client } = await register("twice");
    expect((await register("twice")).answer).toBe("79010063");
    await client.close();
  });

  test.each([
    ["unicode_name", "\u{1F608}"],
    ["long_unicode_name", "\u{1F608}".repeat(201)],
  ])("%s: it comes back byte for byte", async (_, name) => {
    const { client, answer } = await register(name);
    expect(answer).toMatch(Y_OK);
    const found = await ask(daemon.port, request("z", name));
    const length = Buffer.from(name).length;
    expect(found.subarray(0, 10).toString("hex")).toBe("770012674d0000050005");
    expect(found.subarray(10)).toEqual(Buffer.concat([u16(length), Buffer.from(name), u16(0)]));
    await client.close();
  });

  test("get_port_nr and returns_valid_empty_extra: a look-up gives what was registered, then the close", async () => {
    const { client } = await register("look");
    expect((await ask(daemon.port, request("z", "look"))).toString("hex")).toBe(
      "7700 1267 4d 00 0005 0005 0004 6c6f6f6b 0000".replaceAll(" ", ""),
    );
    await client.close();
    await waitFor(async () => (await ask(daemon.port, request("z", "look"))).toString("hex") === "7701", {
      what: "look to be gone",
    });
  });

  test("returns_valid_populated_extra_with_nulls: extra is bytes", async () => {
    await register("extra", { extra: Buffer.from("ABC\0\0") });
    expect((await ask(daemon.port, request("z", "extra"))).subarray(-7)).toEqual(Buffer.from("\0\x05ABC\0\0"));
  });

  test("slow_get_port_nr: a request that comes a byte a second is answered although the packet time-out is 1 s", async () => {
    const { client } = await register("s");
    const slow = await rawClient(daemon.port);
    await sendSlowly(slow, request("z", "s"), 1000);
    expect((await slow.closed()).subarray(0, 4).toString("hex")).toBe("77001267");
    await client.close();
  });

  test("unregister_others_name_1 and _2: only a relaxed EPMD takes names back", async () => {
    const { client } = await register("stop", { port: relaxed.port });
    expect((await ask(relaxed.port, request("s", "stop"))).toString()).toBe("STOPPED");
    await client.closed();
    expect((await ask(relaxed.port, request("s", "stop"))).toString()).toMatch(/^NOEXIST/);
  });

  test.each([
    ["name_with_null_inside", "foo\0bar"],
    ["name_null_terminated", "foobar\0"],
  ])("%s: closed without an answer", async (_, name) => {
    expect(await ask(daemon.port, alive2({ name }))).toEqual(NOTHING);
  });

  test.each([
    ["no_data", NOTHING],
    ["one_byte", Buffer.of(0)],
    ["two_bytes", Buffer.of(0, 3)],
    ["partial_packet", alive2({ name: "partial" }).subarray(0, 9)],
  ])("%s: closed without an answer within 5 s", async (_, bytes) => {
    const client = await rawClient(daemon.port);
    const started = performance.now();
    client.send(bytes);
    expect(await client.closed(5000)).toEqual(NOTHING);
    expect(performance.now() - started).toBeGreaterThan(1000);
  });

  test("zero_length: ten zero bytes are closed at once", async () => {
    const client = await rawClient(daemon.port);
    client.send(Buffer.alloc(10));
    expect(await client.closed(1000)).toEqual(NOTHING);
  });

  test("too_large: a length of 63000 is closed at once, before its bytes", async () => {
    const client = await rawClient(daemon.port);
    client.send(u16(63000));
    expect(await client.closed(1000)).toEqual(NOTHING);
    expect(await ask(daemon.port, Buffer.concat([u16(63000), Buffer.alloc(63000, 0x78)]))).toEqual(NOTHING);
  });

  test.each([
    ["alive_req_too_small_1", "780100 4d 00 0005 0005 0000"],
    ["alive_req_too_small_2", "780100 4d 00 0005 0005"],
  ])("%s: closed without an answer", async (_, body) => {
    const bytes = Buffer.from(body.replaceAll(" ", ""), "hex");
    expect(await ask(daemon.port, Buffer.concat([u16(bytes.length), bytes]))).toEqual(NOTHING);
  });

  test("alive_req_too_large: a name of 600 characters is refused with an answer", async () => {
    expect((await register("a".repeat(600))).answer).toBe("79010063");
  });

  test("buffer_overrun_1: an extra that is said to be longer than the request is closed without an answer", async () => {
    for (const length of [1, 2, 15, 255, 256, 1019, 1020, 1021, 3057, 4096, 9999, 10_000, 65_535]) {
      const whole = alive2({ name: "overrun" });
      expect(await ask(daemon.port, Buffer.concat([whole.subarray(0, -2), u16(length)])), `extra of ${length}`).toEqual(
        NOTHING,
      );
    }
  });

  test("buffer_overrun_2: an extra of 1020 bytes is taken, none that is longer", async () => {
    const { client, answer } = await register("overrun2", { extra: Buffer.alloc(1020, 0xff) });
    expect(answer).toMatch(Y_OK);
    await client.close();
    for (const length of [1021, 1022, 1500, 2040, 3035, 3036, 3037, 3038, 3050, 4000, 10_000]) {
      const refused = await ask(daemon.port, alive2({ name: "overrun3", extra: Buffer.alloc(length, 0xff) }));
      expect(refused.toString("hex"), `extra of ${length}`).toMatch(/^(79010063)?$/);
    }
  });

  test("no_live_killing: KILL is refused while a name lives, STOP is closed, and then KILL is obeyed", async () => {
    const strict = await startDaemon({ args: ["--allow-kill"] });
    const { client } = await register("foobar", { port: strict.port });
    expect((await ask(strict.port, request("k"))).toString()).toBe("NO");
    expect(await ask(strict.port, request("s", "foobar"))).toEqual(NOTHING);
    await client.close();
    await waitFor(async () => (await liveNames(strict.port)).length === 0, { what: "foobar to be gone" });
    expect((await ask(strict.port, request("k"))).toString()).toBe("OK");
    expect(await strict.child.exited).toMatchObject({ code: 0 });
  });

  test("socket_reset_before_alive2_reply_is_written: a name whose client has reset its connection is not kept", async () => {
    for (let round = 0; round < 20; round++) {
      const client = await rawClient(daemon.port);
      client.send(alive2({ name: "reset" }));
      if (round % 2 === 0) await sleep(1);
      client.reset();
    }
    await waitFor(async () => (await namesWith("reset")).length === 0, { what: "the name to be gone" });
  });
});

// After the others: a process that handles thousands of sockets cannot send a byte a second.
describe("epmd_SUITE, with 1000 names at once", () => {
  test("register_overflow: 1000 names come and go in rounds, and none is lost", { timeout: 20_000 }, async () => {
    for (let round = 0; round < 4; round++) {
      const nodes = await registerMany("overflow", 1000);
      await Promise.all((round % 2 === 0 ? nodes : nodes.reverse()).map((node) => node.close()));
      await waitFor(async () => (await namesWith("overflow")).length === 0, { what: "1000 names to be gone" });
    }
  });

  test("stupid_names_req: NAMES has exactly the names that are left, and the port that is asked", async () => {
    const nodes = await registerMany("stupid", 1000);
    await nodes[0]?.close();
    await waitFor(async () => (await namesWith("stupid")).length === 999, { what: "the first name to be gone" });
    const names = await ask(daemon.port, request("n"));
    expect(names.readUInt32BE(0)).toBe(daemon.port);
    const lines = names
      .subarray(4)
      .toString()
      .split("\n")
      .filter((line) => line.startsWith("name stupid"));
    const expected = Array.from({ length: 999 }, (_, index) => `name stupid${index + 1} at port 4711`);
    expect(lines.toSorted()).toEqual(expected.toSorted());
    await Promise.all(nodes.map((node) => node.close()));
  });
});

const ownAddress = Object.values(networkInterfaces())
  .flatMap((entries) => entries ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

// The suite needs a second machine for these: to 127.0.0.1, a client with another of our addresses is a stranger.
describe.skipIf(ownAddress === undefined)("epmd_SUITE, from elsewhere", () => {
  const from = { localAddress: ownAddress };

  test("no_nonlocal_register: closed without an answer, even where a local client would be refused", async () => {
    expect(await ask(daemon.port, alive2({ name: "foreign" }), from)).toEqual(NOTHING);
    expect(await ask(daemon.port, alive2({ name: "a".repeat(600) }), from)).toEqual(NOTHING);
    expect(await namesWith("foreign")).toEqual([]);
  });

  test("no_nonlocal_kill: KILL, STOP and DUMP are closed without an answer, and the EPMD lives", async () => {
    for (const opcode of ["k", "sfoobar", "d"]) expect(await ask(daemon.port, request(opcode), from)).toEqual(NOTHING);
    expect(daemon.child.hasExited()).toBe(false);
  });
});

import { describe, expect, test } from "vitest";
import { questions, vmState } from "../../src/distribution/core/vm-state.js";
import type { Term } from "../../src/distribution/wire/term.js";

const atom = (name: string): Term => ({ kind: "atom", name });
const tuple = (...elements: Term[]): Term => ({ kind: "tuple", elements });
const list = (...elements: Term[]): Term => ({ kind: "list", elements });
const text = (value: string): Term => ({ kind: "string", text: value });
const ok = (value: Term) => tuple(atom("ok"), value);
const badrpc = tuple(atom("badrpc"), atom("nodedown"));
const number = (value: number): Term => ({ kind: "integer", value: BigInt(value) });
const UNDEFINED = atom("undefined");
/** Of net_kernel's table in OTP 23 to 29. @param ip groups of the address of the other end */
const record = (
  node: string,
  state: string,
  ip?: readonly number[],
  port = 0,
  protocol = atom("tcp"),
  family = "inet",
) => {
  const address = ip ? tuple(tuple(...ip.map(number)), number(port)) : UNDEFINED;
  const at = tuple(atom("net_address"), address, UNDEFINED, protocol, atom(family));
  const owner: Term = { kind: "pid", node, id: 1, serial: 0, creation: 1 };
  return tuple(atom("connection"), atom(node), { kind: "reference" }, atom(state), owner, UNDEFINED, UNDEFINED, at);
};

/** As an OTP 25 that nobody has told anything answers. */
const ANSWERS: readonly Term[] = [
  list(atom("b@h"), atom("c@h")),
  list(atom("console@h"), atom("srv-epmd-probe-7@box")),
  text("25"),
  atom("undefined"),
  atom("error"),
  atom("undefined"),
  list(
    record("b@h", "up", [10, 0, 0, 2], 20_002),
    record("c@h", "up", [0xfd00, 0, 0, 0, 0, 0, 0, 3], 40_001),
    record("d@h", "pending"),
    // It dials the VM, and its handshake has begun.
    record("e@h", "pending", undefined, 0, UNDEFINED),
    record("srv-epmd-probe-7@box", "pending"),
  ),
  atom("undefined"),
];
const state = (index: number, answer: Term) => vmState(ANSWERS.with(index, answer));

test("what a VM says of itself: our own probes are no nodes", () => {
  expect(vmState(ANSWERS)).toEqual({
    ...{ release: "25", visible: ["b@h", "c@h"], hidden: ["console@h"], connecting: ["d@h"] },
    ends: [
      { node: "b@h", address: "10.0.0.2", port: 20_002 },
      { node: "c@h", address: "fd00::3", port: 40_001 },
    ],
    families: [4],
    ...{ connectAll: true, autoConnect: undefined, preventsPartitions: true },
  });
});

test("the other end of a link is known where the table has an address", () => {
  const ends = (...records: Term[]) => state(6, list(...records))?.ends;
  expect(ends(record("b@h", "up"), record("c@h", "up", [1, 2, 3], 4), record("d@h", "up", [256, 0, 0, 1], 4))).toEqual(
    [],
  );
  expect(ends(record("b@h", "up", [10, 0, 0, 1], 65_536), record("c@h", "up_pending", [10, 0, 0, 1], 4))).toEqual([]);
});

test("the families in which a VM dials are those of its links, ours among them", () => {
  const ours = record("srv-epmd-probe-7@box", "up", [0, 0, 0, 0, 0, 0xffff, 0x0a00, 1], 4, atom("tcp"), "inet6");
  expect(state(6, list(ours))).toMatchObject({ families: [6], ends: [] });
  expect(state(6, list(record("d@h", "pending")))?.families).toEqual([]);
});

test("an IPv4-mapped address is that of the other machine", () => {
  const mapped = [0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0001];
  expect(state(6, list(record("b@h", "up", mapped, 4)))?.ends).toEqual([{ node: "b@h", address: "10.0.0.1", port: 4 }]);
});

test("connect_all is off by the parameter, or else by the flag", () => {
  expect(state(3, ok(atom("false")))?.connectAll).toBe(false);
  expect(state(4, ok(list(list(text("false")))))?.connectAll).toBe(false);
  expect(state(4, ok(list(list(text("true")))))?.connectAll).toBe(true);
  const both = ANSWERS.with(3, ok(atom("true"))).with(4, ok(list(list(text("false")))));
  expect(vmState(both)?.connectAll).toBe(true);
});

test("dist_auto_connect and prevent_overlapping_partitions are told as they are set", () => {
  expect(state(5, ok(atom("never")))?.autoConnect).toBe("never");
  expect(state(5, ok(atom("once")))?.autoConnect).toBe("once");
  expect(state(5, ok(atom("sometimes")))?.autoConnect).toBeUndefined();
  expect(state(7, ok(atom("false")))?.preventsPartitions).toBe(false);
});

describe("a VM that answers with something else", () => {
  test.each([0, 1])("gives no state where a list of nodes is none (%i)", (index) => {
    for (const wrong of [
      badrpc,
      text("ab"),
      list(tuple()),
      list(atom("nobody")),
      { ...list(atom("a@h")), tail: atom("x") },
    ])
      expect(state(index, wrong as Term)).toBeUndefined();
  });

  test.each([2, 3, 4, 5, 6, 7])("gives what is left where another answer is (%i)", (index) => {
    for (const wrong of [badrpc, text("\x1b[31m"), list(tuple()), list(list(atom("x"))), atom("\n")])
      expect(state(index, wrong)).toMatchObject({ visible: ["b@h", "c@h"] });
  });

  test("cannot pass a text as its release", () => {
    for (const wrong of ["25\n", "\x1b[31m", "", "1234"]) expect(state(2, text(wrong))?.release).toBeUndefined();
  });
});

test("every release is asked what it knows, and nothing that changes it", () => {
  const named = (flags: readonly string[]) => questions(flags).map(({ module, name }) => `${module}:${name}`);
  expect(new Set(named(["MANDATORY_25_DIGEST"]))).toEqual(
    new Set(["erlang:nodes", "erlang:system_info", "application:get_env", "init:get_argument", "ets:tab2list"]),
  );
  expect(named([])).toHaveLength(named(["MANDATORY_25_DIGEST"]).length - 1);
  expect(vmState(ANSWERS.slice(0, -1))?.preventsPartitions).toBeUndefined();
});

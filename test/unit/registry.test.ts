import { describe, expect, test } from "vitest";
import { type Registration, Registry, type RegistryEvent } from "../../src/epmd/core/registry.js";
import { registration as registrationAt } from "../support/registered-node.js";

const NOW = 1_700_000_000_500;

const registration = (aliveName: string, more?: Partial<Registration>) => registrationAt(aliveName, 20001, more);

/** Registers, and fails the test when the name is taken. */
function add(registry: Registry, aliveName: string, more?: Partial<Registration>, now = NOW) {
  const node = registry.register(registration(aliveName, more), now);
  if (!node) throw new Error(`${aliveName} is taken`);
  return node;
}

describe("a name", () => {
  test("is alive from its registration to its end", () => {
    const registry = new Registry();
    const node = add(registry, "node_a");
    expect(registry.get("node_a")).toBe(node);
    expect(registry.size).toBe(1);
    registry.unregister(node);
    expect(registry.get("node_a")).toBeUndefined();
    expect(registry.size).toBe(0);
  });

  test("is refused while a live node has it, and that node stays", () => {
    const registry = new Registry();
    const node = add(registry, "node_a");
    expect(registry.register(registration("node_a", { port: 9 }), NOW)).toBeUndefined();
    expect(registry.get("node_a")).toBe(node);
  });

  test("is compared as it is written: Node and node are two", () => {
    const registry = new Registry();
    add(registry, "Node");
    add(registry, "node");
    expect(registry.size).toBe(2);
  });

  test("that was taken anew survives the late end of the registration before", () => {
    const registry = new Registry();
    const first = add(registry, "node_a");
    registry.unregister(first);
    const second = add(registry, "node_a");
    registry.unregister(first);
    expect(registry.get("node_a")).toBe(second);
  });

  test("of a configured node is refused another configured one", () => {
    const registry = new Registry();
    const first = add(registry, "node_a", { origin: "configured" });
    expect(registry.register(registration("node_a", { origin: "configured", port: 9 }), NOW)).toBeUndefined();
    expect(registry.get("node_a")).toBe(first);
  });

  test("of a configured node gives way to the VM's own registration, not the other way round", () => {
    const registry = new Registry();
    const configured = add(registry, "node_a", { origin: "configured" });
    const own = add(registry, "node_a", { port: 20002 });
    expect(own.creation).toBe(configured.creation + 1);
    expect(registry.register(registration("node_a", { origin: "configured" }), NOW)).toBeUndefined();
    expect(registry.get("node_a")?.port).toBe(20002);
  });
});

describe("lists", () => {
  test("of live nodes begin with the newest, those of former names with the oldest", () => {
    const registry = new Registry();
    const [a, b] = [add(registry, "a"), add(registry, "b"), add(registry, "c")];
    expect(registry.nodes().map(({ aliveName }) => aliveName)).toEqual(["c", "b", "a"]);
    registry.unregister(b);
    registry.unregister(a);
    expect(registry.former().map(({ aliveName }) => aliveName)).toEqual(["b", "a"]);
    add(registry, "b");
    expect(registry.nodes().map(({ aliveName }) => aliveName)).toEqual(["b", "c"]);
    expect(registry.former().map(({ aliveName }) => aliveName)).toEqual(["a"]);
  });

  test("of former names are bounded: the oldest is forgotten", () => {
    const registry = new Registry();
    for (let i = 0; i < 1_001; i++) registry.unregister(add(registry, `n${i}`));
    const former = registry.former().map(({ aliveName }) => aliveName);
    expect([former.length, former[0], former.at(-1)]).toEqual([1_000, "n1", "n1000"]);
  });
});

describe("a creation", () => {
  test("of a new name is the unix time in seconds plus one", () => {
    expect(add(new Registry(), "a").creation).toBe(1_700_000_001);
  });

  test("of a returning name counts on, whatever the clock says", () => {
    const registry = new Registry();
    const first = add(registry, "a");
    registry.unregister(first);
    expect(add(registry, "a", {}, NOW - 86_400_000).creation).toBe(first.creation + 1);
  });

  test("is never below 4, and starts there again behind 32 bits", () => {
    expect(add(new Registry(), "a", {}, 0).creation).toBe(4);
    const registry = new Registry();
    const last = add(registry, "a", {}, (0xffffffff - 1) * 1000);
    expect(last.creation).toBe(0xffffffff);
    registry.unregister(last);
    expect(add(registry, "a").creation).toBe(4);
  });
});

describe("subscribers", () => {
  test("are told what comes and goes, in order, until they end", () => {
    const registry = new Registry();
    const events: RegistryEvent[] = [];
    const unsubscribe = registry.subscribe((event) => events.push(event));
    const configured = add(registry, "a", { origin: "configured" });
    const own = add(registry, "a");
    registry.unregister(own);
    registry.unregister(own);
    unsubscribe();
    add(registry, "b");
    expect(events).toEqual([
      { type: "registered", node: configured },
      { type: "unregistered", node: configured },
      { type: "registered", node: own },
      { type: "unregistered", node: own },
    ]);
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { type RegisteredNode, Registry } from "../../src/epmd/core/registry.js";

const step = fc.record({ aliveName: fc.constantFrom("a", "b", "c"), ends: fc.boolean(), clock: fc.nat(5_000) });

test("no two lives of one name share a creation, and events tell exactly who is alive", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const registry = new Registry();
      const alive = new Map<string, RegisteredNode>();
      const creations = new Map<string, Set<number>>();
      registry.subscribe(({ type, node }) => {
        if (type === "registered") alive.set(node.aliveName, node);
        else alive.delete(node.aliveName);
      });
      for (const { aliveName, ends, clock } of steps) {
        const holder = registry.get(aliveName);
        if (ends) {
          if (holder) registry.unregister(holder);
          continue;
        }
        const description = { nodeType: 77, protocol: 0, highestVersion: 6, lowestVersion: 5, extra: Buffer.alloc(0) };
        const registration = { ...description, aliveName, port: 1, family: 4, origin: "alive2" } as const;
        const node = registry.register(registration, clock);
        expect(node === undefined).toBe(holder !== undefined);
        if (!node) continue;
        const used = creations.get(aliveName) ?? new Set();
        expect(used.has(node.creation)).toBe(false);
        creations.set(aliveName, used.add(node.creation));
      }
      expect(new Set(registry.nodes())).toEqual(new Set(alive.values()));
    }),
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import type { RegisteredNode } from "../../src/epmd/core/registry.js";
import { type Claim, Claims, type Holder } from "../../src/publish/core/claims.js";
import { type Publication, publicationOf } from "../../src/publish/core/publication.js";
import { nameKey } from "../../src/publish/core/reconcile.js";
import { registeredNode, serveConfig } from "../support/registered-node.js";

const DAEMON = { hostName: "box1", port: 4369, owner: "o" };
const MOST = 2;
const SKIPPED: Publication = { outcome: "skip", reason: "a helper" };
const REFUSED: Publication = { outcome: "refuse", reason: "no port" };

const step = fc.record({
  // Two of them differ only in case.
  name: fc.constantFrom("a", "A", "b", "c", "d"),
  does: fc.constantFrom("publish", "publish", "skip", "refuse", "end"),
  port: fc.integer({ min: 1, max: 9 }),
});

function publicationAs(node: RegisteredNode, does: string, port: number): Publication {
  if (does === "skip") return SKIPPED;
  if (does === "refuse") return REFUSED;
  return publicationOf(node, serveConfig({ domain: ["svc"], advertisePort: String(port) }), DAEMON, () => false);
}

test("whatever becomes of the nodes, the changes tell who holds which name, and no name that could be held is not", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const claims = new Claims(MOST);
      const alive = new Map<string, Claim>();
      const told = new Map<string, Holder>();
      for (const { name, does, port } of steps) {
        const former = alive.get(name);
        const before = new Map(told);
        const node = former?.node ?? registeredNode(name, 20001);
        const claim = { node, publication: publicationAs(node, does, port) };
        if (does === "end") alive.delete(name);
        else alive.set(name, claim);
        const changes = does === "end" ? claims.remove(node) : former ? claims.update(claim) : claims.add(claim);
        for (const { key, holder } of changes) {
          if (holder) told.set(key, holder);
          else told.delete(key);
        }

        expect(new Set(claims.holders())).toEqual(new Set(told.values()));
        expect(new Set(claims.all())).toEqual(new Set(alive.values()));
        expect(told.size).toBeLessThanOrEqual(MOST);
        for (const [key, { node: holder, entries }] of told) {
          const { publication } = alive.get(holder.aliveName) as Claim;
          expect([publication.outcome, nameKey(holder.aliveName)]).toEqual(["publish", key]);
          expect(publication.outcome === "publish" && publication.entries).toBe(entries);
        }
        for (const { node: one, publication } of alive.values()) {
          if (publication.outcome !== "publish") continue;
          const key = nameKey(one.aliveName);
          expect(told.has(key) || told.size === MOST).toBe(true);
          if (before.get(key)?.node === one) expect(told.get(key)?.node).toBe(one);
        }
      }
    }),
  );
});

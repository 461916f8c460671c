import { isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ServiceInstance } from "../../src/catalogue/core/instances.js";
import { canonicalIp } from "../../src/net/ip.js";
import { CONTEXT, instance, questionOf, sourceOver, viewOf } from "../support/catalogue.js";

const IPS = ["10.0.0.1", "10.0.0.2", "fd00::1", "::ffff:10.0.0.2", "FD00::2"];
const NAMES = ["box1.example", "fd00::1%eth0", ""];
const place = (address: string) => (isIP(address) === 0 || address.includes("%") ? address : canonicalIp(address));

const anyInstance = fc
  .record({
    serviceId: fc.constantFrom("a", "b", "c"),
    tags: fc.array(fc.constantFrom("node_a", "NODE_A", "node_b", "node_a.blue", "blue", ""), { maxLength: 3 }),
    port: fc.constantFrom(0, 1, 9100, 65_535, 65_536, -1),
    address: fc.constantFrom(...IPS, ...NAMES),
    critical: fc.boolean(),
    weight: fc.integer({ min: 0, max: 3 }),
  })
  .map((over): ServiceInstance => instance(over));

/**
 * What Consul's DNS has under a tag, as seen in runs of it: instances that are not critical, one record for each place, port 0
 * where there is none. A host name is a target whose addresses are not known here.
 */
function inDns(instances: readonly ServiceInstance[], tag: string): ReadonlySet<string> {
  const records = new Set<string>();
  for (const { tags, critical, address, port, weight } of instances) {
    if (critical || !tags.map((one) => one.toLowerCase()).includes(tag)) continue;
    if (port >= 1 && port <= 65_535) records.add(`${place(address)} ${port} ${weight}`);
  }
  return records;
}

test("what the catalogue answers is what DNS would answer, or nothing", () => {
  fc.assert(
    fc.property(
      fc.array(anyInstance, { maxLength: 12 }),
      fc.constantFrom(
        ...[
          ["node_a", "svc"],
          ["node_b", "svc"],
          ["node_a", "blue.svc"],
          ["blue", "svc"],
        ],
      ),
      fc.array(fc.nat(11), { maxLength: 4 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (instances, [name = "", host = ""], refusedAt, drawn) => {
        const refused = new Set(refusedAt.flatMap((index) => instances[index] ?? []));
        const { source } = sourceOver(viewOf(instances, { refused }), { random: () => drawn });
        const result = source.lookUp(questionOf(`${name}@${host}.service.consul`), CONTEXT);
        if (result instanceof Promise) throw new Error("a promise");
        const tag = `${name}.${host}`.replace(/\.?svc$/, "");
        const expected = inDns(instances, tag);
        if (result.outcome !== "found") {
          // Nothing only where DNS has nothing either, has to say what a name stands for, or where all have refused.
          const hasName = instances.some(
            (one) => NAMES.includes(one.address) && inDns([{ ...one, port: 1 }], tag).size > 0,
          );
          const allRefused = instances.every((one) => refused.has(one) || inDns([one], tag).size === 0);
          expect(hasName || allRefused).toBe(true);
          return;
        }
        for (const { address, port, weight, priority } of result.endpoints) {
          expect(priority).toBe(1);
          expect(Array.from(expected)).toContain(`${address} ${port} ${weight}`);
        }
        const given = new Set(result.endpoints.map(({ address, port }) => `${address} ${port}`));
        const places = new Set(Array.from(expected, (record) => record.split(" ").slice(0, 2).join(" ")));
        if (refused.size === 0) expect(given).toEqual(places);
      },
    ),
    { numRuns: 2_000 },
  );
});

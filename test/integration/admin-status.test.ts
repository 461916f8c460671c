import { expect, test } from "vitest";
import { DaemonStatus, type StatusDeps } from "../../src/admin/status.js";
import type { ConsulSide } from "../../src/consul/side.js";
import { Registry } from "../../src/epmd/core/registry.js";
import type { NameStatus } from "../../src/publish/registrar.js";
import { registration, serveConfig } from "../support/registered-node.js";
import type { Part } from "../support/registrar-part.js";

function statusOf(registry: Registry, registrar: Pick<Part["registrar"], "status" | "agentTrouble">): DaemonStatus {
  const consul = { registrar: async () => registrar } as unknown as ConsulSide;
  const deps: Partial<StatusDeps> = { config: serveConfig(), registry, consul, publishes: true };
  return new DaemonStatus({ ...deps, gateway: undefined, isStopping: () => false } as StatusDeps);
}

test("of a thousand nodes each is found in Consul's list without reading all of it", async () => {
  const registry = new Registry();
  const names = Array.from({ length: 1_000 }, (_, index) => `n${index}`);
  for (const [index, name] of names.entries()) registry.register(registration(name, 20_000 + index), 0);
  let reads = 0;
  const standing = names.map((name) => ({
    get name() {
      reads++;
      return name;
    },
    ...{ wanted: true, published: true, pending: false, serviceIds: [`srv-epmd:box1:${name}`] },
    ...{ reason: undefined, lastError: undefined, elsewhere: [] },
  })) satisfies NameStatus[];
  const { nodes } = await statusOf(registry, { status: () => standing, agentTrouble: undefined }).nodes();
  expect(nodes).toHaveLength(1_000);
  expect(nodes.every(({ name, serviceIds }) => serviceIds[0] === `srv-epmd:box1:${name}`)).toBe(true);
  expect(reads).toBeLessThan(10_000);
});

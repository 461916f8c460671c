import { expect, test } from "vitest";
import { DaemonStatus, type StatusDeps } from "../../src/admin/status.js";
import type { ConsulSide } from "../../src/consul/side.js";
import { Registry } from "../../src/epmd/core/registry.js";
import type { NameStatus } from "../../src/publish/registrar.js";
import { registration, serveConfig } from "../support/registered-node.js";
import { type Part, useRegistrars } from "../support/registrar-part.js";
import { waitFor } from "../support/wait-for.js";

const bench = useRegistrars();
const ANSWERS = { trouble: undefined, troubleSaid: undefined, answeredAt: 0, isCutOff: false };

function statusOf(registry: Registry, registrar: Pick<Part["registrar"], "status" | "agent">): DaemonStatus {
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
    ...{ wanted: true, published: true, pending: false, isBeyondLimit: false, serviceIds: [`srv-epmd:box1:${name}`] },
    ...{ reason: undefined, lastError: undefined, elsewhere: [] },
  })) satisfies NameStatus[];
  const { nodes } = await statusOf(registry, { status: () => standing, agent: ANSWERS }).nodes();
  expect(nodes).toHaveLength(1_000);
  expect(nodes.every(({ name, serviceIds }) => serviceIds[0] === `srv-epmd:box1:${name}`)).toBe(true);
  expect(reads).toBeLessThan(10_000);
});

test("nodes beyond the most that are published do not make the daemon unready; one without a port that others reach does", async () => {
  const nomad = { NOMAD_ALLOC_IP_dist: "172.26.64.2", NOMAD_HOST_IP_dist: "10.0.0.1", NOMAD_PORT_dist: "20001" };
  const part = bench.start({ mostPublished: 1, env: { ...nomad, NOMAD_HOST_PORT_dist: "28001" } });
  const status = statusOf(part.registry, part.registrar);
  part.up("first", 20001);
  await waitFor(() => part.registrar.status()[0]?.published, { what: "the first to be published" });
  part.up("second", 20001);
  const { nodes } = await status.nodes();
  expect(nodes[0]).toMatchObject({
    name: "second",
    publication: "not-in-consul",
    reason: expect.stringContaining("1 nodes"),
  });
  expect(await status.readiness()).toMatchObject({ ready: true });
  const unmapped = part.up("third", 20003);
  expect(await status.readiness()).toMatchObject({
    ready: false,
    checks: expect.arrayContaining([
      { name: "published", ok: false, reason: expect.stringMatching(/^not in Consul's DNS: third \([^,]*20003/) },
    ]),
  });
  // The log and the page have the second all the same.
  expect(part.messages()).toContain("not published, though it is registered here");
  part.down(unmapped);
  expect(await status.readiness()).toMatchObject({ ready: true });
});

test("what Consul has of a node is unknown while its agent does not answer", async () => {
  const part = bench.start();
  const status = statusOf(part.registry, part.registrar);
  part.up("node_a");
  const publication = async () => (await status.nodes()).nodes[0];
  await waitFor(async () => (await publication())?.publication === "in-consul", { what: "the publication" });
  const restart = await bench.stopAgent();
  await waitFor(async () => (await publication())?.publication === "unknown", { what: "the loss of the agent" });
  expect(await publication()).toMatchObject({ serviceIds: [], reason: expect.stringContaining("ECONNREFUSED") });
  await restart();
  await waitFor(async () => (await publication())?.publication === "in-consul", { what: "the agent's return" });
});

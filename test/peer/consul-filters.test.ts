import { afterAll, beforeAll, expect, test } from "vitest";
import { META_NODE, META_OWNER, serviceId, ttlCheckId } from "../../src/publish/core/service-entry.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { useConsulParts } from "../support/consul-part.js";
import { requirePeer } from "../support/require-peer.js";

const startPart = useConsulParts();

requirePeer("consul")("lists that Consul filters", () => {
  let consul: Consul;
  let client: ReturnType<typeof startPart>["client"];

  beforeAll(async () => {
    consul = await startConsul();
    client = startPart(consul).client;
  });
  afterAll(() => consul?.kill());

  async function register(id: string, tag: string, meta: Readonly<Record<string, string>>) {
    const body = { ID: id, Name: "svc", Port: 20_001, Tags: [tag], Meta: meta };
    expect((await consul.request("PUT", "/v1/agent/service/register", body as never)).status).toBe(200);
  }

  /** As a daemon registers it, with a TTL check of that status. */
  async function publish(
    instance: string,
    owner: string,
    status: "passing" | "critical",
    more: readonly object[] = [],
  ) {
    const [id, name] = [serviceId(instance, "n"), `${instance} ${owner}`];
    const ttl = { CheckID: ttlCheckId(id), TTL: "1h", Status: status };
    const body = { ID: id, Name: "entries", Meta: { [META_OWNER]: owner, name }, Port: 20_001, Checks: [ttl, ...more] };
    expect((await consul.request("PUT", "/v1/agent/service/register", body)).status).toBe(200);
  }

  const idsNamed = async (...names: readonly string[]) => {
    const members = await client.members({ service: "svc", datacenter: undefined }, undefined, new Set(names));
    return members.map(({ serviceId }) => serviceId).sort();
  };

  test("the nodes of some names: whatever their case and characters, and those that only a tag names", async () => {
    const names = ["node_a", "NODE_A", "node_ab", "a|b", "a.b", "axb", 'quote"d', "back\\slash", "grüße", "(?i)x"];
    for (const [index, name] of names.entries()) {
      await register(`meta-${index}`, name, { [META_NODE]: `${name}@svc.service.consul` });
    }
    await register("tag-only", "node_a", {});
    await register("no-name", "node_a", { [META_NODE]: "nobody" });
    const always = ["no-name", "tag-only"];
    expect(await idsNamed("node_a")).toEqual(["meta-0", "meta-1", ...always]);
    for (const [index, name] of names.entries()) {
      if (index > 1) expect(await idsNamed(name), name).toEqual([`meta-${index}`, ...always]);
    }
    expect(await idsNamed("a.b", "GRÜSSE", "GRÜßE")).toEqual(["meta-4", "meta-8", ...always]);
    expect(await idsNamed("absent")).toEqual(always);
    const many = Array.from({ length: 501 }, (_, index) => `n${index}`);
    expect(await idsNamed(...many)).toHaveLength(names.length + 2);
    expect(await idsNamed(...many.slice(1))).toEqual(always);
  });

  test("the entries of a daemon: under its ids, whoever has them, and of its owner; and what is critical of others", async () => {
    const self = { instance: "b.x", owner: 'boot/"1"/4369' };
    await publish("b.x", self.owner, "passing");
    await publish("b.x~0123abcd", self.owner, "critical");
    await publish("b.x~0123abcd~89ef0123", "boot/2/4369", "passing");
    await publish("former", self.owner, "passing");
    for (const other of ["bax", "b.xx", "b.x~0123", "B.X", "ab.x"]) await publish(other, "boot/2/4369", "passing");
    await publish("dead", "boot/3/4369", "critical");
    const named = (ids: readonly string[]) => ids.map((id) => id.replace(/^srv-epmd:(.*):n$/, "$1")).toSorted();
    const ours = ["b.x", "b.x~0123abcd", "b.x~0123abcd~89ef0123"];
    expect(named((await client.services(undefined, self)).map(({ id }) => id))).toEqual([...ours, "former"]);
    const checks = async () => (await client.checks(undefined, self)).map(({ serviceId }) => serviceId);
    expect(named(await checks())).toEqual([...ours, "dead"]);
    await consul.request("PUT", "/v1/agent/maintenance?enable=true");
    expect(named(await checks())).toEqual(["", ...ours, "dead"]);
    expect((await client.checksOf("srv-epmd:b.x:n")).map(({ serviceId }) => serviceId)).toEqual(["srv-epmd:b.x:n"]);
    expect(await client.checksOf('srv-epmd:" \\ .*:n')).toEqual([]);
  });
});

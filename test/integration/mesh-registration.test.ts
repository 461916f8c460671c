import { expect, test } from "vitest";
import { useRegistrars } from "../support/registrar-part.js";
import { waitFor } from "../support/wait-for.js";

const bench = useRegistrars();
const { start, isPublished } = bench;

const WARNING =
  "the Consul agent has these nodes already, registered by the operator of their mesh, and now they are published a second time, with ports that lead past the mesh: give --register none";

/** A service as whoever starts the sidecar proxies registers it. */
function holds(id: string, service: string, proxied = true) {
  const common = { Tags: [], Address: "", Port: 9100, Meta: {}, Weights: { Passing: 1, Warning: 1 } };
  bench.fake.services.set(id, { ...common, ID: id, Service: service });
  if (!proxied) return;
  const proxy = { DestinationServiceName: service, DestinationServiceID: id };
  const name = `${service}-sidecar-proxy`;
  bench.fake.services.set(`${id}-p`, { ...common, ID: `${id}-p`, Service: name, Kind: "connect-proxy", Proxy: proxy });
}

test.each([
  ["the service", "svc"],
  ["a service of its own", "svc-node_a"],
])("a node that the mesh has registered as %s is warned of, once", async (_, service) => {
  holds("m1", service);
  const daemon = start({ flags: { mesh: "true" } });
  const node = daemon.up("node_a");
  await isPublished(daemon);
  const warning = await waitFor(() => daemon.lines.find(({ msg }) => msg === WARNING), { what: "the warning" });
  expect(warning).toMatchObject({ level: "warn", serviceIds: ["m1"] });
  daemon.down(node);
  daemon.up("node_a", 20002);
  daemon.up("node_b");
  await isPublished(daemon, "node_b");
  expect(daemon.messages("warn").filter((message) => message === WARNING)).toHaveLength(1);
  expect(daemon.messages("warn").filter((message) => message.includes("not distribution ports"))).toEqual([]);
});

test("what has no proxy, and what the mesh has for other nodes, is none of its business", async () => {
  holds("m1", "svc-node_b");
  holds("m2", "svc-node_a", false);
  const daemon = start({ flags: { mesh: "true" } });
  daemon.up("node_a");
  await isPublished(daemon);
  await waitFor(() => bench.fake.requests.some(({ path }) => path.startsWith("/v1/health/service/svc")), {
    what: "the look at the service",
  });
  expect(daemon.messages("warn")).not.toContain(WARNING);
});

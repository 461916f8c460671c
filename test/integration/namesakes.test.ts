import { expect, test } from "vitest";
import { type Part, useRegistrars } from "../support/registrar-part.js";
import { STRANGER } from "../support/service-entry.js";
import { waitFor } from "../support/wait-for.js";

const bench = useRegistrars();
const { start, isPublished } = bench;
/** A daemon on another machine, with the same --domain. */
const startElsewhere = () => start({ owner: STRANGER, flags: { instance: "box2" } });

const elsewhere = ({ registrar }: Part, name = "node_a") =>
  registrar.status().find((status) => status.name === name)?.elsewhere;
const isElsewhere = (part: Part, places: number) =>
  waitFor(() => elsewhere(part)?.length === places, { what: `${places} places of the same name` });

test("a node of the same name on another machine is told of loudly, once on each machine, and once when it is over", async () => {
  const [here, there] = [start(), startElsewhere()];
  here.up("node_a", 20_001);
  here.up("other", 20_003);
  await isPublished(here);
  const impostor = there.up("node_a", 20_002);
  await Promise.all([isElsewhere(here, 1), isElsewhere(there, 1)]);
  expect([elsewhere(here), elsewhere(there), elsewhere(here, "other")]).toEqual([
    ["10.9.9.9:20002 on box1"],
    ["10.9.9.9:20001 on box1"],
    [],
  ]);
  const looks = () => bench.fake.requests.filter(({ path }) => path.startsWith("/v1/health/service/svc?stale")).length;
  const before = looks();
  await waitFor(() => looks() > before + 4, { what: "further looks" });
  for (const part of [here, there]) {
    expect(part.messages("error")).toEqual([
      expect.stringMatching(/another node of the name node_a@svc\.service\.consul is published, at 10\.9\.9\.9:2000/),
    ]);
  }
  there.down(impostor);
  await isElsewhere(here, 0);
  expect(here.messages()).toContain("no other node of these names is published any more");
});

test("of many names that somebody publishes a second time a few are told, and how many there are", async () => {
  const [here, there] = [start(), startElsewhere()];
  const names = Array.from({ length: 20 }, (_, n) => `n${n}`);
  for (const name of names) there.up(name, 20_002);
  for (const name of names) await isPublished(there, name);
  // Its first list has all of them.
  bench.fake.misbehave(({ path }) => (path.startsWith("/v1/health/service/") ? { status: 500, body: "" } : undefined));
  for (const name of names) here.up(name, 20_001);
  for (const name of names) await isPublished(here, name);
  bench.fake.misbehave(undefined);
  for (const name of names) await waitFor(() => elsewhere(here, name)?.length === 1, { what: `${name} elsewhere` });
  expect(here.messages("error")).toHaveLength(4);
});

test("what Consul does not tell of other nodes is no trouble", async () => {
  bench.fake.misbehave(({ path }) =>
    path.startsWith("/v1/health/") ? { status: 403, body: "Permission denied" } : undefined,
  );
  const here = start();
  here.up("node_a");
  await isPublished(here);
  expect([elsewhere(here), here.messages("warn")]).toEqual([[], []]);
  const there = startElsewhere();
  there.up("node_a", 20_002);
  await isPublished(there);
  bench.fake.misbehave(undefined);
  await isElsewhere(here, 1);
});

test("the oldest nodes are published, as many as may be, and the next when one goes", async () => {
  const here = start({ mostPublished: 3 });
  const nodes = ["a", "b", "c", "d"].map((name) => here.up(name));
  for (const name of ["a", "b", "c"]) await isPublished(here, name);
  const standing = () => here.registrar.status().find(({ name }) => name === "d");
  expect(standing()).toMatchObject({ published: false, reason: expect.stringContaining("3 nodes are published") });
  expect(bench.fake.services.has("srv-epmd:box1:d")).toBe(false);
  const [first] = nodes;
  if (first) here.down(first);
  await isPublished(here, "d");
  expect(standing()?.reason).toBeUndefined();
});

test("Consul's servers that did not answer are asked again, though no node is published any more", async () => {
  const here = start();
  const node = here.up("node_a", 20_001);
  await isPublished(here);
  bench.fake.misbehave(({ path }) =>
    path.startsWith("/v1/agent/") ? undefined : { status: 500, body: "No known Consul servers" },
  );
  await waitFor(() => here.registrar.agent.isCutOff, { what: "the loss of the servers" });
  here.down(node);
  await waitFor(() => here.registrar.status().length === 0, { what: "the end of the entry" });
  bench.fake.misbehave(undefined);
  await waitFor(() => here.registrar.agent.trouble === undefined, { what: "their return" });
});

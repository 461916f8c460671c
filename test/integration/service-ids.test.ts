import { describe, expect, test } from "vitest";
import type { Misbehaviour, SeenRequest } from "../support/fake-consul.js";
import { ID, type PartOptions, useRegistrars } from "../support/registrar-part.js";
import { STRANGER } from "../support/service-entry.js";
import { waitFor } from "../support/wait-for.js";

const bench = useRegistrars();
const { start, isPublished } = bench;

describe("two daemons that want the same service id", () => {
  const startStranger = (options: PartOptions = {}) =>
    start({ owner: STRANGER, ...options, client: { token: "stranger", ...options.client } });
  const isWrite = ({ method, path, token }: SeenRequest) =>
    token === "stranger" && method === "PUT" && /:srv-epmd:box1:node_a(\?|$)|\/srv-epmd:box1:node_a$/.test(path);
  /** What the stranger wrote to the id, or tried to. */
  const strangersWrites = () => [
    ...bench.fake.requests.filter(isWrite).map(({ path }) => path),
    ...bench.fake.registrations.filter(({ ID: id, Meta }) => {
      return id === ID && (Meta as Record<string, string>)["srv-epmd-owner"] === STRANGER;
    }),
  ];

  test.each<[string, Misbehaviour]>([
    ["429", { status: 429, body: "Your IP is issuing too many concurrent connections" }],
    ["500", { status: 500, body: "No cluster leader" }],
    ["nothing", "hang"],
    ["half an answer", "reset"],
  ])("have one each although the second gets %s when it asks whose the id is", async (_, how) => {
    const first = start();
    first.up("node_a", 20001);
    await isPublished(first);
    let failures = 2;
    bench.fake.misbehave(({ method, path, token }) => {
      const asks = token === "stranger" && method === "GET" && path.includes("/agent/service/");
      return asks && failures-- > 0 ? how : undefined;
    });
    const second = startStranger();
    const node = second.up("node_a", 20002);
    await isPublished(second);
    second.down(node);
    await waitFor(() => second.registrar.status().length === 0, { what: "the second's entry to be gone" });
    expect(strangersWrites()).toEqual([]);
    expect(bench.fake.services.get(ID)?.Port).toBe(20001);
    expect(bench.fake.status(ID)).toBe("passing");
  });

  test("have one each although the agent fails every second call for a while, whatever the VMs do", async () => {
    const first = start();
    first.up("node_a", 20001);
    await isPublished(first);
    const ways: Misbehaviour[] = [
      { status: 429, body: "" },
      { status: 500, body: "rpc error: No cluster leader" },
      { status: 503, body: "" },
      "reset",
    ];
    let calls = 0;
    bench.fake.misbehave(({ token }) => {
      if (token !== "stranger") return undefined;
      calls++;
      return calls % 2 === 0 ? undefined : ways[(calls >> 1) % ways.length];
    });
    const second = startStranger();
    for (let round = 0; round < 6; round++) {
      const node = second.up("node_a", 20002 + round);
      await new Promise((resolve) => setTimeout(resolve, 60 + 35 * round));
      second.down(node);
      await new Promise((resolve) => setTimeout(resolve, 40 * round));
    }
    bench.fake.misbehave(undefined);
    await waitFor(() => second.registrar.status().length === 0, { what: "the second's entries to be gone" });
    expect(calls).toBeGreaterThan(20);
    expect(strangersWrites()).toEqual([]);
    expect(bench.fake.services.get(ID)?.Port).toBe(20001);
    expect(bench.fake.status(ID)).toBe("passing");
  });

  test("have one each although the first's TCP check is critical: its TTL check says that its daemon is alive", async () => {
    const first = start();
    first.up("node_a", 20001);
    await isPublished(first);
    const tcp = `service:${ID}:tcp`;
    bench.fake.checks.set(tcp, { CheckID: tcp, ServiceID: ID, Status: "critical", Output: "" });
    const second = startStranger();
    second.up("node_a", 20002);
    await isPublished(second);
    expect(strangersWrites()).toEqual([]);
    expect(bench.fake.services.get(ID)?.Port).toBe(20001);
  });

  test("leave it to the one that got it, when the other had asked for it in vain before", async () => {
    // Not even sent: but a registration without a good answer may have arrived.
    bench.fake.misbehave(({ path, token }) =>
      token === "stranger" && path.includes("/register") ? { status: 500, body: "No cluster leader" } : undefined,
    );
    const second = startStranger({ timings: { audit: 60_000 } });
    const node = second.up("node_a", 20002);
    await waitFor(() => second.registrar.status()[0]?.lastError, { what: "a registration in vain" });
    const first = start();
    first.up("node_a", 20001);
    await isPublished(first);
    second.down(node);
    await waitFor(() => second.registrar.status().length === 0, { what: "nothing left to do" });
    expect(strangersWrites()).toEqual([]);
    expect(bench.fake.status(ID)).toBe("passing");
  });

  test("leave it to the one that has overwritten it, when the other's VM ends before the next look", async () => {
    bench.fake.misbehave(({ method, path }) =>
      method === "GET" && path.includes("/agent/service/") ? { status: 404, body: "unknown service ID" } : undefined,
    );
    const second = startStranger({ timings: { audit: 60_000 } });
    const node = second.up("node_a", 20002);
    await isPublished(second);
    const first = start();
    first.up("node_a", 20001);
    await waitFor(() => bench.fake.services.get(ID)?.Port === 20001, { what: "the race to be won by the first" });
    bench.fake.misbehave(undefined);
    bench.fake.requests.length = 0;
    second.down(node);
    await waitFor(() => second.registrar.status().length === 0, { what: "nothing left to do" });
    expect(bench.fake.requests.filter(isWrite)).toEqual([]);
    expect(bench.fake.services.get(ID)?.Port).toBe(20001);
    expect(bench.fake.status(ID)).toBe("passing");
  });

  test("have one each: the second takes another", async () => {
    const first = start();
    first.up("node_a", 20001);
    await isPublished(first);
    const second = startStranger();
    second.up("node_a", 20002);
    await isPublished(second);
    expect(bench.fake.services.get(ID)?.Port).toBe(20001);
    const [own] = second.registrar.status()[0]?.serviceIds ?? [];
    expect(own).toMatch(/^srv-epmd:box1~[0-9a-f]{8}:node_a$/);
    expect(bench.fake.services.get(own ?? "")?.Port).toBe(20002);
    const told = () => second.messages("warn").filter((message) => message.includes("another running daemon"));
    await waitFor(() => told().length > 0, { what: "a line" });
    expect(told()).toHaveLength(1);
  });

  test("come to have one each with one look at the agent, although both saw it free", async () => {
    // Neither sees the other before it writes.
    bench.fake.misbehave(({ method, path }) =>
      method === "GET" && path.includes("/agent/service/") ? { status: 404, body: "unknown service ID" } : undefined,
    );
    const first = start({ client: { token: "first" } });
    const second = startStranger();
    first.up("node_a", 20001);
    second.up("node_a", 20002);
    await isPublished(first);
    await isPublished(second);
    expect(bench.fake.services.size).toBe(1);
    const loser = bench.fake.services.get(ID)?.Port === 20001 ? "stranger" : "first";
    bench.fake.misbehave(undefined);
    bench.fake.requests.length = 0;
    await waitFor(() => new Set([...bench.fake.services.values()].map(({ Port }) => Port)).size === 2, {
      what: "an entry for each",
      interval: 1,
    });
    const looks = bench.fake.requests.filter(
      ({ path, token }) => path.startsWith("/v1/agent/services") && token === loser,
    );
    expect(looks.length).toBeLessThanOrEqual(1);
    await waitFor(() => [...bench.fake.services.keys()].every((id) => bench.fake.status(id) === "passing"), {
      what: "both",
    });
    await Promise.all([first, second].map((part) => isPublished(part)));
    // The same node under another id is no other publication.
    const published = [first, second].map((part) => part.messages().filter((message) => message === "published"));
    expect(published.map(({ length }) => length)).toEqual([1, 1]);
  });
});

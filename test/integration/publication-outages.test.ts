import { describe, expect, test } from "vitest";
import type { Misbehaviour, SeenRequest } from "../support/fake-consul.js";
import { ID, type Part, type PartOptions, useRegistrars } from "../support/registrar-part.js";
import { waitFor } from "../support/wait-for.js";

const bench = useRegistrars();
const { isPublished, isPassing } = bench;

/** A machine that is busy loses a TTL of 300 ms by itself. */
const start = (options: PartOptions = {}) => bench.start({ ...options, flags: { ttl: "1s", ...options.flags } });

const statusOf = ({ registrar }: Part, name = "node_a") => registrar.status().find((status) => status.name === name);
const isMissing = (part: Part, name = "node_a") =>
  waitFor(() => statusOf(part, name)?.published === false, { what: `${name} to be missing` });
const isPass = ({ path }: SeenRequest) => path.includes("/check/pass/");
const count = (part: Part, message: string) => part.messages().filter((said) => said.includes(message)).length;

describe("an agent, or a proxy before it, that answers passes with", () => {
  test.each<[string, Misbehaviour]>([
    ["429", { status: 429, body: "Your IP is issuing too many concurrent connections" }],
    ["502", { status: 502, body: "<html>Bad Gateway</html>" }],
    ["301", { status: 301, body: "Moved Permanently" }],
    ["nothing", "hang"],
  ])(
    "%s: what is not passed within its TTL is not called published, and each outage and recovery is told",
    async (_, how) => {
      const part = start({ timings: { audit: 60_000 } });
      part.up("node_a");
      await isPublished(part);
      const before = part.messages().length;
      for (const round of [1, 2]) {
        bench.fake.misbehave((request) => (isPass(request) ? how : undefined));
        await isMissing(part);
        await waitFor(() => part.messages("warn").length === round, { what: "the outage to be told" });
        bench.fake.misbehave(undefined);
        await isPublished(part);
        await waitFor(() => part.messages().length === before + 2 * round, { what: "the recovery to be told" });
      }
      expect(part.messages().at(-1)).toMatch(/again$/);
    },
  );

  test("403: the refusal is told, and that it is over, though registrations were never refused", async () => {
    const part = start({ timings: { audit: 60_000, refusalRetry: 60_000 } });
    part.up("node_a");
    await isPublished(part);
    for (const round of [1, 2]) {
      bench.fake.misbehave((request) => (isPass(request) ? { status: 403, body: "Permission denied" } : undefined));
      await isMissing(part);
      expect(part.messages("warn")).toHaveLength(round);
      bench.fake.misbehave(undefined);
      // Within a third of the TTL: a minute would be four TTLs.
      await isPublished(part);
      expect(count(part, "accepts the nodes of this service again")).toBe(round);
    }
    expect(part.messages("error")[0]).toContain('service "svc" { policy = "write" }');
  });
});

test("an agent that fails every third call for a while loses no node, and the log is not filled with it", async () => {
  const part = start({ timings: { audit: 100 } });
  const names = Array.from({ length: 20 }, (_, index) => `node_${index}`);
  for (const name of names) part.up(name);
  for (const name of names) await isPublished(part, name);
  const before = part.messages().length;
  let calls = 0;
  const ways: Misbehaviour[] = [
    { status: 429, body: "" },
    { status: 503, body: "" },
    { status: 403, body: "no" },
    "reset",
  ];
  bench.fake.misbehave(() => (++calls % 3 === 0 ? ways[(calls / 3) % ways.length] : undefined));
  await waitFor(() => calls > 300, { what: "many calls" });
  bench.fake.misbehave(undefined);
  for (const name of names) await isPublished(part, name);
  expect(part.messages().length - before).toBeLessThanOrEqual(15);
});

test("an agent that takes its time: none of a hundred nodes falls out of DNS", async () => {
  // As with 1 s a call and a TTL of 15 s: eight calls at a time would be just enough for the passes alone.
  const [delay, ttl] = [400, 6_000];
  const part = start({
    flags: { ttl: `${ttl}ms` },
    client: { timeoutMs: 4_000 },
    timings: { audit: 2_000, adoption: 20_000 },
  });
  const passed = new Map<string, number[]>();
  bench.fake.misbehave(({ method, path }) => {
    const id = /\/check\/pass\/service:(.*)\?/.exec(path)?.[1];
    if (method === "PUT" && id) passed.set(id, [...(passed.get(id) ?? []), performance.now()]);
    return { delay };
  });
  const names = Array.from({ length: 100 }, (_, index) => `node_${index}`);
  for (const name of names) part.up(name);
  await waitFor(() => passed.size === 100, { what: "all to be passed", timeout: 40_000 });
  await waitFor(() => Array.from(passed.values()).every((times) => times.length >= 3), {
    what: "three passes each",
    timeout: 40_000,
  });
  const gaps = Array.from(passed.values(), (times) =>
    Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? 0))),
  );
  // From the one call's end to the other's begin, at the most.
  expect(Math.max(...gaps)).toBeLessThan(ttl - delay);
}, 90_000);

test("one connection that registers hundreds of names holds up nobody else's node, and costs none its place in DNS", async () => {
  const delay = 50;
  const part = start({ flags: { ttl: "2s" }, client: { timeoutMs: 2_000 }, timings: { audit: 60_000 } });
  part.up("node_a");
  await isPublished(part);
  bench.fake.misbehave(() => ({ delay }));
  for (let index = 0; index < 600; index++) part.up(`flood_${index}`, 30_000, { connection: "127.0.0.1:5" });
  await waitFor(() => bench.fake.registrations.length > 20, { what: "the flood" });
  const before = performance.now();
  part.up("node_b", 20_002, { connection: "127.0.0.1:6" });
  await waitFor(() => bench.fake.status("srv-epmd:box1:node_b") === "passing", { what: "node_b", interval: 5 });
  // Who registers asks whose the id is, registers, and passes: three calls, and one that was under way each time.
  expect(performance.now() - before).toBeLessThan(delay * 20);
  expect(bench.fake.registrations.length).toBeLessThan(500);
  let misses = 0;
  await waitFor(
    () => {
      if (!statusOf(part)?.published) misses++;
      return bench.fake.registrations.length > 250;
    },
    { what: "more of the flood" },
  );
  expect(misses).toBe(0);
});

describe("an agent that answers 200 and does not list what it was given", () => {
  const names = Array.from({ length: 10 }, (_, index) => `node_${index}`);

  test("though it has it: nothing is lost, and nothing is told", async () => {
    const part = start({ timings: { recheck: 20 } });
    for (const name of names) part.up(name);
    for (const name of names) await isPublished(part, name);
    const before = part.messages().length;
    let lists = 0;
    bench.fake.misbehave(({ path }) => {
      if (!path.startsWith("/v1/agent/services")) return undefined;
      lists++;
      return { status: 200, body: "{}" };
    });
    await waitFor(() => lists >= 4, { what: "some looks" });
    expect(part.messages().slice(before)).toEqual([]);
    for (const name of names) expect(statusOf(part, name)?.published).toBe(true);
  });

  test.each([
    ["an empty object", "{}"],
    ["a page of HTML", "<html>Sign in</html>"],
  ])("but %s whatever is asked: that is told once, and nothing is called published", async (_, body) => {
    const part = start({ timings: { recheck: 20 } });
    for (const name of names) part.up(name);
    for (const name of names) await isPublished(part, name);
    const before = part.messages().length;
    let lists = 0;
    bench.fake.misbehave(({ path }) => {
      if (path.startsWith("/v1/agent/services")) lists++;
      return { status: 200, body };
    });
    for (const name of names) await isMissing(part, name);
    const seen = lists;
    await waitFor(() => lists >= seen + 4, { what: "some looks" });
    expect(part.messages().length - before).toBeLessThanOrEqual(6);
    expect(statusOf(part, "node_0")?.published).toBe(false);
    expect(statusOf(part, "node_0")?.reason).toBe("the Consul agent does not have what it was given");
    bench.fake.misbehave(undefined);
    for (const name of names) await isPublished(part, name);
  });
});

describe("the log of twenty nodes", () => {
  const names = Array.from({ length: 20 }, (_, index) => `node_${index}`);
  const startAll = async () => {
    const part = start();
    for (const name of names) part.up(name);
    for (const name of names) await isPublished(part, name);
    return { part, before: part.messages().length };
  };
  const areBack = async (part: Part) => {
    for (const name of names) await isPassing(`srv-epmd:box1:${name}`);
    for (const name of names) await isPublished(part, name);
  };

  test("whose agent was away and has lost its state", async () => {
    const { part, before } = await startAll();
    const startAgent = await bench.stopAgent();
    await waitFor(() => part.registrar.agent.trouble, { what: "the loss" });
    await startAgent();
    await areBack(part);
    await waitFor(() => part.messages().includes("published again"), { what: "the end of it" });
    expect(part.messages().slice(before).length).toBeLessThanOrEqual(10);
  });

  test("that somebody has removed from the agent", async () => {
    const { part, before } = await startAll();
    bench.fake.loseState();
    await areBack(part);
    await waitFor(() => part.messages().includes("published again"), { what: "the end of it" });
    expect(part.messages().slice(before).length).toBeLessThanOrEqual(10);
  });
});

describe("maintenance mode", () => {
  const critical = (checkId: string, serviceId: string, over = {}) =>
    bench.fake.checks.set(checkId, { CheckID: checkId, ServiceID: serviceId, Status: "critical", Output: "", ...over });

  test.each([
    [
      "of the entry",
      `_service_maintenance:${ID}`,
      ID,
      { Notes: "disk" },
      `the entry is in Consul's maintenance mode (service maintenance, consul maint, check _service_maintenance:${ID}): disk`,
    ],
    [
      "of the machine",
      "_node_maintenance",
      "",
      { Notes: "disk" },
      "the machine is in Consul's maintenance mode (node maintenance, consul maint, check _node_maintenance): disk",
    ],
    [
      "nothing of it, but its TCP check",
      `service:${ID}:tcp`,
      ID,
      { Output: "refused" },
      `its check service:${ID}:tcp is critical: refused`,
    ],
    ["nothing of it, but a check of the machine", "disk-full", "", {}, "the machine's check disk-full is critical"],
  ])(
    "%s: the node is not called published, why is told, and its end is seen",
    async (_, checkId, serviceId, over, reason) => {
      const part = start();
      part.up("node_a");
      await isPublished(part);
      critical(checkId, serviceId, over);
      await waitFor(() => statusOf(part)?.reason === reason, { what: "the reason" });
      expect(statusOf(part)?.published).toBe(false);
      await waitFor(() => part.messages("warn").length > 0, { what: "a line" });
      expect(part.messages("warn")).toEqual([`the node is not in Consul's DNS: ${reason}`]);
      bench.fake.checks.delete(checkId);
      await isPublished(part);
      await waitFor(() => count(part, "the node is in Consul's DNS again") === 1, { what: "the end of it" });
    },
  );

  test("of another entry is none of this one's business", async () => {
    const part = start();
    part.up("node_a");
    await isPublished(part);
    critical("_service_maintenance:web", "web");
    critical("_service_maintenance:srv-epmd:box1:node_b", "srv-epmd:box1:node_b");
    const asked = () => bench.fake.requests.filter(({ path }) => path.startsWith("/v1/agent/checks")).length;
    const before = asked();
    await waitFor(() => asked() >= before + 3, { what: "more looks" });
    expect(statusOf(part)?.published).toBe(true);
  });

  test("is not ended by a registration: the node's with another port, or that of the next daemon", async () => {
    const part = start();
    const node = part.up("node_a");
    await isPublished(part);
    const checkId = `_service_maintenance:${ID}`;
    critical(checkId, ID);
    part.down(node);
    part.up("node_a", 20_002);
    await waitFor(() => bench.fake.services.get(ID)?.Port === 20_002, { what: "the other port" });
    await part.registrar.stop();
    bench.abandon(part);
    part.client.close();
    const next = start();
    next.up("node_a", 20_003);
    await waitFor(() => bench.fake.services.get(ID)?.Port === 20_003, { what: "the next daemon" });
    await isMissing(next);
    expect(bench.fake.checks.get(checkId)?.Status).toBe("critical");
  });
});

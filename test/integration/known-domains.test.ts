import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { ServerState } from "../../src/dns/core/knowledge.js";
import type { SetServers } from "../../src/dns/name-servers.js";
import type { FoundAgentDns } from "../../src/resolve/agent-dns.js";
import { KnownDomains, type KnownDomainsOptions } from "../../src/resolve/known-domains.js";
import { collectLog } from "../support/log-lines.js";
import { waitFor } from "../support/wait-for.js";

const A = { address: "10.0.0.2", port: 53 };
const B = { address: "10.0.0.3", port: 53 };
const AGENT = { address: "127.0.0.1", port: 8600 };
const KNOWS: ServerState = { kind: "knows", said: "NXDOMAIN from the zone consul" };
const FOREIGN: ServerState = { kind: "foreign", said: "NXDOMAIN from the root of DNS" };
const DEAD: ServerState = { kind: "dead", said: "timeout" };
const NO_AGENT: FoundAgentDns = { evidence: "Consul's agent has no DNS", advice: "give --dns consul=ip[:port]" };

interface World {
  set: SetServers;
  /** What each server says, by its address. */
  says: Record<string, ServerState>;
  agent: FoundAgentDns;
}

/** A watch in a world that the test changes. It looks again after a moment. */
function watch(world: World, own: Partial<KnownDomainsOptions> = {}) {
  const { log, lines, messages } = collectLog();
  const stoodIn: (string | undefined)[] = [];
  const asked: string[] = [];
  const found: string[] = [];
  const known = new KnownDomains({
    domains: ["svc.service.consul"],
    consulDomain: "consul",
    usesCatalogue: true,
    setFor: async () => world.set,
    standIn: (server) => stoodIn.push(server && `${server.domain}=${server.address}:${server.port}`),
    ask: async ({ address }, domain) => {
      asked.push(`${domain} ${address}`);
      return world.says[address] ?? DEAD;
    },
    findAgent: async (domain) => {
      found.push(domain);
      return world.agent;
    },
    pauses: { first: 5, troubled: 20, least: 5, most: 20 },
    log,
    ...own,
  });
  onTestFinished(() => known.close());
  const becomes = (state: string) =>
    waitFor(() => known.states().some((one) => one.state === state), { what: state, interval: 1 });
  return { known, lines, messages, stoodIn, asked, found, becomes };
}

const named = (how: SetServers["named"], ...servers: SetServers["servers"]): SetServers => ({ servers, named: how });

test("a server that knows the domain: nothing is said, nobody else is asked, and it is not asked again", async () => {
  const { known, lines, stoodIn, asked, found, becomes } = watch({
    ...{ set: named(undefined, A), says: { [A.address]: KNOWS }, agent: { server: AGENT } },
  });
  await becomes("known");
  expect(known.states()).toEqual([
    {
      domain: "svc.service.consul",
      state: "known",
      servers: ["10.0.0.2:53 (resolv.conf) answers"],
    },
  ]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([lines, stoodIn, asked.length, found]).toEqual([[], [undefined], 1, []]);
});

test("none of those that are set knows it: the agent's DNS is asked in their place, until one does", async () => {
  const world: World = { set: named(undefined, A, B), says: { [A.address]: FOREIGN }, agent: { server: AGENT } };
  const { known, messages, stoodIn, becomes } = watch(world);
  await becomes("agent");
  expect(known.states()[0]).toMatchObject({
    agent: "127.0.0.1:8600",
    servers: [
      "10.0.0.2:53 (resolv.conf) does not know it (NXDOMAIN from the root of DNS)",
      "10.0.0.3:53 (resolv.conf) does not answer (timeout)",
    ],
  });
  expect(known.standIn()).toBe("consul=127.0.0.1:8600");
  world.says[A.address] = KNOWS;
  await becomes("known");
  expect(known.standIn()).toBeUndefined();
  expect([stoodIn[0], stoodIn.at(-1)]).toEqual(["consul=127.0.0.1:8600", undefined]);
  expect(messages()).toEqual([
    expect.stringMatching(/^no name server that is set knows Consul's domain: .*--dns consul=127\.0\.0\.1:8600$/),
    "the name servers that are set know the domains again",
  ]);
});

test("nobody knows it: one warning with the option that is missing, however long it lasts, and one line at its end", async () => {
  const world: World = { set: named(undefined, A), says: { [A.address]: FOREIGN }, agent: NO_AGENT };
  const { known, lines, asked, becomes } = watch(world);
  await becomes("unknown");
  await waitFor(() => asked.length > 5, { what: "further looks" });
  expect(lines).toEqual([
    expect.objectContaining({
      level: "warn",
      msg: expect.stringMatching(
        /^no name server knows svc\.service\.consul: its nodes are found only as far as Consul's catalogue/,
      ),
      advice: "give --dns consul=ip[:port]",
      reason: "Consul's agent has no DNS",
      servers: ["10.0.0.2:53 (resolv.conf) does not know it (NXDOMAIN from the root of DNS)"],
    }),
  ]);
  expect(known.states()[0]).toMatchObject({ state: "unknown", advice: "give --dns consul=ip[:port]" });
  world.says[A.address] = KNOWS;
  await becomes("known");
  expect(lines.map(({ level }) => level)).toEqual(["warn", "info"]);
});

test("a first server that does not know it decides, whatever the others know", async () => {
  const says = { [A.address]: FOREIGN, [B.address]: KNOWS };
  const { becomes } = watch({ set: named("every name", A, B), says, agent: { server: AGENT } });
  await becomes("agent");
});

test("a server that is given for the domain is not passed over: the warning has the right one", async () => {
  const { known, stoodIn, becomes } = watch({ set: named("domain", A), says: {}, agent: { server: AGENT } });
  await becomes("unknown");
  expect(stoodIn).toEqual([undefined]);
  expect(known.standIn()).toBeUndefined();
  expect(known.states()[0]?.advice).toBe("give --dns consul=127.0.0.1:8600 in place of the server that is given");
});

test("a server that is given is not advised in its own place, where it answered late", async () => {
  const late = watch({ set: named("domain", AGENT), says: {}, agent: { server: AGENT } });
  await late.becomes("unknown");
  expect(late.known.states()[0]).toMatchObject({
    reason: "127.0.0.1:8600 answered when it was asked again",
    advice: expect.stringMatching(/^it is asked again within seconds; .* why 127\.0\.0\.1:8600 answers late/),
  });
  const second = watch({ set: named("domain", A, AGENT), says: { [A.address]: FOREIGN }, agent: { server: AGENT } });
  await second.becomes("unknown");
  expect(second.known.states()[0]?.advice).toMatch(/in place of the other servers that are given$/);
});

test("an absence that names no zone: the service that every Consul has tells", async () => {
  const vague: ServerState = { kind: "vague", said: "NXDOMAIN" };
  const asked: string[] = [];
  const ask = async (_server: object, domain: string) => {
    asked.push(domain);
    return domain === "consul.service.consul" ? KNOWS : vague;
  };
  const world: World = { set: named(undefined, A), says: {}, agent: NO_AGENT };
  await watch(world, { ask }).becomes("known");
  expect(asked).toEqual(["svc.service.consul", "consul.service.consul"]);
  const { known, becomes } = watch(world, { ask: async () => vague });
  await becomes("unknown");
  expect(known.states()[0]?.servers).toEqual([
    "10.0.0.2:53 (resolv.conf) does not know it (NXDOMAIN, for consul.service.consul too)",
  ]);
  // Of a domain that is not Consul's nothing more can be found out.
  await watch(world, { ask: async () => vague, domains: ["demo.example"] }).becomes("known");
});

test("a domain that is not Consul's has no agent", async () => {
  const world: World = { set: named(undefined, A), says: { [A.address]: FOREIGN }, agent: { server: AGENT } };
  const { known, found, becomes } = watch(world, { domains: ["demo.example"] });
  await becomes("unknown");
  expect(known.states()[0]?.advice).toBe("give a name server that knows it: --dns demo.example=ip[:port]");
  expect(found).toEqual([]);
});

test("look-ups that fail make it look again; those that succeed, and those of other domains, do not", async () => {
  const world: World = { set: named(undefined, A), says: { [A.address]: KNOWS }, agent: NO_AGENT };
  const { known, asked, becomes } = watch(world);
  await becomes("known");
  await new Promise((resolve) => setTimeout(resolve, 30));
  known.take({ outcome: "found", node: "a@svc.service.consul", source: "srv" });
  known.take({ outcome: "not-found", node: "a@demo.example", source: undefined });
  known.take({ outcome: "refused", node: "a@svc.service.consul", source: undefined });
  expect(asked).toHaveLength(1);
  world.says[A.address] = DEAD;
  known.take({ outcome: "unavailable", node: "a@svc.service.consul", source: undefined });
  await becomes("unknown");
});

test("look-ups that fail for other reasons make it look less and less often", async () => {
  const pauses = { first: 5, troubled: 20, least: 40, most: 10_000 };
  const { known, asked, becomes } = watch(
    { set: named(undefined, A), says: { [A.address]: KNOWS }, agent: NO_AGENT },
    { pauses },
  );
  await becomes("known");
  const failing = setInterval(() => {
    known.take({ outcome: "not-found", node: "nobody@svc.service.consul", source: undefined });
  }, 1);
  await new Promise((resolve) => setTimeout(resolve, 800));
  clearInterval(failing);
  // After 40, 80, 160 and 320 ms.
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.length).toBeLessThan(8);
});

describe("an agent of Consul's that was down, and whose DNS nobody else has", () => {
  const PAUSES = { first: 3_000, troubled: 30_000, least: 10_000, most: 300_000 };
  const NOW = 50_000;
  /** The looks are at 0, 3, 9, 21, 45 and 75 s. */
  const down = async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const world: World = { set: named(undefined, A), says: {}, agent: NO_AGENT };
    const one = watch(world, { pauses: PAUSES });
    await vi.advanceTimersByTimeAsync(NOW);
    expect([one.asked.length, one.known.states()[0]?.state]).toEqual([5, "unknown"]);
    return { ...one, world };
  };

  test("is back: the name servers are asked again at once", async () => {
    const { known, world, asked } = await down();
    known.takeCall("unavailable");
    world.says[A.address] = KNOWS;
    known.takeCall("ok");
    await vi.advanceTimersByTimeAsync(0);
    expect(known.states()[0]?.state).toBe("known");
    // Of servers that know the domain it says nothing.
    for (const result of ["unavailable", "ok"]) known.takeCall(result);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(6);
  });

  test("is back and has no DNS yet, or answers some calls and not others: they are asked again within 3 s, and then less and less often", async () => {
    const { known, world, asked } = await down();
    const flap = () => {
      for (const result of ["unavailable", "forbidden", "unavailable", "ok"]) known.takeCall(result);
    };
    for (let elapsed = 0; elapsed < 8_000; elapsed += 100) {
      flap();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(asked).toHaveLength(7);
    world.says[A.address] = KNOWS;
    await vi.advanceTimersByTimeAsync(3_000);
    expect(known.states()[0]?.state).toBe("known");
  });

  test("has answered all the time: nothing is asked again because of it", async () => {
    const { known, asked } = await down();
    for (let call = 0; call < 5; call++) known.takeCall("ok");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).toHaveLength(5);
  });
});

test("without a --domain it looks when a look-up under Consul's domain fails", async () => {
  const world: World = { set: named(undefined, A), says: { [A.address]: FOREIGN }, agent: { server: AGENT } };
  const { known, asked, becomes } = watch(world, { domains: [] });
  expect(asked).toEqual([]);
  known.take({ outcome: "not-found", node: "a@svc.service.consul", source: undefined });
  await becomes("agent");
  expect(known.states().map(({ domain }) => domain)).toEqual(["service.consul"]);
});

test("of many domains the agent is asked once, and one line names them", async () => {
  const domains = Array.from({ length: 40 }, (_, index) => `s${index}.service.consul`);
  const world: World = { set: named(undefined, A), says: { [A.address]: FOREIGN }, agent: NO_AGENT };
  const { messages, found, asked, becomes } = watch(world, {
    domains,
    pauses: { ...{ first: 10_000, troubled: 10_000 }, least: 10_000, most: 10_000 },
  });
  await becomes("unknown");
  expect([found.length, asked.length, messages()]).toEqual([1, 16, [expect.stringContaining("s0.service.consul, ")]]);
});

test("closing ends a look that waits for a server", async () => {
  const { known } = watch(
    { set: named(undefined, A), says: {}, agent: NO_AGENT },
    {
      ask: (_server, _domain, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => resolve(DEAD), { once: true })),
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  await known.close();
  expect(known.states()).toEqual([]);
});

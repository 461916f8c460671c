import { expect, test } from "vitest";
import type { ConsulClient } from "../../src/consul/client.js";
import { Servers } from "../../src/consul/core/servers.js";
import { Registry } from "../../src/epmd/core/registry.js";
import { ConsulError } from "../../src/errors.js";
import { AgentEntries } from "../../src/publish/agent-entries.js";
import { AgentState } from "../../src/publish/agent-state.js";
import type { HeldService } from "../../src/publish/core/service-entry.js";
import { Publisher, type PublisherDeps } from "../../src/publish/publisher.js";
import { Registrar } from "../../src/publish/registrar.js";
import { TIMINGS } from "../../src/publish/timing.js";
import { Turns } from "../../src/publish/turns.js";
import { collectLog } from "../support/log-lines.js";
import { registration, serveConfig } from "../support/registered-node.js";
import { heldService, OWNER, STRANGER, serviceEntry } from "../support/service-entry.js";
import { waitFor } from "../support/wait-for.js";

const ENTRY = serviceEntry("a");

/** What else the registrar calls. */
type RegistrarCalls =
  | "checks"
  | "service"
  | "services"
  | "healthService"
  | "members"
  | "localServices"
  | "onNewToken"
  | "releaseTokens"
  | "servers";

/** An agent that answers within the same moment. */
function promptAgent() {
  const calls: string[] = [];
  let held: HeldService | undefined;
  const client: PublisherDeps["client"] & Pick<ConsulClient, RegistrarCalls> = {
    register: async (entry) => {
      calls.push("register");
      held = heldService(entry);
    },
    dropTcpCheck: async () => {},
    lookForToken: async () => {},
    pass: async () => {
      calls.push("pass");
    },
    fail: async () => {
      calls.push("fail");
    },
    deregister: async () => {
      calls.push("deregister");
      held = undefined;
    },
    service: async () => held,
    services: async () => (held ? [held] : []),
    checks: async () => [],
    checksOf: async () => [],
    servers: new Servers(),
    healthService: async () => [],
    members: async () => [],
    localServices: async () => [],
    onNewToken: () => {},
    releaseTokens: () => {},
  };
  return { client, calls };
}

function publish(client: PublisherDeps["client"] & Pick<ConsulClient, "service" | "services">): Publisher {
  const { log } = collectLog();
  const now = () => performance.now();
  const agent = new AgentState({
    ...{ servers: new Servers(), log, recovered: () => {}, now, hasTokenFile: false, logsIn: false },
  });
  const presence = { forgotten: () => {}, evaded: () => {} };
  const { signal } = new AbortController();
  const entries = new AgentEntries({ client, self: { instance: "box1", owner: OWNER }, now, timings: TIMINGS, signal });
  return new Publisher(
    "a",
    { state: "gone" },
    {
      lookSignal: signal,
      ...{ client, entries, agent, presence, log, now, owner: OWNER, ttl: 15_000, deregisterAfter: 300_000 },
      ...{ turns: new Turns(), random: () => 0.5, timings: TIMINGS, published: () => {}, emptied: () => {} },
    },
  );
}

test("a look at the agent that is older than the last change is not believed", async () => {
  const { client, calls } = promptAgent();
  const publisher = publish(client);
  const before = publisher.changes;
  publisher.aim({ state: "up", entries: [ENTRY] });
  await waitFor(() => publisher.isPublished, { what: "the publication" });
  const made = [...calls];
  // As it was before: what a dead daemon had left there, and then nothing.
  const survey = { services: [heldService(ENTRY, STRANGER)], checks: [], critical: new Set<string>() };
  publisher.surveyed(survey, before);
  publisher.surveyed({ ...survey, services: [] }, before);
  expect(publisher.visible).toEqual([ENTRY.id]);
  expect([publisher.isDoubted, publisher.wanted]).toEqual([false, [ENTRY.id]]);
  expect(calls).toEqual(made);
  // Of now it is.
  publisher.surveyed(survey, publisher.changes);
  expect(publisher.wanted).not.toEqual([ENTRY.id]);
  publisher.close();
});

test.each(Array.from({ length: 12 }, (_, turns) => turns))(
  "the end of a VM is never overlooked, though it comes %i turns of the event queue after the entry was registered",
  async (turns) => {
    const { client, calls } = promptAgent();
    const publisher = publish(client);
    publisher.aim({ state: "up", entries: [ENTRY] });
    while (!calls.includes("register")) await null;
    for (let turn = 0; turn < turns; turn++) await null;
    publisher.aim({ state: "leaving", until: performance.now() + 60_000 });
    try {
      await waitFor(() => calls.includes("fail"), { what: "the check to be critical", timeout: 500 });
    } finally {
      publisher.close();
    }
  },
);

test.each([
  ["after the grace time", false],
  ["with the stop", true],
])(
  "a token file that has another token by the time of a removal %s: the entry is registered with it first",
  async (_, stops) => {
    const { client, calls } = promptAgent();
    let isWritten = false;
    const publisher: Publisher = publish({
      ...client,
      // As the client does: another token is announced before a call is made with it.
      lookForToken: async () => {
        calls.push("look");
        if (isWritten) publisher.anotherToken();
        isWritten = false;
      },
    });
    publisher.aim({ state: "up", entries: [ENTRY] });
    await waitFor(() => publisher.isPublished, { what: "the publication" });
    calls.length = 0;
    isWritten = true;
    if (stops) await publisher.finish(true);
    else {
      publisher.aim({ state: "gone" });
      await waitFor(() => calls.includes("deregister"), { what: "the removal" });
    }
    expect(calls).toEqual(["look", "register", "deregister"]);
    publisher.close();
  },
);

test("an agent that answers questions and takes no registration is asked with growing pauses, however many nodes there are", async () => {
  const { client } = promptAgent();
  let [gets, puts] = [0, 0];
  const refusing = {
    ...client,
    service: async () => {
      await new Promise((resolve) => setTimeout(resolve, 1 + (gets++ % 7)));
      return undefined;
    },
    register: async () => {
      puts++;
      throw new ConsulError("CONSUL_UNAVAILABLE", "connection reset");
    },
  };
  const registry = new Registry();
  const names = Array.from({ length: 10 }, (_, index) => `node_${index}`);
  for (const name of names) registry.register(registration(name, 20001), Date.now());
  const registrar = new Registrar({
    ...{
      registry,
      settings: serveConfig({ domain: ["svc"] }),
      client: refusing as unknown as ConsulClient,
      log: collectLog().log,
    },
    identity: { hostName: "box1", port: 4369, owner: OWNER },
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await registrar.stop();
  // At 0, 125-250 and 375-750 ms, and once more when the first survey has an answer.
  expect(puts).toBeGreaterThanOrEqual(2 * names.length);
  expect(puts).toBeLessThanOrEqual(5 * names.length);
});

test("an agent that takes passes and fails registrations is not asked by all that wait with every pass", async () => {
  const { client } = promptAgent();
  const held = new Map<string, HeldService>();
  let failed = 0;
  const choosy: Pick<ConsulClient, "service" | "services" | "register"> = {
    service: async (id) => held.get(id),
    services: async () => Array.from(held.values()),
    register: async (entry) => {
      if (entry.aliveName.startsWith("good")) held.set(entry.id, heldService(entry));
      else {
        failed++;
        await new Promise((resolve) => setTimeout(resolve, 3));
        throw new ConsulError("CONSUL_UNAVAILABLE", "connection reset");
      }
    },
  };
  const registry = new Registry();
  const registrar = new Registrar({
    ...{ registry, settings: { ...serveConfig({ domain: ["svc"] }), ttl: 600 }, log: collectLog().log },
    client: { ...client, ...choosy } as unknown as ConsulClient,
    identity: { hostName: "box1", port: 4369, owner: OWNER },
  });
  for (let index = 0; index < 10; index++) {
    registry.register(registration(`good_${index}`, 20001), Date.now());
    registry.register(registration(`bad_${index}`, 20002), Date.now());
    // The passes are spread over the time between two of a node.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await registrar.stop();
  // Each is tried every 100 to 200 ms by itself, and every 200 ms with all others.
  expect(failed).toBeGreaterThan(50);
  expect(failed).toBeLessThan(300);
});

test("registrations over what a predecessor left go before first passes, until a third of the TTL has gone since an entry was registered", async () => {
  const { client } = promptAgent();
  const calls: string[] = [];
  const registered = new Set<string>();
  const count = 1_000;
  const left = new Map(
    Array.from({ length: count }, (_, index) => heldService(serviceEntry(`n${index}`))).map((one) => [one.id, one]),
  );
  const checks = Array.from(left.keys(), (serviceId) => {
    return { checkId: `service:${serviceId}`, serviceId, status: "critical", notes: "", output: "" };
  });
  const slow: Pick<ConsulClient, "service" | "services" | "checks" | "register" | "pass"> = {
    checks: async () => checks,
    service: async (id) => left.get(id),
    services: async () => Array.from(left.values()),
    register: async ({ aliveName }) => {
      calls.push("register");
      registered.add(aliveName);
      await new Promise((resolve) => setTimeout(resolve, 25));
    },
    pass: async () => {
      calls.push("pass");
    },
  };
  const registry = new Registry();
  for (let index = 0; index < count; index++) registry.register(registration(`n${index}`, 20001), Date.now());
  const registrar = new Registrar({
    ...{ registry, settings: { ...serveConfig({ domain: ["svc"] }), ttl: 3_000 }, log: collectLog().log },
    client: { ...client, ...slow } as unknown as ConsulClient,
    identity: { hostName: "box1", port: 4369, owner: OWNER },
  });
  await waitFor(() => registered.size === count, { what: "all registrations" });
  const made = [...calls];
  await registrar.stop();
  // At first there are 12 calls at once.
  expect(made.indexOf("pass")).toBeGreaterThan(12);
  expect(made.indexOf("pass")).toBeLessThan(count);
});

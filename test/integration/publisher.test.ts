import { expect, test } from "vitest";
import { AgentState } from "../../src/consul/agent-state.js";
import type { ConsulClient } from "../../src/consul/client.js";
import { Publisher } from "../../src/consul/publisher.js";
import { TIMINGS } from "../../src/consul/timings.js";
import { Turns } from "../../src/consul/turns.js";
import type { Survey } from "../../src/core/reconcile.js";
import type { HeldService } from "../../src/core/service-entry.js";
import { collectLog } from "../support/log-lines.js";
import { heldService, OWNER, serviceEntry } from "../support/service-entry.js";
import { waitFor } from "../support/wait-for.js";

const ENTRY = serviceEntry("a");

/** An agent that answers within the same moment. */
function promptAgent() {
  const calls: string[] = [];
  let held: HeldService | undefined;
  const client: ConsulClient = {
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
    service: async () => {
      calls.push("look");
      return held;
    },
    services: async () => (held ? [held] : []),
    checks: async () => [],
    healthService: async () => [],
    members: async () => [],
    localServices: async () => [],
    sidecars: async () => [],
    followSidecar: async () => ({ sidecar: undefined, hash: "" }),
    followService: async () => ({ instances: [], index: 0 }),
    ask: async () => ({}),
    onNewToken: () => {},
    close: () => {},
  };
  const forget = () => {
    held = undefined;
  };
  return { client, calls, forget };
}

function publisherFor(client: ConsulClient): Publisher {
  const { log } = collectLog();
  const deps = {
    ...{ client, owner: OWNER, ttl: 15_000, deregisterAfter: 300_000, log, timings: TIMINGS },
    agent: new AgentState({ log, recovered: () => {}, now: () => performance.now(), hasTokenFile: false }),
    turns: new Turns(),
    presence: { forgotten: () => {}, evaded: () => {} },
    ...{ now: () => performance.now(), random: () => 0.5, published: () => {}, emptied: () => {} },
  };
  return new Publisher("a", { state: "gone" }, deps);
}

const NOTHING_HELD: Survey = { services: [], checks: [], critical: new Set() };

test("a survey that was begun before the last change says nothing of a name: what it lacks was not there yet", async () => {
  const { client, calls, forget } = promptAgent();
  const publisher = publisherFor(client);
  const before = publisher.changes;
  publisher.aim({ state: "up", entries: [ENTRY] });
  await waitFor(() => publisher.visible.length === 1, { what: "the publication" });
  const done = [...calls];
  for (const changes of [before, publisher.changes - 1, -1]) publisher.observe(NOTHING_HELD, changes);
  for (let turn = 0; turn < 20; turn++) await null;
  expect({ visible: publisher.visible, calls }).toEqual({ visible: [ENTRY.id], calls: done });
  // One that was begun since then is believed: the agent has lost the entry.
  forget();
  publisher.observe(NOTHING_HELD, publisher.changes);
  await waitFor(() => calls.slice(done.length).includes("register"), { what: "the entry's return" });
  publisher.close();
});

test.each(Array.from({ length: 12 }, (_, turns) => turns))(
  "the end of a VM is never overlooked, though it comes %i turns of the event queue after the entry was passed",
  async (turns) => {
    const { client, calls } = promptAgent();
    const publisher = publisherFor(client);
    publisher.aim({ state: "up", entries: [ENTRY] });
    while (!calls.includes("pass")) await null;
    for (let turn = 0; turn < turns; turn++) await null;
    publisher.aim({ state: "leaving", until: performance.now() + 60_000 });
    try {
      await waitFor(() => calls.includes("fail"), { what: "the check to be critical", timeout: 500 });
    } finally {
      publisher.close();
    }
  },
);

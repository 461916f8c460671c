import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ConsulClient, type ConsulClientOptions, createConsulClient } from "../../src/consul/client.js";
import { type Registrar, startRegistrar } from "../../src/consul/registrar.js";
import type { Timings } from "../../src/consul/timings.js";
import type { OptionKey } from "../../src/core/options.js";
import { type RegisteredNode, Registry } from "../../src/core/registry.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { collectLog } from "../support/log-lines.js";
import { registration, serveConfig } from "../support/registered-node.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const OWNER = "boot-1/4026531840/4369";
const ID = "srv-epmd:box1:node_a";
/** Everything a hundred times as fast. */
const FAST: Timings = {
  grace: 150,
  adoption: 300,
  audit: 300,
  firstRetry: 20,
  maxRetry: 200,
  refusalRetry: 150,
  stop: 300,
};

interface Daemon {
  readonly registry: Registry;
  readonly registrar: Registrar;
  readonly client: ConsulClient;
  readonly messages: ReturnType<typeof collectLog>["messages"];
  readonly lines: ReturnType<typeof collectLog>["lines"];
  up(name: string, port?: number): RegisteredNode;
  down(node: RegisteredNode): void;
}

interface DaemonOptions {
  readonly owner?: string;
  readonly flags?: Partial<Record<OptionKey, string | readonly string[]>>;
  readonly client?: Partial<ConsulClientOptions>;
  readonly timings?: Partial<Timings>;
}

let fake: FakeConsul;
const daemons: Daemon[] = [];

beforeEach(async () => {
  fake = await startFakeConsul();
});
afterEach(async () => {
  for (const { registrar, client } of daemons.splice(0)) {
    await registrar.stop();
    client.close();
  }
  await fake.close();
});

function start({ owner = OWNER, flags = {}, client: over = {}, timings = {} }: DaemonOptions = {}): Daemon {
  const registry = new Registry();
  const { log, lines, messages } = collectLog();
  const client = createConsulClient({ url: fake.url, timeoutMs: 300, log, ...over });
  const registrar = startRegistrar({
    registry,
    config: serveConfig({ domain: ["svc"], ttl: "300ms", ...flags }),
    client,
    machine: { hostName: "box1", port: 4369, owner },
    log,
    random: () => 0.5,
    timings: { ...FAST, ...timings },
  });
  const daemon: Daemon = {
    registry,
    registrar,
    client,
    messages,
    lines,
    up: (name, port = 20001) => {
      const node = registry.register(registration(name, port), Date.now());
      if (!node) throw new Error(`${name} is taken`);
      return node;
    },
    down: (node) => registry.unregister(node),
  };
  daemons.push(daemon);
  return daemon;
}

const isPassing = (id = ID) => waitFor(() => fake.status(id) === "passing", { what: `${id} to be passing` });
const isGone = (id = ID) => waitFor(() => !fake.services.has(id), { what: `${id} to be gone` });
const isPublished = (daemon: Daemon, name = "node_a") =>
  waitFor(() => daemon.registrar.status().some((status) => status.name === name && status.published), {
    what: `${name} to be published`,
  });

describe("a node", () => {
  test("that registers is passing in Consul within 100 ms, and told of in one line", async () => {
    const daemon = start();
    await waitFor(() => fake.requests.length > 0, { what: "the first look at the agent" });
    const before = performance.now();
    daemon.up("node_a");
    await isPassing();
    expect(performance.now() - before).toBeLessThan(100);
    await isPublished(daemon);
    expect(daemon.lines.filter(({ msg }) => msg === "published")).toMatchObject([
      { name: "node_a", serviceId: ID, address: "the agent's own", port: 20001 },
    ]);
  });

  test("whose VM ends is critical at once and removed after the grace time", async () => {
    const daemon = start();
    const node = daemon.up("node_a");
    await isPublished(daemon);
    daemon.down(node);
    const before = performance.now();
    await waitFor(() => fake.status(ID) === "critical", { what: "critical" });
    expect(performance.now() - before).toBeLessThan(100);
    await isGone();
    expect(performance.now() - before).toBeGreaterThan(FAST.grace - 20);
    expect(daemon.messages().filter((message) => message === "withdrawn")).toHaveLength(1);
  });

  test("that comes back within the grace time is passing again, with its new port, and never removed", async () => {
    const daemon = start();
    const node = daemon.up("node_a");
    await isPublished(daemon);
    daemon.down(node);
    await waitFor(() => fake.status(ID) === "critical", { what: "critical" });
    daemon.up("node_a", 20002);
    await isPassing();
    expect(fake.services.get(ID)?.Port).toBe(20002);
    expect(fake.requests.some(({ path }) => path.includes("deregister"))).toBe(false);
  });

  test("that lives 10 ms leaves nothing behind, although its end comes before its registration is through", async () => {
    const daemon = start();
    fake.misbehave(({ path }) => (path.includes("/register") ? { delay: 50 } : undefined));
    const node = daemon.up("node_a");
    setTimeout(() => daemon.down(node), 10);
    await waitFor(() => fake.registrations.length > 0, { what: "the registration" });
    await isGone();
    await waitFor(() => daemon.registrar.status().length === 0, { what: "nothing left to do" });
  });

  test("is refreshed every third of its TTL", async () => {
    const daemon = start();
    daemon.up("node_a");
    const passes = () => fake.requests.filter(({ path }) => path.includes("/check/pass/")).length;
    await waitFor(() => passes() >= 4, { what: "three refreshes" });
    expect(fake.registrations).toHaveLength(1);
  });

  test("that cannot be published stays registered and is told of, with the reason", async () => {
    const daemon = start();
    const name = "x".repeat(64);
    daemon.up(name);
    expect(daemon.registry.get(name)).toBeDefined();
    expect(daemon.registrar.status()).toMatchObject([
      { name, wanted: false, published: false, reason: expect.stringContaining("64 characters") },
    ]);
    expect(daemon.messages("warn")).toEqual(["not published, though it is registered here"]);
  });

  test("whose name differs only in case from a published one is published when that one goes", async () => {
    const daemon = start();
    const first = daemon.up("Node", 20001);
    daemon.up("node", 20002);
    await isPassing("srv-epmd:box1:Node");
    expect(daemon.messages("warn")).toEqual(["not published, though it is registered here"]);
    expect(fake.services.size).toBe(1);
    daemon.down(first);
    await isPassing("srv-epmd:box1:node");
    expect([...fake.services.keys()]).toEqual(["srv-epmd:box1:node"]);
  });
});

describe("an agent that", () => {
  test("is down at the start holds up nothing, and is told of in one line when it goes and one when it is back", async () => {
    const { port } = fake;
    await fake.close();
    const daemon = start();
    daemon.up("node_a");
    daemon.up("node_b");
    await waitFor(() => daemon.registrar.status().every(({ lastError }) => lastError !== undefined), {
      what: "failed tries",
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(daemon.registrar.agentAnswers).toBe(false);
    fake = await startFakeConsul(port);
    await isPassing();
    await isPassing("srv-epmd:box1:node_b");
    expect(daemon.messages("warn")).toHaveLength(1);
    expect(daemon.messages().filter((message) => message.includes("answers again"))).toHaveLength(1);
    await waitFor(() => daemon.registrar.agentAnswers, { what: "the agent to answer" });
  });

  test("hangs and then answers is caught up with", async () => {
    const daemon = start();
    fake.misbehave(() => "hang");
    const node = daemon.up("node_a");
    daemon.up("node_b");
    await new Promise((resolve) => setTimeout(resolve, 100));
    daemon.down(node);
    fake.misbehave(undefined);
    await isPassing("srv-epmd:box1:node_b");
    await isGone();
  });

  test("breaks off in the middle of its answer to a registration is asked again", async () => {
    const daemon = start();
    let resets = 2;
    fake.misbehave(({ path }) => (path.includes("/register") && resets-- > 0 ? "reset" : undefined));
    daemon.up("node_a");
    await isPassing();
  });

  test("registers what it never answered for has it removed when the VM is gone", async () => {
    const daemon = start({ timings: { audit: 60_000 } });
    fake.misbehave(({ path }) => (path.includes("/register") ? { delay: 400 } : undefined));
    const node = daemon.up("node_a");
    await waitFor(() => fake.services.has(ID), { what: "the late registration" });
    daemon.down(node);
    fake.misbehave(undefined);
    await isGone();
  });

  test("has lost its state is told everything anew", async () => {
    const daemon = start({ timings: { audit: 60_000 } });
    daemon.up("node_a");
    await isPublished(daemon);
    fake.loseState();
    await isPassing();
    expect(daemon.messages("warn")).toEqual(["the Consul agent has forgotten the entry"]);
    await waitFor(() => daemon.messages().filter((message) => message === "published").length === 2, {
      what: "the second publication",
    });
  });

  test("had an entry changed or removed by somebody has it restored by the next look", async () => {
    const daemon = start({ flags: { ttl: "60s" } });
    daemon.up("node_a");
    await isPublished(daemon);
    const service = fake.services.get(ID);
    if (service) fake.services.set(ID, { ...service, Port: 1 });
    await waitFor(() => fake.services.get(ID)?.Port === 20001, { what: "the port to be restored" });
    fake.loseState();
    await isPassing();
  });

  test("has no leader is told of once, though its other answers are good", async () => {
    const daemon = start();
    fake.misbehave(({ path }) => (path.includes("/register") ? { status: 500, body: "No cluster leader" } : undefined));
    daemon.up("node_a");
    daemon.up("node_b");
    const tries = () => fake.requests.filter(({ path }) => path.includes("/register")).length;
    await waitFor(() => tries() >= 6, { what: "more tries" });
    fake.misbehave(undefined);
    await isPassing();
    expect(daemon.messages("warn")).toHaveLength(1);
  });

  test("forgets every check as soon as it has it is not stormed", async () => {
    const daemon = start();
    fake.misbehave(({ path }) => (path.includes("/check/") ? { status: 404, body: "Unknown check ID" } : undefined));
    daemon.up("node_a");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(fake.registrations.length).toBeLessThan(20);
  });
});

describe("a refusal", () => {
  test("is told of once, with the policy that is needed, and tried again slowly", async () => {
    const daemon = start();
    fake.misbehave(({ path }) =>
      path.includes("/register") ? { status: 403, body: "Permission denied: Missing service:write on svc" } : undefined,
    );
    daemon.up("node_a");
    daemon.up("node_b");
    const tries = () => fake.requests.filter(({ path }) => path.includes("/register")).length;
    await waitFor(() => tries() >= 4, { what: "second tries" });
    expect(tries()).toBeLessThan(8);
    const errors = daemon.lines.filter(({ level }) => level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ service: "svc", policy: 'service "svc" { policy = "write" }' });
    expect(errors[0]?.msg).toContain("Missing service:write on svc");
    fake.misbehave(undefined);
    await isPassing();
    expect(daemon.messages().filter((message) => message.includes("takes the service's nodes again"))).toHaveLength(1);
  });

  test("ends when the token file holds a token that may", async () => {
    const folder = await temporaryFolder("token");
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, "old");
    fake.misbehave(({ token }) => (token === "new" ? undefined : { status: 403, body: "ACL not found" }));
    const daemon = start({ client: { tokenFile } });
    daemon.up("node_a");
    await waitFor(() => daemon.messages("error").length > 0, { what: "the refusal" });
    await writeFile(tokenFile, "new");
    await isPassing();
  });
});

describe("a daemon that takes another's place", () => {
  /** What a daemon killed with -9 leaves. */
  const leaveBehind = async (...names: string[]) => {
    const former = start();
    for (const name of names) former.up(name);
    for (const name of names) await isPublished(former, name);
    daemons.splice(daemons.indexOf(former), 1);
    // Nobody speaks for it any more, and nothing is taken back.
    former.client.close();
    fake.misbehave(() => ({ status: 500, body: "gone" }));
    await former.registrar.stop();
    fake.misbehave(undefined);
    fake.requests.length = 0;
  };

  test("keeps what it left passing, without a gap, until the VM is back", async () => {
    await leaveBehind("node_a");
    const daemon = start();
    await waitFor(() => fake.requests.some(({ path }) => path.includes("/check/pass/")), { what: "the adoption" });
    daemon.up("node_a");
    await isPublished(daemon);
    await new Promise((resolve) => setTimeout(resolve, FAST.adoption + 100));
    expect(fake.status(ID)).toBe("passing");
    expect(fake.requests.filter(({ path }) => /deregister|fail/.test(path))).toEqual([]);
  });

  test("removes what it left when the VM does not come back", async () => {
    await leaveBehind("node_a", "node_b");
    const daemon = start();
    daemon.up("node_b");
    await isGone();
    expect(fake.status("srv-epmd:box1:node_b")).toBe("passing");
  });

  test("under another instance replaces what it left, the new entry first", async () => {
    await leaveBehind("node_a");
    const daemon = start({ flags: { instance: "alloc2" } });
    await waitFor(() => fake.requests.some(({ path }) => path.includes("/check/pass/")), { what: "the adoption" });
    daemon.up("node_a");
    await isGone();
    expect(fake.status("srv-epmd:alloc2:node_a")).toBe("passing");
    const order = fake.requests.map(({ path }) => path).filter((path) => /deregister|pass\/.*alloc2/.test(path));
    expect(order[0]).toContain("pass");
  });

  test("touches nothing of another owner that is alive, and removes what of it is dead", async () => {
    await leaveBehind("node_a", "node_b");
    const check = fake.checks.get("service:srv-epmd:box1:node_b");
    if (check) check.Status = "critical";
    start({ owner: "boot-2/4026531840/4369" });
    await isGone("srv-epmd:box1:node_b");
    await new Promise((resolve) => setTimeout(resolve, FAST.adoption + 100));
    expect(fake.services.has(ID)).toBe(true);
  });
});

describe("two daemons that want the same service id", () => {
  test("have one each: the second takes another", async () => {
    const first = start();
    first.up("node_a", 20001);
    await isPublished(first);
    const second = start({ owner: "boot-1/4026532999/4369" });
    second.up("node_a", 20002);
    await isPublished(second);
    expect(fake.services.get(ID)?.Port).toBe(20001);
    const [own] = second.registrar.status()[0]?.serviceIds ?? [];
    expect(own).toMatch(/^srv-epmd:box1~[0-9a-f]{8}:node_a$/);
    expect(fake.services.get(own ?? "")?.Port).toBe(20002);
    expect(second.messages("warn").filter((message) => message.includes("another live daemon"))).toHaveLength(1);
  });

  test("come to have one each although both saw it free", async () => {
    // Neither sees the other before it writes.
    fake.misbehave(({ method, path }) =>
      method === "GET" && path.includes("/agent/service/") ? { status: 404, body: "unknown service ID" } : undefined,
    );
    const first = start();
    const second = start({ owner: "boot-1/4026532999/4369" });
    first.up("node_a", 20001);
    second.up("node_a", 20002);
    await isPublished(first);
    await isPublished(second);
    expect(fake.services.size).toBe(1);
    fake.misbehave(undefined);
    await waitFor(() => new Set([...fake.services.values()].map(({ Port }) => Port)).size === 2, {
      what: "an entry for each",
    });
    expect([...fake.services.keys()].every((id) => fake.status(id) === "passing")).toBe(true);
  });
});

describe("the stop", () => {
  test("removes what has gone without waiting for the grace time, and leaves what is alive with a fresh TTL", async () => {
    const daemon = start({ timings: { grace: 60_000 } });
    const node = daemon.up("node_a");
    daemon.up("node_b");
    await isPublished(daemon);
    await isPublished(daemon, "node_b");
    daemon.down(node);
    await waitFor(() => fake.status(ID) === "critical", { what: "critical" });
    fake.requests.length = 0;
    await daemon.registrar.stop();
    expect([...fake.services.keys()]).toEqual(["srv-epmd:box1:node_b"]);
    expect(fake.requests.some(({ path }) => path.includes("/check/pass/service:srv-epmd:box1:node_b"))).toBe(true);
  });

  test("removes what is alive too with --deregister-on-stop", async () => {
    const daemon = start({ flags: { deregisterOnStop: "true" } });
    daemon.up("node_a");
    await isPublished(daemon);
    await daemon.registrar.stop();
    expect(fake.services.size).toBe(0);
  });

  test("does not wait for an agent that hangs", async () => {
    const daemon = start({ client: { timeoutMs: 5_000 } });
    daemon.up("node_a");
    await isPublished(daemon);
    fake.misbehave(() => "hang");
    daemon.up("node_b");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = performance.now();
    await daemon.registrar.stop();
    expect(performance.now() - before).toBeLessThan(FAST.stop + 200);
  });

  test("leaves no call and no timer behind", async () => {
    const daemon = start();
    daemon.up("node_a");
    await isPublished(daemon);
    await daemon.registrar.stop();
    const { length } = fake.requests;
    daemon.up("node_b");
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(fake.requests).toHaveLength(length);
  });
});

test("a service that also has other instances is warned of, once", async () => {
  fake.services.set("web-1", {
    ID: "web-1",
    Service: "svc",
    Tags: [],
    Address: "",
    Port: 80,
    Meta: {},
    Weights: { Passing: 1, Warning: 1 },
  });
  const daemon = start();
  daemon.up("node_a");
  await isPublished(daemon);
  daemon.up("node_b");
  await isPublished(daemon, "node_b");
  await waitFor(() => daemon.messages("warn").length > 0, { what: "the warning" });
  expect(daemon.messages("warn")).toEqual([
    "the service svc also has 1 instances that are not distribution ports: give the nodes a service of their own, such as svc-dist",
  ]);
});

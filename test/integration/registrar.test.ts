import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { bestOf } from "../support/best-of.js";
import { FAST, ID, useRegistrars } from "../support/registrar-part.js";
import { STRANGER } from "../support/service-entry.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const bench = useRegistrars();
const { start, isPassing, isGone, isPublished } = bench;

describe("a node", () => {
  test("that registers is passing in Consul within 100 ms, and told of in one line", async () => {
    const daemon = start();
    await waitFor(() => bench.fake.requests.length > 0, { what: "the first look at the agent" });
    const took = await bestOf(5, async (round) => {
      const before = performance.now();
      daemon.up(`node_${round}`, 20001 + round);
      await waitFor(() => bench.fake.status(`srv-epmd:box1:node_${round}`) === "passing", {
        what: "passing",
        interval: 1,
      });
      return performance.now() - before;
    });
    expect(took).toBeLessThan(100);
    await isPublished(daemon, "node_4");
    expect(daemon.lines.filter(({ msg }) => msg === "published")).toMatchObject(
      [0, 1, 2, 3, 4].map((round) => ({
        node: `node_${round}`,
        serviceId: `srv-epmd:box1:node_${round}`,
        port: 20001 + round,
      })),
    );
  });

  test("whose VM ends is critical at once and removed after the grace time", async () => {
    const daemon = start();
    const took = await bestOf(3, async () => {
      const node = daemon.up("node_a");
      await isPublished(daemon);
      daemon.down(node);
      const before = performance.now();
      await waitFor(() => bench.fake.status(ID) === "critical", { what: "critical", interval: 1 });
      const critical = performance.now() - before;
      await isGone();
      expect(performance.now() - before).toBeGreaterThan(FAST.grace - 20);
      return critical;
    });
    expect(took).toBeLessThan(100);
    expect(daemon.messages().filter((message) => message === "withdrawn")).toHaveLength(3);
  });

  test("that comes back within the grace time is passing again, with its new port, and never removed", async () => {
    const daemon = start();
    const node = daemon.up("node_a");
    await isPublished(daemon);
    daemon.down(node);
    await waitFor(() => bench.fake.status(ID) === "critical", { what: "critical" });
    daemon.up("node_a", 20002);
    await isPassing();
    expect(bench.fake.services.get(ID)?.Port).toBe(20002);
    expect(bench.fake.requests.some(({ path }) => path.includes("deregister"))).toBe(false);
  });

  test("that is reached at another port from now on has its entry changed in place", async () => {
    const daemon = start({ flags: { advertisePort: "30001" } });
    daemon.up("node_a");
    await isPublished(daemon);
    daemon.registrar.use({ ...daemon.settings, advertisePort: 30002 });
    await waitFor(() => bench.fake.services.get(ID)?.Port === 30002, { what: "the other port" });
    await isPublished(daemon);
    expect(bench.fake.requests.filter(({ path }) => /deregister|fail/.test(path))).toEqual([]);
    daemon.up("node_b", 20002);
    await isPassing("srv-epmd:box1:node_b");
    expect(bench.fake.services.get("srv-epmd:box1:node_b")?.Port).toBe(30002);
  });

  test("that counts as a helper while another node is alive is published exactly while it does not", async () => {
    const daemon = start();
    const [name, id] = ["n1-33-4711", "srv-epmd:box1:n1-33-4711"];
    daemon.up(name);
    await isPublished(daemon, name);
    const origin = daemon.up("n1", 20002);
    await bench.isGone(id);
    expect(daemon.lines.filter(({ msg }) => msg === "not published")).toMatchObject([
      { node: name, reason: expect.stringContaining("short-lived helper") },
    ]);
    await isPublished(daemon, "n1");
    daemon.down(origin);
    expect(daemon.registrar.status().find((one) => one.name === name)).toMatchObject({ wanted: true, pending: true });
    await isPassing(id);
    await isPublished(daemon, name);
  });

  test("that other settings leave out, or take in, leaves Consul or comes to it", async () => {
    const daemon = start({ mostPublished: 1 });
    const [name, id] = ["rpc-1a2b-node_a", "srv-epmd:box1:rpc-1a2b-node_a"];
    daemon.up(name);
    daemon.registrar.use({ ...daemon.settings, helpers: "publish" });
    await isPassing(id);
    daemon.up("node_b", 20002);
    daemon.registrar.use({ ...daemon.settings, advertisePort: 30002 });
    await bench.isGone(id);
    await isPassing("srv-epmd:box1:node_b");
    expect(bench.fake.services.get("srv-epmd:box1:node_b")?.Port).toBe(30002);
  });

  test("that lives 10 ms leaves nothing behind, although its end comes before its registration is through", async () => {
    const daemon = start();
    bench.fake.misbehave(({ path }) => (path.includes("/register") ? { delay: 50 } : undefined));
    const node = daemon.up("node_a");
    setTimeout(() => daemon.down(node), 10);
    await waitFor(() => bench.fake.registrations.length > 0, { what: "the registration" });
    await isGone();
    await waitFor(() => daemon.registrar.status().length === 0, { what: "nothing left to do" });
  });

  test("is refreshed every third of its TTL", async () => {
    const daemon = start();
    daemon.up("node_a");
    const passes = () => bench.fake.requests.filter(({ path }) => path.includes("/check/pass/")).length;
    await waitFor(() => passes() >= 4, { what: "three refreshes" });
    expect(bench.fake.registrations).toHaveLength(1);
  });

  test("that cannot be published stays registered and is told of, with the reason", async () => {
    const daemon = start();
    const name = "x".repeat(64);
    daemon.up(name);
    expect(daemon.registry.get(name)).toBeDefined();
    expect(daemon.registrar.status()).toMatchObject([
      { name, wanted: true, published: false, reason: expect.stringContaining("64 characters") },
    ]);
    expect(daemon.messages("warn")).toEqual(["not published, though it is registered here"]);
  });

  test("whose name differs only in case from a published one is published when that one goes", async () => {
    const daemon = start();
    const first = daemon.up("Node", 20001);
    daemon.up("node", 20002);
    await isPassing("srv-epmd:box1:Node");
    expect(daemon.messages("warn")).toEqual(["not published, though it is registered here"]);
    expect(bench.fake.services.size).toBe(1);
    daemon.down(first);
    await isPassing("srv-epmd:box1:node");
    expect([...bench.fake.services.keys()]).toEqual(["srv-epmd:box1:node"]);
  });
});

describe("an agent that", () => {
  test("is down at the start holds up nothing, and is told of in one line when it goes and one when it is back", async () => {
    const startAgent = await bench.stopAgent();
    const daemon = start();
    daemon.up("node_a");
    daemon.up("node_b");
    await waitFor(() => daemon.registrar.status().every(({ lastError }) => lastError !== undefined), {
      what: "failed tries",
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(daemon.registrar.agent.trouble).toBeDefined();
    await startAgent();
    await isPassing();
    await isPassing("srv-epmd:box1:node_b");
    await waitFor(() => daemon.registrar.agent.trouble === undefined, { what: "the agent to answer" });
    expect(daemon.messages("warn").filter((message) => message.includes("does not answer"))).toHaveLength(1);
    expect(daemon.messages().filter((message) => message === "the Consul agent answers")).toHaveLength(1);
  });

  test("hangs and then answers is caught up with", async () => {
    const daemon = start();
    bench.fake.misbehave(() => "hang");
    const node = daemon.up("node_a");
    daemon.up("node_b");
    await new Promise((resolve) => setTimeout(resolve, 100));
    daemon.down(node);
    bench.fake.misbehave(undefined);
    await isPassing("srv-epmd:box1:node_b");
    await isGone();
  });

  test("breaks off in the middle of its answer to a registration is asked again", async () => {
    const daemon = start();
    let resets = 2;
    bench.fake.misbehave(({ path }) => (path.includes("/register") && resets-- > 0 ? "reset" : undefined));
    daemon.up("node_a");
    await isPassing();
  });

  test("registers what it never answered for has it removed when the VM is gone", async () => {
    const daemon = start({ timings: { audit: 60_000 } });
    let tries = 0;
    // Later tries never arrive: one could do so after the removal.
    bench.fake.misbehave(({ path }) => {
      if (!path.includes("/register")) return undefined;
      return tries++ === 0 ? { delay: 400 } : "hang";
    });
    const node = daemon.up("node_a");
    await waitFor(() => bench.fake.services.has(ID), { what: "the late registration" });
    daemon.down(node);
    bench.fake.misbehave(undefined);
    await isGone();
  });

  test("has lost its state is told everything anew", async () => {
    const daemon = start({ timings: { audit: 60_000 } });
    daemon.up("node_a");
    await isPublished(daemon);
    bench.fake.loseState();
    await isPassing();
    await waitFor(() => daemon.messages().includes("published again"), { what: "the second publication" });
    expect(daemon.messages("warn")).toEqual(["the Consul agent has forgotten the entry: registering again"]);
    expect(daemon.messages().filter((message) => message === "published")).toHaveLength(1);
  });

  test("had an entry changed or removed by somebody has it restored by the next look", async () => {
    const daemon = start({ flags: { ttl: "60s" } });
    daemon.up("node_a");
    await isPublished(daemon);
    const service = bench.fake.services.get(ID);
    if (service) bench.fake.services.set(ID, { ...service, Port: 1 });
    await waitFor(() => bench.fake.services.get(ID)?.Port === 20001, { what: "the port to be restored" });
    bench.fake.loseState();
    await isPassing();
  });

  test("has no leader is told of once, though its other answers are good", async () => {
    const daemon = start();
    bench.fake.misbehave(({ path }) =>
      path.includes("/register") ? { status: 500, body: "No cluster leader" } : undefined,
    );
    daemon.up("node_a");
    const tries = () => bench.fake.requests.filter(({ path }) => path.includes("/register")).length;
    await waitFor(() => tries() >= 6 && daemon.messages("warn").length > 0, { what: "more tries, and a line" });
    bench.fake.misbehave(undefined);
    await isPassing();
    expect(daemon.messages("warn")).toHaveLength(1);
  });

  test("forgets every check as soon as it has it is not stormed", async () => {
    const daemon = start();
    bench.fake.misbehave(({ path }) =>
      path.includes("/check/") ? { status: 404, body: "Unknown check ID" } : undefined,
    );
    daemon.up("node_a");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(bench.fake.registrations.length).toBeLessThan(20);
  });
});

describe("a token file that cannot be read", () => {
  test("is told of as what it is, once, and not as an agent that does not answer", async () => {
    const tokenFile = join(await temporaryFolder("token"), "token");
    const daemon = start({ client: { tokenFile } });
    daemon.up("node_a");
    daemon.up("node_b");
    const failed = () => daemon.registrar.status().every(({ lastError }) => lastError !== undefined);
    await waitFor(failed, { what: "failed tries" });
    expect(daemon.messages("warn")).toEqual([
      `the token file cannot be read: ENOENT: no such file or directory, open '${tokenFile}'; nodes are registered here and published later`,
    ]);
    expect(bench.fake.requests).toEqual([]);
    await writeFile(tokenFile, "sesame");
    await isPassing();
    await isPassing("srv-epmd:box1:node_b");
    await waitFor(() => daemon.registrar.agent.trouble === undefined, { what: "the agent to answer" });
    expect(daemon.messages("warn")).toHaveLength(1);
    expect(daemon.messages().filter((message) => message.includes("can be read"))).toHaveLength(1);
  });

  test("and then an agent that is down are two things to tell of", async () => {
    const tokenFile = join(await temporaryFolder("token"), "token");
    const startAgent = await bench.stopAgent();
    const daemon = start({ client: { tokenFile } });
    daemon.up("node_a");
    await waitFor(() => daemon.messages("warn").length > 0, { what: "the token file" });
    await writeFile(tokenFile, "sesame");
    await waitFor(() => daemon.messages("warn").length > 1, { what: "the agent" });
    await startAgent();
    await isPassing();
    expect(daemon.messages("warn")).toEqual([
      expect.stringContaining("the token file cannot be read"),
      expect.stringContaining("the Consul agent does not answer"),
    ]);
  });
});

describe("a refusal", () => {
  test("is told of once, with the policy that is needed, and tried again slowly", async () => {
    const daemon = start();
    bench.fake.misbehave(({ path }) =>
      path.includes("/register") ? { status: 403, body: "Permission denied: Missing service:write on svc" } : undefined,
    );
    daemon.up("node_a");
    daemon.up("node_b");
    const tries = () => bench.fake.requests.filter(({ path }) => path.includes("/register")).length;
    await waitFor(() => tries() >= 4, { what: "second tries" });
    expect(tries()).toBeLessThan(8);
    const errors = daemon.lines.filter(({ level }) => level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ service: "svc", policy: 'service "svc" { policy = "write" }' });
    expect(errors[0]?.msg).toContain("Missing service:write on svc");
    bench.fake.misbehave(undefined);
    await isPublished(daemon);
    await isPublished(daemon, "node_b");
    expect(
      daemon.messages().filter((message) => message.includes("accepts the nodes of this service again")),
    ).toHaveLength(1);
  });

  test("ends when the token file holds a token that may", async () => {
    const folder = await temporaryFolder("token");
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, "old");
    bench.fake.misbehave(({ token }) => (token === "new" ? undefined : { status: 403, body: "ACL not found" }));
    const daemon = start({ client: { tokenFile } });
    daemon.up("node_a");
    await waitFor(() => daemon.messages("error").length > 0, { what: "the refusal" });
    await writeFile(tokenFile, "new");
    await isPassing();
  });

  test("ends for all names as soon as one call has found the new token, and that is said once", async () => {
    const tokenFile = join(await temporaryFolder("token"), "token");
    await writeFile(tokenFile, "old");
    bench.fake.misbehave(({ token }) => (token === "new" ? undefined : { status: 403, body: "ACL not found" }));
    // Refused names would wait for a minute; the audits go on.
    const daemon = start({ client: { tokenFile }, timings: { refusalRetry: 60_000 } });
    for (const name of ["node_a", "node_b", "node_c"]) daemon.up(name);
    await waitFor(() => daemon.messages("error").length > 0, { what: "the refusal" });
    await writeFile(tokenFile, "new");
    for (const name of ["node_a", "node_b", "node_c"]) await isPublished(daemon, name);
    expect(daemon.messages().filter((message) => message.includes("holds another token"))).toHaveLength(1);
  });
});

describe("a daemon that takes another's place", () => {
  /** What a daemon killed with -9 leaves. */
  const leaveBehind = async (...names: string[]) => {
    const former = start();
    for (const name of names) former.up(name);
    for (const name of names) await isPublished(former, name);
    bench.abandon(former);
    // Nobody speaks for it any more, and nothing is taken back.
    former.client.close();
    bench.fake.misbehave(() => ({ status: 500, body: "gone" }));
    await former.registrar.stop();
    bench.fake.misbehave(undefined);
    bench.fake.requests.length = 0;
  };

  test("keeps what it left passing, without a gap, until the VM is back", async () => {
    await leaveBehind("node_a");
    const daemon = start();
    await waitFor(() => bench.fake.requests.some(({ path }) => path.includes("/check/pass/")), {
      what: "the adoption",
    });
    daemon.up("node_a");
    await isPublished(daemon);
    await new Promise((resolve) => setTimeout(resolve, FAST.adoption + 100));
    expect(bench.fake.status(ID)).toBe("passing");
    expect(bench.fake.requests.filter(({ path }) => /deregister|fail/.test(path))).toEqual([]);
  });

  test("removes what it left when the VM does not come back", async () => {
    await leaveBehind("node_a", "node_b");
    const daemon = start();
    daemon.up("node_b");
    await isGone();
    expect(bench.fake.status("srv-epmd:box1:node_b")).toBe("passing");
  });

  test("under another instance replaces what it left, the new entry first", async () => {
    await leaveBehind("node_a");
    const daemon = start({ flags: { instance: "alloc2" } });
    await waitFor(() => bench.fake.requests.some(({ path }) => path.includes("/check/pass/")), {
      what: "the adoption",
    });
    daemon.up("node_a");
    await isGone();
    expect(bench.fake.status("srv-epmd:alloc2:node_a")).toBe("passing");
    const order = bench.fake.requests.map(({ path }) => path).filter((path) => /service\/(de)?register/.test(path));
    expect(order.at(-1)).toBe(`/v1/agent/service/deregister/${ID}`);
  });

  test("touches nothing of another owner that is alive, and removes what of it is dead", async () => {
    await leaveBehind("node_a", "node_b");
    const check = bench.fake.checks.get("service:srv-epmd:box1:node_b");
    if (check) check.Status = "critical";
    start({ owner: "boot-2/4026531840/4369" });
    await isGone("srv-epmd:box1:node_b");
    await new Promise((resolve) => setTimeout(resolve, FAST.adoption + 100));
    expect(bench.fake.services.has(ID)).toBe(true);
  });

  test("leaves alone what of another owner looked dead and is passing when it comes to remove it", async () => {
    await leaveBehind("node_a");
    const check = bench.fake.checks.get(`service:${ID}`);
    if (!check) throw new Error("no check");
    check.Status = "critical";
    bench.fake.misbehave(({ method, path }) => {
      // Its VM is back, between the look at the agent and the removal.
      if (method === "GET" && path === `/v1/agent/service/${ID}`) check.Status = "passing";
      return undefined;
    });
    const daemon = start({ owner: STRANGER });
    const asked = () => bench.fake.requests.filter(({ path }) => path.startsWith("/v1/agent/services")).length;
    await waitFor(() => asked() > 1, { what: "the second look" });
    expect(bench.fake.requests.filter(({ path }) => path.includes("deregister"))).toEqual([]);
    expect(daemon.messages()).toEqual([]);
    expect(bench.fake.status(ID)).toBe("passing");
  });

  test("leaves alone what of another owner was dead and has been registered anew when it comes to remove it", async () => {
    await leaveBehind("node_a");
    const check = bench.fake.checks.get(`service:${ID}`);
    const service = bench.fake.services.get(ID);
    if (!check || !service) throw new Error("nothing was left behind");
    check.Status = "critical";
    bench.fake.misbehave(({ method, path }) => {
      // A third daemon has taken it over, and has not passed the check yet.
      if (method === "GET" && path === `/v1/agent/service/${ID}`)
        bench.fake.services.set(ID, { ...service, Port: 20009, Meta: { ...service.Meta, "srv-epmd-owner": "third" } });
      return undefined;
    });
    bench.fake.requests.length = 0;
    start({ owner: STRANGER });
    const asked = () => bench.fake.requests.filter(({ path }) => path.startsWith("/v1/agent/services")).length;
    await waitFor(() => asked() > 1, { what: "the second look" });
    expect(bench.fake.requests.filter(({ path }) => path.includes("deregister"))).toEqual([]);
    expect(bench.fake.services.get(ID)?.Port).toBe(20009);
  });
});

test("an id that two daemons found free in the same moment: the one whose entry was overwritten sees it soon, not at the next audit", async () => {
  let looks = 0;
  bench.fake.misbehave(({ method, path }) => {
    const isLook = method === "GET" && path === `/v1/agent/service/${ID}`;
    return isLook && ++looks <= 2 ? { delay: 600 } : undefined;
  });
  const timings = { audit: 60_000, recheck: 100 };
  start({ timings, flags: { ttl: "60s" } }).up("node_a", 20001);
  start({ timings, flags: { ttl: "60s" }, owner: STRANGER }).up("node_a", 20002);
  const passing = () =>
    Array.from(bench.fake.services.values())
      .filter(({ ID: id }) => bench.fake.status(id) === "passing")
      .map(({ Port }) => Port)
      .sort();
  await waitFor(() => passing().join() === "20001,20002", { what: "both to be published" });
});

test("while nodes register, lists of everything leave an agent that is slow most of the time", async () => {
  const DELAY = 40;
  // A list that fails is asked for again sooner, and on a busy machine one may take long.
  const daemon = start({ client: { timeoutMs: 5_000 }, timings: { audit: 60_000, recheck: 10 } });
  // With the first node its service is looked at, once.
  daemon.up("node_a");
  await isPublished(daemon);
  const asked = new Map<string, number[]>([
    ["/v1/agent/services", []],
    ["/v1/health/service/svc", []],
  ]);
  bench.fake.misbehave(({ path }) => {
    const [list = ""] = path.split("?");
    asked.get(list)?.push(performance.now());
    return asked.has(list) ? { delay: DELAY } : undefined;
  });
  for (let count = 0; Array.from(asked.values()).some((times) => times.length < 4); count++) {
    daemon.up(`node_${count}`, 20_001 + count);
    await sleep(20);
  }
  for (const times of asked.values()) {
    // Of one that was under way the delay is not known.
    const gaps = times.slice(2).map((time, index) => time - (times[index + 1] ?? 0));
    // Timers of Node may be a millisecond early.
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(30 * DELAY - 5);
  }
});

test("a list that is not answered in time leaves the agent as long a rest, for a third of the TTL at most", async () => {
  const asked: number[] = [];
  bench.fake.misbehave(({ path }) => {
    if (!path.startsWith("/v1/agent/services")) return undefined;
    asked.push(performance.now());
    return "hang";
  });
  start({ client: { timeoutMs: 100 }, flags: { ttl: "3s" } });
  await waitFor(() => asked.length > 3, { what: "three more lists" });
  const gaps = asked.slice(1).map((time, index) => time - (asked[index] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(10 * 100 - 5);
});

describe("the stop", () => {
  /** A published node, and an agent whose calls of this path hang, as those do that Consul's servers answer. */
  const hanging = async (path: string) => {
    const bearerTokenFile = join(await temporaryFolder("jwt"), "jwt");
    await writeFile(bearerTokenFile, "a.b.c");
    const client = { login: { authMethod: "m", bearerTokenFile }, timeoutMs: 4_000 };
    const daemon = start({ client, timings: { audit: 60_000 } });
    const node = daemon.up("node_a");
    await isPublished(daemon);
    bench.fake.requests.length = 0;
    const isAsked = () => bench.fake.requests.some((request) => request.path.startsWith(path));
    const how = (refused: string) => {
      bench.fake.misbehave((request) => {
        if (request.path.startsWith(path)) return "hang";
        return request.path.includes(refused) ? { status: 403, body: "ACL not found" } : undefined;
      });
    };
    return { daemon, node, isAsked, how };
  };

  test("does not wait for Consul's servers before it removes what has gone", async () => {
    const { daemon, node, isAsked, how } = await hanging("/v1/acl/token/self");
    how("no call");
    daemon.down(node);
    const before = performance.now();
    await daemon.registrar.stop();
    expect(performance.now() - before).toBeLessThan(FAST.stop + 1_000);
    expect([isAsked(), bench.fake.services.size]).toEqual([true, 0]);
  });

  test("does not wait for a login that is under way", async () => {
    const { daemon, isAsked, how } = await hanging("/v1/acl/login");
    how("/check/pass/");
    await waitFor(isAsked, { what: "the login" });
    const before = performance.now();
    await daemon.registrar.stop();
    expect(performance.now() - before).toBeLessThan(FAST.stop + 1_000);
  });

  test("removes what has gone without waiting for the grace time, and leaves what is alive with a fresh TTL", async () => {
    const daemon = start({ timings: { grace: 60_000 } });
    const node = daemon.up("node_a");
    daemon.up("node_b");
    await isPublished(daemon);
    await isPublished(daemon, "node_b");
    daemon.down(node);
    await waitFor(() => bench.fake.status(ID) === "critical", { what: "critical" });
    bench.fake.requests.length = 0;
    await daemon.registrar.stop();
    expect([...bench.fake.services.keys()]).toEqual(["srv-epmd:box1:node_b"]);
    expect(bench.fake.requests.some(({ path }) => path.includes("/check/pass/service:srv-epmd:box1:node_b"))).toBe(
      true,
    );
  });

  test("removes what is alive too with --deregister-on-stop", async () => {
    const daemon = start({ flags: { deregisterOnStop: "true" } });
    daemon.up("node_a");
    await isPublished(daemon);
    await daemon.registrar.stop();
    expect(bench.fake.services.size).toBe(0);
  });

  test("does not wait for an agent that hangs", async () => {
    const daemon = start({ client: { timeoutMs: 5_000 } });
    daemon.up("node_a");
    await isPublished(daemon);
    bench.fake.misbehave(() => "hang");
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
    const { length } = bench.fake.requests;
    daemon.up("node_b");
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(bench.fake.requests).toHaveLength(length);
  });

  test("takes no other settings: a relay process that comes back at another port then changes no entry", async () => {
    const daemon = start({ flags: { advertisePort: "30001" } });
    daemon.up("node_a");
    await isPublished(daemon);
    const stopped = daemon.registrar.stop();
    daemon.registrar.use({ ...daemon.settings, advertisePort: 30002 });
    await stopped;
    daemon.registrar.use({ ...daemon.settings, advertisePort: 30002 });
    expect(bench.fake.services.get(ID)?.Port).toBe(30001);
    expect(bench.fake.status(ID)).toBe("passing");
  });

  test("adopts nothing by a survey that was answered as it began", async () => {
    const before = start();
    before.up("node_a");
    await isPublished(before);
    bench.abandon(before);
    await before.registrar.stop();
    await before.client.close();

    const daemon = start();
    let answer: (() => void) | undefined;
    const { services, checks } = daemon.client;
    // As if both answers had arrived when the stop begins.
    daemon.client.services = () => services.call(daemon.client);
    daemon.client.checks = () =>
      new Promise((resolve, reject) => {
        answer = () => checks.call(daemon.client).then(resolve, reject);
      });
    const late = await waitFor(() => answer, { what: "the survey" });
    const stopped = daemon.registrar.stop();
    late();
    await stopped;
    expect(daemon.registrar.status()).toEqual([]);
  });
});

test("a service that also has other instances is warned of, once", async () => {
  bench.fake.services.set("web-1", {
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

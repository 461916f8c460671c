import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { OptionKey } from "../../src/config/options.js";
import { type Daemon, start } from "../../src/daemon/daemon.js";
import { METRICS } from "../../src/daemon/metrics.js";
import { runCommand } from "../support/command-line.js";
import { type FakeConsul, startFakeConsul } from "../support/fake-consul.js";
import { startFakeDns } from "../support/fake-dns-server.js";
import { freePort } from "../support/free-port.js";
import { type HttpOptions, http, readEvents } from "../support/http.js";
import { collectLog } from "../support/log-lines.js";
import { ask, rawNode, request } from "../support/raw-epmd.js";
import { serveConfig } from "../support/registered-node.js";
import { waitFor } from "../support/wait-for.js";

const TOKEN = "b1gs33d5-7f6e-4c3e-9a38-tokentoken00";
const open: { close: () => Promise<unknown> }[] = [];

afterEach(async () => {
  for (const { close } of open.splice(0).reverse()) await close();
});

/** A whole daemon in this process, with a zone of its own unless the flags say otherwise. */
async function daemon(flags: Partial<Record<OptionKey, string | readonly string[]>> = {}) {
  const { log, messages } = collectLog();
  const zone = { domain: ["demo.test"], dnsListen: "127.0.0.1:0" };
  const config = serveConfig({ port: "0", admin: "127.0.0.1:0", ...(flags.consul === undefined && zone), ...flags });
  const running = await start(config, { log });
  open.push(running);
  const at = running.adminAddress ?? "";
  const get = (path: string, options?: HttpOptions) => http(at, path, options);
  const json = async (path: string) => JSON.parse((await get(path)).body);
  return { running, at, get, json, messages };
}

async function withConsul(
  flags: Partial<Record<OptionKey, string>> = {},
): Promise<{ fake: FakeConsul } & Awaited<ReturnType<typeof daemon>>> {
  const fake = await startFakeConsul();
  // It knows every name, and no record of it.
  const dns = await startFakeDns(() => ({}));
  open.push(fake, dns);
  const settings = { domain: ["svc"], dns: [`127.0.0.1:${dns.port}`], consul: fake.url, consulToken: TOKEN };
  return { fake, ...(await daemon({ ...settings, instance: "box1", ...flags })) };
}

async function register(running: Daemon, name: string, port = 20001) {
  const node = await rawNode(running.port, { name, port });
  open.push(node);
  return node;
}

const portPlease = ({ port }: Daemon, name: string) => ask(port, request("z", name));

describe("the paths", () => {
  test("every answer forbids caches, guesses of its type and whatever comes from elsewhere", async () => {
    const { get } = await daemon();
    for (const path of ["/", "/page.css", "/page.js", "/livez", "/readyz", "/metrics", "/v1/status", "/v1/settings"]) {
      const { status, headers } = await get(path);
      expect({ path, status }).toEqual({ path, status: 200 });
      expect(headers).toMatchObject({
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": expect.stringContaining("default-src 'none'"),
      });
    }
  });

  test("an unknown path is told which there are", async () => {
    const { get } = await daemon();
    for (const path of ["/nope", "/__proto__", "/constructor", "//evil.example/", "/v1/nodes/"]) {
      const { status, body } = await get(path);
      expect({ path, status }).toEqual({ path, status: 404 });
      expect(body).toContain("/readyz");
    }
  });

  test("/v1/nodes has who is alive here, and how it stands in Consul", async () => {
    const { running, json, fake } = await withConsul();
    await register(running, "node_a");
    await register(running, "rpc-12ab-node_a", 20002);
    const of = async (name: string) =>
      (await json("/v1/nodes")).nodes.find((node: { name: string }) => node.name === name);
    await waitFor(async () => (await of("node_a")).publication === "in-consul", { what: "the publication" });
    expect(await of("node_a")).toMatchObject({ port: 20001, serviceIds: ["srv-epmd:box1:node_a"], origin: "alive2" });
    expect(await of("rpc-12ab-node_a")).toMatchObject({
      publication: "local",
      serviceIds: [],
      reason: expect.stringContaining("helper"),
    });
    fake.misbehave(({ path }) => (path.includes("/register") ? { status: 403, body: "Permission denied" } : undefined));
    await register(running, "node_b", 20003);
    await waitFor(async () => (await of("node_b")).reason, { what: "the refusal" });
    expect(await of("node_b")).toMatchObject({
      publication: "not-in-consul",
      reason: expect.stringContaining("Permission denied"),
    });
  });

  test("/v1/cluster has what Consul knows of the service, and of one that a pattern names", async () => {
    const { running, json, get, fake } = await withConsul();
    await register(running, "node_a");
    await waitFor(() => fake.status("srv-epmd:box1:node_a") === "passing", { what: "the publication" });
    const entry = { node: "node_a@svc.service.consul", health: "passing", port: 20001, instance: "box1" };
    await waitFor(async () => (await json("/v1/cluster")).nodes.length === 1, { what: "the node in the cluster" });
    expect(await json("/v1/cluster")).toMatchObject({
      outcome: "listed",
      patterns: ["*@svc.service.consul"],
      nodes: [entry],
    });
    expect(await json("/v1/cluster?match=node_*@svc")).toMatchObject({ nodes: [entry] });
    expect((await json("/v1/cluster?match=other_*@svc")).nodes).toEqual([]);
    expect(await get("/v1/cluster?match=nothing")).toMatchObject({
      status: 400,
      body: expect.stringContaining("must be a pattern such as 'node_*@svc'"),
    });
    fake.misbehave(() => ({ status: 500, body: "No cluster leader" }));
    expect(await get("/v1/cluster?match=*@svc")).toMatchObject({
      status: 503,
      body: expect.stringContaining("leader"),
    });
  });

  test("/v1/cluster and the page say which check keeps a node out, and not what that check says", async () => {
    const { running, json, fake } = await withConsul();
    await register(running, "node_a");
    const id = "srv-epmd:box1:node_a";
    await waitFor(() => fake.status(id) === "passing", { what: "the publication" });
    fake.checks.set("disk", { CheckID: "disk", ServiceID: id, Status: "critical", Output: "secret" });
    await waitFor(async () => (await json("/v1/cluster")).nodes[0]?.health === "critical", { what: "the check" });
    const { nodes } = await json("/v1/cluster?match=*@svc");
    expect(nodes).toMatchObject([
      { obstacle: { kind: "other", check: "disk", entry: id, words: "its check disk is critical" } },
    ]);
    const { cluster, problems } = await json("/v1/status");
    expect(cluster.nodes).toMatchObject(nodes.map(({ age: _, ...node }: { age: number }) => node));
    expect(problems.filter(({ code }: { code: string }) => code === "NODE_CRITICAL")).toMatchObject([
      { sentence: expect.stringContaining(": the check disk of its entry on box1 is critical.") },
    ]);
  });

  test("/v1/resolve answers as resolve --json does", async () => {
    const { running, json, get } = await daemon();
    await register(running, "node_a");
    expect(await json("/v1/resolve?node=node_a@demo.test")).toMatchObject({
      node: "node_a@demo.test",
      outcome: "found",
      source: "registry",
      endpoints: [{ address: "127.0.0.1", port: 20001, family: 4 }],
    });
    expect(await json("/v1/resolve?node=node_b@demo.test")).toMatchObject({ outcome: "not-found" });
    expect(await get("/v1/resolve")).toMatchObject({ status: 400, body: expect.stringContaining("?node=name@host") });
    expect(await get("/v1/resolve?node=a%00b@demo.test")).toMatchObject({ status: 400 });
  });
});

describe("readiness", () => {
  test("is lost with the agent and with a node that Consul refuses, and says why", async () => {
    const { running, get, fake } = await withConsul();
    await waitFor(async () => (await get("/readyz")).status === 200, { what: "readiness" });
    fake.misbehave(({ path }) => (path.includes("/register") ? { status: 403, body: "Permission denied" } : undefined));
    const node = await register(running, "node_a");
    await waitFor(async () => (await get("/readyz")).body.includes("Permission denied"), { what: "the reason" });
    expect(await get("/readyz")).toMatchObject({ status: 503, body: expect.stringContaining("node_a") });
    expect((await get("/livez")).status).toBe(200);
    await node.close();
    await waitFor(async () => (await get("/readyz")).status === 200, { what: "readiness" });
  });

  test("does not flicker between a registration and its publication", async () => {
    const { running, get, json, fake } = await withConsul();
    await waitFor(async () => (await get("/readyz")).status === 200, { what: "readiness" });
    fake.misbehave(({ path }) => (path.includes("/register") ? { delay: 300 } : undefined));
    await register(running, "node_a");
    const seen = new Set<string>();
    await waitFor(
      async () => {
        const { status } = await get("/readyz");
        const { publication } = (await json("/v1/nodes")).nodes[0];
        const { body } = await get("/metrics");
        const missing = /^srv_epmd_missing_nodes (\d+)$/m.exec(body)?.[1];
        seen.add(`${status} ${publication} ${missing}`);
        return publication === "in-consul";
      },
      { what: "the publication", interval: 1 },
    );
    expect([...seen]).toEqual(["200 pending 0", "200 in-consul 0"]);
  });

  test("is lost when the agent only seems to take what it is given: passes, or lists, that fail", async () => {
    const { get, json, running, fake } = await withConsul({ ttl: "1s" });
    await register(running, "node_a");
    await waitFor(async () => (await json("/v1/nodes")).nodes[0].publication === "in-consul", {
      what: "the publication",
    });
    fake.misbehave(({ path }) => (path.includes("/check/pass/") ? { status: 503, body: "" } : undefined));
    await waitFor(async () => (await get("/readyz")).status === 503, { what: "the loss" });
    expect(JSON.parse((await get("/readyz")).body).checks).toContainEqual({
      ...{ name: "published", ok: false },
      reason: expect.stringMatching(/^not in Consul's DNS: node_a \(.*503.*\)$/),
    });
    expect((await json("/v1/nodes")).nodes[0]).toMatchObject({ publication: "not-in-consul", serviceIds: [] });
    const { body } = await get("/metrics");
    expect(body).toMatch(/^srv_epmd_missing_nodes 1$/m);
    expect(body).toMatch(/^srv_epmd_published_nodes 0$/m);
    fake.misbehave(undefined);
    await waitFor(async () => (await get("/readyz")).status === 200, { what: "readiness" });
  });

  test("is lost with the stop, which waits until who watches has been told", async () => {
    const { running, get } = await daemon();
    expect((await get("/readyz")).status).toBe(200);
    let closed = false;
    const closing = running.close().then(() => {
      closed = true;
    });
    expect((await portPlease(running, "node_a")).toString("hex")).toBe("7701");
    expect(closed).toBe(false);
    expect(await get("/readyz")).toMatchObject({ status: 503, body: expect.stringContaining("srv-epmd is stopping") });
    await closing;
    await expect(get("/livez")).rejects.toThrow("ECONNREFUSED");
  });

  test("that nobody asks for holds up no stop", async () => {
    const { running, get } = await daemon();
    await get("/livez");
    const before = performance.now();
    await running.close();
    expect(performance.now() - before).toBeLessThan(1000);
  });
});

describe("the page", () => {
  test("says of an agent that hangs, and of one that reaches no server, what is to be done about that", async () => {
    const { json, fake } = await withConsul();
    await waitFor(async () => (await json("/v1/status")).consul.answers, { what: "the agent" });
    const problem = async (fault: string) => {
      const told = async () => (await json("/v1/status")).consul.trouble?.fault === fault;
      await waitFor(told, { what: fault });
      return (await json("/v1/status")).problems[0];
    };
    fake.misbehave(() => ({ status: 500, body: "No known Consul servers" }));
    expect(await problem("no-server")).toMatchObject({
      code: "CONSUL_ERRORS",
      advice: expect.stringContaining("Run srv-epmd doctor here"),
    });
    fake.misbehave(() => "hang");
    // Of the list, or of the publication.
    expect(await problem("timeout")).toMatchObject({
      code: "CONSUL_SILENT",
      sentence: expect.stringMatching(/ does not answer: (no answer within 2000 ms|request timed out \(5000ms\))\.$/),
      advice: expect.stringContaining("kill -CONT"),
    });
  });

  test("and the status say what is wrong, and since when Consul does not answer; then it is good again", async () => {
    const { running, get, json, fake } = await withConsul({ ttl: "1s" });
    await register(running, "node_a");
    await waitFor(async () => (await json("/v1/cluster")).nodes.length === 1, { what: "the node in the cluster" });
    const before = await json("/v1/status");
    expect(before).toMatchObject({ instance: "box1", problems: [], consul: { answers: true } });
    expect(Date.now() - Date.parse(before.consul.answeredAt)).toBeLessThan(20_000);
    expect((await get("/")).body).toContain('class="pill good">ready<');
    await fake.close();
    await waitFor(async () => (await json("/v1/status")).problems.length > 0, { what: "the problem" });
    // The list of the cluster is kept for a second: it is not shown as good even then.
    expect((await get("/")).body).not.toContain('class="pill good"');
    await waitFor(async () => (await json("/v1/status")).cluster.outcome === "unavailable", {
      what: "the list to fail",
    });
    const silent = await json("/v1/status");
    expect(silent.problems.map(({ code }: { code: string }) => code)).toEqual(["CONSUL_SILENT"]);
    expect(silent).toMatchObject({
      consul: { answers: false, trouble: { code: "CONSUL_SILENT" } },
      cluster: { outcome: "unavailable", code: "CONSUL_UNAVAILABLE", last: { nodes: [{ instance: "box1" }] } },
    });
    expect(Date.parse(silent.consul.answeredAt)).toBeGreaterThanOrEqual(Date.parse(before.consul.answeredAt) - 1);
    const { body } = await get("/");
    expect(body).toMatch(/as of <time[^>]*>\d+ s<\/time> ago/);
    expect(body).not.toContain('class="pill good"');
    open.push(await startFakeConsul(Number(new URL(fake.url).port)));
    await waitFor(async () => (await json("/v1/status")).problems.length === 0, { what: "the end of the problem" });
    expect((await get("/")).body).toContain('class="pill good">ready<');
  });

  test("calls an agent that answers with errors so, and a refusal a refusal", async () => {
    const { json, fake } = await withConsul({ ttl: "1s" });
    const codes = async () => (await json("/v1/status")).problems.map(({ code }: { code: string }) => code);
    fake.misbehave(() => ({ status: 500, body: "No cluster leader" }));
    await waitFor(async () => (await codes()).join() === "CONSUL_ERRORS", { what: "the errors" });
    fake.misbehave(({ path }) => (path.includes("/health/") ? { status: 403, body: "Permission denied" } : undefined));
    await waitFor(async () => (await codes()).join() === "CLUSTER_UNKNOWN", { what: "the refusal" });
  });

  test("searches more look-ups than the status lists", async () => {
    const { running, get, json } = await daemon();
    await portPlease(running, "needle@demo.test");
    await register(running, "node_a");
    for (let asked = 0; asked < 120; asked++) await portPlease(running, "node_a");
    const { lookUps, problems } = await json("/v1/status");
    expect(lookUps).toHaveLength(100);
    expect(lookUps.some(({ node }: { node: string }) => node.startsWith("needle"))).toBe(false);
    // The problem is older than the list, too.
    expect(problems).toMatchObject([{ code: "NOT_FOUND_LATELY", nodes: ["needle@demo.test"] }]);
    const { body } = await get("/?q=needle&show=failed");
    expect(body).toContain("1 of 121 look-ups");
    expect((await get("/?q=%00%3Cscript%3E&show=nonsense")).status).toBe(200);
  });

  test("tells open pages each second while an agent is silent, so that the age of what they show grows", async () => {
    const { running, at, json, fake } = await withConsul({ ttl: "1s" });
    await register(running, "node_a");
    await waitFor(async () => (await json("/v1/cluster")).nodes.length === 1, { what: "the node in the cluster" });
    await fake.close();
    await waitFor(async () => (await json("/v1/status")).problems.length > 0, { what: "the problem" });
    const { events, close } = await readEvents(at, "/v1/events");
    await waitFor(() => events.filter(({ type }) => type === "status").length >= 3, { what: "three updates" });
    close();
  });
});

test("a question of a command, or of another srv-epmd, is no look-up of a VM, and no problem on the page", async () => {
  const { running, json } = await withConsul();
  await portPlease(running, "node_z\0");
  expect(await json("/v1/status")).toMatchObject({ lookUps: [], problems: [] });
  await portPlease(running, "node_z");
  expect((await json("/v1/status")).lookUps).toMatchObject([{ node: "node_z@svc.service.consul" }]);
});

test("an empty list of Consul: the policy that the token lacks, and none where Consul does not tell", async () => {
  const { json, fake } = await withConsul();
  const rights = (status: number, body: string | readonly object[]) =>
    fake.misbehave(({ path }) => (path.includes("/internal/acl/authorize") ? { status, body } : undefined));
  rights(500, "rpc error");
  expect(await json("/v1/cluster")).toEqual({ outcome: "listed", patterns: ["*@svc.service.consul"], nodes: [] });
  rights(200, [{ Resource: "node", Access: "read", Segment: "srv-epmd doctor", Allow: false }]);
  const lacks = 'node_prefix "" { policy = "read" }';
  await waitFor(async () => (await json("/v1/cluster")).missingPolicies?.join() === lacks, { what: "the policy" });
  expect((await json("/v1/status")).problems).toMatchObject([{ code: "CLUSTER_UNREAD" }]);
});

test("what doctor asks about the nodes here is no look-up of a VM", async () => {
  const { running, json } = await withConsul();
  await register(running, "node_a");
  const { stdout } = await runCommand(["doctor", "--json", "--domain", "svc", "--port", String(running.port)]);
  expect(stdout).toContain("with the nodes node_a");
  expect((await json("/v1/status")).lookUps).toEqual([]);
});

describe("/metrics", () => {
  /** Samples by name and labels. */
  const samples = async (get: (path: string) => Promise<{ body: string }>) =>
    new Map(
      Array.from((await get("/metrics")).body.matchAll(/^([a-z_]+(?:\{.*\})?) ([0-9.e+-]+)$/gm), ([, name, value]) => [
        name,
        Number(value),
      ]),
    );

  test("has every metric of the table, with its kind, and Node's", async () => {
    const { get } = await daemon();
    const { body, headers } = await get("/metrics");
    expect(headers["content-type"]).toMatch(/^text\/plain; version=0\.0\.4/);
    for (const [name, { type, help }] of Object.entries(METRICS)) {
      expect(body).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    }
    expect(body).toContain("process_resident_memory_bytes ");
    expect(body).toContain("nodejs_eventloop_lag_p99_seconds ");
  });

  test("has no values that nothing can have, at the first request and at those that follow at once", async () => {
    const { get } = await daemon();
    // Two at once: between them the event loop's delay is not sampled.
    const bodies = await Promise.all([get("/metrics"), get("/metrics")]);
    bodies.push(await get("/metrics"));
    for (const { body } of bodies) {
      const values = Array.from(body.matchAll(/^([a-z_0-9]+)(?:\{.*\})? (\S+)$/gm), ([, name = "", value]) => ({
        name,
        value,
      }));
      expect(values.length).toBeGreaterThan(40);
      expect(values.filter(({ value }) => !Number.isFinite(Number(value)))).toEqual([]);
      const times = values.filter(({ name }) => name.endsWith("_seconds") && !name.startsWith("process_start_time"));
      expect(times.filter(({ value }) => Number(value) < 0 || Number(value) > 3_600)).toEqual([]);
    }
    await waitFor(async () => /^nodejs_eventloop_lag_min_seconds [0-9.e-]+$/m.test((await get("/metrics")).body), {
      what: "the least delay",
      interval: 100,
    });
  });

  test("counts what happened before it was first asked for, and what happens then", async () => {
    const { running, get } = await daemon();
    await register(running, "node_a");
    await portPlease(running, "node_a");
    await portPlease(running, "node_b@demo.test");
    const before = await samples(get);
    expect(Object.fromEntries(before)).toMatchObject({
      'srv_epmd_requests_total{type="ALIVE2_REQ",result="ok"}': 1,
      'srv_epmd_requests_total{type="PORT_PLEASE2_REQ",result="ok"}': 1,
      'srv_epmd_requests_total{type="PORT_PLEASE2_REQ",result="not-found"}': 1,
      'srv_epmd_look_ups_total{way="host",source="registry",outcome="found"}': 1,
      'srv_epmd_look_ups_total{way="module",source="none",outcome="not-found"}': 1,
      'srv_epmd_look_up_duration_seconds_count{source="registry"}': 1,
      'srv_epmd_look_up_duration_seconds_bucket{source="registry",le="5"}': 1,
      'srv_epmd_look_up_duration_seconds_bucket{source="registry",le="+Inf"}': 1,
      'srv_epmd_dns_queries_total{transport="udp",rcode="NXDOMAIN"}': 1,
      'srv_epmd_dns_cache_total{result="miss"}': 1,
      srv_epmd_registered_nodes: 1,
      srv_epmd_published_nodes: 0,
      srv_epmd_missing_nodes: 0,
      srv_epmd_connections: 1,
      srv_epmd_ready: 1,
      srv_epmd_stale_answers_total: 0,
    });
    await portPlease(running, "node_b@demo.test");
    expect((await samples(get)).get('srv_epmd_dns_cache_total{result="miss"}')).toBe(2);
  });
});

describe("/v1/events", () => {
  test("tells of nodes, look-ups, and of whatever else has changed", async () => {
    const { running, at, fake } = await withConsul();
    const { events } = await readEvents(at, "/v1/events");
    await register(running, "node_a");
    await portPlease(running, "node_b");
    await waitFor(() => events.some(({ type }) => type === "look-up"), { what: "the look-up" });
    expect(events).toContainEqual({ type: "node", data: { change: "registered", name: "node_a", port: 20001 } });
    expect(events.find(({ type }) => type === "look-up")?.data).toMatchObject({ asker: "127.0.0.1", way: "host" });
    await waitFor(() => events.some(({ type }) => type === "status"), { what: "the publication on the page" });
    const before = events.length;
    fake.misbehave(() => ({ status: 500, body: "No cluster leader" }));
    await waitFor(() => events.slice(before).some(({ type }) => type === "status"), { what: "the agent's trouble" });
  });

  test("streams leave connections for who asks and goes, and are answered as everything is", async () => {
    const { at, get } = await daemon();
    const streams = await Promise.all(Array.from({ length: 32 }, () => readEvents(at, "/v1/events")));
    expect(streams[0]?.headers["content-security-policy"]).toContain("default-src 'none'");
    expect(streams[0]?.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    expect(await get("/v1/events")).toMatchObject({
      status: 503,
      body: expect.stringContaining("too many event streams"),
    });
    expect((await get("/readyz")).status).toBe(200);
    streams[0]?.close();
    await waitFor(
      () =>
        readEvents(at, "/v1/events").then(
          ({ status, close }) => {
            close();
            return status === 200;
          },
          () => false,
        ),
      { what: "room for a stream" },
    );
  });

  test("the daemon's stop ends the stream", async () => {
    const { running, at } = await daemon();
    const stream = await readEvents(at, "/v1/events");
    await running.close();
    await waitFor(() => stream.isClosed(), { what: "the end of the stream" });
  });
});

describe("who is answered", () => {
  test.each([
    ["POST", { method: "POST" }, 405, "only GET"],
    ["a name that is not ours", { headers: { host: "rebound.example" } }, 403, "--admin-host"],
    ["a page of another site", { headers: { "sec-fetch-site": "cross-site" } }, 403, "another site"],
    ["another port of this machine", { headers: { "sec-fetch-site": "same-site" } }, 403, "another site"],
    ["a page of another origin", { headers: { origin: "http://evil.example" } }, 403, "another site"],
  ])("not %s, on no path", async (_, options: HttpOptions, status, why) => {
    const { get, running } = await daemon();
    for (const path of ["/", "/livez", "/v1/resolve?node=node_a@demo.test", "/v1/events", "/nope"]) {
      const answer = await get(path, options);
      expect({ path, status: answer.status }).toEqual({ path, status });
      expect(answer.body).toContain(why);
    }
    // Nothing was looked up on their behalf.
    expect((await http(running.adminAddress ?? "", "/metrics")).body).not.toContain(
      'srv_epmd_dns_cache_total{result="miss"} ',
    );
  });

  test("a browser that does not say for which page it asks sees the page, and has nothing looked up", async () => {
    const { get } = await daemon();
    const headers = { host: "0.0.0.0:9369", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" };
    expect((await get("/", { headers })).status).toBe(200);
    for (const path of ["/v1/resolve?node=node_a@demo.test", "/v1/cluster?match=*@svc", "/readyz?cluster=*@svc"]) {
      expect(await get(path, { headers })).toMatchObject({ status: 403, body: expect.stringContaining("curl") });
    }
    expect((await get("/metrics")).body).not.toContain("srv_epmd_dns_cache_total{");
  });

  test("a name of --admin-host", async () => {
    const { get } = await daemon({ adminHost: ["Epmd.Internal"] });
    expect((await get("/livez", { headers: { host: "epmd.internal:9369" } })).status).toBe(200);
  });

  test("what is no HTTP is answered with 400, and the next request rightly", async () => {
    const { at, get } = await daemon();
    const socket = connect(Number(at.split(":")[1]), "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.write("\x00\x05zabcd\r\n\r\n");
    await waitFor(() => Buffer.concat(chunks).toString().startsWith("HTTP/1.1 400 "), { what: "the complaint" });
    socket.destroy();
    expect((await get("/livez")).status).toBe(200);
  });

  test("no answer holds the token", async () => {
    const { running, get, fake } = await withConsul();
    fake.misbehave(({ token }) => ({ status: 403, body: `ACL not found: ${token}` }));
    await register(running, "node_a");
    await waitFor(async () => (await get("/readyz")).body.includes("ACL not found"), { what: "the refusal" });
    for (const path of [
      "/",
      "/readyz",
      "/metrics",
      "/v1/status",
      "/v1/nodes",
      "/v1/cluster",
      "/v1/cluster?match=*@svc",
    ]) {
      expect((await get(path)).body).not.toContain(TOKEN);
    }
  });
});

describe("the place", () => {
  test("that was asked for and is taken stops the start, and frees the EPMD port", async () => {
    const { at } = await daemon();
    const port = await freePort();
    await expect(daemon({ admin: at, port: String(port) })).rejects.toMatchObject({
      code: "LISTEN_IN_USE",
      message: `--admin: ${at} is in use`,
    });
    await daemon({ port: String(port) });
  });

  test("none with --admin none", async () => {
    const { log } = collectLog();
    const running = await start(serveConfig({ port: "0", admin: "none" }), { log });
    open.push(running);
    expect(running.adminAddress).toBeUndefined();
  });

  test("when all connections are in use health is told nevertheless, and nothing else", async () => {
    const { at, get, running, messages } = await daemon();
    const sockets = Array.from({ length: 100 }, () => connect(Number(at.split(":")[1]), "127.0.0.1"));
    let closed = 0;
    for (const socket of sockets) socket.on("close", () => closed++).on("error", () => {});
    // Beyond 64 there are four more, of which the oldest makes room for the next.
    await waitFor(() => closed === 32, { what: "the end of most of those beyond 64" });
    // Once, not 36 times.
    expect(messages("warn")).toEqual(["all connections are in use: only health is answered over HTTP"]);
    for (let time = 0; time < 10; time++) expect((await get("/livez")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(200);
    expect(await get("/v1/status")).toMatchObject({ status: 503, body: expect.stringContaining("/livez") });
    expect((await portPlease(running, "node_a")).toString("hex")).toBe("7701");
    for (const socket of sockets) socket.destroy();
    await waitFor(async () => (await get("/v1/status").catch(() => undefined))?.status === 200, { what: "room" });
  });
});

describe("/readyz?cluster=", () => {
  const readyz = (pattern: string) => `/readyz?cluster=${encodeURIComponent(pattern)}`;
  const condition = ({ body }: { readonly body: string }) =>
    (JSON.parse(body) as { checks: { name: string }[] }).checks.find(({ name }) => name === "cluster");

  test("is 503 where it is not known with whom a node is linked, and adds nothing to /readyz without it", async () => {
    const { running, get } = await daemon();
    await register(running, "node_a");
    const answer = await get(readyz("*@demo.test"));
    expect(answer.status).toBe(503);
    expect(condition(answer)).toEqual({
      name: "cluster",
      ok: false,
      reason: expect.stringMatching(/^it is not known with whom node_a@demo\.test is linked: .* no --cookie-file/),
    });
    const plain = await get("/readyz");
    expect([plain.status, condition(plain)]).toEqual([200, undefined]);
  });

  test("has a condition for each pattern", async () => {
    const { get } = await daemon();
    const { checks } = JSON.parse((await get("/readyz?cluster=*@demo.test&cluster=node_*@demo.test")).body);
    const reasons = checks.map(({ reason }: { reason?: string }) => reason).filter(Boolean);
    const none = "no node that is registered here matches";
    expect(reasons).toEqual([`${none} *@demo.test`, `${none} node_*@demo.test`]);
  });

  test.each([
    ["", "must be a pattern such as 'node_*@svc'"],
    ["node_a", "must be a pattern such as 'node_*@svc'"],
    ["*@two words", "what stands behind the @ is no host name"],
    ["*@elsewhere.example", "elsewhere.example is no service of Consul"],
  ])("refuses %j, and says what would be right", async (pattern, why) => {
    const { get } = await daemon();
    expect(await get(readyz(pattern))).toMatchObject({ status: 400, body: expect.stringContaining(why) });
  });

  test("is 503 with the reason where the catalogue does not answer", async () => {
    const { running, fake, get } = await withConsul();
    await register(running, "node_a");
    fake.misbehave(() => ({ status: 500, body: "No cluster leader" }));
    const answer = await get(readyz("*@svc"));
    expect(answer.status).toBe(503);
    expect(condition(answer)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/^the nodes of svc\.service\.consul are not known: .*No cluster leader/),
    });
  });

  test("answers 16 patterns, and no more", async () => {
    const { get } = await daemon();
    const many = (count: number) => `/readyz?${Array.from({ length: count }, () => "cluster=*@demo.test").join("&")}`;
    expect((await get(many(16))).status).toBe(503);
    expect(await get(many(17))).toMatchObject({ status: 400, body: expect.stringContaining("16 are answered") });
  });

  test("does not take the wait of a stop away from checks of the daemon alone", async () => {
    const { running, get } = await daemon();
    expect((await get("/readyz")).status).toBe(200);
    expect((await get(readyz("*@demo.test"))).status).toBe(503);
    const index = open.indexOf(running);
    open.splice(index, 1);
    const stopped = running.close();
    await waitFor(async () => (await get("/readyz")).body.includes("srv-epmd is stopping"), { what: "the stop" });
    await stopped;
  });

  test("says that the cookie file cannot be read, whose name it tells and whose text it does not", async () => {
    const { running, get } = await daemon({ cookieFile: "/nowhere/cookie" });
    await register(running, "node_a");
    expect(condition(await get(readyz("*@demo.test")))).toMatchObject({
      reason: expect.stringContaining("--cookie-file: cannot use /nowhere/cookie"),
    });
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../../src/admin/core/status.js";
import { aclToken, DNS_RULES } from "../support/acl-token.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type NodeOptions, startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { http } from "../support/http.js";
import { moduleFolder } from "../support/module-folder.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** Milliseconds between a change and the look-up that sees it, at best of some tries. */
const LIMIT = 300;

interface Resolved {
  readonly outcome: string;
  readonly code?: string;
  readonly source?: string;
  readonly stale?: boolean;
  readonly elapsedMs: number;
  readonly endpoints?: readonly { readonly address: string; readonly port: number; readonly weight: number }[];
}

const adminOf = (daemon: Daemon) => String(daemon.log().find(({ msg }) => msg === "ready")?.admin);

/** A look-up by the daemon, as `resolve --json` shows it. */
async function look(daemon: Daemon, node: string): Promise<Resolved> {
  return JSON.parse((await http(adminOf(daemon), `/v1/resolve?node=${node}`)).body) as Resolved;
}
const words = ({ outcome, code, source, stale, endpoints = [] }: Resolved) =>
  outcome === "found" ? `${source}${stale ? " stale" : ""} ${endpoints.map(({ port }) => port)}` : `${outcome} ${code}`;
/** @returns after how many milliseconds it was so */
async function becomes(daemon: Daemon, node: string, expected: string, timeout = 10_000): Promise<number> {
  const since = performance.now();
  let last = "";
  await waitFor(
    async () => {
      last = words(await look(daemon, node));
      return last === expected;
    },
    { what: expected, interval: 2, timeout },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; at last: ${last}`);
  });
  return Math.round(performance.now() - since);
}

requirePeer("erl", "consul")("Consul's catalogue, followed", () => {
  let consul: Consul;
  /** A name server that is not there. */
  let noDns: readonly string[];
  const running: { readonly stop: () => Promise<unknown> }[] = [];
  const begun = <T extends { readonly stop: () => Promise<unknown> }>(one: T): T => {
    running.unshift(one);
    return one;
  };
  const daemonWith = async (...args: readonly string[]) =>
    begun(await startDaemon({ args: ["--admin", "127.0.0.1:0", ...args] }));
  /** Publishes the VMs that register with it. */
  const publisher = async (instance = "here") =>
    daemonWith("--domain", "svc", "--consul", consul.url, ...noDns, "--instance", instance);
  const onlooker = (...args: readonly string[]) =>
    daemonWith("--register", "none", "--consul", consul.url, ...noDns, ...args);
  const begunVm = async (options: NodeOptions) => begun(await startNode(options));
  const vm = async (name: string, daemon: Daemon) =>
    begunVm({
      name: `${name}@svc.service.consul`,
      epmdPort: daemon.port,
      args: ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"],
    });

  beforeAll(async () => {
    noDns = ["--dns", `127.0.0.1:${await freePort()}`];
    consul = await startConsul({ dataDir: true });
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.stop();
  });
  afterAll(() => consul?.stop());

  test("VMs with the module and stock VMs reach each other where there is no DNS at all", async () => {
    const [here, there] = await Promise.all([publisher(), publisher("there")]);
    const [a, b] = await Promise.all([vm("node_a", here), vm("node_b", there)]);
    await waitFor(async () => (await a.ping("node_b@svc.service.consul")) === "pong", { what: "the module's pong" });
    expect(await b.nodes()).toEqual(["node_a@svc.service.consul"]);
    // A stock VM asks with the alive name alone, and dials the address at which it asked.
    await begunVm({ name: "stock_c@127.0.0.1", epmdPort: here.port });
    const stock = await begunVm({ name: "stock_d@127.0.0.1", epmdPort: there.port });
    await waitFor(async () => (await stock.ping("stock_c@127.0.0.1")) === "pong", { what: "the stock VM's pong" });
    expect(words(await look(there, "node_a@svc"))).toMatch(/^catalogue [0-9]+$/);
    const { followed } = JSON.parse((await http(adminOf(there), "/v1/status")).body);
    expect(followed).toEqual([{ catalogue: "consul", service: "svc", state: "current", instances: 4 }]);
    const [ofHere, ofThere] = await Promise.all(
      [here, there].map(async (daemon) => (await http(adminOf(daemon), "/metrics")).body),
    );
    expect(ofThere).toContain('srv_epmd_followed_services{catalogue="consul",state="current"} 1');
    expect(ofHere).toMatch(/^srv_epmd_look_ups_total\{way="module",source="catalogue",outcome="found"\} [1-9]/m);
    expect(ofThere).toMatch(/^srv_epmd_look_ups_total\{way="host",source="catalogue",outcome="found"\} [1-9]/m);
    expect(ofThere).not.toMatch(/^srv_epmd_dns_queries_total\{/m);
  });

  test("a node is found moments after its registration, and not found moments after its end", async () => {
    // With DNS, which says at once that a node is not there.
    const args = ["--register", "none", "--consul", consul.url, "--dns", `127.0.0.1:${consul.dnsPort}`];
    const [here, other] = await Promise.all([publisher(), daemonWith(...args)]);
    await becomes(other, "node_a@svc", "not-found SRV_NXDOMAIN");
    const [came, went]: [number[], number[]] = [[], []];
    for (let tries = 0; tries < 4 && !(Math.min(...came) < LIMIT && Math.min(...went) < LIMIT); tries++) {
      const node = await vm("node_a", here);
      const port = words(await look(here, "node_a@127.0.0.1")).split(" ")[1];
      came.push(await becomes(other, "node_a@svc", `catalogue ${port}`));
      await node.kill();
      went.push(await becomes(other, "node_a@svc", "not-found SRV_NXDOMAIN"));
    }
    expect(Math.min(...came), `from registration: ${came.join(", ")} ms`).toBeLessThan(LIMIT);
    expect(Math.min(...went), `from the end: ${went.join(", ")} ms`).toBeLessThan(LIMIT);
  });

  test("the agent's socket alone is enough, and no one asks DNS", async () => {
    const here = await publisher();
    const other = await daemonWith("--register", "none", "--consul", consul.socketUrl, ...noDns);
    await vm("node_a", here);
    await waitFor(async () => (await look(other, "node_a@svc")).source === "catalogue", { what: "the node" });
    const resolved = await runCli(["resolve", "node_a@svc", "--consul", consul.socketUrl, ...noDns, "--json"]);
    expect(JSON.parse(resolved.stdout)).toMatchObject({ outcome: "found", source: "catalogue", stale: false });
    const traced = await runCli(["resolve", "node_a@svc", "--consul", consul.socketUrl, ...noDns, "--trace"]);
    expect(traced.stdout).toMatch(
      /^- catalogue of Consul, service svc: 1 instance, 1 not critical with the tag node_a, told/m,
    );
    const waited = await runCli(["wait", "node_a@svc", "--consul", consul.socketUrl, ...noDns, "--timeout", "5s"]);
    expect(waited.code).toBe(0);
  });

  test("agrees with the agent's DNS: tags of any case and with dots, health, weights, IPv6, and what DNS alone can say", async () => {
    const dns = ["--dns", `127.0.0.1:${consul.dnsPort}`];
    const other = await onlooker(...dns);
    const asked = await daemonWith("--register", "none", "--consul", consul.url, "--catalogue", "none", ...dns);
    const register = (ID: string, Tags: readonly string[], over: object) =>
      consul.request("PUT", "/v1/agent/service/register", { ID, Name: "mix", Tags, Address: "10.7.0.1", ...over });
    const check = (Status: string) => ({ Check: { TTL: "1h", Status } });
    const Weights = { Passing: 9, Warning: 4 };
    await register("m1", ["Node_A"], { Port: 1, Weights });
    await register("m2", ["node_a", "x.y"], { Port: 2, Weights, ...check("warning") });
    await register("m3", ["node_a"], { Port: 3, ...check("critical") });
    await register("m4", ["node_a"], { Port: 0 });
    await register("m5", ["six"], { Port: 5, Address: "2001:db8::5" });
    await register("m6", ["named"], { Port: 6, Address: "n.service.consul" });
    await register("m7", ["nobody"], { Port: 7, Address: "" });
    const names = [
      "node_a@mix",
      "NODE_A@mix",
      "node_a@mix.service.dc1.consul",
      "six@mix",
      "six@mix/4",
      "x@y.mix.service.consul",
    ];
    const more = ["named@mix", "nobody@mix", "none@mix", "none@nowhere", "node_a@mix.service.dc2.consul"];
    await becomes(other, "six@mix", "catalogue 5");
    const sources: Record<string, string | undefined> = {};
    for (const node of [...names, ...more]) {
      const [ours, theirs] = [await look(other, node), await look(asked, node)];
      const places = ({ endpoints = [], outcome }: Resolved) =>
        endpoints.length === 0
          ? outcome
          : endpoints.map(({ address, port, weight }) => `${address} ${port} ${weight}`).sort();
      expect([node, places(ours)]).toEqual([node, places(theirs)]);
      sources[node] = ours.source;
    }
    for (const node of names.filter((one) => one !== "six@mix/4"))
      expect([node, sources[node]]).toEqual([node, "catalogue"]);
    expect(sources["nobody@mix"]).toBe("catalogue");
  });

  describe("an agent that is killed", () => {
    test("leaves the last answer, marked, and is used again when it is back", async () => {
      const [here, other] = await Promise.all([publisher(), onlooker()]);
      await vm("node_a", here);
      await waitFor(async () => (await look(other, "node_a@svc")).source === "catalogue", { what: "the node" });
      const known = words(await look(other, "node_a@svc"));
      await consul.child().kill();
      await becomes(other, "node_a@svc", known.replace("catalogue", "catalogue stale"));
      // A client is not kept waiting for DNS for longer than for stale records.
      expect((await look(other, "node_a@svc")).elapsedMs).toBeLessThan(3_000);
      await consul.restart();
      await becomes(other, "node_a@svc", known, 30_000);
    });
  });
});

requirePeer("erl", "consul")("Consul's catalogue with ACLs", () => {
  test("a token that may not read the service leaves look-ups to DNS, and the log says so once", async () => {
    const consul = await startConsul({ acl: true });
    const anonymous = 'node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }';
    await consul.request("PUT", "/v1/acl/policy", { Name: "dns", Rules: anonymous });
    await consul.request("PUT", "/v1/acl/token/00000000-0000-0000-0000-000000000002", { Policies: [{ Name: "dns" }] });
    const entry = { ID: "a", Name: "svc", Tags: ["node_a"], Address: "10.7.0.1", Port: 1 };
    await consul.request("PUT", "/v1/agent/service/register", entry);
    const args = ["--register", "none", "--admin", "127.0.0.1:0", "--consul", consul.url];
    const dns = ["--dns", `127.0.0.1:${consul.dnsPort}`];
    const [may, mayNot, unknown] = await Promise.all(
      [
        await aclToken(consul, anonymous),
        await aclToken(consul, 'key_prefix "" { policy = "read" }'),
        "no-such-token",
      ].map((token) => startDaemon({ args: [...args, ...dns], env: { CONSUL_HTTP_TOKEN: token } })),
    );
    if (!may || !mayNot || !unknown) throw new Error("three daemons");
    try {
      await becomes(may, "node_a@svc", "catalogue 1");
      for (const daemon of [mayNot, unknown]) await becomes(daemon, "node_a@svc", "srv 1");
      await mayNot.waitForLog(() => true, "a line");
      await waitFor(
        async () => {
          await look(mayNot, "node_a@svc");
          return mayNot.log().some(({ msg }) => msg?.includes("may not read"));
        },
        { what: "the line", interval: 100 },
      );
      for (let i = 0; i < 3; i++) await look(mayNot, "node_a@svc");
      expect(mayNot.log().filter(({ msg }) => msg?.includes("may not read"))).toHaveLength(1);
      expect(unknown.log().filter(({ level }) => level === "warn")).toEqual([]);
    } finally {
      for (const daemon of [may, mayNot, unknown]) await daemon.stop();
      await consul.stop();
    }
  });

  test("a token that gets the policy later: look-ups come from the catalogue within seconds, and the page has no problem any more", async () => {
    const consul = await startConsul({ acl: true });
    const policy = { Name: "serve", Rules: 'key_prefix "" { policy = "read" }' };
    const { body } = await consul.request("PUT", "/v1/acl/policy", policy);
    const { ID } = body as { ID: string };
    const given = await consul.request("PUT", "/v1/acl/token", { Policies: [{ Name: policy.Name }] });
    const { SecretID } = given.body as { SecretID: string };
    await consul.request("PUT", "/v1/agent/token/default", { Token: await aclToken(consul, DNS_RULES) });
    const entry = { ID: "a", Name: "svc", Tags: ["node_a"], Address: "10.7.0.1", Port: 1 };
    await consul.request("PUT", "/v1/agent/service/register", entry);
    const args = ["--register", "none", "--admin", "127.0.0.1:0", "--consul", consul.url, "--domain", "svc"];
    const dns = ["--dns", `127.0.0.1:${consul.dnsPort}`];
    const daemon = await startDaemon({ args: [...args, ...dns], env: { CONSUL_HTTP_TOKEN: SecretID } });
    const problems = async () => {
      const status = JSON.parse((await http(adminOf(daemon), "/v1/status")).body) as Status;
      return status.problems.map(({ code }) => code);
    };
    try {
      await becomes(daemon, "node_a@svc", "srv 1");
      await waitFor(async () => (await problems()).includes("CLUSTER_UNREAD"), { what: "the problem" });
      await consul.request("PUT", `/v1/acl/policy/${ID}`, { ...policy, ID, Rules: DNS_RULES });
      // The service does not change, so no blocking query ends for a minute.
      await becomes(daemon, "node_a@svc", "catalogue 1", 20_000);
      await waitFor(async () => (await problems()).length === 0, { what: "no problem" });
    } finally {
      await daemon.stop();
      await consul.stop();
    }
  });
});

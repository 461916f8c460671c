import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type AuthMethod, createAuthMethod } from "../support/auth-method.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type ConsulPartOptions, useConsulParts } from "../support/consul-part.js";
import { type RawClient, rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const startPart = useConsulParts();
const RULES = 'service "svc" { policy = "write" } node_prefix "" { policy = "read" }';
const NAMES = ["node_a", "node_b", "node_c"];

/** What stands in the servers' catalogue is what DNS answers. The token of a login is known to nobody but the daemon. */
requirePeer("consul")("a daemon that logs in to Consul", () => {
  let consul: Consul;
  let method: AuthMethod;
  let jwtFile: string;
  let count = 0;

  beforeAll(async () => {
    consul = await startConsul({ acl: true });
  });
  afterAll(() => consul?.kill());
  beforeEach(async () => {
    method = await createAuthMethod(consul, { name: `workloads-${++count}`, rules: RULES });
    jwtFile = join(await temporaryFolder("consul-jwt"), "nomad_consul_default.jwt");
    await writeFile(jwtFile, method.jwt());
  });

  /** Leaves nothing to the next test, neither with the agent nor with the servers. */
  afterEach(async () => {
    const { body } = await consul.request("GET", "/v1/catalog/service/svc");
    for (const { ServiceID } of body as { ServiceID: string }[]) {
      await consul.request("PUT", `/v1/agent/service/deregister/${encodeURIComponent(ServiceID)}`);
      await consul.request("PUT", "/v1/catalog/deregister", { Node: "test-agent", ServiceID });
    }
  });

  /** Tags that DNS answers. */
  const inCatalogue = async (agent = consul) => {
    const { body } = await agent.request("GET", "/v1/health/service/svc?passing=1");
    return (body as { Service: { Tags: string[] } }[]).flatMap(({ Service }) => Service.Tags).sort();
  };
  const becomes = (names: readonly string[], what: string, timeout = 10_000) =>
    waitFor(async () => (await inCatalogue()).join() === names.join(), { what, timeout });
  const becomeTokens = (most: number, what: string) =>
    waitFor(async () => (await method.tokens()).length === most, { what, timeout: 10_000 });
  const login = () => ({ authMethod: method.name, bearerTokenFile: jwtFile });
  const start = (options: ConsulPartOptions = {}, agent = consul) =>
    startPart(agent, {
      ...options,
      flags: { ttl: "3s", consulAuthMethod: method.name, consulBearerTokenFile: jwtFile, ...options.flags },
      client: { login: login(), ...options.client },
      timings: { grace: 500, ...options.timings },
    });
  const args = () => [
    ...["--domain", "svc", "--consul", consul.url, "--ttl", "3s"],
    ...["--consul-auth-method", method.name, "--consul-bearer-token-file", jwtFile],
  ];

  test("publishes with one token, and leaves neither entries nor tokens at its end", async () => {
    const part = start();
    const nodes = NAMES.map((name) => part.up(name));
    await becomes(NAMES, "all nodes");
    expect(await method.tokens()).toHaveLength(1);
    for (const node of nodes) part.registry.unregister(node);
    await part.stop();
    expect([await inCatalogue(), await method.tokens()]).toEqual([[], []]);
    expect(part.messages("warn")).toEqual([]);
    expect(part.messages("error")).toEqual([]);
  });

  test("whose token is deleted: it logs in again, nodes that end are gone for all, new ones are there", async () => {
    const part = start();
    const nodes = NAMES.map((name) => part.up(name));
    await becomes(NAMES, "all nodes");
    await method.deleteTokens();
    await becomeTokens(1, "another token");
    for (const node of nodes.slice(1)) part.registry.unregister(node);
    part.up("node_d");
    await becomes(["node_a", "node_d"], "the nodes that live");
    await becomeTokens(1, "one token");
    const told = part.messages().filter((message) => !/^(published|withdrawn)$/.test(message));
    expect(told).toEqual([
      "logged in to Consul",
      "logged in to Consul again, since it did not know the former token: the entries here are registered again with the new one",
    ]);
  });

  test("whose token is deleted in the moment in which a node ends and another starts", async () => {
    const part = start({ flags: { ttl: "60s" } });
    const node = part.up("node_a");
    await becomes(["node_a"], "the node");
    await method.deleteTokens();
    part.registry.unregister(node);
    part.up("node_b");
    await becomes(["node_b"], "the node that lives");
    await waitFor(async () => (await part.client.services()).length === 1, { what: "the other entry to be removed" });
  });

  test("whose tokens are deleted again and again makes few of them", async () => {
    const part = start();
    part.up("node_a");
    await becomes(["node_a"], "the node");
    const seen = new Set<string>();
    const end = performance.now() + 12_000;
    while (performance.now() < end) {
      for (const { AccessorID } of await method.tokens()) seen.add(AccessorID);
      await method.deleteTokens();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(seen.size).toBeGreaterThan(1);
    expect(seen.size).toBeLessThan(8);
    await becomes(["node_a"], "the node", 60_000);
  }, 90_000);

  test("whose auth method is removed and made again", async () => {
    const part = start();
    const node = part.up("node_a");
    await becomes(["node_a"], "the node");
    await method.remove();
    await waitFor(() => part.registrar.agent.trouble !== undefined, { what: "the trouble", timeout: 10_000 });
    expect(part.registrar.agent.trouble).toBe(
      `cannot log in to Consul: it has no auth method ${method.name}: give --consul-auth-method the name of one (consul acl auth-method list)`,
    );
    part.registry.unregister(node);
    part.up("node_b");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await method.create();
    await becomes(["node_b"], "the node that lives", 45_000);
    expect(part.messages("warn").filter((message) => message.includes("cannot log in"))).toHaveLength(1);
    expect(part.messages()).toContain("srv-epmd has logged in to Consul");
  }, 60_000);

  test.each([
    ["is missing", undefined, /the bearer token file cannot be read: ENOENT/],
    ["is empty", () => "", /the bearer token file .* is empty/],
    ["is no JWT", () => "sesame", /holds no JWT/],
    ["is too long", () => "a".repeat(1_000_000), /is longer than 64 KiB/],
    [
      "has expired",
      () => method.jwt({ exp: 1_700_000_000 }),
      /gives no token for the JWT \(.*token is expired \(exp\)\)/,
    ],
    ["is signed by others", () => method.forged(), /gives no token for the JWT \(.*signature\)/],
    ["is for others", () => method.jwt({ aud: ["vault.io"] }), /gives no token for the JWT \(.*audience\)/],
    [
      "has no role",
      () => method.jwt({ nomad_namespace: "other" }),
      /no binding rule of the auth method .* gives this JWT/,
    ],
  ])(
    "whose JWT %s says so once, and goes on with the next one",
    async (_, bad, said) => {
      if (bad) await writeFile(jwtFile, bad());
      const path = bad ? jwtFile : `${jwtFile}.later`;
      const part = start({ client: { login: { ...login(), bearerTokenFile: path } } });
      part.up("node_a");
      await waitFor(() => part.messages("warn").length > 0, { what: "the complaint", timeout: 10_000 });
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(part.messages("warn")).toEqual([expect.stringMatching(said)]);
      expect(await method.tokens()).toEqual([]);
      await writeFile(path, method.jwt());
      await becomes(["node_a"], "the node", 45_000);
      const { secrets } = { secrets: [method.jwt().split(".")[1] ?? "", "sesame"] };
      for (const secret of secrets) expect(JSON.stringify(part.lines)).not.toContain(secret);
    },
    60_000,
  );

  test("whose tokens live for a minute has its nodes in DNS at every moment, and one token at the end of each", async () => {
    const short = await createAuthMethod(consul, { name: `short-${count}`, maxTokenTtl: "1m", rules: RULES });
    await writeFile(jwtFile, short.jwt());
    const part = start({ client: { login: { authMethod: short.name, bearerTokenFile: jwtFile } } });
    for (const name of NAMES) part.up(name);
    await becomes(NAMES, "all nodes");
    const [first] = await short.tokens();
    const missing: string[] = [];
    await waitFor(
      async () => {
        const names = await inCatalogue();
        if (names.join() !== NAMES.join()) missing.push(names.join());
        const [now, ...more] = await short.tokens();
        return more.length === 0 && now !== undefined && now.AccessorID !== first?.AccessorID;
      },
      { what: "the next token, alone", timeout: 58_000, interval: 50 },
    );
    const until = Date.parse(first?.CreateTime ?? "") + 62_000;
    while (Date.now() < until) {
      const names = await inCatalogue();
      if (names.join() !== NAMES.join()) missing.push(names.join());
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(missing).toEqual([]);
    expect(part.messages("warn")).toEqual([]);
    part.registry.unregister(part.registry.nodes()[0] as never);
    await waitFor(async () => (await inCatalogue()).length === 2, { what: "one to be gone", timeout: 8_000 });
  }, 120_000);

  test("behind an agent that takes a deleted token for half a minute more", async () => {
    const client = await startConsul({ acl: true, join: consul, node: "client" });
    try {
      const part = start({ flags: { ttl: "60s" } }, client);
      const node = part.up("node_a");
      await becomes(["node_a"], "the node");
      await method.deleteTokens();
      part.registry.unregister(node);
      part.up("node_b");
      await becomes(["node_b"], "the node that lives", 30_000);
      await part.stop();
    } finally {
      await client.kill();
      await consul.request("PUT", "/v1/catalog/deregister", { Node: "client" });
    }
  }, 90_000);

  test("that stops before its VM leaves the entry, and the token with it; one that is killed the same: the next one takes over", async () => {
    const passing = () => becomes(["node_a"], "the node");
    let daemon = await startDaemon({ args: args() });
    const { port } = daemon;
    let node: RawClient = await rawNode(port, { name: "node_a" });
    try {
      await passing();
      await daemon.stop();
      await passing();
      expect(await method.tokens()).toHaveLength(1);
      expect(daemon.log().map(({ msg }) => msg)).toContain(
        "entries stay here, and so does the Consul token that they were registered with, which never expires, for the auth method has no MaxTokenTTL",
      );
      daemon = await startDaemon({ port, args: args() });
      node = await rawNode(port, { name: "node_a" });
      // Published again, and not still: by the second daemon.
      await becomeTokens(2, "the second token");
      await passing();
      await daemon.kill();
      daemon = await startDaemon({ port, args: args() });
      node = await rawNode(port, { name: "node_a" });
      await passing();
      // What the first two were given: nobody has them any more.
      await becomeTokens(3, "the third token");
      await method.deleteTokens();
      await becomeTokens(1, "another token");
      await node.close();
      await becomes([], "the node to be gone");
      await daemon.stop();
      expect(await method.tokens()).toEqual([]);
    } finally {
      await daemon.kill();
    }
  }, 60_000);

  test("commands that end by themselves log in and out", async () => {
    const part = start();
    part.up("node_a");
    await becomes(["node_a"], "the node");
    const env = { CONSUL_HTTP_TOKEN: "f00f00f0-0000-4000-8000-00000000dead" };
    const names = await runCli(["names", "--cluster", ...args().slice(0, 4), ...args().slice(6)], { env });
    expect(names.stdout).toContain("node_a@svc.service.consul");
    const doctor = await runCli(["doctor", ...args(), "--log-level", "debug", "--json"], { env });
    expect(doctor.stdout).toContain(`the token of a login by ${method.name} may write svc`);
    expect(doctor.stderr).toContain("CONSUL_HTTP_TOKEN is not used");
    expect(await method.tokens()).toHaveLength(1);
    await method.remove();
    const lost = await runCli(["names", "--cluster", ...args().slice(0, 4), ...args().slice(6)]);
    expect([lost.code, lost.stderr]).toEqual([3, expect.stringContaining("it has no auth method")]);
    const found = await runCli(["doctor", ...args(), "--json"]);
    const agent = found.stdout.split("\n").find((line) => line.includes('"consul-agent"'));
    expect(agent).toContain("answers, and gives no token: cannot log in to Consul: it has no auth method");
  }, 60_000);
});

requirePeer("consul")("a daemon that is to log in to a Consul whose ACLs are off", () => {
  test("publishes without a token, and says that there is no login", async () => {
    const consul = await startConsul();
    const jwtFile = join(await temporaryFolder("consul-jwt"), "jwt");
    await writeFile(jwtFile, "e30.e30.e30");
    const flags = ["--consul-auth-method", "nomad-workloads", "--consul-bearer-token-file", jwtFile];
    const daemon = await startDaemon({ args: [...flags, "--domain", "svc", "--consul", consul.url] });
    await daemon.waitForLog(({ msg }) => msg === "no login to Consul: its ACLs are off", "why there is none");
    const node = await rawNode(daemon.port, { name: "node_a" });
    await daemon.waitForLog(({ msg }) => msg === "published", "the publication");
    node.close();
    await daemon.waitForLog(({ msg }) => msg === "withdrawn", "its end");
    expect(await daemon.stop()).toMatchObject({ code: 0 });
    expect(daemon.log().filter(({ level }) => level !== "info")).toEqual([]);
    await consul.kill();
  });
});

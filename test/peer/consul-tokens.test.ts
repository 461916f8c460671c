import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type DeletableToken, deletableToken } from "../support/acl-token.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type ConsulPartOptions, useConsulParts } from "../support/consul-part.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const startPart = useConsulParts();
const RULES = 'service "svc" { policy = "write" }';
const NAMES = ["node_a", "node_b", "node_c"];

/**
 * The agent tells the servers of an entry with the token that it was registered with. What stands in the servers'
 * catalogue is what DNS answers, and it is not what the agent says of itself.
 */
requirePeer("consul")("the token that entries were registered with is deleted", () => {
  let consul: Consul;
  let tokenFile: string;
  let first: DeletableToken;
  let second: DeletableToken;

  beforeAll(async () => {
    consul = await startConsul({ acl: true });
  });
  afterAll(() => consul?.kill());
  beforeEach(async () => {
    tokenFile = join(await temporaryFolder("consul-token"), "token");
    [first, second] = await Promise.all([deletableToken(consul, RULES), deletableToken(consul, RULES)]);
    await writeFile(tokenFile, first.token);
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
  const inCatalogue = async () => {
    const { body } = await consul.request("GET", "/v1/health/service/svc?passing=1");
    return (body as { Service: { Tags: string[] } }[]).flatMap(({ Service }) => Service.Tags).sort();
  };
  const becomes = (names: readonly string[], what: string) =>
    waitFor(async () => (await inCatalogue()).join() === names.join(), { what, timeout: 8_000 });
  const start = (options: ConsulPartOptions = {}) =>
    startPart(consul, {
      ...options,
      flags: { ttl: "3s", ...options.flags },
      client: { tokenFile, ...options.client },
      timings: { grace: 500, ...options.timings },
    });
  const lines = (part: ReturnType<typeof start>) =>
    part.messages().filter((message) => !/^(published|withdrawn)$/.test(message));

  test("the file has another one: nodes that end are gone for all, and those that live stay", async () => {
    const part = start();
    const nodes = NAMES.map((name) => part.up(name));
    await becomes(NAMES, "all nodes");
    await writeFile(tokenFile, second.token);
    await first.remove();
    await waitFor(() => part.messages().some((message) => message.includes("holds another token")), {
      what: "the other token",
    });
    for (const node of nodes.slice(1)) part.registry.unregister(node);
    await becomes(["node_a"], "two nodes to be gone");
    await waitFor(async () => (await part.client.services()).length === 1, { what: "their entries to be removed" });
    expect(lines(part).length).toBeLessThanOrEqual(3);
    expect(part.messages("error")).toEqual([]);
  });

  test("a VM that ends before the daemon has seen that its token is gone is gone for all", async () => {
    const part = start({ flags: { ttl: "60s" } });
    const node = part.up("node_a");
    await becomes(["node_a"], "the node");
    await writeFile(tokenFile, second.token);
    await first.remove();
    part.registry.unregister(node);
    await becomes([], "the node to be gone");
    await waitFor(async () => (await part.client.services()).length === 0, { what: "the entry to be removed" });
    const { body } = await consul.request("GET", "/v1/health/service/svc");
    expect(body).toEqual([]);
  });

  test("one that is deleted while its entry waits for its removal", async () => {
    const part = start({ flags: { ttl: "60s" }, timings: { grace: 3_000 } });
    const node = part.up("node_a");
    await becomes(["node_a"], "the node");
    part.registry.unregister(node);
    await becomes([], "the node to be gone");
    await writeFile(tokenFile, second.token);
    await first.remove();
    const all = async () => (await consul.request("GET", "/v1/health/service/svc")).body as unknown[];
    await waitFor(async () => (await all()).length === 0, { what: "the catalogue to be empty", timeout: 8_000 });
  });

  test("a node that the catalogue has lost meanwhile comes back with the other token", async () => {
    const part = start();
    part.up("node_a");
    await becomes(["node_a"], "the node");
    await first.remove();
    await consul.request("PUT", "/v1/catalog/deregister", { Node: "test-agent", ServiceID: "srv-epmd:box1:node_a" });
    await becomes([], "the loss");
    await waitFor(() => part.messages("error").length > 0, { what: "the refusal" });
    expect(part.messages("error")).toEqual([expect.stringContaining("Consul does not know the token (ACL not found)")]);
    await writeFile(tokenFile, second.token);
    await becomes(["node_a"], "the node");
  });

  test("before anything is refused the next audit finds the other one, and registers anew", async () => {
    const part = start({ flags: { ttl: "60s" }, timings: { audit: 200 } });
    const nodes = NAMES.map((name) => part.up(name));
    await becomes(NAMES, "all nodes");
    await writeFile(tokenFile, second.token);
    await waitFor(() => part.messages().some((message) => message.includes("holds another token")), {
      what: "the other token",
    });
    // As long as the old one is good there is nothing to see from outside.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await first.remove();
    for (const node of nodes) part.registry.unregister(node);
    await becomes([], "the nodes to be gone");
  });

  test("before anything is refused SIGHUP finds the other one, and registers anew", async () => {
    const args = ["--domain", "svc", "--consul", consul.url, "--consul-token-file", tokenFile, "--ttl", "60s"];
    const daemon = await startDaemon({ args });
    try {
      const nodes = await Promise.all(NAMES.map((name) => rawNode(daemon.port, { name })));
      await becomes(NAMES, "all nodes");
      await writeFile(tokenFile, second.token);
      daemon.child.signal("SIGHUP");
      await daemon.waitForLog(({ msg }) => msg?.includes("holds another token") ?? false, "the other token");
      await new Promise((resolve) => setTimeout(resolve, 500));
      await first.remove();
      for (const node of nodes) await node.close();
      await becomes([], "the nodes to be gone");
    } finally {
      await daemon.stop();
    }
  });

  describe("a daemon that starts with another one than its predecessor's", () => {
    const leaveBehind = async () => {
      const former = start({ client: { token: first.token, tokenFile: undefined } });
      for (const name of NAMES) former.up(name);
      await becomes(NAMES, "all nodes");
      await former.stop();
      await first.remove();
    };

    test("removes for all what does not come back", async () => {
      await leaveBehind();
      const part = start({ client: { token: second.token, tokenFile: undefined }, timings: { adoption: 500 } });
      part.up("node_b");
      await becomes(["node_b"], "what is left");
    });

    test("takes out of DNS what comes back and ends then", async () => {
      await leaveBehind();
      const part = start({ client: { token: second.token, tokenFile: undefined } });
      const nodes = NAMES.map((name) => part.up(name));
      await waitFor(() => part.messages().filter((message) => message === "published").length === 3, { what: "all" });
      for (const node of nodes.slice(1)) part.registry.unregister(node);
      await becomes(["node_a"], "what is left");
    });

    test("of the same name after a restart of the machine removes what is dead", async () => {
      await leaveBehind();
      // Nobody passes it: it is critical for the agent, and the servers do not hear of that.
      await waitFor(
        async () => {
          const checks = (await consul.request("GET", "/v1/agent/checks")).body as Record<string, { Status: string }>;
          return NAMES.every((name) => checks[`service:srv-epmd:box1:${name}`]?.Status === "critical");
        },
        { what: "the TTLs to run out" },
      );
      expect(await inCatalogue()).toEqual(NAMES);
      start({ owner: "boot-2/1/4369", client: { token: second.token, tokenFile: undefined } });
      await becomes([], "what was left to be gone");
    });

    test("elsewhere on the machine, as another task of Nomad's does, has the servers hear of what is dead", async () => {
      await leaveBehind();
      const part = start({
        flags: { instance: "alloc2" },
        owner: "boot/2/4369",
        client: { token: second.token, tokenFile: undefined },
        timings: { audit: 300 },
      });
      part.up("node_z");
      await becomes(["node_z"], "the dead nodes to be gone");
      // They are the agent's to remove.
      expect((await part.client.services()).length).toBe(4);
    });
  });
});

import { afterEach, expect, test } from "vitest";
import { adminOf } from "../support/catalogue-daemons.js";
import { fullName } from "../support/cluster.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { startNode } from "../support/erlang.js";
import { http } from "../support/http.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** An agent finds out within some ten seconds that its server is gone, and that it is back. */
const TIMEOUT = 60_000;

requirePeer("erl", "consul")("an agent of Consul that answers and reaches no server", () => {
  const running: { readonly stop: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const one of running.splice(0).reverse()) await one.stop();
  });

  async function begun<T extends { readonly stop: () => Promise<unknown> }>(starting: Promise<T>): Promise<T> {
    const one = await starting;
    running.push(one);
    return one;
  }

  async function cluster(): Promise<{ readonly server: Consul; readonly daemon: Daemon }> {
    const server = await begun(startConsul({ node: "server" }));
    const agent = await begun(startConsul({ node: "client", join: server }));
    const place = ["--consul", agent.url, "--dns", `127.0.0.1:${agent.dnsPort}`, "--admin", "127.0.0.1:0"];
    return { server, daemon: await begun(startDaemon({ args: ["--domain", "svc", ...place] })) };
  }

  /** What a user sees at once: the readiness, the nodes, and the page. */
  async function seen(daemon: Daemon) {
    const get = async (path: string) => (await http(adminOf(daemon), path)).body;
    // The page looks at the cluster itself, and may be the first to find the loss.
    const [ready, listed] = [JSON.parse(await get("/readyz")), JSON.parse(await get("/v1/nodes"))];
    const page = await get("/");
    const good = Array.from(page.matchAll(/class="pill good">([^<]*)/g), ([, words]) => words);
    const failed = ready.checks.find(({ ok }: { ok: boolean }) => !ok);
    const nodes = listed.nodes.map((node: { name: string; publication: string }) => `${node.name} ${node.publication}`);
    return { page, good, reason: failed?.reason as string | undefined, nodes };
  }
  const until = (daemon: Daemon, matches: (one: Awaited<ReturnType<typeof seen>>) => boolean, what: string) =>
    waitFor(
      async () => {
        const one = await seen(daemon);
        return matches(one) && one;
      },
      { what, timeout: TIMEOUT, interval: 200 },
    );

  test.each<["hangs" | "has ended", (server: Consul) => Promise<unknown>, RegExp]>([
    ["hangs", async (server) => server.child().signal("SIGSTOP"), /^the Consul agent reaches no server of Consul's: /],
    ["has ended", (server) => server.kill(), /^the Consul agent reaches no server of Consul's: .*(No known|dial)/],
  ])(
    "because it %s: it is not known what Consul has of the nodes, and nothing of it is green",
    async (what, end, reason) => {
      const { server, daemon } = await cluster();
      await begun(startNode({ name: fullName("node_a"), epmdPort: daemon.port }));
      const before = await until(daemon, ({ nodes }) => nodes.includes("node_a in-consul"), "the publication");
      expect([before.reason, before.good]).toEqual([undefined, expect.arrayContaining(["in Consul", "answers"])]);

      await end(server);
      const cut = await until(daemon, (one) => reason.test(one.reason ?? ""), "the loss of the server");
      expect(cut.nodes).toEqual(["node_a unknown"]);
      expect(cut.good).toEqual([]);
      expect(cut.page).toContain("reaches no server</span> <b");
      expect(cut.page).toContain("as of ");
      expect(cut.page).toContain("not known which nodes are in Consul");
      // The agent takes it, and other machines do not find it.
      await begun(startNode({ name: fullName("node_b"), epmdPort: daemon.port }));
      await until(daemon, ({ nodes }) => nodes.includes("node_b unknown"), "the node that came meanwhile");

      if (what === "has ended") return;
      server.child().signal("SIGCONT");
      const after = await until(daemon, (one) => one.reason === undefined, "the end of it");
      expect(after.nodes.toSorted()).toEqual(["node_a in-consul", "node_b in-consul"]);
      await daemon.waitForLog(({ msg }) => msg === "Consul's servers answer the agent again", "the end in the log");
      const warned = daemon.log().filter(({ msg }) => msg?.startsWith("the Consul agent reaches no server"));
      expect(warned).toMatchObject([{ level: "warn", reason: expect.any(String) }]);
    },
    3 * TIMEOUT,
  );
});

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Browser, startBrowser } from "../support/browser.js";
import { startChild } from "../support/child.js";
import { fullName, startCluster } from "../support/cluster.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { http, readEvents } from "../support/http.js";
import { createHosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** Where HTTP is served. */
function adminOf(daemon: Daemon): string {
  return String(daemon.log().find(({ msg }) => msg === "ready")?.admin);
}

/** Samples of /metrics by name and labels. */
async function metricsOf(daemon: Daemon): Promise<Record<string, number>> {
  const { body } = await http(adminOf(daemon), "/metrics");
  const lines = body.matchAll(/^(\w+(?:\{.*\})?) (\S+)$/gm);
  return Object.fromEntries(Array.from(lines, ([, name = "", value]) => [name, Number(value)]));
}

requirePeer("erl", "consul")("a daemon with a VM and Consul", () => {
  let consul: Consul;
  let daemon: Daemon;
  let node: ErlangNode;

  beforeAll(async () => {
    consul = await startConsul();
    daemon = await startDaemon({
      args: [
        "--domain",
        "svc",
        "--consul",
        consul.url,
        "--dns",
        `127.0.0.1:${consul.dnsPort}`,
        "--admin",
        "127.0.0.1:0",
      ],
    });
    node = await startNode({ name: "node_a@127.0.0.1", epmdPort: daemon.port });
  });
  afterAll(async () => {
    await node?.stop();
    await daemon?.stop();
    await consul?.stop();
  });

  const json = async (path: string) => JSON.parse((await http(adminOf(daemon), path)).body);

  test("shows the node here, in Consul and in the cluster", async () => {
    await waitFor(async () => (await json("/v1/nodes")).nodes[0]?.publication === "in-consul", {
      what: "the publication",
    });
    const { port } = (await json("/v1/nodes")).nodes[0];
    expect((await json("/v1/cluster")).nodes).toMatchObject([
      { node: "node_a@svc.service.consul", health: "passing", address: "127.0.0.1", port },
    ]);
    expect(await json("/v1/resolve?node=node_a@svc")).toMatchObject({ source: "registry", endpoints: [{ port }] });
    expect(await http(adminOf(daemon), "/readyz")).toMatchObject({ status: 200 });
  });

  test("tells of a ping while it happens, and counts it", async () => {
    const { events, close } = await readEvents(adminOf(daemon), "/v1/events");
    expect(await node.ping("nobody@127.0.0.1")).toBe("pang");
    await waitFor(() => events.some(({ type }) => type === "look-up"), { what: "the look-up" });
    expect(events.find(({ type }) => type === "look-up")?.data).toMatchObject({
      node: fullName("nobody"),
      asker: "127.0.0.1",
      here: true,
      way: "host",
      outcome: "not-found",
      reason: `nobody.svc.service.consul has no SRV record (NXDOMAIN from 127.0.0.1:${consul.dnsPort})`,
    });
    close();
    expect(await metricsOf(daemon)).toMatchObject({
      srv_epmd_registered_nodes: 1,
      srv_epmd_published_nodes: 1,
      srv_epmd_consul_up: 1,
      srv_epmd_ready: 1,
      'srv_epmd_look_ups_total{way="host",source="none",outcome="not-found"}': 1,
      'srv_epmd_dns_queries_total{transport="udp",rcode="NXDOMAIN"}': 1,
    });
  });

  test("is not ready while the agent is away, and ready again with it", async () => {
    await consul.child().kill();
    await waitFor(async () => (await http(adminOf(daemon), "/readyz")).status === 503, {
      what: "the loss",
      timeout: 20_000,
    });
    expect(await json("/readyz")).toMatchObject({
      ready: false,
      checks: expect.arrayContaining([{ name: "consul", ok: false, reason: "the Consul agent does not answer" }]),
    });
    expect(await metricsOf(daemon)).toMatchObject({ srv_epmd_consul_up: 0, srv_epmd_ready: 0 });
    expect((await http(adminOf(daemon), "/livez")).status).toBe(200);
    // The page has what Consul said last, and shows none of it as good.
    expect(await json("/v1/status")).toMatchObject({
      problems: [
        { code: "CONSUL_SILENT", sentence: expect.stringContaining("ECONNREFUSED") },
        // Of the ping before.
        { code: "NOT_FOUND_LATELY", nodes: [fullName("nobody")] },
      ],
      consul: { answers: false, answeredAt: expect.stringMatching(/^\d{4}-.*Z$/) },
    });
    const { body } = await http(adminOf(daemon), "/");
    expect(body).toMatch(/as of <time[^>]*>\d+ s<\/time> ago/);
    expect(body).not.toContain('class="pill good"');
    await consul.restart();
    await waitFor(async () => (await http(adminOf(daemon), "/readyz")).status === 200, {
      what: "readiness",
      timeout: 20_000,
    });
  });
});

describe("the place", () => {
  test.concurrent("that was asked for and is taken: exit 3", async () => {
    const first = await startDaemon({ args: ["--admin", "127.0.0.1:0"] });
    const port = String(await freePort());
    const { code, stderr } = await runCli(["serve", "--port", port, "--admin", adminOf(first), "--log-format", "json"]);
    expect(code).toBe(3);
    expect(JSON.parse(stderr)).toMatchObject({
      level: "fatal",
      code: "LISTEN_IN_USE",
      msg: `--admin: ${adminOf(first)} is in use`,
    });
  });
});

requirePeer("netns", "curl")("the default place", () => {
  test("is 127.0.0.1:9369; a second daemon of the machine only warns", async () => {
    const { hosts, remove } = await createHosts([{ addresses: ["10.77.9.1/24"] }]);
    const [host] = hosts;
    if (!host) throw new Error("no host");
    const serve = () => startDaemon({ netns: host, port: 0, env: { SRV_EPMD_ADMIN: "" } });
    const first = await serve();
    expect(adminOf(first)).toBe("127.0.0.1:9369");
    const { stdout } = await host.run("curl", "-sf", "http://127.0.0.1:9369/livez");
    expect(stdout).toBe("alive\n");
    const second = await serve();
    expect(second.log().find(({ msg }) => msg === "ready")).not.toHaveProperty("admin");
    const warnings = second.log().filter(({ level }) => level === "warn");
    expect(warnings.map(({ msg }) => msg)).toEqual([
      "127.0.0.1:9369 is in use: there is no status page, health or metrics over HTTP; choose another address with --admin, or none with --admin none",
    ]);
    await first.stop();
    await second.stop();
    await remove();
  });
});

requirePeer("netns", "curl")("an address that others reach", () => {
  test("strangers take half of the connections at the most, and use no patterns", async () => {
    const { hosts, remove } = await createHosts([{ addresses: ["10.77.9.1/24"] }, { addresses: ["10.77.9.2/24"] }]);
    const [here, stranger] = hosts;
    if (!here || !stranger) throw new Error("no hosts");
    const args = ["--domain", "svc", "--register", "none", "--admin", "10.77.9.1:9369"];
    const daemon = await startDaemon({ netns: here, args });
    const url = "http://10.77.9.1:9369";
    const { stdout } = await stranger.run("curl", "-s", `${url}/v1/cluster?match=*@other`);
    expect(stdout).toBe("only local peers may use patterns (--allow 10.77.9.2)\n");
    // Connections that say nothing.
    const script = `
      let open = 80;
      const sockets = Array.from({ length: open }, () => require("node:net").connect(9369, "10.77.9.1"));
      for (const socket of sockets) {
        socket.on("error", () => {});
        socket.on("close", () => --open === 36 && console.log("36 are left"));
      }`;
    const holding = startChild(process.execPath, ["-e", script], { netns: stranger });
    // Their half, and those on which health is told.
    await holding.waitForOutput(/36 are left/);
    expect((await stranger.run("curl", "-sf", `${url}/livez`)).stdout).toBe("alive\n");
    await expect(stranger.run("curl", "-sf", `${url}/v1/nodes`)).rejects.toThrow("curl");
    expect((await here.run("curl", "-sf", `${url}/v1/nodes`)).stdout).toContain("nodes");
    await holding.stop();
    await daemon.stop();
    await remove();
  });
});

requirePeer(
  "erl",
  "consul",
  "netns",
  "curl",
)("a gateway", () => {
  test("tells of its relays, of what goes through them, and of a relay process that is lost", async () => {
    const cluster = await startCluster({ hosts: 2, way: "gateway", args: ["--admin", "127.0.0.1:9369"] });
    const [a] = [await cluster.node(0, "a"), await cluster.node(1, "b")];
    expect(await a.ping(fullName("b"))).toBe("pong");
    const get = async (path: string) =>
      (await cluster.host(0).run("curl", "-s", `http://127.0.0.1:9369${path}`)).stdout;
    const metrics = await get("/metrics");
    expect(metrics).toMatch(/^srv_epmd_look_ups_total\{way="gateway",source="catalogue",outcome="found"\} 1$/m);
    expect(metrics).toMatch(/^srv_epmd_relay_listeners 1$/m);
    expect(metrics).toMatch(/^srv_epmd_relay_links 1$/m);
    expect(Number(/^srv_epmd_relay_bytes_total\{direction="to_node"\} (.*)$/m.exec(metrics)?.[1])).toBeGreaterThan(100);
    const { lookUps, relays } = JSON.parse(await get("/v1/status"));
    expect(lookUps[0]).toMatchObject({ node: fullName("b"), way: "gateway", outcome: "found" });
    expect(relays.relays[0]).toMatchObject({ node: fullName("b"), openLinks: 1 });
    expect(await get("/readyz")).toContain('{"name":"gateway","ok":true}');
    await cluster.relay(0).kill();
    await waitFor(async () => (await get("/readyz")).includes("the relay process does not answer"), {
      what: "the loss",
    });
  });
});

requirePeer("chromium")("a page from elsewhere in a browser", () => {
  let browser: Browser;
  let elsewhere: Server;
  let daemon: Daemon;

  beforeAll(async () => {
    browser = await startBrowser();
    elsewhere = createServer((_, response) => void response.writeHead(200, { "content-type": "text/html" }).end());
    await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
    daemon = await startDaemon({
      args: ["--domain", "demo.test", "--dns-listen", "127.0.0.1:0", "--admin", "0.0.0.0:0", "--log-level", "debug"],
    });
  }, 60_000);
  afterAll(async () => {
    await daemon?.stop();
    elsewhere?.close();
    await browser?.close();
  });

  // Chromium says Sec-Fetch-Site to the first alone; all of them lead here.
  test.each(["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"])(
    "reads nothing at %s, and has nothing looked up",
    { timeout: 60_000 },
    async (host) => {
      const { page, close } = await browser.open(`http://localhost:${(elsewhere.address() as AddressInfo).port}/`);
      const port = adminOf(daemon).split(":")[1];
      const mark = `from=${encodeURIComponent(host)}`;
      const readable = await page.evaluate(askFromPage(`http://${host}:${port}`, mark));
      await close();
      expect(readable).toEqual([]);
      const isRefused = ({ msg, url }: { msg?: string; url?: unknown }) =>
        msg === "an HTTP request is refused" && String(url).endsWith(mark);
      // They did come.
      await daemon.waitForLog(isRefused, "a refusal");
      expect(await metricsOf(daemon)).not.toHaveProperty(['srv_epmd_dns_cache_total{result="miss"}']);
    },
  );
});

/** Runs in the page: text, for these tests know no DOM. Its value is what could be read. */
const askFromPage = (base: string, mark: string) => `(async () => {
  const readable = [];
  const url = (what) => "${base}/v1/resolve?node=" + what + "@demo.test&${mark}";
  const loads = ["img", "script", "iframe"].map((tag) => new Promise((resolve) => {
    const element = Object.assign(document.createElement(tag), { src: url(tag), referrerPolicy: "no-referrer" });
    element.onload = element.onerror = resolve;
    document.body.append(element);
  }));
  const fetches = ["cors", "no-cors"].map(async (mode) => {
    const answer = await fetch(url(mode), { mode }).catch(() => undefined);
    if (answer?.status) readable.push(mode);
  });
  const stream = new Promise((resolve) => {
    const events = new EventSource("${base}/v1/events");
    events.onopen = () => resolve(readable.push("events"));
    events.onerror = resolve;
  });
  await Promise.all([...loads, ...fetches, stream]);
  return readable;
})()`;

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCertificates } from "../support/certificates.js";
import { run, startChild } from "../support/child.js";
import { startConsul } from "../support/consul-agent.js";
import { epmdNames, startStockEpmd } from "../support/epmd.js";
import { erlCall, startElixirNode, startNode, waitForNodes } from "../support/erlang.js";
import { freePort, freePorts } from "../support/free-port.js";
import { createHosts, type Hosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

// What other tests stand on is tested itself: with stock EPMD and no srv-epmd anywhere.

describe("waiting", () => {
  test("ends with the first value and outlives errors before it", async () => {
    let tries = 0;
    const value = await waitFor(
      () => {
        tries++;
        if (tries === 1) throw new Error("not yet");
        return tries === 3 ? "there" : undefined;
      },
      { what: "the third try", interval: 1 },
    );
    expect([value, tries]).toEqual(["there", 3]);
  });

  test("in vain says for what, and the last error", async () => {
    const failing = () => Promise.reject(new Error("connection refused"));
    await expect(waitFor(failing, { what: "a leader", timeout: 30, interval: 1 })).rejects.toThrow(
      "waited 30 ms in vain for a leader; at last: connection refused",
    );
  });
});

describe("free ports", () => {
  test("are below the ephemeral range and different from each other", async () => {
    const ports = await freePorts(40);
    expect(new Set(ports).size).toBe(40);
    for (const port of ports) expect(port >= 10_000 && port < 30_000).toBe(true);
  });
});

describe("a child", () => {
  test("is stopped by SIGTERM", async () => {
    const child = startChild("sleep", ["60"]);
    expect(await child.stop()).toMatchObject({ code: null, signal: "SIGTERM" });
    expect(child.hasExited()).toBe(true);
  });

  test("that ends early is told with its output", async () => {
    const child = startChild("sh", ["-c", "echo half a story; exit 7"]);
    await expect(child.waitForOutput(/the end/)).rejects.toThrow(/ended with 7[\s\S]*half a story/);
  });

  test("gives output, input and exit status", async () => {
    expect(await run("sh", ["-c", "cat; echo err >&2; exit 3"], { input: "in" })).toEqual({
      code: 3,
      stdout: "in",
      stderr: "err\n",
    });
  });
});

requirePeer(
  "erl",
  "epmd",
  "erl_call",
  "elixir",
)("Erlang and Elixir nodes", () => {
  test("register with the EPMD they are given, and reach each other", async () => {
    const epmdPort = await freePort();
    const epmd = await startStockEpmd(epmdPort);
    const [a, b, c] = await Promise.all([
      startNode({ name: "a@127.0.0.1", epmdPort }),
      startNode({ name: "b@127.0.0.1", epmdPort }),
      startElixirNode({ name: "c@127.0.0.1", epmdPort }),
    ]);
    expect((await epmdNames(epmdPort)).stdout).toMatch(/^name a at port \d+$/m);
    expect(await a.ping("b@127.0.0.1")).toBe("pong");
    expect(await a.ping("nobody@127.0.0.1")).toBe("pang");
    expect(await c.ping("a@127.0.0.1")).toBe("pong");
    await waitForNodes(c, "a@127.0.0.1", "b@127.0.0.1");
    expect(await a.eval('X = "ü", {X, [1, 2]}')).toBe('{"ü",[1,2]}');
    expect(await c.eval("1 + 1")).toBe("2");
    await expect(a.eval("1 = 2")).rejects.toThrow("error:{badmatch,2}");
    const called = await erlCall({ name: "b@127.0.0.1", epmdPort, args: ["-a", "erlang node"] });
    expect(called).toMatchObject({ code: 0, stdout: "'b@127.0.0.1'" });
    await b.kill();
    await waitFor(async () => !(await epmdNames(epmdPort)).stdout.includes("name b "), { what: "b to be gone" });
    await Promise.all([a.stop(), c.stop()]);
    await epmd.stop();
  });

  test("that cannot come up say why", async () => {
    const epmdPort = await freePort();
    await expect(startNode({ name: "a@127.0.0.1", epmdPort })).rejects.toThrow(/register\/listen error/);
  });
});

requirePeer("consul", "dig")("a Consul agent", () => {
  test("answers HTTP and DNS, and forgets over a restart", async () => {
    const consul = await startConsul();
    await consul.request("PUT", "/v1/agent/service/register", { Name: "svc", Tags: ["a"], Port: 7 });
    const dig = () => run("dig", ["@127.0.0.1", "-p", String(consul.dnsPort), "+short", "a.svc.service.consul", "SRV"]);
    expect((await dig()).stdout).toBe("1 1 7 test-agent.node.dc1.consul.\n");
    await consul.restart();
    expect((await consul.request("GET", "/v1/agent/services")).body).toEqual({});
    expect((await fetch(`${consul.url}/v1/status/leader`)).status).toBe(200);
    await consul.stop();
  });

  test("keeps its state on disk when it shall, and loses it when it shall", async () => {
    const consul = await startConsul({ dataDir: true });
    await consul.request("PUT", "/v1/agent/service/register", { Name: "svc", Port: 7 });
    await consul.restart();
    expect((await consul.request("GET", "/v1/agent/services")).body).toHaveProperty("svc");
    await consul.restart({ loseState: true });
    expect((await consul.request("GET", "/v1/agent/services")).body).toEqual({});
    await consul.kill();
  });

  test("with ACLs denies what has no token", async () => {
    const consul = await startConsul({ acl: true });
    const register = (token?: string) =>
      consul.request("PUT", "/v1/agent/service/register", { Name: "svc", Port: 7 }, token);
    expect((await register("")).status).toBe(403);
    expect((await register()).status).toBe(200);
    await consul.stop();
  });
});

requirePeer("consul", "openssl")("a Consul agent with TLS", () => {
  test("serves HTTPS with a certificate of the test's own authority", async () => {
    const certificates = await createCertificates();
    const server = await certificates.issue("localhost", "DNS:localhost", "IP:127.0.0.1");
    const consul = await startConsul({ tls: { ca: certificates.ca, ...server } });
    const { stdout } = await run("openssl", [
      ...["s_client", "-connect", `127.0.0.1:${consul.httpsPort}`, "-CAfile", certificates.ca],
      ...["-verify_ip", "127.0.0.1", "-brief"],
    ]).then((result) => ({ stdout: result.stdout + result.stderr }));
    expect(stdout).toContain("Verification: OK");
    await consul.stop();
    await certificates.remove();
  });
});

requirePeer(
  "netns",
  "erl",
  "epmd",
  "consul",
)("hosts in network namespaces", () => {
  let made: Hosts | undefined;
  beforeAll(async () => {
    made = await createHosts([
      { addresses: ["10.77.0.1/24", "fd77::1/64"], hosts: ["10.77.0.2 two.test"], hostname: "one" },
      { addresses: ["10.77.0.2/24", "fd77::2/64"], hosts: ["10.77.0.1 one.test"] },
    ]);
  });
  afterAll(() => made?.remove());
  const host = (index: number) => {
    const found = made?.hosts[index];
    if (!found) throw new Error(`no host ${index}`);
    return found;
  };

  test("have addresses of their own, a name, and reach each other", async () => {
    expect((await host(0).run("hostname")).stdout).toBe("one\n");
    expect((await host(0).run("ip", "-brief", "addr", "show", "eth0")).stdout).toContain("10.77.0.1/24");
    const listening = startChild(
      process.execPath,
      ["-e", 'require("net").createServer((s) => s.end("hello")).listen(7, "::", () => console.log("up"))'],
      { netns: host(1) },
    );
    await listening.waitForOutput(/up/);
    const read = 'require("net").connect(7, process.argv[1]).pipe(process.stdout)';
    expect((await host(0).run(process.execPath, "-e", read, "fd77::2")).stdout).toBe("hello");
    expect((await host(0).run(process.execPath, "-e", read, "two.test")).stdout).toBe("hello");
    await listening.kill();
  });

  test("form a cluster with stock EPMD, and have Consul agents that know each other", async () => {
    await Promise.all([0, 1].map((index) => startStockEpmd(4369, { netns: host(index) })));
    const [one] = await Promise.all([
      startNode({ name: "a@one.test", netns: host(0) }),
      startNode({ name: "a@two.test", netns: host(1) }),
    ]);
    expect(await one.ping("a@two.test")).toBe("pong");
    const server = await startConsul({ bind: "10.77.0.1", netns: host(0) });
    const client = await startConsul({ bind: "10.77.0.2", netns: host(1), join: server, node: "two" });
    const members = async () => (await client.request("GET", "/v1/agent/members")).body as unknown[];
    await waitFor(async () => (await members()).length === 2, { what: "the client to know the server" });
  });
});

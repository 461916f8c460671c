import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { startStockEpmd } from "../support/epmd.js";
import { a, srv, startFakeDns } from "../support/fake-dns-server.js";
import { freePort } from "../support/free-port.js";
import { createHosts } from "../support/netns.js";
import { holdConnection } from "../support/raw-client.js";
import { requirePeer } from "../support/require-peer.js";
import { type CommandOptions, runCli } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

/** ALIVE2_REQ of `b`, port 9100 (238c), type 77, protocol 0, versions 6 and 5, no extra. */
const ALIVE2_B = "000e 78 238c 4d 00 0006 0005 0001 62 0000";

interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
}

interface Report {
  readonly node: string;
  readonly outcome: string;
  readonly source?: string;
  readonly endpoints?: readonly Endpoint[];
  readonly reason?: string;
  readonly cause?: string;
  readonly elapsedMs: number;
}

/** `srv-epmd resolve --json` as a process. */
async function resolve(args: readonly string[], options: CommandOptions = {}) {
  const { code, stdout, stderr } = await runCli(["resolve", "--json", ...args], options);
  const lines = stdout.split("\n").slice(0, -1);
  return { code, stderr, lines, reports: lines.map((line) => JSON.parse(line) as Report) };
}

const places = (report: Report | undefined) =>
  report?.endpoints?.map(({ address, port }) => `${address} ${port}`) ?? report?.outcome;

/** Instances that share a tag: around what a datagram of 1232 octets holds, and far more. */
const CROWDS = [15, 16, 17, 18, 19, 20, 21, 22, 60];

requirePeer("consul")("srv-epmd resolve, from a real Consul", () => {
  let consul: Consul;
  let dns: readonly string[];

  const register = (tag: string, id: string, address: string, port: number, weight = 1) =>
    consul.request("PUT", "/v1/agent/service/register", {
      ...{ ID: `${tag}-${id}`, Name: "svc", Tags: [tag], Address: address, Port: port },
      Weights: { Passing: weight, Warning: 1 },
    });

  beforeAll(async () => {
    // As it is by default: what does not fit into a datagram is left out, and TC is not set.
    consul = await startConsul();
    dns = ["--dns", `127.0.0.1:${consul.dnsPort}`];
    await Promise.all([
      register("four", "1", "10.1.2.4", 20002),
      register("six", "1", "fd77::4", 20003),
      register("heavy", "1", "10.1.2.5", 20004, 3),
      register("heavy", "2", "10.1.2.6", 20005, 97),
      register("both", "1", "10.1.2.7", 20006),
      register("both", "2", "fd77::7", 20007),
    ]);
    for (const count of CROWDS) {
      const instances = Array.from({ length: count }, (_, n) => n);
      await Promise.all(instances.map((n) => register(`many${count}`, String(n), `10.1.3.${n + 1}`, 21000 + n)));
    }
  });
  afterAll(() => consul.stop());

  test("prints one object a line, of the shape that programs rely on", async () => {
    const { code, lines, reports } = await resolve([...dns, "four@svc"]);
    expect(code).toBe(0);
    expect(lines[0]).toMatch(
      new RegExp(
        '^{"node":"four@svc\\.service\\.consul","outcome":"found","source":"srv","stale":false,"ttl":0,"endpoints":' +
          '\\[{"address":"10\\.1\\.2\\.4","port":20002,"family":4,"priority":1,"weight":1,' +
          '"target":"0a010204\\.addr\\.dc1\\.consul"}\\],"elapsedMs":[0-9]+(\\.[0-9])?}$',
      ),
    );
    expect(reports[0]?.elapsedMs).toBeLessThan(1_000);
  });

  test("gives IPv6 addresses, and the weights of several instances", async () => {
    const { code, reports } = await resolve([...dns, "six@svc", "heavy@svc", "--no-prefer-reachable"]);
    expect(code).toBe(0);
    expect(reports[0]?.endpoints).toEqual([
      {
        ...{ address: "fd77::4", port: 20003, family: 6, priority: 1, weight: 1 },
        target: "fd770000000000000000000000000004.addr.dc1.consul",
      },
    ]);
    const weights = reports[1]?.endpoints?.map(({ port, weight }) => [port, weight]).sort();
    expect(weights).toEqual([
      [20004, 3],
      [20005, 97],
    ]);
  });

  test.each(CROWDS)(
    "sees all of %i instances on one tag, whatever fits into a datagram, and takes 32",
    async (count) => {
      const { reports, stderr } = await resolve([...dns, `many${count}@svc`, "--no-prefer-reachable", "--trace"]);
      const expected = Array.from({ length: count }, (_, n) => `10.1.3.${n + 1} ${21000 + n}`);
      const found = [...(places(reports[0]) ?? [])];
      expect(new Set(found).size).toBe(Math.min(count, 32));
      expect(expected).toEqual(expect.arrayContaining(found));
      const leftOut = `left out: ${count - 32} of ${count} SRV records; a look-up takes 32`;
      expect(stderr.includes("left out:")).toBe(count > 32);
      if (count > 32) expect(stderr).toContain(leftOut);
    },
  );

  test("gives endpoints of one family with --family, and none is an absence", async () => {
    const ask = (family: string) => resolve([...dns, "both@svc", "four@svc", "--family", family]);
    const [four, six] = await Promise.all([ask("4"), ask("6")]);
    expect(four.reports.map(places)).toEqual([["10.1.2.7 20006"], ["10.1.2.4 20002"]]);
    expect(four.code).toBe(0);
    expect(six.reports.map(places)).toEqual([["fd77::7 20007"], "not-found"]);
    expect(six.code).toBe(1);
    expect(six.reports[1]?.reason).toContain("no IPv6 address");
  });

  test("an absent node is not found, with a reason and exit code 1", async () => {
    const { code, reports } = await resolve([...dns, "nobody@svc"]);
    expect(code).toBe(1);
    expect(reports).toEqual([
      {
        node: "nobody@svc.service.consul",
        outcome: "not-found",
        code: "SRV_NXDOMAIN",
        reason: expect.stringContaining("nobody.svc.service.consul has no SRV record (NXDOMAIN"),
        elapsedMs: expect.any(Number),
      },
    ]);
  });

  test("an IP address as host part means the endpoints of --domain with that address", async () => {
    const { reports, code } = await resolve([...dns, "--domain", "svc", "heavy@10.1.2.6", "heavy@10.1.2.9"]);
    expect(reports.map(places)).toEqual([["10.1.2.6 20005"], "not-found"]);
    expect(reports[1]?.reason).toMatch(/lead to 10\.1\.2\.[56], 10\.1\.2\.[56], not to 10\.1\.2\.9/);
    expect(code).toBe(1);
  });

  test("--fallback N serves a host that has addresses and no SRV record", async () => {
    const { reports, code } = await resolve([...dns, "b@test-agent.node.consul", "--fallback", "9100"]);
    expect(reports.map(({ source }) => source)).toEqual(["fallback"]);
    expect(reports.map(places)).toEqual([["127.0.0.1 9100"]]);
    expect(code).toBe(0);
    expect((await resolve([...dns, "b@test-agent.node.consul"])).code).toBe(1);
  });
});

requirePeer("epmd", "netns")("srv-epmd resolve --fallback epmd", () => {
  test("gets the port from a stock EPMD on another machine, by address and by name", async () => {
    const { hosts } = await createHosts([{ addresses: ["10.81.0.1/24"] }, { addresses: ["10.81.0.2/24"] }]);
    const [here, there] = hosts;
    if (!here || !there) throw new Error("no hosts");
    await startStockEpmd(4369, { netns: there });
    await holdConnection({ host: "127.0.0.1", port: 4369, netns: there }, ALIVE2_B);
    const known = await resolve(["b@10.81.0.2", "--fallback", "epmd"], { netns: here });
    expect(known.reports.map(places)).toEqual([["10.81.0.2 9100"]]);
    expect(known.code).toBe(0);
    const unknown = await resolve(["zz@10.81.0.2", "--fallback", "epmd"], { netns: here });
    expect(unknown.reports[0]).toMatchObject({ outcome: "not-found" });
    expect(unknown.reports[0]?.reason).toContain("the EPMD at 10.81.0.2 does not know zz");
    expect(unknown.code).toBe(1);
    const nobody = await resolve(["b@10.81.0.1", "--fallback", "epmd"], { netns: here });
    expect(nobody.reports[0]?.cause).toContain("10.81.0.1");
    expect(nobody.code).toBe(3);
  });

  test("asks at the addresses that DNS gives for the host", async () => {
    const port = await freePort();
    await startStockEpmd(port);
    await holdConnection({ host: "127.0.0.1", port }, ALIVE2_B);
    const dns = await startFakeDns(({ qname, qtype }) => {
      if (qname === "host.test" && qtype === "A") return { answers: [a("host.test", "127.0.0.1")] };
      return qname === "host.test" ? {} : { rcode: 3 };
    });
    const args = ["b@host.test", "--fallback", "epmd", "--port", String(port), "--dns", `127.0.0.1:${dns.port}`];
    const { reports } = await resolve(args);
    expect(reports[0]).toMatchObject({ outcome: "found", source: "fallback" });
    expect(reports.map(places)).toEqual([["127.0.0.1 9100"]]);
    await dns.close();
  });
});

describe("srv-epmd resolve", () => {
  let silent: Socket;
  let silentPort: number;
  beforeAll(async () => {
    silent = createSocket("udp4");
    silent.bind(0, "127.0.0.1");
    await once(silent, "listening");
    silentPort = silent.address().port;
  });
  afterAll(() => silent.close());

  test("says that it is DNS that is down, with exit code 3", async () => {
    const port = await freePort();
    const { code, reports } = await resolve(["a@svc", "--dns", `127.0.0.1:${port}`]);
    expect(code).toBe(3);
    expect(reports).toEqual([
      {
        node: "a@svc.service.consul",
        outcome: "unavailable",
        code: "DNS_UNREACHABLE",
        cause: expect.stringContaining(`127.0.0.1:${port} refused the connection`),
        elapsedMs: expect.any(Number),
      },
    ]);
    expect(reports[0]?.elapsedMs).toBeLessThan(4_000);
  });

  test("ends within --timeout when the name server is silent", async () => {
    const startedAt = performance.now();
    const { code, reports } = await resolve(["a@svc", "--dns", `127.0.0.1:${silentPort}`, "--timeout", "700ms"]);
    const whole = Math.round(performance.now() - startedAt);
    expect(code).toBe(3);
    expect(reports[0]?.cause).toContain(`127.0.0.1:${silentPort} timed out`);
    const elapsed = reports[0]?.elapsedMs ?? 0;
    expect(elapsed, `${elapsed} ms`).toBeGreaterThan(500);
    expect(elapsed, `${elapsed} ms`).toBeLessThan(800);
    expect(whole, `the process took ${whole} ms`).toBeLessThan(5_000);
  });

  test("of several nodes prints each in the order given, and exits with the worst code", async () => {
    const file = join(await temporaryFolder("nodes"), "nodes");
    await writeFile(file, "# peers\nfile@svc=10.1.2.3:20001\nfile@svc=[fd77::3]:20001\n");
    const dns = await startFakeDns(() => ({ rcode: 3 }));
    const known = ["--nodes-file", file, "--node", "flag@svc=10.1.2.1:20000", "--timeout", "500ms", "--family", "4"];
    const servers = ["--dns", `127.0.0.1:${dns.port}`, "--dns", `silent.test=127.0.0.1:${silentPort}`];
    const ask = (...nodes: string[]) => resolve([...known, ...servers, ...nodes]);
    const [none, absent, worst] = await Promise.all([
      ask("file@svc", "flag@svc"),
      ask("absent@svc", "flag@svc"),
      ask("x@silent.test", "absent@svc", "file@svc.service.consul"),
    ]);
    expect(none.reports.map(places)).toEqual([["10.1.2.3 20001"], ["10.1.2.1 20000"]]);
    expect(none.reports.map(({ source }) => source)).toEqual(["static", "static"]);
    expect(none.code).toBe(0);
    expect(absent.reports.map(places)).toEqual(["not-found", ["10.1.2.1 20000"]]);
    expect(absent.code).toBe(1);
    expect(worst.reports.map(places)).toEqual(["unavailable", "not-found", ["10.1.2.3 20001"]]);
    expect(worst.code).toBe(3);
    await dns.close();
  });

  test("puts the endpoint that accepts connections first, whatever its priority", async () => {
    const closed = await freePort();
    const server = createServer((socket) => socket.destroy());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const open = (server.address() as { port: number }).port;
    const owner = "n1.svc.service.consul";
    const dns = await startFakeDns(() => ({
      answers: [srv(owner, "here.test", closed, { priority: 1 }), srv(owner, "here.test", open, { priority: 2 })],
      additionals: [a("here.test", "127.0.0.1")],
    }));
    const args = ["n1@svc", "--dns", `127.0.0.1:${dns.port}`];
    const [probed, plain] = await Promise.all([resolve(args), resolve([...args, "--no-prefer-reachable"])]);
    expect(plain.reports.map(places)).toEqual([[`127.0.0.1 ${closed}`, `127.0.0.1 ${open}`]]);
    expect(probed.reports.map(places)).toEqual([[`127.0.0.1 ${open}`, `127.0.0.1 ${closed}`]]);
    server.close();
    await dns.close();
  });

  test("wait gives up at its time-out, even when the name server falls silent shortly before", async () => {
    let firstAt: number | undefined;
    const dns = await startFakeDns(() => {
      firstAt ??= performance.now();
      return performance.now() - firstAt < 500 ? { rcode: 3 } : undefined;
    });
    const args = ["wait", "a@svc", "--json", "--timeout", "1s", "--dns", `127.0.0.1:${dns.port}`];
    const { code, stdout } = await runCli(args);
    expect(code).toBe(1);
    const { there, waitedMs } = JSON.parse(stdout) as { there: boolean; waitedMs: number };
    expect(there).toBe(false);
    expect(waitedMs, `waited ${waitedMs} ms`).toBeLessThan(1_200);
    await dns.close();
  });

  test("finds a node by address in a static entry of its domain", async () => {
    const args = ["--domain", "svc", "--node", "a@svc=10.1.2.1:20000", "--node", "a@svc=10.1.2.2:20000"];
    const { reports } = await resolve([...args, "a@10.1.2.2"]);
    expect(reports.map(places)).toEqual([["10.1.2.2 20000"]]);
  });
});

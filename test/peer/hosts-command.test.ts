import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../support/child.js";
import { startNode } from "../support/erlang.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli } from "../support/srv-epmd.js";

const HOST = "n1.rmq.service.consul";

describe("srv-epmd hosts", () => {
  test("prints two lines for each host, for IPv4 and inet6_tcp, the same at every call", async () => {
    const first = await runCli(["hosts", "rmq", HOST]);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const [, address = ""] = /^(127\.\d+\.\d+\.\d+) rmq\.service\.consul\n/.exec(first.stdout) ?? [];
    expect(first.stdout.split("\n").slice(0, 2)).toEqual([
      `${address} rmq.service.consul`,
      `::ffff:${address} rmq.service.consul`,
    ]);
    expect(first.stdout.split("\n").length).toBe(5);
    expect((await runCli(["hosts", HOST, "rmq"])).stdout.split("\n").sort()).toEqual(first.stdout.split("\n").sort());
  });

  test("takes the Consul domain and the range that it is given", async () => {
    const args = ["--consul-domain", "corp.example", "--gateway-range", "127.99.0.0/16"];
    expect((await runCli(["hosts", "rmq", ...args])).stdout).toMatch(
      /^(127\.99\.\d+\.\d+) rmq\.service\.corp\.example\n::ffff:\1 rmq\.service\.corp\.example\n$/,
    );
  });

  test.each(["a..b", "x y", "10.0.0.1", "node@svc", "localhost", "x".repeat(64)])(
    "stops at %j with exit code 2, names it, and prints nothing else",
    async (host) => {
      const { code, stdout, stderr } = await runCli(["hosts", "rmq", host]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(`host ${JSON.stringify(host)}`);
    },
  );
});

requirePeer("erl", "netns")("a real VM on a machine whose name server is silent", () => {
  let hosts: Hosts;
  let host: Host;
  beforeAll(async () => {
    hosts = await createHosts([{ addresses: ["10.98.0.1/24"], hosts: ["127.64.7.7 known.example"] }]);
    [host] = hosts.hosts as [Host];
  });
  afterAll(() => hosts.remove());

  const addressesSeen = async (name: string, inetrc?: string) => {
    const vm = await startNode({ netns: host, ...(inetrc !== undefined && { inetrc }) });
    const seen = await vm.eval(`{inet:getaddr("${name}", inet), inet:getaddr("${name}", inet6)}`);
    await vm.stop();
    return seen;
  };
  /** As Erlang writes both. */
  const both = (address: string) => {
    const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
    return `{{ok,{${a},${b},${c},${d}}},{ok,{0,0,0,0,0,65535,${a * 256 + b},${c * 256 + d}}}}`;
  };

  test("finds both addresses of a host in the lines for /etc/hosts, and so does glibc", async () => {
    const { stdout } = await runCli(["hosts", HOST, "known.example"], { netns: host });
    const [address = ""] = stdout.split(" ");
    expect(stdout).toContain("\n127.64.7.7 known.example\n::ffff:127.64.7.7 known.example\n");
    await host.setHosts(stdout.trim().split("\n"));
    expect(await addressesSeen(HOST)).toBe(both(address));
    expect(await addressesSeen(HOST.toUpperCase())).toBe(both(address));
    expect(await addressesSeen("known.example")).toBe(both("127.64.7.7"));
    expect((await run("getent", ["ahostsv4", HOST], { netns: host })).stdout).toMatch(new RegExp(`^${address} `));
    expect((await run("getent", ["hosts", HOST], { netns: host })).stdout).toContain(address);
  });

  test("finds them in the inetrc, with lines of /etc/hosts for nobody else", async () => {
    const { stdout } = await runCli(["hosts", HOST, "rmq", "--format", "inetrc"], { netns: host });
    await host.setHosts([]);
    const [, a, b, c, d] = /\{host, \{(\d+),(\d+),(\d+),(\d+)\}, \["n1\.rmq/.exec(stdout) ?? [];
    expect(await addressesSeen(HOST, stdout)).toBe(both([a, b, c, d].join(".")));
    expect(await addressesSeen("localhost", stdout)).toContain("{ok,{127,0,0,1}}");
  });
});

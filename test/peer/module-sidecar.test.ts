import { afterEach, beforeAll, expect, test } from "vitest";
import { run } from "../support/child.js";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import { cleanEnvironment } from "../support/environment.js";
import { moduleFolder } from "../support/module-folder.js";
import { findOtp } from "../support/otp.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

/** When the last line about a failure was logged, and the time. */
const LAST_SAID = "[atomics:get(persistent_term:get(srv_epmd), 1), erlang:monotonic_time(millisecond)]";

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
)("the sidecar of nodes with the module", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 4, daemons: 2 });
  });
  afterEach(() => cluster.killNodes());

  const published = (name: string) =>
    waitFor(async () => (await cluster.published()).includes(name), { what: `publication of ${name}` });

  test("may be killed and started again: no link suffers, and 3 s later there are new ones", async () => {
    const [a, b] = await Promise.all([cluster.node(0, "a"), cluster.node(1, "b")]);
    expect(await a.ping(fullName("b"))).toBe("pong");
    await watchLinks(a, b);
    await Promise.all([cluster.daemon(0).kill(), cluster.daemon(1).kill()]);
    const failed = await a.eval(`srv_epmd:address_please("b", "${HOST}", inet)`);
    expect(failed).toBe("{error,econnrefused}");
    expect(await a.eval(`[srv_epmd:address_please("b", "${HOST}", inet) || _ <- lists:seq(1, 20)], ok`)).toBe("ok");
    await a.child.waitForOutput(
      /srv_epmd: b@svc\.service\.consul cannot be looked up, no srv-epmd answers at 127\.0\.0\.1 port 4369 \(econnrefused\)/,
    );
    expect(a.child.stdout().match(/cannot be looked up/g), "one line for many failures").toHaveLength(1);
    // When that was is kept in the time that nobody can set.
    const [said, now] = JSON.parse(await a.eval(LAST_SAID)) as [number, number];
    expect(now - said).toBeGreaterThanOrEqual(0);
    expect(now - said).toBeLessThan(10_000);

    await Promise.all([cluster.serve(0), cluster.serve(1)]);
    const backAt = performance.now();
    // Its own connections: global has not seen it yet.
    const c = await cluster.node(0, "c", { args: ["-connect_all", "false"] });
    await waitFor(async () => (await c.ping(fullName("b"))) === "pong", { what: "a new link to b", interval: 100 });
    const took = Math.round(performance.now() - backAt);
    expect(took, `new links after ${took} ms`).toBeLessThan(3_000);
    await waitFor(async () => (await b.ping(fullName("c"))) === "pong", { what: "a new link from b" });
    expect(await lostLinks(a, b)).toEqual(["[]", "[]"]);
  });

  test("that is missing at a node's start is named in one line, and the start ends at once where it does not wait", async () => {
    const startedAt = performance.now();
    const args = ["-noshell", "-name", fullName("a"), "-setcookie", "x", "-start_epmd", "false"];
    const folder = await moduleFolder();
    const { code, stdout, stderr } = await run("erl", [...args, "-pa", folder, "-epmd_module", "srv_epmd"], {
      netns: cluster.host(2),
      env: cleanEnvironment({ HOME: folder, ERL_CRASH_DUMP: "/dev/null", SRV_EPMD_WAIT: "0" }),
    });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    // OTP writes the half of it to the one, and half to the other.
    expect({ code, said: (stderr + stdout).trim() }).toEqual({
      code: 1,
      said: "Protocol 'inet_tcp': register/listen error: 'srv_epmd: no srv-epmd answers at 127.0.0.1 port 4369 (econnrefused); it must be up before this node is'",
    });
  });

  test("may have another address, which SRV_EPMD_ADDRESS says: registration, look-ups, return after its restart", async () => {
    const a = await cluster.node(0, "a");
    const serve = () =>
      startDaemon({
        port: 4369,
        netns: cluster.host(2),
        args: [
          ...["--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--ttl", "3s"],
          ...["--listen", "10.90.0.3", "--allow", "10.90.0.4/32", "--advertise-address", "10.90.0.4"],
        ],
      });
    const sidecar = await serve();
    const env = { SRV_EPMD_ADDRESS: "10.90.0.3", BOX: "box4" };
    const remote = await cluster.node(3, "remote", { env });
    await published("remote");
    expect(await remote.ping(fullName("a"))).toBe("pong");
    expect(await remote.eval("{ok, Names} = net_adm:names(), [Name || {Name, _} <- Names]")).toBe('["remote"]');
    expect(await a.eval(`true = erlang:disconnect_node('${fullName("remote")}')`)).toBe("true");
    await waitFor(async () => (await remote.nodes()).length === 0, { what: "the end of the link" });
    expect(await a.ping(fullName("remote"))).toBe("pong");
    expect(await a.eval(`rpc:call('${fullName("remote")}', os, getenv, ["BOX"])`)).toBe('"box4"');

    await expect(cluster.node(3, "remote", { env })).rejects.toThrow("seems to be in use by another Erlang node");
    await expect(cluster.node(1, "other", { env })).rejects.toThrow(
      "no srv-epmd answers at 10.90.0.3 port 4369 (closed); it must be up before this node is, and --allow this machine",
    );

    await sidecar.kill();
    const again = await serve();
    const backAt = performance.now();
    await again.waitForLog(({ msg, node }) => msg === "node registered" && node === "remote", "its return");
    expect(performance.now() - backAt).toBeLessThan(3_000);
    expect(again.child.stderr()).not.toContain("refused");
    expect((await remote.nodes()).length).toBe(1);
    await remote.kill();
    await waitFor(async () => !(await cluster.published()).includes("remote"), { what: "its end" });
  });

  for (const release of [23, 25, 27, 29] as const) {
    const peers: Peer[] = [`otp${release}`];
    requirePeer(...peers)(`of nodes on OTP ${release}`, () => {
      test("must be given by an IP address of the family of -proto_dist: anything else is refused in one line", async () => {
        const otp = findOtp(release);
        const refused = (address: string, ...args: string[]) =>
          cluster.node(0, "a", { args, env: { SRV_EPMD_ADDRESS: address }, ...(otp && { otp }) }).then(
            () => "it came up",
            (error: unknown) => String(error),
          );
        const said = (family: string, address: string) =>
          `'srv_epmd: SRV_EPMD_ADDRESS must be an IP address, without a port, of the family of -proto_dist, ${family} here; it is "${address}"'`;
        // There is a srv-epmd at the first.
        const [loopback, ...others] = await Promise.all([
          refused("127.0.0.1", "-proto_dist", "inet6_tcp"),
          refused("fd90::1"),
          refused("sidecar"),
          refused("sidecar", "-proto_dist", "inet6_tcp"),
        ]);
        expect(loopback).toContain(said("IPv6", "127.0.0.1"));
        expect(others[0]).toContain(said("IPv4", "fd90::1"));
        expect(others[1]).toContain(said("IPv4", "sidecar"));
        expect(others[2]).toContain(said("IPv6", "sidecar"));
        for (const line of [loopback, ...others]) expect(line?.match(/srv_epmd:/g)).toHaveLength(1);
      });
    });
  }

  test("may have no address that the system calls invalid", async () => {
    const link = { args: ["-proto_dist", "inet6_tcp"], env: { SRV_EPMD_ADDRESS: "fe80::1%eth0" } };
    await expect(cluster.node(0, "a", link)).rejects.toThrow("no srv-epmd answers at fe80::1 port 4369 (einval)");
  });
});

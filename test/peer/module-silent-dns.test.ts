import { beforeAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import { findOtp, type Otp } from "../support/otp.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

/** A name server that reads and never answers. */
const SILENT = "10.90.0.1:5399";
const LISTEN = 'require("node:dgram").createSocket("udp4").bind(5399, "10.90.0.1", () => console.log("silent"))';
const DEAD = Array.from({ length: 30 }, (_, index) => `dead${index}`);
/** Seconds; a link whose ticks do not come is cut within one and a quarter of it. */
const TICK_TIME = 8;
const RELEASES = [23, 25, 27, 29] as const;

/** Registers a process that collects the names of links that go. */
const PING_ALL = `
  Parent = self(),
  Ping = fun Ping(Node) -> T = erlang:monotonic_time(millisecond), pang = net_adm:ping(Node), Parent ! {took, erlang:monotonic_time(millisecond) - T} end,
  [spawn(fun() -> Ping(list_to_atom("dead" ++ integer_to_list(I) ++ "@${HOST}")) end) || I <- lists:seq(0, 29)],
  lists:max([receive {took, T} -> T end || _ <- lists:seq(0, 29)])`;

requirePeer(
  "erlc",
  "consul",
  "netns",
)("names that a silent name server is asked for", () => {
  const runs = new Map<number, Promise<void>>();
  beforeAll(async () => {
    const dns = DEAD.flatMap((name) => ["--dns", `${name}.${HOST}=${SILENT}`]);
    const cluster = await startCluster({ hosts: RELEASES.length, args: dns });
    const silent = startChild(process.execPath, ["-e", LISTEN], { netns: cluster.host(0) });
    await silent.waitForOutput(/silent/);
    for (const index of RELEASES.keys()) {
      // OTP 23 resolves the host part itself; it dials what the module says.
      await cluster.host(index).setHosts([`10.90.0.${index + 1} box${index + 1} ${HOST}`]);
    }
    // All at once: what takes the time is waiting.
    for (const [index, release] of RELEASES.entries()) {
      const otp = findOtp(release);
      if (!otp) continue;
      const run = ask(cluster, otp, index);
      run.catch(() => undefined);
      runs.set(release, run);
    }
  });

  for (const release of RELEASES) {
    const peers: Peer[] = [`otp${release}`];
    requirePeer(...peers)(`on OTP ${release}`, () => {
      test("cost no link and delay no other connection", async () => {
        await runs.get(release);
      });
    });
  }
});

async function ask(cluster: Cluster, otp: Otp, first: number): Promise<void> {
  const args = ["-kernel", "net_ticktime", String(TICK_TIME)];
  const name = (of: string) => `${of}${otp.release}`;
  const start = (of: string, offset: number) =>
    cluster.node((first + offset) % RELEASES.length, name(of), { otp, args });
  const [a, b, c] = await Promise.all([start("a", 0), start("b", 1), start("c", 2)]);
  expect(await a.ping(fullName(name("b")))).toBe("pong");
  await watchLinks(a);
  const startedAt = performance.now();
  const dead = a.eval(PING_ALL, 30_000);
  const pingAt = performance.now();
  expect(await a.ping(fullName(name("c")))).toBe("pong");
  expect(performance.now() - pingAt, "to a live node").toBeLessThan(1_000);
  expect(Number(await dead), "the slowest of the dead, milliseconds").toBeLessThan(7_200);
  await a.eval(PING_ALL, 30_000);
  await waitFor(() => performance.now() - startedAt > TICK_TIME * 1250 + 500, {
    what: "the time of a lost link",
    timeout: 15_000,
    interval: 500,
  });
  expect(await lostLinks(a)).toEqual(["[]"]);
  expect((await a.nodes()).sort()).toEqual([fullName(name("b")), fullName(name("c"))]);
  expect((await c.nodes()).sort()).toEqual([fullName(name("a")), fullName(name("b"))]);
  await Promise.all([a.kill(), b.kill(), c.kill()]);
}

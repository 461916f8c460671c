import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

const DOMAIN = "svc.test";

requirePeer("erl", "netns")("the relay process of a bare host", () => {
  let here: Host;
  let a: ErlangNode;
  let daemon: Daemon;
  const relays = new Set<number>();

  // /etc/resolv.conf names 127.0.0.1, which is the daemon: its own look-ups go where other questions go.
  const serve = () =>
    startDaemon({
      port: 4369,
      netns: here,
      args: ["--gateway", "--domain", DOMAIN, "--gateway-forward", "10.91.0.2:8653", "--register", "none"],
    });
  const relayOf = async ({ waitForLog }: Daemon) => {
    const line = await waitForLog(({ msg }) => msg === "relay process connected", "its relay process");
    relays.add(line.relay as number);
    return { pid: line.relay as number, socket: line.socket as string };
  };
  const node = (name: string, netns: Host) =>
    startNode({ name: `${name}@${DOMAIN}`, netns, args: ["-connect_all", "false"] });
  const isGone = (pid: number) => !existsSync(`/proc/${pid}`);

  beforeAll(async () => {
    const { hosts } = await createHosts([{ addresses: ["10.91.0.1/24"] }, { addresses: ["10.91.0.2/24"] }]);
    const [first, there] = hosts;
    if (!first || !there) throw new Error("no hosts");
    here = first;
    await startDaemon({
      port: 4369,
      netns: there,
      args: ["--domain", DOMAIN, "--dns-listen", "10.91.0.2:8653"],
    });
    await node("b", there);
    daemon = await serve();
    a = await node("a", here);
  });
  afterAll(async () => {
    await daemon.kill();
    for (const pid of relays) if (!isGone(pid)) process.kill(pid, "SIGTERM");
    await waitFor(() => Array.from(relays).every(isGone), { what: "the end of the relay processes" });
  });

  test("is started by the daemon, and outlives it: no link is cut by kill -9, and the next daemon finds it", async () => {
    const { pid, socket } = await relayOf(daemon);
    expect(await a.ping(`b@${DOMAIN}`)).toBe("pong");
    await watchLinks(a);
    await daemon.kill();
    expect(await a.eval(`rpc:call('b@${DOMAIN}', erlang, node, [])`)).toBe(`'b@${DOMAIN}'`);
    daemon = await serve();
    expect(await relayOf(daemon)).toEqual({ pid, socket });
    expect(await lostLinks(a)).toEqual(["[]"]);
  });

  test("is stopped by nobody when the daemon stops", async () => {
    const { pid } = await relayOf(daemon);
    await daemon.stop();
    expect(isGone(pid)).toBe(false);
    daemon = await serve();
    expect((await relayOf(daemon)).pid).toBe(pid);
    expect(await lostLinks(a)).toEqual(["[]"]);
  });

  test("is started anew when it was killed, and nodes find each other again", async () => {
    const { pid, socket } = await relayOf(daemon);
    process.kill(pid, "SIGKILL");
    await waitFor(async () => (await a.ping(`b@${DOMAIN}`)) === "pong", { what: "a new link" });
    expect(await lostLinks(a)).toEqual([`['b@${DOMAIN}']`]);
    await daemon.waitForLog(({ msg, relay }) => msg === "relay process connected" && relay !== pid, "the new one");
    const now = daemon.log().findLast(({ msg }) => msg === "relay process connected")?.relay as number;
    relays.add(now);
    process.kill(now, "SIGTERM");
    await waitFor(() => isGone(now), { what: "its end" });
    // It leaves no socket behind that nobody listens on, until the daemon starts the next.
    await daemon.waitForLog(
      ({ msg, relay }) => msg === "relay process connected" && relay !== pid && relay !== now,
      "the third",
    );
    relays.add(daemon.log().findLast(({ msg }) => msg === "relay process connected")?.relay as number);
    expect(existsSync(socket)).toBe(true);
  });
});

import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeAll, expect, test } from "vitest";
import { run } from "../support/child.js";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import type { ErlangNode } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

const TICK = ["-kernel", "net_ticktime", "8", "-connect_all", "false"];

requirePeer(
  "erl",
  "consul",
  "netns",
)("links through the gateway's relays", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3, way: "gateway" });
  });
  afterEach(() => cluster.killNodes());

  const relayPid = () => cluster.relay(0).pid;
  /** Sockets of the relay process of the first machine, its listeners included. */
  const sockets = () => {
    const links = readdirSync(`/proc/${relayPid()}/fd`);
    return links.length;
  };
  const resident = () =>
    Number(/^VmRSS:\s+([0-9]+) kB/m.exec(readFileSync(`/proc/${relayPid()}/status`, "utf8"))?.[1]) / 1024;

  /** a, b and c on a machine each, a linked to both. */
  const linked = async () => {
    const [a, b, c] = await Promise.all([
      cluster.node(0, "a", { args: TICK }),
      cluster.node(1, "b", { args: TICK }),
      cluster.node(2, "c", { args: TICK }),
    ]);
    for (const name of ["b", "c"]) {
      await waitFor(async () => (await a.ping(fullName(name))) === "pong", { what: `a link to ${name}` });
    }
    await watchLinks(a, c);
    return { a, b, c };
  };

  const echo = (node: ErlangNode, to: string) => node.eval(`rpc:call('${fullName(to)}', erlang, node, [])`, 5_000);

  test("end when the peer is killed, at once, and leave nothing behind", async () => {
    const { a, b, c } = await linked();
    const before = sockets();
    await b.kill();
    await waitFor(async () => (await lostLinks(a))[0] === `['${fullName("b")}']`, {
      what: "the loss of b",
      timeout: 1_000,
    });
    await waitFor(() => sockets() === before - 2, { what: "the relay's sockets of that link to be gone" });
    expect([await echo(a, "c"), await lostLinks(c)]).toEqual([`'${fullName("c")}'`, ["[]"]]);
  });

  test("of a machine that is cut off end by the VMs' own tick, and leave nothing behind", async () => {
    const { a, c } = await linked();
    const before = sockets();
    const host = cluster.host(1);
    await host.run("ip", "link", "set", "eth0", "down");
    try {
      await waitFor(async () => (await lostLinks(a))[0] === `['${fullName("b")}']`, {
        what: "the loss of b",
        timeout: 15_000,
      });
      // The other machine never acknowledges the end: half of a link must not wait for it for ever.
      await waitFor(() => sockets() === before - 2, {
        what: "the relay's sockets of that link to be gone",
        timeout: 20_000,
      });
      expect([await echo(a, "c"), await lostLinks(c)]).toEqual([`'${fullName("c")}'`, ["[]"]]);
    } finally {
      await host.run("ip", "link", "set", "eth0", "up");
    }
  });

  test("to a VM that reads nothing fill up, and neither the relay nor other links mind", async () => {
    const { a, b } = await linked();
    const memory = resident();
    b.child.signal("SIGSTOP");
    try {
      // 64 MiB, of which the kernel's buffers take a few.
      await a.eval(
        `[spawn(fun() -> erlang:send({nobody, '${fullName("b")}'}, binary:copy(<<0>>, 1024 * 1024)) end) || _ <- lists:seq(1, 64)], ok`,
      );
      for (let round = 0; round < 5; round++) expect(await echo(a, "c")).toBe(`'${fullName("c")}'`);
      expect(resident() - memory, "MiB more").toBeLessThan(24);
    } finally {
      b.child.signal("SIGCONT");
    }
  });

  test("are not disturbed by 500 connections at once to a relay, and those leave nothing behind", async () => {
    const { a, c } = await linked();
    const before = sockets();
    const { stdout } = await run(process.execPath, ["-e", FIVE_HUNDRED, HOST, "4369"], {
      netns: cluster.host(0),
      timeout: 30_000,
    });
    expect(stdout.trim()).toBe("500 connected, 500 ended");
    expect([await echo(a, "c"), await lostLinks(a, c)]).toEqual([`'${fullName("c")}'`, ["[]", "[]"]]);
    await waitFor(() => sockets() === before, { what: "the relay's sockets to be as before" });
  });
});

/** Asks the EPMD at the host's address for b, connects 500 times to where that is, and ends all once all are there. */
const FIVE_HUNDRED = `
const net = require("node:net"), dns = require("node:dns");
const [host, port] = process.argv.slice(1);
dns.lookup(host, 4, (error, address) => {
  const name = Buffer.from("b");
  const request = Buffer.concat([Buffer.from([0, name.length + 1, 122]), name]);
  const chunks = [];
  net.connect(port, address).on("connect", function () { this.write(request); })
    .on("data", (chunk) => chunks.push(chunk))
    .on("end", () => {
      const relay = Buffer.concat(chunks).readUInt16BE(2);
      let connected = 0, ended = 0;
      const all = Array.from({ length: 500 }, () => net.connect(relay, address)
        .on("connect", () => { if (++connected === 500) for (const socket of all) socket.end(); })
        .on("data", () => {})
        .on("error", () => {})
        .on("close", () => { if (++ended === 500) console.log(connected + " connected, " + ended + " ended"); }));
    });
});`;

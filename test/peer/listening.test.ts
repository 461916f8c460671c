import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Place } from "../support/child.js";
import { examine } from "../support/doctor.js";
import { startStockEpmd } from "../support/epmd.js";
import { freePort } from "../support/free-port.js";
import { createHosts } from "../support/netns.js";
import { alive2, ask, liveNames, rawClient, rawNode, request } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const serve = (...flags: string[]) => runCli(["serve", "--log-format", "json", ...flags]);
/** The complaint of a `serve` that cannot listen: exit 3, nothing on stdout, one line on stderr, in the log's format. */
async function complaint(...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await serve(...flags);
  expect(code).toBe(3);
  expect(stdout).toBe("");
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  const { level, msg } = JSON.parse(stderr) as { level: string; msg: string };
  expect(level).toBe("fatal");
  return msg;
}

async function listening(server: Server, address = "127.0.0.1"): Promise<{ server: Server; port: number }> {
  server.listen(0, address);
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** An address of this machine that is no loopback: to 127.0.0.1, a client that uses it is a stranger. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((entries) => entries ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const NOTHING = Buffer.alloc(0);
const NAMES = request("n");
const lookUp = (name: string) => request("z", name);

requirePeer("epmd")("a port that a stock epmd has", () => {
  test.concurrent("is left to it; with live nodes there their names are told", async () => {
    const port = await freePort();
    const epmd = await startStockEpmd(port);
    const idle = await complaint("--port", String(port));
    expect(idle).toContain(
      `127.0.0.1:${port} is in use: a stock epmd with no nodes is there (process ${epmd.pid}: epmd`,
    );
    expect(idle).toMatch(
      /stop it \(epmd -port [0-9]+ -kill\) and start srv-epmd, or .*--replace-epmd\. Start VMs with/,
    );
    const nodes = [
      await rawNode(port, { name: "rabbit", port: 25672 }),
      await rawNode(port, { name: "web", port: 9100 }),
    ];
    const busy = await complaint("--port", String(port));
    expect(busy).toMatch(/a stock epmd with the nodes (rabbit \(port 25672\)|web \(port 9100\)|, ){3} is there/);
    // doctor says the same.
    const { of } = await examine(["--port", String(port)]);
    expect(of("epmd-port").advice).toContain(`move its nodes: stop it (kill ${epmd.pid}; epmd -kill is refused`);
    expect(busy).toContain(of("epmd-port").advice);
    for (const node of nodes) await node.close();
  });

  test.concurrent("is taken over with --replace-epmd when no node lives there", async () => {
    const port = await freePort();
    const epmd = await startStockEpmd(port);
    const daemon = await startDaemon({ port, args: ["--replace-epmd"] });
    await waitFor(() => epmd.hasExited(), { what: "the stock epmd to end" });
    expect(daemon.log().map(({ msg }) => msg)).toContain(
      "stopped a stock epmd that had no registered nodes, to use its port",
    );
    const node = await rawNode(port, { name: "rabbit" });
    expect(await liveNames(port)).toEqual(["rabbit"]);
    await node.close();
  });

  test.concurrent("is left to it, --replace-epmd or not, as long as a node lives there", async () => {
    const port = await freePort();
    const epmd = await startStockEpmd(port);
    const node = await rawNode(port, { name: "rabbit" });
    expect(await complaint("--port", String(port), "--replace-epmd")).toContain("with the nodes rabbit (port");
    expect([epmd.hasExited(), node.isClosed()]).toEqual([false, false]);
    await node.close();
  });
});

describe.concurrent("a port that is taken", () => {
  test("by another srv-epmd: exit 3, and the message says so", async () => {
    const { port, child } = await startDaemon();
    const node = await rawNode(port, { name: "rabbit" });
    const told = await complaint("--port", String(port));
    expect(told).toMatch(
      new RegExp(`another srv-epmd with the nodes rabbit \\(port [0-9]+\\) is there \\(process ${child.pid}:.*--port`),
    );
    await node.close();
  });

  test("by another srv-epmd that would obey KILL: --replace-epmd replaces stock ones only", async () => {
    const { port, child } = await startDaemon({ args: ["--allow-kill"] });
    const told = await complaint("--port", String(port), "--replace-epmd");
    expect(told).toContain("another srv-epmd with no nodes is there");
    expect(child.hasExited()).toBe(false);
  });

  test("by a server of another protocol: exit 3, and the message names its process", async () => {
    const { server, port } = await listening(createHttpServer((_, response) => response.end("hello")));
    expect(await complaint("--port", String(port))).toContain(
      `something that is no EPMD is there (process ${process.pid}:`,
    );
    server.close();
  });

  test("by a server that says nothing: the same, soon", async () => {
    const { server, port } = await listening(createServer((socket) => socket.on("error", () => {})));
    const started = performance.now();
    expect(await complaint("--port", String(port))).toContain("something that is no EPMD is there");
    expect(performance.now() - started).toBeLessThan(5000);
    server.close();
  });

  test("on only one of the addresses stops the start too", async () => {
    const { server, port } = await listening(
      createServer((socket) => socket.destroy()),
      "127.0.0.9",
    );
    const told = await complaint("--port", String(port), "--listen", "127.0.0.9");
    expect(told).toContain(`127.0.0.9:${port} is in use: something that is no EPMD is there`);
    server.close();
  });
});

describe.concurrent("addresses", () => {
  test("that this machine has not: exit 3, and the message names the address", async () => {
    const port = await freePort();
    expect(await complaint("--port", String(port), "--listen", "203.0.113.77")).toBe(
      `cannot listen on 203.0.113.77:${port}: this machine has no such address`,
    );
    expect(await complaint("--port", String(port), "--listen", "2001:db8::77")).toContain(`[2001:db8::77]:${port}`);
  });

  test("are both loopbacks and nothing more of them without --listen", async () => {
    const { addresses, port } = await startDaemon();
    expect(addresses.slice(0, 2)).toEqual([`127.0.0.1:${port}`, `[::1]:${port}`]);
    const elsewhere = createServer().listen(port, "127.0.0.77");
    await once(elsewhere, "listening");
    elsewhere.close();
  });

  test("0.0.0.0 covers IPv4 and :: both families", async () => {
    const [four, six] = await Promise.all([
      startDaemon({ args: ["--listen", "0.0.0.0"] }),
      startDaemon({ args: ["--listen", "::"] }),
    ]);
    expect(four.addresses).toEqual([`[::1]:${four.port}`, `0.0.0.0:${four.port}`]);
    expect(six.addresses).toEqual([`0.0.0.0:${six.port}`, `[::]:${six.port}`]);
    const node = await rawNode(six.port, { name: "a" }, { address: "127.0.0.5" });
    expect(await liveNames(six.port)).toEqual(["a"]);
    expect((await ask(six.port, NAMES, { address: "::1" })).subarray(4).toString()).toBe("name a at port 4711\n");
    await node.close();
  });

  test("of ERL_EPMD_ADDRESS are taken, with the loopbacks in it named twice or not", async () => {
    const { addresses, port } = await startDaemon({ env: { ERL_EPMD_ADDRESS: "127.0.0.1, 127.0.0.8 ::1" } });
    expect(addresses.toSorted()).toEqual([`127.0.0.1:${port}`, `127.0.0.8:${port}`, `[::1]:${port}`].toSorted());
  });
});

requirePeer("netns")("a machine without IPv6", () => {
  test("starts although the host name also stands for a link-local address", async () => {
    const { hosts, remove } = await createHosts([{ addresses: ["10.95.0.1/24"], hostname: "linked" }]);
    const [netns] = hosts;
    if (!netns) throw new Error("no host");
    await netns.setHosts(["fe80::5054:ff:fe12:3456%eth0 linked", "fe80::1 linked", "10.95.0.1 linked"]);
    const daemon = await startDaemon({ netns, port: 4369 });
    expect(daemon.addresses).toEqual(["127.0.0.1:4369", "[::1]:4369", "10.95.0.1:4369"]);
    await daemon.stop();
    await remove();
  });

  test("is served on 127.0.0.1: only an IPv6 address that was asked for is missed", async () => {
    const { hosts, remove } = await createHosts([{ addresses: ["10.93.0.1/24"], hostname: "four" }]);
    const [netns] = hosts;
    if (!netns) throw new Error("no host");
    await netns.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    const daemon = await startDaemon({ netns, port: 4369, args: ["--listen", "10.93.0.1"] });
    expect(daemon.addresses).toEqual(["127.0.0.1:4369", "10.93.0.1:4369"]);
    await daemon.stop();
    const refused = await runCli(["serve", "--port", "4369", "--listen", "fd93::1"], { netns });
    expect(refused).toMatchObject({ code: 3 });
    expect(refused.stderr).toContain("cannot listen on [fd93::1]:4369: this machine has no such address");
    await remove();
  });
});

requirePeer("netns", "nft")("a machine whose name servers are silent and whose name is in no hosts file", () => {
  test("is served on the loopbacks soon, and its daemon ends at once", async () => {
    const { hosts, remove } = await createHosts([
      { addresses: ["10.94.0.1/24"], resolvConf: "nameserver 10.94.0.9\n" },
      { addresses: ["10.94.0.9/24"] },
    ]);
    const [machine, silent] = hosts;
    if (!machine || !silent) throw new Error("no hosts");
    await silent.run(
      "nft",
      "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }",
    );
    const named = ["--uts", "sh", "-c", 'hostname nowhere.example && exec "$0" "$@"'];
    const netns: Place = { wrap: (command, args) => machine.wrap("unshare", [...named, command, ...args]) };
    const args = ["--listen", "127.0.0.1"];
    const daemon = await startDaemon({ netns, port: 4369, args });
    expect(daemon.addresses).toEqual(["127.0.0.1:4369", "[::1]:4369"]);
    expect((await daemon.stop()).ms).toBeLessThan(1500);

    // What the system's resolver knows beyond /etc/hosts comes from getent.
    const folder = await temporaryFolder("getent");
    await writeFile(join(folder, "getent"), "#!/bin/sh\necho 10.94.0.1 STREAM $2\necho 10.94.0.1 DGRAM\n", {
      mode: 0o755,
    });
    const known = await startDaemon({ netns, port: 4369, args, env: { PATH: `${folder}:${process.env.PATH}` } });
    expect(known.addresses).toEqual(["127.0.0.1:4369", "[::1]:4369", "10.94.0.1:4369"]);
    await known.stop();
    await remove();
  });
});

describe.skipIf(ownAddress === undefined).concurrent("strangers", () => {
  const stranger = { localAddress: ownAddress };
  const STATIC = ["--node", `far@localhost=127.0.0.1:9999`];

  test("get nothing on an address that --listen does not name", async () => {
    const { port } = await startDaemon({ args: STATIC });
    const node = await rawNode(port, { name: "a" });
    for (const asked of [NAMES, lookUp("a"), lookUp("far"), request("d"), alive2({ name: "x" })]) {
      expect(await ask(port, asked, stranger)).toEqual(NOTHING);
    }
    expect(await liveNames(port)).toEqual(["a"]);
    await node.close();
  });

  test("on an address that --listen names get names and look-ups of bare names, and nothing else", async () => {
    const { port } = await startDaemon({ args: [...STATIC, "--listen", "127.0.0.1"] });
    const node = await rawNode(port, { name: "a" });
    expect((await ask(port, NAMES, stranger)).subarray(4).toString()).toBe("name a at port 4711\n");
    expect((await ask(port, lookUp("a"), stranger)).subarray(0, 4).toString("hex")).toBe("77001267");
    expect((await ask(port, lookUp("far"), stranger)).subarray(0, 4).toString("hex")).toBe("7700270f");
    for (const withHost of ["a@localhost", "far@localhost", "a@localhost/4", "far.localhost"]) {
      expect((await ask(port, lookUp(withHost), stranger)).toString("hex"), withHost).toBe("7701");
      expect((await ask(port, lookUp(withHost))).subarray(0, 2).toString("hex"), `${withHost}, local`).toBe("7700");
    }
    for (const forbidden of [request("d"), request("k"), request("s", "a"), alive2({ name: "x" })]) {
      expect(await ask(port, forbidden, stranger)).toEqual(NOTHING);
    }
    expect(await liveNames(port)).toEqual(["a"]);
    await node.close();
  });

  test("from a network that --allow names are no strangers", async () => {
    const { port } = await startDaemon({ args: ["--allow", `${ownAddress}/32`] });
    const node = await rawNode(port, { name: "a" }, stranger);
    expect(await liveNames(port)).toEqual(["a"]);
    expect((await ask(port, request("d"), stranger)).subarray(4).toString()).toMatch(/^active name {5}<a>/);
    await node.close();
  });

  test("have half of the connections, and cannot keep a node from registering", async () => {
    const { port, log } = await startDaemon({ args: ["--max-connections", "10", "--listen", "127.0.0.1"] });
    const idle = await Promise.all(Array.from({ length: 30 }, () => rawClient(port, stranger)));
    await waitFor(() => idle.filter((client) => client.isClosed()).length === 25, { what: "25 of 30 to be closed" });
    const nodes = [];
    for (let index = 0; index < 5; index++) {
      nodes.push(await rawNode(port, { name: `n${index}` }));
      // Turned away again and again: that is one line of log all the same.
      expect(await ask(port, NAMES, stranger)).toEqual(NOTHING);
    }
    const last = await rawClient(port);
    expect(await last.closed(1000)).toEqual(NOTHING);
    const warnings = log().filter(({ level }) => level === "warn");
    expect(warnings.map(({ msg }) => msg)).toEqual([
      "connection closed: the strangers' half of all connections is in use",
      "connection closed: all connections are in use",
    ]);
    await Promise.all(idle.map((client) => client.close()));
    await waitFor(async () => (await liveNames(port)).length === 5, { what: "places to be free again" });
    await Promise.all(nodes.map((node) => node.close()));
  });
});

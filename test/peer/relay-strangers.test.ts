import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run, startChild } from "../support/child.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { exchangeBytes, portPleaseBytes } from "../support/raw-client.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, type Daemon, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

const OWN = "10.83.0.1";
const RANGE = "127.64.0.0/10";
/** Says hello to whoever connects, and closes: the node that a relay leads to. */
const NODE = `require("node:net").createServer((s) => { s.on("error", () => {}); s.end("hello"); }).listen(20009, "127.0.0.1", () => console.log("up"));`;
/** Prints what it gets, or the code of the error. */
const READ = `const [host, port] = process.argv.slice(1);
require("node:net").connect(port, host).on("data", (b) => console.log(String(b))).on("error", (e) => console.log(e.code));`;

requirePeer("netns")("where route_localnet lets another machine reach loopback addresses", () => {
  let made: Hosts;
  let daemon: Daemon;
  let address: string;
  const machine = () => made.hosts[0] as Host;
  const elsewhere = () => made.hosts[1] as Host;
  const read = async (from: Host, port: number) =>
    (await run(process.execPath, ["-e", READ, address, String(port)], { netns: from })).stdout.trim();

  beforeAll(async () => {
    made = await createHosts([{ addresses: [`${OWN}/24`] }, { addresses: ["10.83.0.2/24"] }]);
    const setLocalnet = "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet";
    for (const host of made.hosts) await host.run("sh", "-c", setLocalnet);
    // Its own loopback would take these addresses.
    await elsewhere().run("ip", "link", "set", "lo", "down");
    await elsewhere().run("ip", "route", "add", RANGE, "via", OWN);
    const socket = join(await temporaryFolder("relay"), "run", "relay.sock");
    const inMachine = { netns: machine() };
    await startChild(process.execPath, ["-e", NODE], inMachine).waitForOutput(/up/);
    const relay = startChild(process.execPath, [BIN, "relay", "--relay-socket", socket], inMachine);
    await relay.waitForOutput(/ready/);
    daemon = await startDaemon({
      ...inMachine,
      args: [
        ...["--gateway", "--gateway-listen", "none", "--relay-socket", socket, "--domain", "svc.test"],
        ...["--listen", OWN, "--node", "far@svc.test=127.0.0.1:20009"],
      ],
    });
    const { stdout } = await run(process.execPath, [BIN, "hosts", "svc.test"], inMachine);
    address = stdout.split(" ")[0] ?? "";
  });
  afterAll(() => made.remove());

  test("its relays accept this machine's connections, and no other's", async () => {
    const asked = await exchangeBytes({ host: address, port: daemon.port, netns: machine() }, portPleaseBytes("far"));
    expect(asked).toMatch(/^7700/);
    const port = Number.parseInt(asked.slice(4, 8), 16);
    expect(await read(machine(), port)).toBe("hello");
    // The address is reached: this port of it is only refused by whoever listens there.
    expect(await read(elsewhere(), port)).toBe("ECONNRESET");
    expect(await read(elsewhere(), port + 1)).toBe("ECONNREFUSED");
  });
});

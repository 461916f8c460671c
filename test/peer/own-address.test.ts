import { afterEach, beforeEach, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { examine } from "../support/doctor.js";
import { startStockEpmd } from "../support/epmd.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const OWN = "10.96.0.1";
const OWN6 = "fd96::1";
/** Debian's installer writes it: the host name is no address that anybody else could dial. */
const DEBIAN = ["127.0.1.1 box1"];
/** What comes of a connection: bytes until the other end closes, or an error. */
const ASK = `
const socket = require("net").connect(Number(process.argv[2]), process.argv[1], () => socket.write(Buffer.from("00016e", "hex")));
socket.on("data", (bytes) => process.stdout.write("answered " + bytes.length));
socket.on("error", (error) => process.stdout.write(error.code));
socket.on("close", () => process.stdout.write(" closed"));
`;

requirePeer(
  "erl",
  "epmd",
  "netns",
)("stock VMs that are named after an address of their machine, whose host name is 127.0.1.1", () => {
  let made: Hosts;
  let host: Host;
  let other: Host;
  const nodes: ErlangNode[] = [];
  const start = async (name: string, args: readonly string[] = []) => {
    const node = await startNode({ name, netns: host, args });
    nodes.push(node);
    return node;
  };
  const pair = async (address: string, ...args: string[]) => {
    const [a] = [await start(`a@${address}`, args), await start(`b@${address}`, args)];
    return { ping: () => a.ping(`b@${address}`) };
  };

  beforeEach(async () => {
    made = await createHosts([
      { addresses: [`${OWN}/24`, `${OWN6}/64`], hosts: DEBIAN, hostname: "box1" },
      { addresses: ["10.96.0.2/24", "fd96::2/64"] },
    ]);
    [host, other] = made.hosts as [Host, Host];
  });
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.kill()));
    await made.remove();
  });

  test("reach each other, as with stock epmd; strangers get nothing there", async () => {
    const daemon = await startDaemon({ netns: host, port: 4369 });
    expect(daemon.addresses.toSorted()).toEqual(
      ["127.0.0.1", "127.0.1.1", OWN, "[::1]", `[${OWN6}]`].map((address) => `${address}:4369`).toSorted(),
    );
    const four = await pair(OWN);
    expect(await four.ping()).toBe("pong");
    const { stdout } = await other.run(process.execPath, "-e", ASK, OWN, "4369");
    expect(stdout).toMatch(/^( closed|ECONNRESET closed)$/);
    await Promise.all(nodes.splice(0).map((node) => node.kill()));
    const six = await pair(OWN6, "-proto_dist", "inet6_tcp");
    expect(await six.ping()).toBe("pong");
    await daemon.stop();
  });

  test("reach each other at an address that the machine gets later, and lose again", async () => {
    const daemon = await startDaemon({ netns: host, port: 4369 });
    const late = "10.97.0.1";
    const listens = async () => (await host.run("ss", "-Hltn", `src ${late}`)).stdout.includes(`${late}:4369`);
    await host.run("ip", "addr", "add", `${late}/24`, "dev", "eth0");
    await waitFor(listens, { what: "a listener there" });
    const { ping } = await pair(late);
    expect(await ping()).toBe("pong");
    await host.run("ip", "addr", "del", `${late}/24`, "dev", "eth0");
    await waitFor(async () => !(await listens()), { what: "its end" });
    await daemon.stop();
  });

  test("are not reached where --listen or ERL_EPMD_ADDRESS names addresses: these are meant, and no others", async () => {
    for (const how of [{ args: ["--listen", "127.0.0.1"] }, { env: { ERL_EPMD_ADDRESS: "127.0.0.1" } }]) {
      const daemon = await startDaemon({ netns: host, port: 4369, ...how });
      expect(daemon.addresses).toEqual(["127.0.0.1:4369", "[::1]:4369", "127.0.1.1:4369"]);
      await daemon.stop();
    }
  });

  test("with something else at the port of one address: the daemon starts, says so, and takes it when it is free", async () => {
    const holder = startChild(
      process.execPath,
      ["-e", `require("net").createServer(() => {}).listen(4369, "${OWN}", () => console.log("up"))`],
      { netns: host },
    );
    await holder.waitForOutput(/up/);
    const daemon = await startDaemon({ netns: host, port: 4369 });
    const warnings = () => daemon.log().filter(({ level }) => level === "warn");
    expect(warnings().map(({ msg, address }) => [msg, address])).toEqual([
      ["address passed over: another program has the port there", `${OWN}:4369`],
    ]);
    await holder.kill();
    await daemon.waitForLog(
      ({ msg, address }) => msg === "listening on an address that was not free before" && address === `${OWN}:4369`,
      "its listener",
    );
    const { ping } = await pair(OWN);
    expect(await ping()).toBe("pong");
    expect(warnings()).toHaveLength(1);
    await daemon.stop();
  });

  test("do not reach each other where nothing listens, which doctor says, for a host name too", async () => {
    await host.setHosts([...DEBIAN, `${OWN} box1.example`]);
    const daemon = await startDaemon({ netns: host, port: 4369, args: ["--listen", "127.0.0.1"] });
    const { ping } = await pair("box1.example");
    expect(await ping()).toBe("pang");
    const doctor = () => examine([], { netns: host });
    const { of, code } = await doctor();
    expect([code, of("own-address").result]).toEqual([1, "fail"]);
    expect(of("own-address").evidence).toMatch(
      /nothing listens on 10\.96\.0\.1:4369, where box1\.example is: VMs, consoles and erl_call here ask there for [ab]@box1\.example, and get pang/,
    );
    expect(of("own-address").advice).toContain("or with --listen 10.96.0.1 too");
    await daemon.stop();

    const other = await startDaemon({ netns: host, port: 4369 });
    await other.waitForLog(({ msg, node }) => msg === "node registered" && node === "b", "b");
    const well = await doctor();
    expect(well.of("own-address")).toMatchObject({ result: "ok" });
    await waitFor(async () => (await ping()) === "pong", { what: "b to be back" });
    await other.stop();
  });

  test("get of srv-epmd what they get of stock epmd", async () => {
    const epmd = await startStockEpmd(4369, { netns: host });
    const { ping } = await pair(OWN);
    expect(await ping()).toBe("pong");
    await epmd.kill();
  });
});

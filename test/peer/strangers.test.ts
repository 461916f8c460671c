import { afterAll, beforeAll, expect, test } from "vitest";
import { run, startChild } from "../support/child.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { portPleaseBytes } from "../support/raw-client.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";

const OWN = "10.81.0.1";
const ADMIN = `http://${OWN}:9369`;

/** Prints the status of each path, one after the other, on connections of their own. */
const GET = `
const [base, ...paths] = process.argv.slice(1);
const get = (path) => new Promise((resolve) => {
  require("node:http").get(base + path, { agent: false }, (response) => resolve(response.statusCode)).on("error", (error) => resolve(error.code));
});
(async () => { for (const path of paths) console.log(await get(path)); process.exit(); })();`;
/** Holds connections open, without a word. */
const HOLD = `
const [host, port, count] = process.argv.slice(1);
let open = 0;
for (let index = 0; index < count; index++) {
  const socket = require("node:net").connect(port, host, () => ++open == count && console.log("open"));
  socket.on("error", () => {});
}
setInterval(() => {}, 1000);`;
/** Asks for SRV over TCP and prints the response code, or that there is no answer. */
const DNS = `
const [host, port, query] = process.argv.slice(1);
const socket = require("node:net").connect(port, host, () => socket.write(Buffer.from(query, "hex")));
const end = (text) => { console.log(text); process.exit(); };
socket.on("data", (bytes) => end("rcode " + (bytes[5] & 15))).on("error", () => end("none")).on("close", () => end("none"));`;
/** Length 30; id 7, RD, one question: SRV (33) IN of far.svc.test. */
const SRV_QUERY = "001e 0007 0100 0001 0000 0000 0000 03666172 03737663 0474657374 00 0021 0001".replaceAll(" ", "");
/** Opens event streams and prints how many were granted, when all are answered. */
const STREAM = `
const [base, count] = process.argv.slice(1);
const answers = Array.from({ length: count }, () => new Promise((resolve) => {
  require("node:http").get(base + "/v1/events", { agent: false }, (response) => { response.resume(); resolve(response.statusCode); });
}));
Promise.all(answers).then((all) => console.log("granted " + all.filter((status) => status === 200).length));
setInterval(() => {}, 1000);`;
/** Sends a request again and again, each on a connection of its own. */
const REPEAT = `
const [host, port, request, times] = process.argv.slice(1);
const once = () => new Promise((resolve) => {
  const socket = require("node:net").connect(port, host, () => socket.write(Buffer.from(request, "hex")));
  socket.on("data", () => {}).on("error", () => {}).on("close", resolve);
});
(async () => { for (let time = 0; time < times; time++) await once(); })();`;

requirePeer("netns")("a stranger", () => {
  let made: Hosts;
  let daemon: Daemon;
  const machine = () => made.hosts[0] as Host;
  const elsewhere = () => made.hosts[1] as Host;

  beforeAll(async () => {
    made = await createHosts([{ addresses: [`${OWN}/24`] }, { addresses: ["10.81.0.2/24"] }]);
    daemon = await startDaemon({
      netns: machine(),
      args: [
        ...["--listen", OWN, "--admin", `${OWN}:9369`, "--domain", "svc", "--register", "none"],
        ...["--node", "far@svc=10.81.0.9:20009", "--dns", "127.0.0.1:1"],
      ],
    });
  });
  afterAll(() => made.remove());

  const get = async (from: Host, ...paths: string[]) => {
    const { stdout } = await run(process.execPath, ["-e", GET, ADMIN, ...paths], { netns: from });
    return stdout.trim().split("\n");
  };
  const hold = async (from: Host, program: string, args: readonly string[], ready: RegExp) => {
    const child = startChild(process.execPath, ["-e", program, ...args], { netns: from });
    await child.waitForOutput(ready);
    return child;
  };

  test("is refused over HTTP the names with a host part that EPMD refuses it", async () => {
    const asked = ["far", "far@svc", "far.svc.service.consul", "x@10.81.0.9"].map((node) => `/v1/resolve?node=${node}`);
    expect(await get(elsewhere(), ...asked)).toEqual(["200", "403", "403", "403"]);
    expect(await get(machine(), ...asked)).toEqual(["200", "200", "200", "200"]);
  });

  test("that holds connections open leaves health to all, and the rest to this machine", async () => {
    const held = await hold(elsewhere(), HOLD, [OWN, "9369", "60"], /open/);
    expect(await get(elsewhere(), "/livez", "/readyz", "/v1/nodes", "/livez")).toEqual(["200", "200", "503", "200"]);
    expect(await get(machine(), "/livez", "/v1/nodes")).toEqual(["200", "200"]);
    await held.kill();
  });

  test("that reads all the event streams it gets leaves half of them to this machine", async () => {
    const far = await hold(elsewhere(), STREAM, [ADMIN, "24"], /granted 16\n/);
    const near = await hold(machine(), STREAM, [ADMIN, "24"], /granted 16\n/);
    await Promise.all([far.kill(), near.kill()]);
  });

  test("that holds all the connections it gets to the DNS zone leaves half of them to this machine", async () => {
    const port = "5353";
    const zone = await startDaemon({
      netns: machine(),
      args: ["--listen", OWN, "--domain", "svc.test", "--register", "none", "--dns-listen", `${OWN}:${port}`],
    });
    const ask = async (from: Host) => {
      const { stdout } = await run(process.execPath, ["-e", DNS, OWN, port, SRV_QUERY], { netns: from });
      return stdout.trim();
    };
    expect(await ask(elsewhere())).toBe("rcode 3");
    const held = await hold(elsewhere(), HOLD, [OWN, port, "64"], /open/);
    expect(await ask(elsewhere())).toBe("none");
    expect(await ask(machine())).toBe("rcode 3");
    await held.kill();
    await zone.stop();
  });

  test("cannot fill the log", async () => {
    const before = daemon.log().length;
    const ask = [OWN, String(daemon.port), portPleaseBytes("far"), "300"];
    await run(process.execPath, ["-e", REPEAT, ...ask], { netns: elsewhere() });
    const lines = daemon.log().slice(before);
    expect(lines).toMatchObject([{ msg: "node not found", reason: expect.stringContaining("10.81.0.9:20009") }]);
  });
});

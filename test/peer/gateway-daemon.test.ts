import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loopbackRange } from "../../src/config/network-values.js";
import { GatewayAddresses } from "../../src/gateway/core/addresses.js";
import { startChild } from "../support/child.js";
import { dnsClient } from "../support/dns-client.js";
import { cleanEnvironment } from "../support/environment.js";
import { ask, rawNode, request } from "../support/raw-epmd.js";
import { BIN, type Daemon, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

// The gateway's daemon as it is started, asked by clients without a VM.

/** Addresses of this test process: other daemons on the machine take others. */
const RANGE = `127.66.${process.pid & 0xff}.0/24`;
const DOMAIN = "svc.test";
const NOT_FOUND = Buffer.from([119, 1]);

/** Two hosts whose names come to the same address, and that address. */
const [FIRST, SECOND, SHARED] = collision();

function collision(): [string, string, string] {
  const hosts = new Map<string, string>();
  for (let index = 0; ; index++) {
    const host = `n${index}.${DOMAIN}`;
    const address = new GatewayAddresses(loopbackRange(RANGE)).assign(host) ?? "";
    const earlier = hosts.get(address);
    if (earlier !== undefined) return [earlier, host, address];
    hosts.set(address, host);
  }
}

/** Starts a relay process, and daemons that use it one after the other. */
async function withRelay() {
  const socket = join(await temporaryFolder("relay"), "relay.sock");
  const relay = startChild(process.execPath, [BIN, "relay", "--relay-socket", socket], { env: cleanEnvironment() });
  await relay.waitForOutput(/"ready"/);
  const flags = ["--gateway", "--domain", DOMAIN, "--register", "none", "--gateway-range", RANGE];
  return async (...args: string[]) => {
    const listen = args.includes("--gateway-listen") ? [] : ["--gateway-listen", "127.0.0.1:0"];
    const dns = ["--dns", "127.0.0.1:9", "--relay-socket", socket, ...listen];
    const daemon = await startDaemon({ args: [...flags, ...dns, ...args] });
    return daemon;
  };
}

/** What the DNS of the daemon says. */
function addressOf(daemon: Daemon, host: string) {
  const ready = daemon.log().find(({ msg }) => msg === "ready");
  const port = Number(String(ready?.gateway).split(":")[1]);
  return dnsClient(port).a(host);
}

test.concurrent("hosts keep their addresses over restarts, whoever is asked for first then", async () => {
  const serve = await withRelay();
  const before = await serve();
  expect(await addressOf(before, FIRST)).toEqual([SHARED]);
  const [second = ""] = await addressOf(before, SECOND);
  expect(second).not.toBe(SHARED);
  // What no VM has ever asked at is not remembered.
  for (const address of [SHARED, second]) await ask(before.port, request("n"), { address });
  await before.kill();
  const after = await serve();
  expect(await addressOf(after, SECOND)).toEqual([second]);
  expect(await addressOf(after, FIRST)).toEqual([SHARED]);
});

test.concurrent("a host is asked for at its address as soon as DNS has given it, and there it stands for that host", async () => {
  const serve = await withRelay();
  const daemon = await serve("--node", `b@x.${DOMAIN}=127.0.0.1:9100`, "--node", `b@y.${DOMAIN}=127.0.0.1:9100`);
  const [address = ""] = await addressOf(daemon, `x.${DOMAIN}`);
  const answer = await ask(daemon.port, request("z", "b"), { address });
  expect(answer.subarray(0, 2)).toEqual(Buffer.from([119, 0]));
  expect(answer.readUInt16BE(2)).toBeGreaterThanOrEqual(61_000);
  const [other = ""] = await addressOf(daemon, `z.${DOMAIN}`);
  expect(await ask(daemon.port, request("z", "b"), { address: other })).toEqual(NOT_FOUND);
});

test.concurrent("an address of the range that stands for nothing is answered not-found, and logged", async () => {
  const serve = await withRelay();
  // Only with a wildcard does anybody listen there.
  const daemon = await serve("--listen", "0.0.0.0");
  const node = await rawNode(daemon.port, { name: "here" });
  const address = RANGE.replace("0/24", "254");
  expect(await ask(daemon.port, request("z", "here"), { address })).toEqual(NOT_FOUND);
  const line = daemon.log().find(({ msg }) => msg === "node not found");
  expect(line).toMatchObject({
    node: "here",
    reason: `${address} is an address of the gateway that stands for no host`,
  });
  // NAMES lists nobody: no host, no nodes.
  expect((await ask(daemon.port, request("n"), { address })).length).toBe(4);
  await node.close();
});

test.concurrent("an address that another program has is left to it; the next one stands for the host", async () => {
  const serve = await withRelay();
  const first = await serve();
  const elsewhere = createServer().listen(first.port, SHARED);
  // Nobody has asked for that host yet.
  await once(elsewhere, "listening");
  const [address = ""] = await addressOf(first, FIRST);
  expect(address).not.toBe(SHARED);
  const line = first.log().find(({ msg }) => msg?.startsWith("gateway address is taken"));
  expect(line).toMatchObject({ host: FIRST, address: SHARED, error: `${SHARED}:${first.port} is in use` });
  expect((await ask(first.port, request("n"), { address })).length).toBe(4);
});

test.concurrent("without a relay process remote nodes are not found, which the log explains, and local ones are", async () => {
  const socket = join(await temporaryFolder("relay"), "missing", "x".repeat(120));
  const daemon = await startDaemon({
    args: [
      ...["--gateway", "--domain", DOMAIN, "--register", "none", "--gateway-range", RANGE, "--dns", "127.0.0.1:9"],
      ...["--gateway-listen", "127.0.0.1:0", "--relay-socket", socket, "--node", `b@${DOMAIN}=127.0.0.1:9100`],
    ],
  });
  const listening = createServer().listen(0, "0.0.0.0");
  await once(listening, "listening");
  const { port } = listening.address() as { port: number };
  const node = await rawNode(daemon.port, { name: "here", port });
  const [address = ""] = await addressOf(daemon, DOMAIN);
  const here = await ask(daemon.port, request("z", "here"), { address });
  expect([here[1], here.readUInt16BE(2)]).toEqual([0, port]);
  expect(await ask(daemon.port, request("z", "b"), { address })).toEqual(NOT_FOUND);
  const line = daemon.log().find(({ msg }) => msg === "look-up failed");
  expect(line).toMatchObject({ node: `b@${DOMAIN}`, reason: expect.stringContaining("there is no relay process") });
  listening.close();
  await node.close();
});

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import type { IpPort } from "../../src/config/network-values.js";
import { ConnectError } from "../../src/errors.js";
import { SilentAddresses } from "../../src/net/endpoint.js";
import { RELAY_TIMINGS } from "../../src/relay/limits.js";
import { SecureLink } from "../../src/relay/secure-link.js";
import { echo, ending, received, startPeer } from "../support/relay.js";
import { waitFor } from "../support/wait-for.js";

/** A VM here, and the end of its connection in the relay process. */
async function vm(): Promise<{ readonly own: Socket; readonly near: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const own = connect({ port: (server.address() as { port: number }).port, host: "127.0.0.1", allowHalfOpen: true });
  own.on("error", () => undefined);
  const [near] = (await once(server, "connection")) as [Socket];
  server.close();
  onTestFinished(() => {
    own.destroy();
    near.destroy();
  });
  return { own, near };
}

/** A link whose mutual TLS is what the test makes of it. */
function link(near: Socket, endpoints: readonly IpPort[], secure: (far: Socket) => Promise<Socket>) {
  const failed: string[] = [];
  const ended = new Promise<void>((resolve) => {
    new SecureLink(near, {
      endpoints,
      silent: new SilentAddresses(),
      spare: { take: () => true, give: () => undefined },
      timings: RELAY_TIMINGS,
      onDialFailed: ({ port }, { code, reason }) => failed.push(`${port} ${code} ${reason}`),
      onEnd: () => resolve(),
      secure: secure as (far: Socket) => Promise<TLSSocket>,
    });
  });
  return { failed, ended };
}

const noNode = () => new ConnectError("TLS", "no node here is called b");

test("a peer that resets the connection while our certificate is awaited ends the link and nothing else", async () => {
  let theirs: Socket | undefined;
  const peer = await startPeer((socket) => {
    theirs = socket;
  });
  const { own, near } = await vm();
  const { failed, ended } = link(near, [peer.endpoint], async (far) => {
    (await waitFor(() => theirs, { what: "the connection" })).resetAndDestroy();
    await waitFor(() => far.destroyed, { what: "the reset" });
    throw noNode();
  });
  expect(await ending(own)).toBe("ECONNRESET");
  await ended;
  expect(failed).toEqual([`${peer.endpoint.port} TLS no node here is called b`]);
});

test("the next place is tried when mutual TLS fails at one", async () => {
  const [without, having] = [await startPeer(), await startPeer(echo)];
  const { own, near } = await vm();
  const { failed } = link(near, [without.endpoint, having.endpoint], async (far) => {
    if (far.remotePort === having.endpoint.port) return far;
    far.destroy();
    throw noNode();
  });
  const answer = received(own);
  own.write("hello");
  await waitFor(() => answer() === "hello", { what: "the echo" });
  expect(failed).toEqual([`${without.endpoint.port} TLS no node here is called b`]);
});

test("a VM that gives up while mutual TLS is made leaves nothing behind", async () => {
  const peer = await startPeer();
  const { own, near } = await vm();
  let far: Socket | undefined;
  const { ended } = link(near, [peer.endpoint], async (socket) => {
    far = socket;
    await waitFor(() => near.destroyed, { what: "the end of the VM's connection" });
    return socket;
  });
  await waitFor(() => far, { what: "the dial" });
  own.resetAndDestroy();
  await sleep(0);
  near.resume();
  await ended;
  await waitFor(() => far?.destroyed, { what: "the end of the other one" });
});

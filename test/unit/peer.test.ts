import { expect, test } from "vitest";
import { keepSource, peerOf } from "../../src/epmd/peer.js";

/** A socket as Node has it: once it is closed it no longer tells who was at the other end. */
function socketFrom(remoteAddress: string, remotePort: number) {
  const state = { open: true, asked: 0 };
  const tell = <T>(value: T): T | undefined => {
    state.asked++;
    return state.open ? value : undefined;
  };
  const socket = {
    get remoteAddress() {
      return tell(remoteAddress);
    },
    get remotePort() {
      return tell(remotePort);
    },
    get localAddress() {
      return tell("127.0.0.1");
    },
  };
  return { socket, state };
}

test("a peer at a loopback address is of this machine, and its socket is not asked before its address is needed", () => {
  for (const [listened, from, address] of [
    ["127.0.0.1", "127.9.8.7", "127.9.8.7"],
    ["::1", "::1", "::1"],
    ["127.0.0.1", "10.1.2.3", "10.1.2.3"],
  ] as const) {
    const { socket, state } = socketFrom(from, 51_234);
    const peer = peerOf(socket, [], listened);
    expect(peer).toMatchObject({ local: true, sameHost: true, dialled: listened });
    expect(state.asked).toBe(0);
    expect(peer).toMatchObject({ address, port: 51_234 });
  }
});

test("the source of a peer that was kept is known when its connection has ended", () => {
  const { socket, state } = socketFrom("127.0.0.1", 51_234);
  const [peer, other] = [peerOf(socket, [], "127.0.0.1"), peerOf(socket, [], "127.0.0.1")];
  if (!peer || !other) throw new Error("no peer");
  keepSource(peer);
  state.open = false;
  expect(peer).toMatchObject({ address: "127.0.0.1", port: 51_234 });
  // Nothing better is known of one that was not.
  expect(other).toMatchObject({ address: "127.0.0.1", port: 0 });
});

test("at another address the socket says who asks; one that has ended is no peer", () => {
  const { socket, state } = socketFrom("10.0.0.9", 51_234);
  expect(peerOf(socket, [], "10.0.0.1")).toMatchObject({ local: false, address: "10.0.0.9", port: 51_234 });
  expect(peerOf(socket, [])).toMatchObject({ local: false, dialled: "127.0.0.1" });
  state.open = false;
  expect(peerOf(socket, [], "10.0.0.1")).toBeUndefined();
});

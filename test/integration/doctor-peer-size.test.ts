import { expect, test } from "vitest";
import { runCommand } from "../support/command-line.js";
import { type Behaviour, challenge5, challenge6, fakeNode, framed } from "../support/fake-node.js";
import { freePort } from "../support/free-port.js";

const NODE = "a@h.test";
/** A message larger than this carries the padding. Octets. */
const SMALL = 600;

/** What doctor finds of the size of packets to a node. */
async function peerSize(behaviour: Behaviour): Promise<{ readonly result: string; readonly evidence: string }> {
  const port = await fakeNode(behaviour);
  const alone = ["--port", String(await freePort()), "--register", "none", "--dns", "127.0.0.1:1"];
  const { stdout } = await runCommand(["doctor", NODE, "--node", `${NODE}=127.0.0.1:${port}`, "--json", ...alone]);
  const told = stdout.split("\n").slice(0, -1);
  return told.map((line) => JSON.parse(line)).find(({ check }) => check === "peer-size");
}

const answer = (challenge: Buffer) => Buffer.concat([framed("sok"), framed(challenge)]);

test("a node of OTP 22 has no room for a large message, so it cannot be told whether one arrives", async () => {
  const told = await peerSize((socket, received) => {
    if (received[2] === 0x6e) socket.write(answer(challenge5(NODE)));
    else socket.destroy();
  });
  expect(told).toMatchObject({ result: "skip" });
  expect(told.evidence).toMatch(/^127\.0\.0\.1:\d+: the handshake of OTP 22 and older has no room .* cannot be told$/);
  expect(told).not.toHaveProperty("code");
});

test("a node that hangs up on a large message has received it or not: it cannot be told, though it takes the old handshake", async () => {
  const told = await peerSize((socket, received) => {
    if (received.length > SMALL) socket.destroy();
    else if (received[2] === 0x6e) socket.write(answer(challenge5(NODE)));
    else if (received.length > 2 && received.readUInt16BE() + 2 === received.length) {
      socket.write(answer(challenge6(NODE)));
    }
  });
  expect(told).toMatchObject({ result: "skip" });
  expect(told.evidence).toMatch(/does not take a large message \(closed\), so this cannot be told$/);
  expect(told).not.toHaveProperty("code");
});

test("of a node that answers both it is told", async () => {
  const told = await peerSize((socket, received) => {
    if (received.length > 2 && received.readUInt16BE() + 2 === received.length) {
      socket.write(answer(challenge6(NODE)));
    }
  });
  expect(told).toMatchObject({ result: "ok" });
});

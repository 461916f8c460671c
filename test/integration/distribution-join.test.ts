import { expect, test } from "vitest";
import { Cookie } from "../../src/distribution/cookie.js";
import { type ProbeOptions, probeNode } from "../../src/distribution/probe.js";
import { ANSWERS, acknowledge, digestOf, fakePeer, linkMessage, rexReply, uint32 } from "../support/fake-link.js";
import { challenge6, framed } from "../support/fake-node.js";
import { waitFor } from "../support/wait-for.js";

const join = async (port: number, options: Partial<ProbeOptions> = {}) => {
  const probe = await probeNode(
    { address: "127.0.0.1", port },
    {
      ...{ isAsked: (name) => name === "a@h", timeout: 2000, from: "box", random: Math.random },
      ...{ cookie: new Cookie("secret"), ...options },
    },
  );
  expect(JSON.stringify(probe)).not.toContain("secret");
  return probe;
};

/** A node with the cookie, which answers each call. */
const answering = (answers: readonly Buffer[], before: (us: string) => Buffer = () => Buffer.alloc(0)) =>
  fakePeer((peer, us) => {
    if (!acknowledge(peer, "secret") || !peer.isFirst) return;
    const replies = answers.map((answer, id) => rexReply(us, id, answer));
    peer.socket.write(Buffer.concat([before(us), ...replies.reverse()]));
  });

test("a node with the cookie is joined and says how it is linked", async () => {
  expect(await join(await answering(ANSWERS))).toMatchObject({
    result: "node",
    joined: {
      cookie: "same",
      state: {
        release: "25",
        visible: ["b@h"],
        hidden: [],
        connecting: [],
        connectAll: true,
        preventsPartitions: true,
      },
    },
  });
});

test("the calls are written once, and after them the connection is ended in order", async () => {
  let ended = false;
  let sent = Buffer.alloc(0);
  const port = await fakePeer((peer, us) => {
    sent = Buffer.from(peer.sent);
    if (!acknowledge(peer, "secret")) return;
    if (peer.isFirst) peer.socket.on("end", () => (ended = true));
    const calls = sent.toString("latin1").split("rex").length - 1;
    if (calls === ANSWERS.length)
      for (const [id, answer] of ANSWERS.entries()) peer.socket.write(rexReply(us, id, answer));
  });
  expect(await join(port)).toMatchObject({ joined: { cookie: "same", state: {} } });
  await waitFor(() => ended, { what: "the end of the connection" });
  // Not one octet of the cookie.
  expect(sent.toString("latin1")).not.toContain("secret");
});

test("a C node with the cookie gets no message: it may end at one that it does not know", async () => {
  let sent = 0;
  const port = await fakePeer(
    (peer) => {
      sent += peer.sent.length;
      acknowledge(peer, "secret");
    },
    "a@h",
    // Of the library ei of OTP 25: neither PUBLISHED nor FRAGMENTS.
    "0000000d075f7fbc",
  );
  expect(await join(port)).toMatchObject({ hidden: true, joined: { cookie: "same", why: "no-vm" } });
  expect(sent).toBe(0);
});

test("a node with another cookie refuses ours", async () => {
  const port = await fakePeer((peer) => void acknowledge(peer, "other"));
  expect(await join(port)).toMatchObject({ result: "node", joined: { cookie: "refused" } });
});

test("a node that drops one of two of us while they shake hands is asked again, under another name", async () => {
  const names: string[] = [];
  const port = await fakePeer((peer, us) => {
    if (peer.isFirst) names.push(us);
    if (names.length === 1) return void peer.socket.end();
    if (!acknowledge(peer, "secret") || !peer.isFirst) return;
    for (const [id, answer] of ANSWERS.entries()) peer.socket.write(rexReply(us, id, answer));
  });
  let next = 0;
  expect(await join(port, { nextName: () => next++ / 64 })).toMatchObject({ joined: { cookie: "same", state: {} } });
  expect(names).toEqual(["srv-epmd-probe-0@box", "srv-epmd-probe-1@box"]);
});

test("a node with another cookie is asked twice, and no more", async () => {
  let replies = 0;
  const port = await fakePeer((peer) => {
    replies++;
    acknowledge(peer, "other");
  });
  expect(await join(port)).toMatchObject({ joined: { cookie: "refused" } });
  expect(replies).toBe(2);
});

test("a node that does not prove that it has the cookie is told from one that does", async () => {
  const port = await fakePeer(({ socket, reply }) =>
    socket.write(framed(Buffer.concat([Buffer.from("a"), Buffer.from(digestOf("other", reply.challenge), "hex")]))),
  );
  expect(await join(port)).toMatchObject({ joined: { cookie: "other" } });
});

test("a node of another name, and one that nobody asks with a cookie, get no digest", async () => {
  let replies = 0;
  const port = await fakePeer((peer) => {
    replies++;
    acknowledge(peer, "secret");
  });
  expect(await join(port, { isAsked: () => false })).toMatchObject({ result: "other-node" });
  expect(await join(port, { cookie: undefined })).not.toHaveProperty("joined");
  expect(replies).toBe(0);
});

test.each([
  ["says nothing to the digest", () => undefined, { cookie: "unknown", why: "silent" }],
  ["says something else", "HTTP/1.1 400\r\n", { cookie: "unknown", why: "garbage" }],
  ["sends another message", framed("sok"), { cookie: "unknown", why: "garbage" }],
  ["sends a part of its acknowledgement", Buffer.from("0011616161", "hex"), { cookie: "unknown", why: "silent" }],
] as const)("a node that %s leaves the cookie unknown", async (_, answer, joined) => {
  const port = await fakePeer(({ socket, isFirst }) => {
    if (isFirst && typeof answer !== "function") socket.write(answer);
  });
  expect(await join(port, { timeout: 600 })).toMatchObject({ result: "node", joined });
});

test("a node that hangs is told from one that is not there, however short the time is", async () => {
  const port = await fakePeer(() => undefined);
  for (const timeout of [250, 301.5, 400]) {
    expect(await join(port, { timeout })).toMatchObject({
      result: "node",
      joined: { cookie: "unknown", why: "silent" },
    });
  }
});

test("ticks are answered while the VM takes its time", async () => {
  let ticks = 0;
  const port = await fakePeer((peer, us) => {
    if (!acknowledge(peer, "secret")) return;
    if (peer.isFirst) peer.socket.write(Buffer.concat([uint32(0), uint32(0)]));
    const calls = peer.sent.toString("latin1").split("rex").length - 1;
    const tail = peer.sent.subarray(-8);
    if (calls < ANSWERS.length || !tail.equals(Buffer.alloc(8)) || ticks > 0) return;
    ticks = 2;
    for (const [id, answer] of ANSWERS.entries()) peer.socket.write(rexReply(us, id, answer));
  });
  expect(await join(port)).toMatchObject({ joined: { cookie: "same", state: {} } });
  expect(ticks).toBe(2);
});

test("messages that nobody asked for are passed over", async () => {
  const strange = (us: string) =>
    Buffer.concat([
      linkMessage(Buffer.from("0102", "hex")),
      linkMessage(Buffer.from("70836a", "hex")),
      rexReply("b@h", 0, ANSWERS[0] ?? Buffer.alloc(0)),
      rexReply(us, 99, Buffer.from("6a", "hex")),
    ]);
  expect(await join(await answering(ANSWERS, strange))).toMatchObject({ joined: { state: { visible: ["b@h"] } } });
});

test.each([
  ["a message of two mebibytes", uint32(2 * 1024 * 1024)],
  ["a broken term", linkMessage(Buffer.from("7083ff", "hex"))],
])("%s ends the conversation", async (_, junk) => {
  expect(await join(await answering([], () => junk))).toMatchObject({ joined: { cookie: "same", why: "garbage" } });
});

test("a VM that never stops talking is left", async () => {
  const chatter = linkMessage(Buffer.concat([Buffer.from("7083680161", "hex"), Buffer.alloc(60_000)]));
  const port = await fakePeer((peer) => {
    if (!acknowledge(peer, "secret") || !peer.isFirst) return;
    const timer = setInterval(() => peer.socket.write(chatter), 1);
    peer.socket.on("close", () => clearInterval(timer));
  });
  expect(await join(port, { timeout: 20_000 })).toMatchObject({ joined: { cookie: "same", why: "garbage" } });
}, 30_000);

test("a VM that closes before it has answered, and one that answers a part, are told", async () => {
  const closing = await fakePeer((peer) => {
    if (acknowledge(peer, "secret") && peer.sent.length > 0) peer.socket.end();
  });
  expect(await join(closing)).toMatchObject({ joined: { cookie: "same", why: "closed" } });
  const part = await answering(ANSWERS.slice(1));
  expect(await join(part, { timeout: 600 })).toMatchObject({ joined: { cookie: "same", why: "silent" } });
});

test("a VM whose answers are no lists of nodes gives no state", async () => {
  const port = await answering(ANSWERS.with(0, Buffer.from("7702" + "6f6b", "hex")));
  expect(await join(port)).toMatchObject({ joined: { cookie: "same", why: "garbage" } });
});

test("a challenge and what follows may come in one piece", async () => {
  // The acknowledgement of a node that cannot know our challenge, in the same write as its own.
  const hasty = Buffer.concat([
    framed("sok"),
    framed(challenge6("a@h")),
    framed(Buffer.concat([Buffer.from("a"), Buffer.alloc(16)])),
  ]);
  const { fakeNode } = await import("../support/fake-node.js");
  const port = await fakeNode((socket, received) => {
    if (received.length === 2 + received.readUInt16BE()) socket.write(hasty);
  });
  expect(await join(port)).toMatchObject({ joined: { cookie: "other" } });
});

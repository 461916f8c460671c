import { readFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ProbeOptions, probeNode } from "../../src/distribution/probe.js";
import { type Certificates, createCertificates } from "../support/certificates.js";
import { act, bound, challenge5, challenge6, fakeNode, framed, listenWith, sentName } from "../support/fake-node.js";
import { freePort } from "../support/free-port.js";
import { requirePeer } from "../support/require-peer.js";
import { silentPort } from "../support/silent-port.js";

const probe = (port: number, options: Partial<ProbeOptions> = {}) =>
  probeNode(
    { address: "127.0.0.1", port },
    { isAsked: (name) => name === "a@h", timeout: 1000, from: "box", random: Math.random, ...options },
  );

/** Whoever says its name gets this. */
const answering = (...messages: readonly Buffer[]) =>
  fakeNode((socket, received) => {
    if (received.length > 2) socket.write(Buffer.concat(messages));
  });

describe("a node", () => {
  test("is recognised by the name that it says itself, with version, flags and creation", async () => {
    const port = await answering(framed("sok"), framed(challenge6("a@h")));
    expect(await probe(port)).toEqual({
      result: "node",
      name: "a@h",
      version: 6,
      creation: 7,
      hidden: false,
      flags: expect.arrayContaining(["PUBLISHED", "HANDSHAKE_23", "MANDATORY_25_DIGEST"]),
      release: "OTP 25, 26 or 27",
      status: "ok",
      elapsedMs: expect.any(Number),
      connectMs: expect.any(Number),
    });
  });

  test("of another name is told from the one that was asked for", async () => {
    const port = await answering(framed("sok"), framed(challenge6("b@h")));
    expect(await probe(port)).toMatchObject({ result: "other-node", name: "b@h" });
  });

  test("that does not show itself is hidden", async () => {
    const port = await answering(framed("sok"), framed(challenge6("a@h", "0000000d07df7fbc")));
    expect(await probe(port)).toMatchObject({ result: "node", hidden: true });
  });

  test("may send its messages octet by octet", async () => {
    const stream = Buffer.concat([framed("sok"), framed(challenge6("a@h"))]);
    const port = await listenWith((socket) => {
      socket.setNoDelay(true);
      let at = 0;
      const timer = setInterval(() => (at < stream.length ? socket.write(stream.subarray(at, ++at)) : undefined), 1);
      socket.on("close", () => clearInterval(timer));
    });
    expect(await probe(port)).toMatchObject({ result: "node" });
  });

  test("of OTP 22, which hangs up on the new handshake, is asked with the old one", async () => {
    const port = await fakeNode((socket, received) => {
      if (received[2] === 0x6e) socket.write(Buffer.concat([framed("sok"), framed(challenge5("a@h"))]));
      else socket.destroy();
    });
    const seen = await probe(port);
    expect(seen).toMatchObject({ result: "node", version: 5, release: "OTP 22 or older" });
    expect(seen).not.toHaveProperty("creation");
  });

  test("is never answered: whoever asks only who is there does not authenticate", async () => {
    const sent: Buffer[] = [];
    const port = await fakeNode((socket, received) => {
      sent.push(Buffer.from(received));
      socket.write(Buffer.concat([framed("sok"), framed(challenge6("a@h"))]));
    });
    await probe(port);
    expect(sent).toHaveLength(1);
    // Length, N, 64 bits of flags, 32 of creation, length of the name, and the name: no digest.
    expect(sent[0]?.length).toBe(2 + 1 + 8 + 4 + 2 + sentName(sent[0] ?? Buffer.alloc(0)).length);
  });

  test.each(["nok", "not_allowed", "alive"])("that says %s is one, whatever its name", async (status) => {
    const port = await answering(framed(`s${status}`));
    expect(await probe(port)).toMatchObject({ result: "erlang", status });
  });

  test("that is asked twice under one name drops one of the two, which comes again under another", async () => {
    const names: string[] = [];
    const port = await fakeNode((socket, received, connection) => {
      names[connection] = sentName(received);
      if (connection === 0) socket.end(framed("snok"));
      else if (connection === 1) socket.end(framed("sok"));
      else socket.write(Buffer.concat([framed("sok"), framed(challenge6("a@h"))]));
    });
    let next = 0;
    expect(await probe(port, { random: () => next++ / 64 })).toMatchObject({ result: "node" });
    expect(names).toEqual(["srv-epmd-probe-0@box", "srv-epmd-probe-1@box", "srv-epmd-probe-2@box"]);
  });

  test("that is linked with another of us under one name is asked under another", async () => {
    const port = await fakeNode((socket, _, connection) => {
      socket.write(connection === 0 ? framed("salive") : Buffer.concat([framed("sok"), framed(challenge6("a@h"))]));
    });
    expect(await probe(port)).toMatchObject({ result: "node", name: "a@h" });
  });

  test("that hangs up each time after its status is one, whatever its name", async () => {
    const port = await fakeNode((socket) => socket.end(framed("sok")));
    expect(await probe(port)).toMatchObject({ result: "erlang", status: "ok" });
  });

  test("is told a name that it can take, however this machine is called", async () => {
    let name = "";
    const port = await fakeNode((_, received) => {
      name = sentName(received);
    });
    await probe(port, { from: "bö@x\n", timeout: 200 });
    expect(name).toMatch(/^srv-epmd-probe-[0-9]+@b--x-$/);
  });
});

describe("what is no node", () => {
  test("a port where nobody listens refuses", async () => {
    expect(await probe(await freePort())).toMatchObject({ result: "refused" });
  });

  test("a port that does not answer the attempt to connect is silent", async () => {
    const seen = await probe(await silentPort(), { timeout: 300 });
    expect(seen).toMatchObject({ result: "silent", stage: "connect" });
    expect(seen.elapsedMs).toBeGreaterThan(290);
    expect(seen).not.toHaveProperty("connectMs");
  });

  test("a server that waits for more than a name is silent", async () => {
    const port = await listenWith(() => undefined);
    expect(await probe(port, { timeout: 300 })).toMatchObject({ result: "silent", stage: "handshake" });
  });

  test("a server that waits after the status is silent too", async () => {
    const port = await answering(framed("sok"));
    expect(await probe(port, { timeout: 300 })).toMatchObject({ result: "silent", stage: "handshake" });
  });

  test("a proxy without anybody behind it hangs up", async () => {
    const port = await listenWith((socket) => socket.destroy());
    expect(await probe(port)).toMatchObject({ result: "closed" });
  });

  test("a server that resets the connection hangs up", async () => {
    const port = await fakeNode((socket) => (socket as import("node:net").Socket).resetAndDestroy());
    expect(await probe(port)).toMatchObject({ result: "closed" });
  });

  test("an HTTP server is quoted", async () => {
    const port = await bound(createHttpServer());
    expect(await probe(port)).toMatchObject({ result: "not-erlang", said: expect.stringMatching(/^HTTP\/1.1 400/) });
  });

  test.each<[string, Buffer]>([
    ["a server that speaks first", Buffer.from("SSH-2.0-OpenSSH_9.2\r\n")],
    ["an echo", Buffer.from("\0\x03abc")],
    ["a status that no node has", framed("smaybe")],
    ["a challenge that ends too early", Buffer.concat([framed("sok"), framed("N")])],
  ])("%s is quoted", async (_, said) => {
    const port = await answering(said);
    expect(await probe(port)).toMatchObject({ result: "not-erlang", said: expect.any(String) });
  });

  test("an address without a way to it is unreachable", async () => {
    const seen = await probeNode(
      { address: "fe80::1", port: 1 },
      { isAsked: () => true, timeout: 1000, from: "box", random: Math.random },
    );
    // A link-local address without its zone.
    expect(seen).toMatchObject({ result: "unreachable", code: "EINVAL" });
  });
});

requirePeer("openssl")("TLS", () => {
  let certificates: Certificates;
  let identity: TlsOptions;
  beforeAll(async () => {
    certificates = await createCertificates();
    const { cert, key } = await certificates.issue("node.test", "DNS:node.test", "IP:127.0.0.1");
    identity = { cert: await readFile(cert), key: await readFile(key) };
  });
  afterAll(() => certificates.remove());

  const tlsServer = (options: TlsOptions = {}) =>
    bound(
      createTlsServer({ ...identity, ...options }, (socket) =>
        act(socket, (_, received) => {
          // Over TLS a message has four octets of length.
          if (received[4] === 0x4e) socket.write(Buffer.concat([framed("sok", 4), framed(challenge6("a@h"), 4)]));
          else socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
        }),
      ).on("tlsClientError", () => undefined),
    );
  const tls = { protocol: "TLSv1.3", names: ["node.test", "127.0.0.1"] };

  test("the node inside is asked, and the names of its certificate are told", async () => {
    expect(await probe(await tlsServer())).toMatchObject({ result: "node", name: "a@h", tls });
  });

  test("it is spoken at once where it was the last time", async () => {
    const port = await tlsServer();
    expect(await probe(port, { tlsFirst: true })).toMatchObject({ result: "node", tls });
  });

  test("a node without TLS is found all the same when it was TLS the last time", async () => {
    const port = await answering(framed("sok"), framed(challenge6("a@h")));
    expect(await probe(port, { tlsFirst: true })).toMatchObject({ result: "node", name: "a@h" });
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "%s that wants a client certificate is told from no TLS",
    async (version) => {
      const ca = await readFile(certificates.ca);
      const port = await tlsServer({ ca, requestCert: true, rejectUnauthorized: true, maxVersion: version });
      expect(await probe(port)).toMatchObject({ result: "tls", code: expect.stringMatching(/^E/) });
    },
  );

  test("something else inside it is quoted", async () => {
    const port = await bound(
      createTlsServer(identity, (socket) => act(socket, () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))).on(
        "tlsClientError",
        () => undefined,
      ),
    );
    expect(await probe(port)).toMatchObject({ result: "not-erlang", tls, said: expect.stringMatching(/^HTTP/) });
  });
});

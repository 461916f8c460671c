import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Refusal, serverNameOf } from "../../src/connect/core/inbound.js";
import { Inbound } from "../../src/connect/inbound.js";
import { secure } from "../../src/connect/outbound.js";
import { type Credentials, ServiceCredentials } from "../../src/connect/trust.js";
import { ConsulClient } from "../../src/consul/client.js";
import { ConsulError } from "../../src/errors.js";
import { NativeEnd } from "../../src/relay/native-end.js";
import { type Certificates, createCertificates, type KeyPair } from "../support/certificates.js";
import { startChild } from "../support/child.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { collectLog } from "../support/log-lines.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

const NODE = "node_a@svc.service.consul";

/** Gives back what it is sent, and keeps count of it. */
async function startEcho(): Promise<{ port: number; bytes: () => number; server: Server }> {
  let bytes = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket
      .on("error", () => {})
      .on("data", (chunk) => {
        bytes += chunk.length;
      });
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as { port: number }).port, bytes: () => bytes, server };
}

requirePeer("consul", "openssl")("the ends of mutual TLS with certificates of a real Consul", () => {
  /** Of Consul's own CA. */
  let authority: Certificates;
  let consul: Consul;
  let client: ConsulClient;
  let echo: Awaited<ReturnType<typeof startEcho>>;
  const credentials = new Map<string, ServiceCredentials>();
  const opened: { readonly close: () => unknown }[] = [];

  beforeAll(async () => {
    authority = await createCertificates();
    const [private_key, root_cert] = await Promise.all([readPem(authority.caKey), readPem(authority.ca)]);
    consul = await startConsul({ config: { connect: { enabled: true, ca_config: { private_key, root_cert } } } });
    client = new ConsulClient({ url: consul.url, log: collectLog().log });
    echo = await startEcho();
    for (const service of ["svc", "web", "other"]) {
      credentials.set(service, new ServiceCredentials(service, client, () => {}));
    }
    await waitFor(() => Array.from(credentials.values()).every(({ now }) => now), { what: "the certificates" });
  });
  afterEach(async () => {
    const { body } = await consul.request("GET", "/v1/connect/intentions");
    for (const { ID } of (body ?? []) as { ID: string }[])
      await consul.request("DELETE", `/v1/connect/intentions/${ID}`);
    for (const one of opened.splice(0)) await one.close();
  });
  afterAll(async () => {
    for (const one of credentials.values()) one.stop();
    echo?.server.close();
    await client?.close();
    await consul?.stop();
    await authority?.remove();
  });

  const of = (service: string) => credentials.get(service)?.now as Credentials;
  const deny = (source: string, destination = "svc") =>
    consul.request("POST", "/v1/connect/intentions", {
      SourceName: source,
      DestinationName: destination,
      SourceType: "consul",
      Action: "deny",
    });

  async function listening({
    recheck = 0,
    mostPending,
    service = "svc",
    node = NODE,
    vmPort = echo.port,
    agent = client,
    admit = () => true,
  }: {
    readonly vmPort?: number;
    readonly agent?: Pick<ConsulClient, "authorize">;
    readonly admit?: () => boolean;
    readonly recheck?: number;
    readonly mostPending?: number;
    readonly service?: string;
    readonly node?: string;
  } = {}) {
    const refusals: Refusal[] = [];
    let links = 0;
    const inbound = new Inbound({
      agent,
      own: () => ({ service, credentials: credentials.get(service) as ServiceCredentials }),
      ...(mostPending !== undefined && { mostPending }),
      linger: 10_000,
      admit: () => {
        const isAdmitted = admit();
        links += isAdmitted ? 1 : 0;
        return isAdmitted;
      },
      onLinkEnd: () => {
        links -= 1;
      },
      hasRoomFor: () => true,
      onRefused: (refusal) => void refusals.push(refusal),
      onError: (error) => {
        throw error;
      },
    });
    opened.push(inbound);
    inbound.recheckEvery(recheck);
    inbound.renew();
    inbound.serve({ node, place: { address: "127.0.0.1", port: vmPort } });
    const port = await inbound.listen({ address: "127.0.0.1", port: 0 });
    return { inbound, refusals, port, links: () => links };
  }

  async function dial(port: number, service = "web", node = NODE, expected = "svc"): Promise<TLSSocket> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    const secured = await secure(socket, of(service), { service: expected }, serverNameOf(node));
    opened.push({ close: () => secured.destroy() });
    return secured;
  }
  /** What comes back for these bytes; undefined: the connection ends instead. */
  async function answer(secured: TLSSocket, bytes = "hello"): Promise<string | undefined> {
    let received = "";
    secured
      .on("error", () => {})
      .on("data", (chunk: Buffer) => {
        received += chunk;
      });
    secured.write(bytes);
    return waitFor(
      () =>
        received.length >= bytes.length ? received : secured.destroyed || secured.readableEnded ? "ended" : undefined,
      {
        what: "an answer or an end",
      },
    ).then((text) => (text === "ended" ? undefined : text));
  }

  test("join a caller that intentions allow with the node that it asks for", async () => {
    const { port, inbound, refusals, links } = await listening();
    const secured = await dial(port);
    expect(secured.getProtocol()).toBe("TLSv1.3");
    expect(await answer(secured)).toBe("hello");
    expect(inbound.links).toEqual([
      { node: NODE, caller: expect.stringMatching(/^spiffe:\/\/.*\/dc1\/svc\/web$/), since: expect.any(Number) },
    ]);
    expect(refusals).toEqual([]);
    secured.destroy();
    await waitFor(() => links() === 0 && inbound.links.length === 0, { what: "the end of the link" });
  });

  test("have a caller wait for a certificate that is on its way", async () => {
    const node = "node_l@late.service.consul";
    credentials.set("late", new ServiceCredentials("late", client, () => {}));
    const { port } = await listening({ service: "late", node });
    expect(credentials.get("late")?.now).toBeUndefined();
    expect(await answer(await dial(port, "web", node, "late"))).toBe("hello");
  });

  test.each([
    [
      "the agent does not answer",
      "AGENT",
      /does not say whether it may come in: away/,
      { agent: { authorize: () => Promise.reject(new Error("away")) } },
    ],
    ["there is no room", "FULL", /as many files open as it may/, { admit: () => false }],
    ["its VM does not listen", "VM", /127\.0\.0\.1:1 does not take the connection/, { vmPort: 1 }],
  ] as const)("let nobody in where %s, and leave nothing behind", async (_, code, reason, how) => {
    const { port, refusals, links, inbound } = await listening(how);
    expect(await answer(await dial(port))).toBeUndefined();
    await waitFor(() => refusals.length > 0, { what: "the refusal" });
    expect(refusals).toEqual([expect.objectContaining({ code, node: NODE, reason: expect.stringMatching(reason) })]);
    expect([links(), inbound.links]).toEqual([0, []]);
  });

  test("say nothing of one question for a certificate that fails, as when the token changes, and of lasting ones why", async () => {
    let failures = 1;
    const flaky = {
      leaf: async (...asked: Parameters<ConsulClient["leaf"]>) => {
        if (asked[1] > 0 && failures-- > 0) throw new Error("the client is closed");
        return client.leaf(...asked);
      },
      roots: (...asked: Parameters<ConsulClient["roots"]>) => client.roots(...asked),
    };
    const said: (string | undefined)[] = [];
    const own: ServiceCredentials = new ServiceCredentials("flaky", flaky, () => said.push(own.trouble));
    await waitFor(() => own.now && failures < 0, { what: "a certificate, and the next question" });
    await waitFor(() => said.length > 2, { what: "the answer after the failure" });
    own.stop();
    expect(said.slice(said.indexOf(undefined))).toEqual(said.slice(said.indexOf(undefined)).map(() => undefined));
    const forbidden = () => Promise.reject(new ConsulError("CONSUL_FORBIDDEN", "Permission denied"));
    const refused = new ServiceCredentials("web", { leaf: forbidden, roots: forbidden }, () => {});
    expect(await refused.first()).toBeUndefined();
    expect(refused.trouble).toBe('Permission denied: the token needs service "web" { policy = "write" }');
    refused.stop();
  });

  test("keep those that are in, however many others come and are not let in", async () => {
    const { port, inbound } = await listening({ mostPending: 4 });
    const standing: TLSSocket[] = [];
    for (let n = 0; n < 12; n++) standing.push(await dial(port));
    for (const secured of standing) expect(await answer(secured)).toBe("hello");
    const slow = Array.from({ length: 20 }, () =>
      connect(port, "127.0.0.1")
        .on("error", () => {})
        .resume(),
    );
    opened.push({ close: () => slow.map((socket) => socket.destroy()) });
    await waitFor(() => slow.filter(({ destroyed, readableEnded }) => destroyed || readableEnded).length >= 16, {
      what: "the end of the oldest",
    });
    expect(inbound.links).toHaveLength(12);
  });

  test("carry many bytes each way, and both ends", async () => {
    const { port } = await listening();
    const link = keepBusy(await dial(port));
    await waitFor(() => link.sent() >= 100_000_000, { what: "100 MB", timeout: 30_000 });
    expect(await link.finish()).toEqual({ octets: link.sent(), areEqual: true });
  }, 60_000);

  test("let nobody in whom an intention denies, say why, and send the VM nothing", async () => {
    await deny("web");
    const { port, refusals } = await listening();
    const before = echo.bytes();
    await waitFor(async () => (await answer(await dial(port))) === undefined, { what: "the denial" });
    expect(refusals.at(-1)).toMatchObject({
      ...{ code: "DENIED", node: NODE, reason: expect.stringContaining("DENY") },
      service: expect.stringMatching(/\/svc\/svc$/),
      caller: expect.stringMatching(/\/svc\/web$/),
    });
    expect(await answer(await dial(port, "other"))).toBe("hello");
    expect(echo.bytes() - before).toBeLessThanOrEqual(5 * 2);
  });

  test("cut a standing link that a new intention denies, and no other", async () => {
    const { port, refusals } = await listening({ recheck: 100 });
    const [web, other] = [await dial(port), await dial(port, "other")];
    expect([await answer(web), await answer(other)]).toEqual(["hello", "hello"]);
    await deny("web");
    await waitFor(() => web.destroyed || web.readableEnded, { what: "the cut" });
    expect(refusals).toEqual([expect.objectContaining({ code: "CUT", reason: expect.stringContaining("DENY") })]);
    expect(await answer(other, "still here")).toContain("still here");
  });

  test("are ready for callers of the service of now, though the agent refuses the question about a link to the service before", async () => {
    let refused = 0;
    let refuses = false;
    const agent = createHttpServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      if (refuses && body.includes('"Target":"svc"')) {
        refused++;
        response.writeHead(403).end("Permission denied");
        return;
      }
      const answered = await fetch(`${consul.url}${request.url}`, {
        method: request.method ?? "GET",
        ...(body !== "" && { body }),
      }).catch(() => undefined);
      const headers = Object.fromEntries(
        ["x-consul-index", "content-type"].map((name) => [name, answered?.headers.get(name) ?? ""]),
      );
      response.writeHead(answered?.status ?? 502, headers);
      response.end(await answered?.text());
    }).listen(0, "127.0.0.1");
    await once(agent, "listening");
    opened.push({ close: () => agent.closeAllConnections() }, agent);
    const end = new NativeEnd({
      ...{ linger: 1_000, admit: () => true, onLinkEnd: () => undefined, hasRoomFor: () => true },
      ...{ onRefused: () => undefined, onNotice: () => undefined, log: collectLog().log },
    });
    opened.push(end);
    const { port: agentPort } = agent.address() as AddressInfo;
    const settings = {
      agent: { url: `http://127.0.0.1:${agentPort}` },
      listen: { address: "127.0.0.1", port: 0 },
      recheck: 50,
    };
    const daemon = {};
    const port = await end.configure({ ...settings, service: "svc" }, daemon);
    end.serve({ node: NODE, place: { address: "127.0.0.1", port: echo.port } }, daemon);
    const isEndOf = (service: string) =>
      waitFor(() => end.status?.trouble === undefined && end.status?.certificate?.service === service, {
        what: `the certificate of ${service}`,
      });
    await isEndOf("svc");
    expect(await answer(await dial(port))).toBe("hello");
    refuses = true;
    await waitFor(() => end.status?.trouble?.includes("Permission denied"), { what: "a refusal that concerns all" });
    await end.configure({ ...settings, service: "other" }, daemon);
    await isEndOf("other");
    const before = refused;
    await waitFor(() => refused >= before + 3, { what: "further questions about the link" });
    expect([end.status?.trouble, end.status?.links.length]).toEqual([undefined, 1]);
    expect(await answer(await dial(port, "web", NODE, "other"))).toBe("hello");
  });

  test("do not dial on where the certificate is that of another service, or of another datacenter", async () => {
    const { port } = await listening();
    await expect(dial(port, "web", NODE, "web")).rejects.toThrow(/is that of spiffe:.*\/svc\/svc, not of web in dc1/);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const elsewhere = { service: "svc", datacenter: "dc2" };
    await expect(secure(socket, of("web"), elsewhere, serverNameOf(NODE))).rejects.toThrow(/not of svc in dc2/);
  });

  describe("refuse", () => {
    let foreign: Certificates;
    beforeAll(async () => {
      foreign = await createCertificates();
    });
    afterAll(() => foreign?.remove());

    /** @returns what the refusals were, once the caller's connection has ended without a byte of the VM */
    async function refused(act: (port: number) => Promise<Socket | TLSSocket>): Promise<string[]> {
      const { port, refusals } = await listening();
      const before = echo.bytes();
      const socket = await act(port);
      let received = 0;
      socket
        .on("error", () => {})
        .on("data", (chunk: Buffer) => {
          received += chunk.length;
        });
      await waitFor(() => socket.destroyed || socket.readableEnded, { what: "the end", timeout: 10_000 });
      await waitFor(() => refusals.length > 0, { what: "the refusal" });
      expect([received > 200, echo.bytes()]).toEqual([false, before]);
      expect(refusals.map(({ from }) => from)).toEqual([expect.stringMatching(/^127\.0\.0\.1:[1-9][0-9]*$/)]);
      return refusals.map(({ code, reason }) => `${code} ${reason}`);
    }
    const tls = (port: number, options: object) =>
      connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, servername: serverNameOf(NODE), ...options });

    test("a caller without a certificate", async () => {
      expect(await refused(async (port) => tls(port, {}))).toEqual(["TLS it shows no certificate"]);
    });

    test("one of another CA, with the right URI", async () => {
      const pair = await readPair(foreign.issue("web", `URI:${of("web").uri}`));
      expect(await refused(async (port) => tls(port, pair))).toEqual([
        expect.stringMatching(/^TLS its certificate is not accepted: /),
      ]);
    });

    test("one whose time is over, of the right CA and with the right URI", async () => {
      const pair = await readPair(authority.issueExpired("web", `URI:${of("web").uri}`));
      expect(await refused(async (port) => tls(port, pair))).toEqual([
        expect.stringMatching(/^TLS its certificate is not accepted: CERT_HAS_EXPIRED$/),
      ]);
    });

    test.each([
      ["no URI", (_: string) => ["DNS:web"]],
      ["two URIs", (uri: string) => [`URI:${uri}`, "URI:spiffe://other.test/ns/default/dc/dc1/svc/web"]],
      ["a service of another trust domain", () => ["URI:spiffe://other.test/ns/default/dc/dc1/svc/web"]],
      [
        "an agent's URI",
        (uri: string) => [`URI:${uri.replace("/ns/default/dc", "/agent/client/dc").replace("svc", "id")}`],
      ],
    ])("a certificate of the right CA with %s", async (_, names) => {
      const pair = await readPair(authority.issue("web", ...names(of("web").uri)));
      expect(await refused(async (port) => tls(port, pair))).toEqual([
        expect.stringMatching(/^NO_SERVICE its certificate names no service of /),
      ]);
    });

    test("one that asks for a node that is not here", async () => {
      const context = createSecureContext(of("web").pem);
      const named = { secureContext: context, servername: "node_z.svc.service.consul" };
      expect(await refused(async (port) => tls(port, named))).toEqual([expect.stringMatching(/node_z\.svc/)]);
    });

    test("TLS 1.1", async () => {
      const old = { ...of("web").pem, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
      expect(await refused(async (port) => tls(port, old))).toEqual([expect.stringMatching(/^TLS /)]);
    });

    test("plain bytes of a distribution handshake", async () => {
      const hello = Buffer.from("0015 4e 0000000d 07df7fbd 00000001 0006 61406c 6f63".replaceAll(" ", ""), "hex");
      expect(
        await refused(async (port) => {
          const socket = connect(port, "127.0.0.1");
          socket.write(hello);
          return socket;
        }),
      ).toEqual([expect.stringMatching(/^TLS /)]);
    });

    test("one that names no node where there are several, and lets it in where there is one", async () => {
      const { port, inbound, refusals } = await listening();
      const nameless = () => tls(port, { secureContext: of("web").context, servername: "" });
      expect(await answer(nameless())).toBe("hello");
      // Not published: nobody who gives no name means it.
      inbound.serve({
        node: "rabbitmqcli-1@svc.service.consul",
        place: { address: "127.0.0.1", port: 1 },
        isHelper: true,
      });
      expect(await answer(nameless())).toBe("hello");
      inbound.serve({ node: "node_b@svc.service.consul", place: { address: "127.0.0.1", port: 1 } });
      expect(await answer(nameless())).toBeUndefined();
      await waitFor(() => refusals.length > 0, { what: "the refusal" });
      const reason = "it gives no server name (SNI), and 2 published nodes are here";
      expect(refusals).toEqual([expect.objectContaining({ code: "NO_NODE", reason })]);
    });

    test("one that names no node, when that which it would get has ended while the agent was asked, and another is here", async () => {
      const agent: Pick<ConsulClient, "authorize"> = {
        authorize: (...asked) => {
          inbound.drop(NODE);
          inbound.serve({ node: "node_b@svc.service.consul", place: { address: "127.0.0.1", port: echo.port } });
          return client.authorize(...asked);
        },
      };
      const { port, inbound, refusals } = await listening({ agent });
      expect(await answer(tls(port, { secureContext: of("web").context, servername: "" }))).toBeUndefined();
      await waitFor(() => refusals.length > 0, { what: "the refusal" });
      expect(refusals).toEqual([expect.objectContaining({ code: "NO_NODE", reason: `${NODE} has ended`, node: NODE })]);
    });

    test("one whose handshake is cut at any octet, and others come in meanwhile", async () => {
      const { port, refusals, links } = await listening();
      // A handshake has fewer than 1,800 octets.
      const cuts = [1, 5, 6, 60, 200, 400, 700, 1_000, 1_400];
      for (const octets of [...cuts, 1_800]) {
        const proxy = createServer((near) => {
          const far = connect(port, "127.0.0.1");
          let left = octets;
          near
            .on("error", () => {})
            .on("data", (chunk: Buffer) => {
              if (left > 0) far.write(chunk.subarray(0, left));
              left -= chunk.length;
              if (left <= 0) far.end(() => far.destroy());
            });
          far.on("error", () => {}).on("close", () => near.destroy());
          far.pipe(near);
        });
        proxy.listen(0, "127.0.0.1");
        await once(proxy, "listening");
        const cut = tls((proxy.address() as { port: number }).port, { secureContext: of("web").context });
        cut.on("error", () => {});
        cut.write("x".repeat(4_000));
        await waitFor(() => cut.destroyed, { what: `the end after ${octets} octets` });
        proxy.close();
      }
      await waitFor(() => links() === 0, { what: "no link" });
      await waitFor(() => refusals.length === cuts.length, { what: "all refusals" });
      expect(refusals.every(({ code }) => code === "TLS")).toBe(true);
      expect(await answer(await dial(port))).toBe("hello");
    });

    test("those that are slow with their handshake, by the hundred, while others come in", async () => {
      const { port } = await listening();
      const slow = Array.from({ length: 700 }, () =>
        connect(port, "127.0.0.1")
          .on("error", () => {})
          .resume(),
      );
      opened.push({ close: () => slow.map((socket) => socket.destroy()) });
      await waitFor(() => slow.some(({ destroyed, readableEnded }) => destroyed || readableEnded), { what: "an end" });
      expect(await answer(await dial(port))).toBe("hello");
    });
  });

  test("who connects and says nothing is gone after 5 s, and is no caller that was refused", async () => {
    const { port, refusals } = await listening();
    const silent = [0, 1].map(() => connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {}));
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    silent[0]?.end();
    for (const socket of silent) socket.resume();
    await waitFor(() => silent.every(({ readableEnded, destroyed }) => readableEnded || destroyed), {
      what: "their end",
      timeout: 10_000,
    });
    expect(refusals).toEqual([]);
  });

  test("a link whose caller does not read is cut when it has stalled for too long", async () => {
    const { port, inbound, links } = await listening();
    const socket = await dial(port);
    socket.write(randomBytes(60_000_000));
    await waitFor(() => links() === 1, { what: "the link" });
    await waitFor(
      () => {
        inbound.sweep(200);
        return links() === 0;
      },
      { what: "the cut" },
    );
  });

  test("no link stays of a caller that is killed in the middle of its bytes", async () => {
    const { port, inbound, links } = await listening();
    const { cert, key, ca } = of("web").pem;
    const program = `
      const { connect } = require("node:tls");
      const { pem, port, servername } = JSON.parse(process.argv[1]);
      for (let n = 0; n < 20; n++) {
        const socket = connect({ port, host: "127.0.0.1", servername, ...pem, checkServerIdentity: () => undefined });
        const send = () => { while (socket.write(Buffer.alloc(65536))); };
        socket.on("error", () => {}).on("secureConnect", send).on("drain", send).resume();
      }`;
    const told = JSON.stringify({ pem: { cert, key, ca }, port, servername: serverNameOf(NODE) });
    const child = startChild(process.execPath, ["-e", program, told]);
    await waitFor(() => inbound.links.length === 20 && links() === 20, { what: "20 links" });
    await child.kill();
    // Its ends are all seen in one turn.
    for (const until = performance.now() + 150; performance.now() < until; );
    await waitFor(() => inbound.links.length === 0 && links() === 0, { what: "the end of all", timeout: 15_000 });
  });

  test("a rotation of the CA disturbs none of 20 busy links, and new links are made with the new certificates", async () => {
    const { port, inbound } = await listening({ recheck: 200 });
    const links = await Promise.all(Array.from({ length: 20 }, async () => keepBusy(await dial(port))));
    const haveMoved = () => {
      const before = links.map((link) => link.sent());
      return waitFor(() => links.every((link, index) => link.sent() > (before[index] ?? 0)), { what: "all links" });
    };
    await haveMoved();
    const before = of("web").pem;
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = privateKey.export({ type: "sec1", format: "pem" }).toString();
    expect(
      (await consul.request("PUT", "/v1/connect/ca/configuration", { Provider: "consul", Config: { PrivateKey: key } }))
        .status,
    ).toBe(200);
    await waitFor(() => ["svc", "web"].every((one) => of(one).pem.ca.length > 1 || of(one).pem.cert !== before.cert), {
      what: "the new root",
      timeout: 20_000,
    });
    inbound.renew();
    await haveMoved();
    expect(inbound.links).toHaveLength(20);
    for (const link of links) expect(await link.finish()).toEqual({ octets: link.sent(), areEqual: true });
    await waitFor(async () => (await answer(await dial(port))) === "hello", { what: "a new link" });
  });
});

/** Sends octets without end, and compares what the other end sends back. */
function keepBusy(socket: TLSSocket) {
  const block = randomBytes(1 << 18);
  const [sent, received] = [createHash("sha256"), createHash("sha256")];
  const octets = { sent: 0, received: 0 };
  let isFinishing = false;
  const ended = once(socket, "end");
  const send = () => {
    if (isFinishing) return;
    sent.update(block);
    octets.sent += block.length;
    socket.write(block);
  };
  socket.on("data", (chunk: Buffer) => {
    received.update(chunk);
    octets.received += chunk.length;
    if (octets.received === octets.sent) setImmediate(send);
  });
  send();
  return {
    sent: () => octets.sent,
    finish: async () => {
      isFinishing = true;
      socket.end();
      await ended;
      return { octets: octets.received, areEqual: sent.digest("hex") === received.digest("hex") };
    },
  };
}

const readPem = (file: string) => readFile(file, "utf8");

async function readPair(made: Promise<KeyPair>): Promise<{ cert: string; key: string }> {
  const { cert, key } = await made;
  return { cert: await readPem(cert), key: await readPem(key) };
}

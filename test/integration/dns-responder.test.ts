import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as packet from "dns-packet";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { answerFromZone, type Zone } from "../../src/dns/core/zone.js";
import { createResolver } from "../../src/dns/resolver.js";
import { type Responder, type ResponderOptions, startResponder } from "../../src/dns/responder.js";
import { framed } from "../support/dns-query.js";
import { askUdp } from "../support/gateway-dns.js";
import { collectLog } from "../support/log-lines.js";
import { waitFor } from "../support/wait-for.js";

const log = createLogger({ level: "silent", format: "json", write: () => {} });
const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const node = (name: string, port: number, address = "127.0.0.1") => ({
  owner: `${name}.demo.test`,
  port,
  weight: 1,
  addresses: [address],
});
const ZONE: Zone = {
  domains: ["demo.test"],
  nodes: [
    node("node_a", 9100),
    ...Array.from({ length: 8 }, (_, index) => node("some", 9000 + index, `10.0.0.${index}`)),
    ...Array.from({ length: 20 }, (_, index) => node("many", 9000 + index, `10.0.0.${index}`)),
  ],
};

async function start(options: Partial<ResponderOptions> = {}): Promise<Responder> {
  const responder = await startResponder({
    address: "127.0.0.1",
    port: 0,
    answer: (query) => answerFromZone(query, ZONE),
    log,
    ...options,
  });
  closers.push(responder.close);
  return responder;
}

function query(name: string, udpPayloadSize?: number, type: packet.RecordType = "SRV"): Buffer {
  return packet.encode({
    type: "query",
    id: 77,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type }],
    additionals:
      udpPayloadSize === undefined
        ? []
        : [
            {
              type: "OPT",
              name: ".",
              udpPayloadSize,
              extendedRcode: 0,
              ednsVersion: 0,
              flags: 0,
              flag_do: false,
              options: [],
            },
          ],
  });
}

/** What a fault in who answers might give. */
const NO_BYTES = { length: 12 } as Buffer;

function connect({ port, address }: Responder): { socket: net.Socket; received: () => Buffer } {
  const socket = net.connect({ port, host: address, allowHalfOpen: true });
  let bytes = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
  });
  socket.on("error", () => {});
  closers.push(() => socket.destroy());
  return { socket, received: () => bytes };
}

async function closed(socket: net.Socket): Promise<void> {
  await Promise.race([once(socket, "end"), once(socket, "close")]);
}

/** Complete messages in what came over TCP. */
function messages(bytes: Buffer): packet.DecodedPacket[] {
  const found: packet.DecodedPacket[] = [];
  let rest = bytes;
  while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
    found.push(packet.decode(rest.subarray(2, 2 + rest.readUInt16BE(0))));
    rest = rest.subarray(2 + rest.readUInt16BE(0));
  }
  return found;
}

describe("over UDP", () => {
  test("a query is answered from the port that was asked, which is the same for TCP", async () => {
    const responder = await start();
    const answer = packet.decode((await askUdp(responder, query("NODE_a.demo.test", 1232))) ?? Buffer.alloc(0));
    expect(answer).toMatchObject({ id: 77, type: "response", flag_aa: true, flag_rd: true });
    expect(answer.questions?.[0]?.name).toBe("NODE_a.demo.test");
    expect(answer.answers).toMatchObject([{ type: "SRV", data: { port: 9100, target: "7f000001.addr.demo.test" } }]);
    expect(answer.additionals).toMatchObject([{ type: "A", data: "127.0.0.1" }, { type: "OPT" }]);
  });

  test.each([
    ["more than 512 octets without EDNS(0)", "some.demo.test", undefined, true],
    ["as much as the OPT record allows", "some.demo.test", 1232, false],
    ["more than 1232 octets, whatever the OPT record allows", "many.demo.test", 4096, true],
  ])("an answer of %s is truncated or not", async (_, name, size, truncated) => {
    const answer = await askUdp(await start(), query(name, size));
    expect(packet.decode(answer ?? Buffer.alloc(0)).flag_tc).toBe(truncated);
    expect(answer?.length).toBeLessThanOrEqual(truncated ? 512 : 1232);
  });

  test("IPv6 is served as well", async () => {
    const answer = await askUdp(await start({ address: "::1" }), query("node_a.demo.test"));
    expect(packet.decode(answer ?? Buffer.alloc(0)).answers).toHaveLength(1);
  });

  test("what is no message is FORMERR, a response is never answered, and the next query is", async () => {
    const responder = await start();
    const broken = query("node_a.demo.test").subarray(0, 20);
    expect((await askUdp(responder, broken))?.toString("hex")).toBe("004d81010000000000000000");
    const response = query("node_a.demo.test");
    response.writeUInt16BE(0x8000, 2);
    expect(await askUdp(responder, response.subarray(0, 20), 100)).toBeUndefined();
    expect(await askUdp(responder, Buffer.from("junk"), 100)).toBeUndefined();
    expect(await askUdp(responder, query("node_a.demo.test"))).toBeDefined();
  });

  test.each([
    ["an opcode that we do not have", 0x2800, 4],
    ["a query without question", 0, 1],
  ])("%s gets its response code", async (_, flags, rcode) => {
    const bytes = flags === 0 ? Buffer.from("004d01000000000000000000", "hex") : query("node_a.demo.test");
    if (flags !== 0) bytes.writeUInt16BE(flags, 2);
    const answer = await askUdp(await start(), bytes);
    expect((answer?.readUInt16BE(2) ?? 0) & 0xf).toBe(rcode);
  });

  test("a fault while answering costs the one who asked a FORMERR, not the daemon", async () => {
    let faults = 1;
    const responder = await start({
      answer: async (bytes) => {
        if (faults-- > 0) throw new TypeError("a fault");
        return answerFromZone(bytes, ZONE);
      },
    });
    expect(await askUdp(responder, query("node_a.demo.test"))).toBeDefined();
    expect(packet.decode((await askUdp(responder, query("node_a.demo.test"))) ?? Buffer.alloc(0)).answers).toHaveLength(
      1,
    );
  });

  test("a datagram from port 0, where nothing can be sent, is passed over", async () => {
    const answer = vi.fn((bytes: Buffer) => answerFromZone(bytes, ZONE));
    const create = vi.spyOn(dgram, "createSocket");
    const responder = await start({ answer });
    const socket = create.mock.results[0]?.value as dgram.Socket;
    create.mockRestore();
    const bytes = query("node_a.demo.test");
    socket.emit("message", bytes, { address: "127.0.0.1", family: "IPv4", port: 0, size: bytes.length });
    expect(answer).not.toHaveBeenCalled();
    expect(await askUdp(responder, bytes)).toBeDefined();
  });

  test("a response that cannot be sent is logged, and the next query answered", async () => {
    const { log: collected, messages: logged } = collectLog();
    let faults = 1;
    const answer = (bytes: Buffer) => (faults-- > 0 ? NO_BYTES : answerFromZone(bytes, ZONE));
    const responder = await start({ answer, log: collected });
    expect(await askUdp(responder, query("node_a.demo.test"), 100)).toBeUndefined();
    expect(logged("error")).toEqual(["DNS response could not be sent"]);
    expect(await askUdp(responder, query("node_a.demo.test"))).toBeDefined();
  });

  test("the peer is told to who answers", async () => {
    const peers: unknown[] = [];
    const responder = await start({
      answer: (_, peer) => {
        peers.push(peer);
        return undefined;
      },
    });
    await askUdp(responder, query("x.demo.test"), 100);
    expect(peers).toMatchObject([{ transport: "udp", address: "127.0.0.1" }]);
  });
});

describe("over TCP", () => {
  test("a long answer comes whole", async () => {
    const { socket, received } = connect(await start());
    socket.write(framed(query("many.demo.test")));
    await waitFor(() => messages(received()).length === 1, { what: "the answer" });
    expect(messages(received())[0]?.answers).toHaveLength(20);
  });

  test("an answer of more than 65,535 octets, which no length prefix can tell, is truncated", async () => {
    const crowd = { ...ZONE, nodes: Array.from({ length: 1_500 }, (_, index) => node("crowd", 1 + index)) };
    const { socket, received } = connect(await start({ answer: (bytes) => answerFromZone(bytes, crowd) }));
    socket.write(framed(query("crowd.demo.test")));
    await waitFor(() => messages(received()).length === 1, { what: "the answer" });
    expect(messages(received())[0]).toMatchObject({ id: 77, flag_tc: true, rcode: "NOERROR", answers: [] });
    socket.write(framed(query("nobody.demo.test")));
    await waitFor(() => messages(received()).length === 2, { what: "the next answer" });
    expect(messages(received())[1]).toMatchObject({ flag_tc: false, rcode: "NXDOMAIN" });
  });

  test("a response that cannot be sent is logged and ends its connection", async () => {
    const { log: collected, messages: logged } = collectLog();
    const { socket } = connect(await start({ answer: () => NO_BYTES, log: collected }));
    socket.write(framed(query("node_a.demo.test")));
    await closed(socket);
    expect(logged("error")).toEqual(["DNS response could not be sent"]);
  });

  test("a query may come in single octets, several in one piece, and are answered in order", async () => {
    const { socket, received } = connect(await start());
    socket.setNoDelay(true);
    for (const octet of framed(query("node_a.demo.test"))) {
      socket.write(Buffer.from([octet]));
      await sleep(0);
    }
    socket.write(Buffer.concat([framed(query("some.demo.test")), framed(query("nobody.demo.test"))]));
    await waitFor(() => messages(received()).length === 3, { what: "three answers" });
    expect(messages(received()).map(({ answers }) => answers?.length)).toEqual([1, 8, 0]);
  });

  test("a client that has nothing more to ask still gets what it asked for", async () => {
    const responder = await start({ answer: async (bytes) => sleep(50).then(() => answerFromZone(bytes, ZONE)) });
    const { socket, received } = connect(responder);
    socket.end(framed(query("node_a.demo.test")));
    await once(socket, "end");
    expect(messages(received())).toHaveLength(1);
  });

  test("a silent connection is closed", async () => {
    const { socket } = connect(await start({ idleTimeout: 50 }));
    socket.write(framed(query("node_a.demo.test")).subarray(0, 5));
    await closed(socket);
  });

  test("connections above the cap are closed, and there is room again when one has gone", async () => {
    const responder = await start({ maxConnections: 1 });
    const first = connect(responder);
    first.socket.write(framed(query("node_a.demo.test")));
    await waitFor(() => messages(first.received()).length === 1, { what: "the answer" });
    const second = connect(responder);
    await closed(second.socket);
    first.socket.destroy();
    await waitFor(
      async () => {
        const third = connect(responder);
        third.socket.write(framed(query("node_a.demo.test")));
        await sleep(50);
        return messages(third.received()).length === 1;
      },
      { what: "room for a connection" },
    );
  });
});

test("our resolver gets what does not fit into a datagram over TCP", async () => {
  const responder = await start();
  const resolver = createResolver({
    dns: [{ address: "127.0.0.1", port: responder.port, domain: "demo.test" }],
    maxTtl: 0,
    staleTtl: 0,
    log,
  });
  closers.push(resolver.close);
  const result = await resolver.query("many.demo.test", "SRV", { deadline: performance.now() + 4_000 });
  expect(result).toMatchObject({ kind: "records", ttl: 0, records: { length: 20 }, additionals: { length: 20 } });
  const absent = await resolver.query("nobody.demo.test", "SRV", { deadline: performance.now() + 4_000 });
  expect(absent).toMatchObject({ kind: "nxdomain" });
});

test("a port that is taken is refused with a reason, for UDP and for TCP", async () => {
  const { port } = await start();
  await expect(start({ port })).rejects.toMatchObject({
    name: "ListenError",
    code: "LISTEN_IN_USE",
    message: `127.0.0.1:${port}/udp is in use`,
  });
  const tcp = net.createServer().listen(0, "127.0.0.1");
  await once(tcp, "listening");
  closers.push(() => tcp.close());
  const taken = (tcp.address() as net.AddressInfo).port;
  await expect(start({ port: taken })).rejects.toMatchObject({
    code: "LISTEN_IN_USE",
    message: expect.stringContaining("/tcp"),
  });
  await expect(start({ address: "192.0.2.200" })).rejects.toMatchObject({ code: "LISTEN_FAILED" });
});

test("after close the port is free, with a connection open and a query under way", async () => {
  const responder = await start({ answer: async () => sleep(100).then(() => Buffer.alloc(12)) });
  const { socket } = connect(responder);
  socket.write(framed(query("node_a.demo.test")));
  await askUdp(responder, query("node_a.demo.test"), 20);
  await responder.close();
  await responder.close();
  await start({ port: responder.port });
});

import { duplexPair } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { pino } from "pino";
import { expect, test } from "vitest";
import { handleConnection, UnreadAnswers } from "../../src/epmd/connection.js";
import { Registry } from "../../src/epmd/core/registry.js";
import { identifyPeer } from "../../src/epmd/peer.js";
import { decodeRequest, encodeRequest, encodeResponse, MAX_REQUEST, readFrame } from "../../src/epmd/wire/codec.js";
import {
  decodeAlive2Response,
  decodeEndpoints,
  decodeNamesResponse,
  decodePort2Response,
  encodeEndpoints,
} from "../../src/epmd/wire/responses.js";
import { ProtocolError } from "../../src/errors.js";
import { formatNodeName } from "../../src/names/node-name.js";
import { formatIp } from "../../src/net/ip.js";
import { notFound } from "../../src/resolve/core/resolution.js";
import { portPlease2 } from "../support/looked-up.js";
import { registeredNode } from "../support/registered-node.js";
import { registering } from "../support/registering.js";

const uint = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
/** Whole characters: what UTF-8 can carry, at most 255 of them, and no NUL. */
const aliveName = fc
  .string({ unit: "binary", minLength: 1, maxLength: 255 })
  .map((text) => text.replaceAll("\0", "0"))
  .filter((text) => Buffer.from(text).toString() === text && Array.from(text).length <= 255);
const description = fc.record({
  nodeType: uint(8),
  protocol: uint(8),
  highestVersion: uint(16),
  lowestVersion: uint(16),
  extra: bytes(1020),
});

const alive2Request = fc
  .tuple(description, uint(16), aliveName)
  .map(([described, port, name]) => ({ type: "ALIVE2_REQ", ...described, port, aliveName: name }) as const);
const pattern = fc
  .tuple(fc.stringMatching(/^[a-z*?_]{1,20}$/), fc.constantFrom("svc", "svc.service.consul", "10.0.0.1", "fd00::1"))
  .map(([glob, host]) => `${glob}@${host}`);
/** Names with an `@` have a host part behind the 255 characters; no name that is looked up is empty. */
const anyRequest = fc.oneof(
  alive2Request,
  fc.record({ name: aliveName, forwarded: fc.boolean() }).map(({ name, forwarded }) => portPlease2(name, forwarded)),
  fc.record({ type: fc.constant("STOP_REQ" as const), aliveName }),
  fc.record({ type: fc.constant("LINKS_REQ" as const), aliveName }),
  fc.record({ type: fc.constant("NAMES_REQ" as const), pattern }),
  fc.constantFrom({ type: "NAMES_REQ" } as const, { type: "DUMP_REQ" } as const, { type: "KILL_REQ" } as const),
);

/** A value, or a ProtocolError and nothing else. */
function valueOrProtocolError(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}

const decodeAll = (input: Buffer) => {
  for (const decode of [
    decodeRequest,
    decodePort2Response,
    decodeNamesResponse,
    decodeAlive2Response,
    decodeEndpoints,
    readFrame,
  ]) {
    valueOrProtocolError(() => decode(input));
  }
};

test("a request that was written is read as it was", () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const read = readFrame(encodeRequest(request));
      if (read.kind !== "frame") throw new Error(read.kind);
      expect(read.rest.length).toBe(0);
      expect(decodeRequest(read.frame)).toEqual(request);
    }),
  );
});

test("an answer that was written is read as it was", () => {
  fc.assert(
    fc.property(alive2Request, uint(32), fc.boolean(), ({ type: _, ...node }, creation, extended) => {
      expect(decodePort2Response(encodeResponse({ type: "PORT2_RESP", result: 0, ...node }))).toEqual(node);
      const alive2 = encodeResponse({ type: "ALIVE2_RESP", extended, result: 0, creation });
      expect(decodeAlive2Response(alive2)).toEqual({ result: 0, creation: extended ? creation : (creation % 3) + 1 });
    }),
  );
});

test("NAMES gives back every name that has no line break in it", () => {
  const oneLine = aliveName.map((name) => name.replaceAll("\n", "_"));
  fc.assert(
    fc.property(fc.array(fc.tuple(oneLine, uint(16)), { maxLength: 5 }), uint(16), (entries, epmdPort) => {
      const nodes = entries.map(([name, port]) => registeredNode(name, port));
      expect(decodeNamesResponse(encodeResponse({ type: "NAMES_RESP", epmdPort, nodes }))).toEqual({
        epmdPort,
        names: entries.map(([name, port]) => ({ name, port })),
      });
    }),
  );
});

test("endpoints that were written are read as they were", () => {
  const endpoint = fc
    .tuple(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      uint(16),
      fc.boolean(),
    )
    .map(([v4, v6, port, four]) =>
      four ? { family: 4 as const, address: formatIp(v4), port } : { family: 6 as const, address: formatIp(v6), port },
    );
  fc.assert(
    fc.property(fc.array(endpoint, { maxLength: 50 }), (endpoints) => {
      expect(decodeEndpoints(encodeEndpoints(endpoints))).toEqual(endpoints);
    }),
  );
});

test("random bytes are a value or a ProtocolError", () => {
  fc.assert(fc.property(bytes(4000), decodeAll), { numRuns: 500 });
});

test("valid requests with some bytes changed, cut or doubled are a value or a ProtocolError", () => {
  const change = fc.record({ at: fc.nat(3060), byte: uint(8), kind: fc.constantFrom("set", "cut", "double") });
  fc.assert(
    fc.property(anyRequest, fc.array(change, { minLength: 1, maxLength: 4 }), (request, changes) => {
      let mutated = encodeRequest(request);
      for (const { at, byte, kind } of changes) {
        const index = at % Math.max(1, mutated.length);
        if (kind === "set") mutated[index] = byte;
        else if (kind === "cut") mutated = mutated.subarray(0, index);
        else mutated = Buffer.concat([mutated.subarray(0, index), mutated]);
      }
      decodeAll(mutated);
      decodeAll(mutated.subarray(2));
    }),
    { numRuns: 500 },
  );
});

test("frames come out whole and in order however the bytes are cut", () => {
  const frame = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(2000)), (frames, cuts) => {
      const whole = Buffer.concat(frames.flatMap((one) => [Buffer.of(one.length >> 8, one.length & 0xff), one]));
      const ends = [...cuts.filter((cut) => cut < whole.length).toSorted((a, b) => a - b), whole.length];
      const found: Buffer[] = [];
      let pending: Buffer = Buffer.alloc(0);
      let start = 0;
      for (const end of ends) {
        pending = Buffer.concat([pending, whole.subarray(start, end)]);
        start = end;
        for (let read = readFrame(pending); read.kind === "frame"; read = readFrame(pending)) {
          found.push(read.frame);
          pending = read.rest;
        }
      }
      expect(found).toEqual(frames);
      expect(pending.length).toBe(0);
    }),
  );
});

test("a length is refused exactly when no request has it", () => {
  fc.assert(
    fc.property(uint(16), (length) => {
      const { kind } = readFrame(Buffer.of(length >> 8, length & 0xff));
      expect(kind).toBe(length >= 1 && length <= MAX_REQUEST ? "more" : "invalid");
    }),
  );
});

test("whatever clients send, in whatever pieces, a name lives exactly as long as its connection", async () => {
  const piece = fc.oneof(
    bytes(40),
    anyRequest.map(encodeRequest),
    anyRequest.map((request) => encodeRequest(request).subarray(0, 7)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(piece, { maxLength: 6 }), { maxLength: 4 }), async (clients) => {
      const registry = new Registry();
      const faults: string[] = [];
      const log = pino({ level: "error" }, { write: (line: string) => void faults.push(line) });
      const open = () => {
        const [client, server] = duplexPair();
        const peer = identifyPeer("127.0.0.1", 1, "127.0.0.1", []);
        client.on("data", () => {});
        client.on("error", () => {});
        handleConnection(server, {
          peer,
          answering: {
            registry,
            register: registering(registry),
            isVmOf: async () => true,
            nodes: {
              resolve: () => Promise.resolve(notFound("SRV_NXDOMAIN", "no SRV record")),
              fullName: formatNodeName,
            },
            advertisedPort: ({ port }) => port,
            logs: { of: () => log },
            now: () => 0,
            observe: () => {},
            gateway: () => undefined,
            match: () => Promise.resolve([]),
            release: () => {},
            epmdPort: () => 4369,
            relaxedCommandCheck: false,
            allowKill: false,
          },
          hold: () => {},
          unregister: (node) => registry.unregister(node),
          tell: () => {},
          exit: () => {},
          observe: () => {},
          packetTimeout: 60_000,
          unread: new UnreadAnswers(),
          log,
        });
        return { client, server };
      };
      const holder = open();
      holder.client.write(Buffer.from("000e78126748000006000500016c0000", "hex"));
      const others = clients.map((pieces) => ({ ...open(), pieces }));
      for (let index = 0; index < 6; index++) {
        for (const { client, pieces } of others) if (pieces[index]) client.write(pieces[index]);
        await turn();
      }
      expect(registry.get("l")).toMatchObject({ port: 4711 });
      for (const { client, server } of [holder, ...others]) {
        client.end();
        server.destroy();
      }
      await turn();
      expect(registry.size).toBe(0);
      expect(faults).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/errors.js";
import { encodeLine, parseDaemonLine, parseRelayLine, readLine } from "../../src/relay/wire/protocol.js";

const ENSURE =
  '{"type":"ensure","id":7,"node":"b@svc.test","address":"127.64.0.1","endpoints":[{"address":"10.0.0.1","port":9100},{"address":"fd00::1","port":1}]}';

const endpoints = (count: number) =>
  JSON.stringify(Array.from({ length: count }, () => ({ address: "10.0.0.1", port: 65_535 })));

test("as many endpoints, as high a port and as long a name as there may be are taken", () => {
  const parsed = parseDaemonLine(ENSURE.replace(/\[.*\]/, endpoints(32)));
  expect(parsed.type === "ensure" && parsed.endpoints).toHaveLength(32);
  const host = "h".repeat(1024);
  expect(parseDaemonLine(`{"type":"pair","id":0,"host":"${host}","address":"127.64.0.1"}`)).toMatchObject({ host });
});

describe("a daemon's lines", () => {
  test.each([
    ['{"type":"hello","version":1,"pid":42}', { type: "hello", version: 1, pid: 42 }],
    [
      ENSURE,
      {
        type: "ensure",
        id: 7,
        node: "b@svc.test",
        address: "127.64.0.1",
        endpoints: [
          { address: "10.0.0.1", port: 9100 },
          { address: "fd00::1", port: 1 },
        ],
      },
    ],
    [
      '{"type":"pair","id":0,"host":"svc.test","address":"127.64.0.1","later":true}',
      { type: "pair", id: 0, host: "svc.test", address: "127.64.0.1" },
    ],
    ['{"type":"status","id":3}', { type: "status", id: 3 }],
    [
      '{"type":"native","id":4,"service":"svc","agent":{"url":"http://127.0.0.1:8500","token":"t","later":1},"listen":{"address":"::","port":0},"formerPort":20001,"recheck":0}',
      {
        ...{ type: "native", id: 4, service: "svc", agent: { url: "http://127.0.0.1:8500", token: "t" } },
        ...{ listen: { address: "::", port: 0 }, formerPort: 20001, recheck: 0 },
      },
    ],
    [
      '{"type":"serve","id":5,"node":"b@svc.test","place":{"address":"127.0.0.1","port":9100}}',
      { type: "serve", id: 5, node: "b@svc.test", place: { address: "127.0.0.1", port: 9100 } },
    ],
    [
      '{"type":"serve","id":5,"node":"rabbitmqcli-1@svc.test","place":{"address":"::1","port":9100},"isHelper":true}',
      { type: "serve", id: 5, node: "rabbitmqcli-1@svc.test", place: { address: "::1", port: 9100 }, isHelper: true },
    ],
    ['{"type":"drop","id":6,"node":"b@svc.test"}', { type: "drop", id: 6, node: "b@svc.test" }],
    ['{"type":"paint","id":3,"colour":"red"}', { type: "unknown", id: 3, name: "paint" }],
  ])("%s", (line, parsed) => {
    expect(parseDaemonLine(line)).toEqual(parsed);
  });

  test.each([
    ["", "a line is not JSON"],
    [ENSURE.replace('"id":7', '"id":7,"peer":{"as":"svc"}'), "service is not a text"],
    [
      '{"type":"native","id":4,"service":"svc","agent":{},"listen":{"address":"::","port":0},"recheck":0}',
      "url is not a text",
    ],
    [
      '{"type":"native","id":4,"agent":{"url":"x"},"listen":{"address":"::","port":0},"recheck":0}',
      "service is not a text",
    ],
    [
      '{"type":"native","id":4,"service":"svc","agent":{"url":"x"},"listen":{"address":"::","port":65536},"recheck":0}',
      "port is not 0..65535",
    ],
    ['{"type":"serve","id":5,"node":"b@svc.test"}', "place is not a JSON object"],
    ["null", "a line is not a JSON object"],
    ["[]", "a line is not a JSON object"],
    ["{}", "id is not a whole number"],
    ['{"id":1}', "type is not a text"],
    ['{"type":"status","id":-1}', "id is not a whole number"],
    ['{"type":"status","id":1e300}', "id is not a whole number"],
    ['{"type":"hello","version":"1","pid":1}', "version is not a whole number"],
    [ENSURE.replace("b@svc.test", "svc.test"), "node is not of the form name@host"],
    [ENSURE.replace("127.64.0.1", "127.064.0.1"), "address is not an IP address in its canonical form"],
    [ENSURE.replace("fd00::1", "FD00::1"), "address is not an IP address in its canonical form"],
    [ENSURE.replace("9100", "0"), "port is not 1..65535"],
    [ENSURE.replace("9100", "65536"), "port is not 1..65535"],
    [ENSURE.replace(/\[.*\]/, "[]"), "endpoints are not 1..32"],
    [ENSURE.replace(/\[.*\]/, '["10.0.0.1:9100"]'), "endpoint is not a JSON object"],
    [ENSURE.replace(/\[.*\]/, "{}"), "endpoints is not a list"],
    [ENSURE.replace(/\[.*\]/, endpoints(33)), "endpoints are not 1..32"],
    ['{"type":"pair","id":0,"host":"","address":"127.64.0.1"}', "host is not a text"],
    [`{"type":"pair","id":0,"host":"${"h".repeat(1025)}","address":"127.64.0.1"}`, "host is not a text"],
  ])("%s is refused", (line, message) => {
    expect(() => parseDaemonLine(line)).toThrow(new ProtocolError("RELAY_LINE", message));
  });
});

describe("the relay process's lines", () => {
  test.each([
    [
      '{"type":"hello","version":1,"pid":42,"pairs":[{"host":"svc.test","address":"127.64.0.1"}]}',
      { type: "hello", version: 1, pid: 42, pairs: [{ host: "svc.test", address: "127.64.0.1" }] },
    ],
    ['{"type":"ensured","id":7,"port":61000}', { type: "ensured", id: 7, port: 61000 }],
    ['{"type":"refused","id":7,"reason":"no"}', { type: "refused", id: 7, reason: "no" }],
    ['{"type":"kept","id":7}', { type: "kept", id: 7 }],
    [
      '{"type":"dial-failed","node":"b@svc.test","endpoint":{"address":"10.0.0.1","port":9100},"reason":"no answer"}',
      {
        type: "dial-failed",
        node: "b@svc.test",
        endpoint: { address: "10.0.0.1", port: 9100 },
        reason: "no answer",
      },
    ],
    [
      '{"type":"dial-failed","node":"b@svc.test","endpoint":{"address":"::1","port":1},"code":"EHOSTUNREACH","reason":"no"}',
      {
        type: "dial-failed",
        node: "b@svc.test",
        endpoint: { address: "::1", port: 1 },
        code: "EHOSTUNREACH",
        reason: "no",
      },
    ],
    ['{"type":"notice","message":"full"}', { type: "notice", message: "full" }],
    ['{"type":"error","message":"no hello"}', { type: "error", message: "no hello" }],
    ['{"type":"song","of":"a later release"}', undefined],
  ])("%s", (line, parsed) => {
    expect(parseRelayLine(line)).toEqual(parsed);
  });

  test.each([
    ["220 mail.test ESMTP", "a line is not JSON"],
    ['{"type":"hello","version":1,"pid":42}', "pairs is not a list"],
    ['{"type":"hello","version":1,"pid":42,"pairs":[1]}', "pairs is not a JSON object"],
    ['{"type":"ensured","id":7,"port":0}', "port is not 1..65535"],
    ['{"type":"dial-failed","node":"b@svc.test","endpoint":1,"reason":"no"}', "endpoint is not a JSON object"],
  ])("%s is refused", (line, message) => {
    expect(() => parseRelayLine(line)).toThrow(new ProtocolError("RELAY_LINE", message));
  });
});

describe("a status of the relay process", () => {
  const STATUS = {
    ...{ pid: 42, since: 1_700_000_000_000, daemons: 1 },
    relays: [
      {
        ...{ node: "b@svc.test", address: "127.64.0.1", port: 61000, since: 1_700_000_000_001 },
        ...{ endpoints: [{ address: "10.0.0.1", port: 9100 }], peer: { service: "svc", datacenter: "dc2" } },
        ...{ openLinks: 1, links: 2, bytesToNode: 3, bytesFromNode: 4 },
      },
    ],
    totals: { openLinks: 1, links: 2, bytesToNode: 3, bytesFromNode: 4, dialsFailed: 5, linksRefused: 6 },
    native: {
      ...{ port: 62000, trouble: "svc: no answer", nodes: ["a@svc.test"] },
      certificate: { service: "svc", uri: `spiffe://${"x".repeat(2000)}`, validBefore: "2030-01-01T00:00:00Z" },
      links: [{ node: "a@svc.test", caller: "spiffe://t/ns/default/dc/dc1/svc/web", since: 1_700_000_000_002 }],
      refused: { DENIED: 7, OF_A_LATER_RELEASE: 1 },
    },
  };
  const read = (status: unknown) => parseRelayLine(JSON.stringify({ type: "status", id: 7, status }));

  test("is read as it was written, without what a later release adds", () => {
    expect(read({ ...STATUS, later: 1 })).toEqual({ type: "status", id: 7, status: STATUS });
    const { native: _, ...gatewayAlone } = { ...STATUS, relays: [] };
    expect(read(gatewayAlone)).toEqual({ type: "status", id: 7, status: gatewayAlone });
    const { certificate: _none, trouble: _fine, ...young } = STATUS.native;
    expect(read({ ...STATUS, native: young })).toEqual({
      type: "status",
      id: 7,
      status: { ...STATUS, native: young },
    });
  });

  const { links: _, ...linkless } = STATUS.native;
  test.each([
    ["none", undefined, "status is not a JSON object"],
    ["a part that is missing", { ...STATUS, native: linkless }, "links is not a list"],
    [
      "a part of another kind",
      { ...STATUS, native: { ...STATUS.native, certificate: [] } },
      "certificate is not a JSON object",
    ],
    ["a text that is a number", { ...STATUS, native: { ...STATUS.native, nodes: [1] } }, "node is not a text"],
    ["a count that is a text", { ...STATUS, totals: { ...STATUS.totals, links: "2" } }, "links is not a whole number"],
    [
      "a relay without its endpoints",
      { ...STATUS, relays: [{ ...STATUS.relays[0], endpoints: null }] },
      "endpoints is not a list",
    ],
  ])("with %s is refused, and the connection goes on", (_what, status, why) => {
    const reason = `its status is not understood, it is of another release: ${why}`;
    expect(read(status)).toEqual({ type: "refused", id: 7, reason });
  });
});

describe("lines are cut from bytes", () => {
  test("wherever these are split", () => {
    const bytes = Buffer.from('{"a":"ä"}\n{}\n');
    for (let at = 0; at <= bytes.length; at++) {
      const first = readLine(bytes.subarray(0, at), 100);
      // The newline of the first line is its eleventh byte: ä has two.
      if (at < 11) expect(first).toEqual({ kind: "more" });
      else expect(first).toMatchObject({ kind: "line", line: '{"a":"ä"}' });
    }
    expect(readLine(bytes, 100)).toEqual({ kind: "line", line: '{"a":"ä"}', rest: Buffer.from("{}\n") });
  });

  test("and one that is too long is told as soon as that is sure, with or without its end", () => {
    const tooLong = { kind: "invalid", reason: "a line is longer than 4 bytes" };
    expect(readLine(Buffer.from("1234"), 4)).toEqual({ kind: "more" });
    expect(readLine(Buffer.from("1234\n"), 4)).toMatchObject({ kind: "line", line: "1234" });
    expect(readLine(Buffer.from("12345"), 4)).toEqual(tooLong);
    expect(readLine(Buffer.from("12345\n"), 4)).toEqual(tooLong);
    expect(readLine(Buffer.from("\n12345"), 4)).toMatchObject({ kind: "line", line: "" });
  });

  test("and written with their end", () => {
    expect(encodeLine({ type: "kept", id: 1 })).toBe('{"type":"kept","id":1}\n');
  });
});

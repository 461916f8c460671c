import { describe, expect, test } from "vitest";
import { parseTcpTable, uidAtEnd, uidsListeningAt } from "../../src/os/core/tcp-table.js";

/** Both ends of a connection of user 1000 to port 4369, one that is being closed, and one that listens; little-endian. */
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1111 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1111 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 1002 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:9C40 0100007F:1111 01 00000000:00000000 00:00000000 00000000  1000        0 1003 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:9C41 0100007F:1111 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000000000000000
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:9C42 00000000000000000000000001000000:1111 01 00000000:00000000 00:00000000 00000000  1001        0 1004 1 0000000000000000 20 4 30 10 -1
   1: 0000000000000000FFFF00000100007F:9C43 0000000000000000FFFF00000100007F:1111 01 00000000:00000000 00:00000000 00000000  1002        0 1005 1 0000000000000000 20 4 30 10 -1
`;

describe("the user at the other end of a connection", () => {
  const userAt = (address: string, port: number) => uidAtEnd([TCP, TCP6], { address, port }, { address, port: 4369 });

  test.each([
    ["of IPv4", "127.0.0.1", 40_000, 1000],
    ["of IPv6", "::1", 40_002, 1001],
    ["of IPv6 that is connected to IPv4", "127.0.0.1", 40_003, 1002],
  ])("%s is that of its socket", (_, address, port, uid) => {
    expect(userAt(address, port)).toBe(uid);
  });

  test("is nobody where its process has closed it: the kernel shows root then", () => {
    expect(userAt("127.0.0.1", 40_001)).toBeUndefined();
  });

  test.each([
    ["another port", "127.0.0.1", 40_004],
    ["another address", "127.0.0.2", 40_000],
    ["our own end", "127.0.0.1", 4369],
  ])("is nobody for %s", (_, address, port) => {
    expect(userAt(address, port)).toBeUndefined();
  });
});

describe("the users that listen at a place", () => {
  const LISTENING = `   0: 0100007F:2499 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1001 1 0 100 0 0 10 0
   1: 00000000:249A 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 1002 1 0 100 0 0 10 0
   2: 0100007F:9C40 0100007F:2499 01 00000000:00000000 00:00000000 00000000  1002        0 1003 1 0 20 4 30 10 -1
   3: 0100007F:2499 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1003        0 1004 1 0 20 4 30 10 -1
`;
  const LISTENING6 = `   0: 00000000000000000000000000000000:2499 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1004        0 1005 1 0 100 0 0 10 0
`;
  const users = (tables: readonly string[], address: string, port = 0x2499) =>
    Array.from(uidsListeningAt(tables, { address, port })).sort();

  test.each<[string, readonly string[], string, number, number[]]>([
    ["at the address", [LISTENING], "127.0.0.1", 0x2499, [1000]],
    ["at every address", [LISTENING], "127.0.0.1", 0x249a, [1001]],
    ["there, and another at a wildcard that may cover it", [LISTENING, LISTENING6], "127.0.0.1", 0x2499, [1000, 1004]],
    ["at another address", [LISTENING], "127.0.0.2", 0x2499, []],
    ["at the wildcard of IPv6", [LISTENING, LISTENING6], "::1", 0x2499, [1004]],
    ["nowhere: it has a connection from that port", [LISTENING], "127.0.0.1", 0x9c40, []],
  ])("%s", (_, tables, address, port, expected) => {
    expect(users(tables, address, port)).toEqual(expected);
  });
});

test("a line that is none of a socket is passed over", () => {
  expect(parseTcpTable("garbage\n\n 1: 2: 3 0A\n")).toEqual([]);
  expect(parseTcpTable(TCP)).toHaveLength(4);
});

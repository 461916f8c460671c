import { describe, expect, test } from "vitest";
import { parseTcpTable, uidAtEnd } from "../../src/os/core/tcp-table.js";

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

test("a line that is none of a socket is passed over", () => {
  expect(parseTcpTable("garbage\n\n 1: 2: 3 0A\n")).toEqual([]);
  expect(parseTcpTable(TCP)).toHaveLength(4);
});

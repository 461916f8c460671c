import { describe, expect, test } from "vitest";
import { connectionsIn } from "../../src/os/core/connections.js";

/** As /proc/net/tcp has them on a little-endian machine: one that listens, one at rest, one that sends again, one that closes. */
const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const LISTENS =
  "   0: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0000000000000000 100 0 0 10 0\n";
const RESTS =
  "   1: 01005A0A:9C40 02005A0A:4E21 01 00000000:00000000 00:00000000 00000000     0        0 1002 1 0000000000000000 20 4 30 10 -1\n";
// 0x1388 octets; sent again 4 times; the time-out is 3.2 s now, of which 1.2 s (0x78 ticks) are left.
const STUCK =
  "   2: 01005A0A:9C41 02005A0A:4E21 01 00001388:00000000 01:00000078 00000004     0        0 1003 2 0000000000000000 320 4 30 1 7\n";
const CLOSES =
  "   3: 01005A0A:9C42 02005A0A:4E21 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000000000000000\n";

describe("the connections of the kernel's table", () => {
  test("are those that are established, with what is not acknowledged and since when", () => {
    const remote = { address: "10.90.0.2", port: 20001 };
    const local = (port: number) => ({ address: "10.90.0.1", port });
    expect(connectionsIn(HEAD + LISTENS + RESTS + STUCK + CLOSES)).toEqual([
      { local: local(40000), remote, inode: 1002, unacknowledged: 0, repeats: 0, waitingMs: 0 },
      // 0.2 + 0.4 + 0.8 + 1.6 s to the fourth repeat, and 2 s since then.
      { local: local(40001), remote, inode: 1003, unacknowledged: 5000, repeats: 4, waitingMs: 5000 },
    ]);
  });

  test("have no repeats by another timer than that of retransmission", () => {
    const probing = STUCK.replace("01:00000078", "04:00000078");
    expect(connectionsIn(probing)).toMatchObject([{ repeats: 0, waitingMs: 0, unacknowledged: 5000 }]);
  });

  test("are none in other text", () => {
    expect(connectionsIn("garbage\n\n1: 2: 3 01\n   1: x y 01 z")).toEqual([]);
  });
});

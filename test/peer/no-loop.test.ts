import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { createHosts } from "../support/netns.js";
import { exchangeBytes, holdConnection, portPleaseBytes } from "../support/raw-client.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";

const DNS_PROGRAM = fileURLToPath(new URL("../support/fake-dns-process.ts", import.meta.url));
const ONE = "10.82.0.1";
const TWO = "10.82.0.2";
/** ALIVE2_REQ of `b`, port 9100 (238c), type 77, protocol 0, versions 6 and 5, no extra. */
const ALIVE2_B = "000e 78 238c 4d 00 0006 0005 0001 62 0000";

requirePeer("netns")("two daemons that are each other's fallback", () => {
  test("ask each other once for a name that neither has, and never again for the same question", async () => {
    const { hosts } = await createHosts([{ addresses: [`${ONE}/24`] }, { addresses: [`${TWO}/24`] }]);
    const [one, two] = hosts;
    if (!one || !two) throw new Error("no hosts");
    // The host of every name has the addresses of both machines and no SRV record.
    const dns = startChild(
      process.execPath,
      ["--import", "tsx", DNS_PROGRAM, ONE, JSON.stringify({ "pair.test": [ONE, TWO] })],
      {
        netns: one,
      },
    );
    const [, dnsPort] = await dns.waitForOutput(/^ready ([0-9]+)/m);
    const serve = (netns: (typeof hosts)[number], listen: string) =>
      startDaemon({
        port: 4369,
        netns,
        args: [
          ...["--listen", listen, "--domain", "pair.test", "--dns", `${ONE}:${dnsPort}`, "--fallback", "epmd"],
          // As good as local: what keeps strangers from looking around must not be what ends the loop.
          ...["--allow", "10.82.0.0/24", "--log-level", "debug"],
        ],
      });
    const [first, second] = await Promise.all([serve(one, ONE), serve(two, TWO)]);
    const requests = (daemon: Daemon) =>
      daemon.log().filter((line) => line.msg === "request" && String(line.request).startsWith("PORT_PLEASE2_REQ"));
    const ask = async (netns: (typeof hosts)[number], name: string) => {
      const startedAt = performance.now();
      const answer = await exchangeBytes({ host: "127.0.0.1", port: 4369, netns }, portPleaseBytes(name));
      return { answer, took: Math.round(performance.now() - startedAt) };
    };

    for (const name of ["missing", "missing@pair.test"]) {
      const before = [requests(first).length, requests(second).length];
      const answers = await Promise.all([ask(one, name), ask(two, name)]);
      for (const { answer, took } of answers) {
        expect(answer).toMatch(/^7701/);
        expect(took, `${name}: answered after ${took} ms`).toBeLessThan(2_000);
      }
      // The client's own question, and one from the other daemon.
      const after = [requests(first).length, requests(second).length];
      expect(after.map((count, index) => count - (before[index] ?? 0))).toEqual([2, 2]);
    }

    // They do ask each other.
    await holdConnection({ host: "127.0.0.1", port: 4369, netns: two }, ALIVE2_B);
    const { answer } = await ask(one, "b@pair.test");
    const endpoint = "04 0a520002 238c".replaceAll(" ", "");
    expect(answer).toBe(`7700238c4d0000060005000162${"0007"}${endpoint}`);
  });
});

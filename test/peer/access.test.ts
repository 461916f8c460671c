import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Child, startChild } from "../support/child.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { exchangeBytes, holdConnection, portPleaseBytes } from "../support/raw-client.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const DNS_PROGRAM = fileURLToPath(new URL("../support/fake-dns-process.ts", import.meta.url));
/** Prints a line for each connection to either of its ports. */
const COUNTER = `for (const port of [20031, 20032]) require("node:net").createServer((s) => { console.log("connection"); s.destroy(); })
  .listen(port, "10.80.0.1", () => console.log("up " + port));`;
const OWN = "10.80.0.1";
const STRANGER = "10.80.0.2";

/** ALIVE2_REQ of `web`, port 9100 (238c), type 77, protocol 0, versions 6 and 5, no extra. */
const ALIVE2_WEB = "0010 78 238c 4d 00 0006 0005 0003 776562 0000";
const NOT_FOUND = "7701";
const OWN_QUESTIONS = ["A svc.service.consul", "A consul.service.consul"];
const NAMES = "0001 6e";
const DUMP = "0001 64";
const KILL = "0001 6b";
const STOP_WEB = "0004 73 776562";

/** PORT2_RESP as sent, in hexadecimal. */
function found(name: string, port: number, extra = ""): string {
  const two = (value: number) => value.toString(16).padStart(4, "0");
  const text = Buffer.from(name).toString("hex");
  return `7700${two(port)}4d0000060005${two(name.length)}${text}${two(extra.length / 2)}${extra}`;
}

requirePeer("netns")("who may ask for what", () => {
  let made: Hosts;
  let dns: Child;
  let daemon: Daemon;
  let counter: Child;
  const place = (index: number) => made.hosts[index] as Host;

  beforeAll(async () => {
    made = await createHosts([{ addresses: [`${OWN}/24`], hostname: "machine" }, { addresses: [`${STRANGER}/24`] }]);
    const zone = {
      "n1.svc.service.consul": [`${OWN}:20001`],
      "n2.svc.service.consul": ["10.80.0.9:20002"],
      "n3.svc.service.consul": [`${OWN}:20031`, `${OWN}:20032`],
      "web.other.service.consul": ["10.80.0.9:20009"],
    };
    dns = startChild(process.execPath, ["--import", "tsx", DNS_PROGRAM, "127.0.0.1", JSON.stringify(zone)], {
      netns: place(0),
    });
    counter = startChild(process.execPath, ["-e", COUNTER], { netns: place(0) });
    await counter.waitForOutput(/up [0-9]+\nup [0-9]+\n/);
    const [, port] = await dns.waitForOutput(/^ready ([0-9]+)/m);
    daemon = await startDaemon({
      netns: place(0),
      args: [
        ...["--listen", OWN, "--domain", "svc", "--register", "none", "--dns", `127.0.0.1:${port}`],
        ...["--fallback", "9999", "--fallback", "epmd", "--log-level", "debug"],
        ...["--node", `s1@svc=${OWN}:20005`, "--node", "s2@svc=10.80.0.9:20006"],
      ],
    });
    await holdConnection({ host: "127.0.0.1", port: daemon.port, netns: place(0) }, ALIVE2_WEB);
  });
  afterAll(() => made.remove());

  const local = (request: string, host = "127.0.0.1") =>
    exchangeBytes({ host, port: daemon.port, netns: place(0) }, request);
  const stranger = (request: string) => exchangeBytes({ host: OWN, port: daemon.port, netns: place(1) }, request);
  /**
   * The DNS questions that were asked meanwhile, sorted. Without those by which the daemon sees from time to time whether
   * its name server knows the domain: they are A only, and a fallback asks AAAA with each A.
   */
  const questionsDuring = async (action: () => Promise<unknown>): Promise<string[]> => {
    const before = dns.stdout().length;
    await action();
    const lines = dns
      .stdout()
      .slice(before)
      .split("\n")
      .filter((line) => line.startsWith("query "));
    const questions = lines.map((line) => line.slice("query ".length));
    return questions.filter((question) => !OWN_QUESTIONS.includes(question)).sort();
  };

  describe("on this machine", () => {
    const AT_LOOPBACK = "04 7f000001 238c".replaceAll(" ", "");

    test.each(["web@svc.service.consul", "web@svc", "web@localhost", "web@machine", `web@${OWN}`, "web@127.0.0.1"])(
      "%s is the local web, at the loopback address",
      async (name) => {
        const asked = await questionsDuring(async () =>
          expect(await local(portPleaseBytes(name))).toBe(found("web", 9100, AT_LOOPBACK)),
        );
        expect(asked).toEqual([]);
      },
    );

    test.each(["web", "web.svc.service.consul"])("%s is the local web, as stock clients want it", async (name) => {
      expect(await local(portPleaseBytes(name))).toBe(found("web", 9100));
    });

    test("web of another service is not the local web", async () => {
      const elsewhere = "04 0a500009 4e29".replaceAll(" ", "");
      expect(await local(portPleaseBytes("web@other.service.consul"))).toBe(found("web", 20009, elsewhere));
      expect(await local(portPleaseBytes("web.third.service.consul"))).toBe(NOT_FOUND);
      expect(await local(portPleaseBytes("web@third.service.consul"))).toMatch(/^7701/);
      // The other machine has no EPMD to fall back to, but a port.
      const fallback = "04 0a500002 270f".replaceAll(" ", "");
      expect(await local(portPleaseBytes(`web@${STRANGER}`))).toBe(found("web", 9999, fallback));
    });

    test("a name without SRV record falls back, and A and AAAA are asked in the same moment", async () => {
      const asked = await questionsDuring(() => local(portPleaseBytes("nobody@svc")));
      expect(asked).toEqual([
        "A nobody.svc.service.consul",
        "A svc",
        "AAAA nobody.svc.service.consul",
        "AAAA svc",
        "AAAA svc.service.consul",
        "SRV nobody.svc.service.consul",
      ]);
    });

    test("of several endpoints one is probed", async () => {
      await local(portPleaseBytes("n3"), OWN);
      await waitFor(() => counter.stdout().includes("connection"), { what: "a probe" });
    });
  });

  describe("a stranger", () => {
    test("gets the port of a node that is registered here", async () => {
      expect(await stranger(portPleaseBytes("web"))).toBe(found("web", 9100));
    });

    test("gets a port from static entries and SRV records when the node is at the address it asked", async () => {
      expect(await stranger(portPleaseBytes("s1"))).toBe(found("s1", 20005));
      expect(await stranger(portPleaseBytes("s2"))).toBe(NOT_FOUND);
      expect(await stranger(portPleaseBytes("n1"))).toBe(found("n1", 20001));
      expect(await stranger(portPleaseBytes("n2"))).toBe(NOT_FOUND);
    });

    test("has no way to name a host, and no DNS question is asked for one that tries", async () => {
      const names = [
        "n1@svc.service.consul",
        "n1.svc.service.consul",
        "web@localhost",
        `n1@${OWN}`,
        "n1@svc/4",
        "@",
        "a.b",
      ];
      const asked = await questionsDuring(async () => {
        for (const name of names) expect(await stranger(portPleaseBytes(name)), name).toBe(NOT_FOUND);
      });
      expect(asked).toEqual([]);
    });

    test("causes one SRV question and no fallback", async () => {
      const asked = await questionsDuring(() => stranger(portPleaseBytes("nobody")));
      expect(asked).toEqual(["SRV nobody.svc.service.consul"]);
    });

    test("has nothing dialled on its behalf", async () => {
      const before = counter.stdout();
      expect(await stranger(portPleaseBytes("n3"))).toMatch(/^77004e(3f|40)4d/);
      // Its own connection comes after any that the daemon would have made.
      await exchangeBytes({ host: OWN, port: 20031, netns: place(0) }, "00");
      const after = await waitFor(() => counter.stdout() !== before && counter.stdout(), { what: "our connection" });
      expect(after.slice(before.length)).toBe("connection\n");
    });

    test("gets NAMES", async () => {
      const epmdPort = daemon.port.toString(16).padStart(8, "0");
      const line = Buffer.from("name web at port 9100\n").toString("hex");
      expect(await stranger(NAMES)).toBe(epmdPort + line);
    });

    test.each([
      ["DUMP", DUMP],
      ["KILL", KILL],
      ["STOP", STOP_WEB],
      ["ALIVE2", ALIVE2_WEB.replace("776562", "776563")],
    ])("gets no answer to %s", async (_, request) => {
      expect(await stranger(request)).toMatch(/^(ECONNRESET)?$/);
      expect(await local(portPleaseBytes("web"))).toBe(found("web", 9100));
    });
  });
});

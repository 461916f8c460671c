import { expect, onTestFinished, test } from "vitest";
import { run } from "../support/child.js";
import { soa, startFakeDns, txt } from "../support/fake-dns-server.js";
import { gatewayDns } from "../support/gateway-dns.js";
import { requirePeer } from "../support/require-peer.js";

requirePeer("dig")("dig, at the gateway's DNS,", () => {
  const start = async () => {
    const upstream = await startFakeDns(({ qname, qtype, transport }) => {
      if (qname === "none.example") return { rcode: 3, authorities: [soa("example", 60, 60)] };
      if (qtype !== "TXT") return { answers: [] };
      const answers = Array.from({ length: 40 }, (_, index) => txt(qname, `${index} ${"x".repeat(200)}`));
      return transport === "udp" ? { truncated: true } : { answers };
    });
    onTestFinished(() => upstream.close());
    const { dns } = await gatewayDns({ forward: { servers: [upstream] } });
    const dig = async (...args: string[]) =>
      (await run("dig", ["@127.0.0.1", "-p", String(dns.port), "+tries=1", "+time=5", ...args])).stdout;
    return { dig, upstream };
  };
  const CLEAN = /^(?![\s\S]*(malformed|warning|extra bytes|mismatch))/i;

  test.each([[[]], [["+tcp"]], [["+noedns"]], [["+dnssec", "+nsid", "+ednsopt=65001:feed"]]])(
    "reads the address of a host with %j",
    async (options) => {
      const { dig } = await start();
      const answer = await dig("N1.svc.TEST", "A", ...options);
      expect(answer).toMatch(/status: NOERROR.*\n;; flags: qr aa rd ra;/);
      expect(answer).toMatch(/^n1\.svc\.test\.\s+0\s+IN\s+A\s+127\.64\.0\.148$/im);
      expect(answer).toMatch(CLEAN);
      expect(await dig("n1.svc.test", "AAAA", ...options)).toMatch(
        /^n1\.svc\.test\.\s+0\s+IN\s+AAAA\s+::ffff:127\.64\.0\.148$/m,
      );
    },
  );

  test("gets a long answer over TCP, after a truncated one over UDP", async () => {
    const { dig, upstream } = await start();
    const answer = await dig("long.example", "TXT");
    expect(answer).toContain("Truncated, retrying in TCP mode");
    expect(answer).toMatch(/ANSWER: 40,/);
    expect(upstream.queries.filter(({ qname }) => qname === "long.example").map(({ transport }) => transport)).toEqual([
      "udp",
      "tcp",
    ]);
  });

  test("gets the absence of others' names from others, and of odd names from the gateway", async () => {
    const { dig } = await start();
    expect(await dig("none.example", "A")).toMatch(/status: NXDOMAIN[\s\S]*SOA/);
    const odd = await dig("a\\.b\\000c.svc.test", "A");
    expect(odd).toMatch(/status: NOERROR[\s\S]*ANSWER: 0/);
    expect(odd).toMatch(/^;a\\\.b\\000c\.svc\.test\.\s+IN\s+A$/m);
  });

  test("reads the SRV record of a host's node, which is another's to tell", async () => {
    const { dig, upstream } = await start();
    expect(await dig("node_a.svc.test", "SRV")).toMatch(/status: NOERROR[\s\S]*ANSWER: 0/);
    expect(upstream.queries.at(-1)).toMatchObject({ qname: "node_a.svc.test", qtype: "SRV" });
  });
});

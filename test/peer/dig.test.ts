import { afterEach, expect, test } from "vitest";
import { createLogger } from "../../src/daemon/logger.js";
import { answerFromZone } from "../../src/dns/core/zone.js";
import { type Responder, startResponder } from "../../src/dns/responder.js";
import { run } from "../support/child.js";
import { requirePeer } from "../support/require-peer.js";

const ZONE = {
  domains: ["demo.test"],
  nodes: [
    { owner: "node_a.demo.test", port: 9100, weight: 5, addresses: ["10.0.0.1", "2001:db8::7"] },
    ...Array.from({ length: 20 }, (_, index) => ({
      owner: "many.demo.test",
      port: 9000 + index,
      weight: 1,
      addresses: [`10.0.0.${index}`],
    })),
  ],
};
const log = createLogger({ level: "silent", format: "json", write: () => {} });
let responder: Responder | undefined;
afterEach(async () => responder?.close());

async function dig(...args: string[]): Promise<string> {
  responder = await startResponder({
    address: "127.0.0.1",
    port: 0,
    answer: (query) => answerFromZone(query, ZONE),
    log,
  });
  const server = ["@127.0.0.1", "-p", String(responder.port), "+tries=1", "+time=5", "+norecurse"];
  const { stdout } = await run("dig", [...server, ...args]);
  return stdout;
}

requirePeer("dig")("dig", () => {
  test.each([[[]], [["+tcp"]], [["+noedns"]], [["+bufsize=512"]]])(
    "reads a node's SRV records with %j",
    async (options) => {
      const answer = await dig("node_a.demo.test", "SRV", ...options);
      expect(answer).toContain("status: NOERROR");
      expect(answer).toMatch(/flags: qr aa;/);
      expect(answer).toMatch(/^node_a\.demo\.test\.\s+0\s+IN\s+SRV\s+1 5 9100 0a000001\.addr\.demo\.test\.$/m);
      expect(answer).toMatch(/^0a000001\.addr\.demo\.test\.\s+0\s+IN\s+A\s+10\.0\.0\.1$/m);
      expect(answer).toMatch(/^20010db8000000000000000000000007\.addr\.demo\.test\.\s+0\s+IN\s+AAAA\s+2001:db8::7$/m);
      expect(answer).not.toMatch(/malformed|warning|extra bytes/i);
    },
  );

  test("comes back over TCP for what does not fit into a datagram", async () => {
    const answer = await dig("many.demo.test", "SRV");
    expect(answer).toContain("Truncated, retrying in TCP mode");
    expect(answer).toContain("ANSWER: 20");
  });

  test("sees the difference between NODATA, NXDOMAIN and REFUSED", async () => {
    expect(await dig("node_a.demo.test", "TXT")).toMatch(/status: NOERROR.*ANSWER: 0.*SOA/s);
    await responder?.close();
    expect(await dig("nobody.demo.test", "SRV")).toMatch(/status: NXDOMAIN.*SOA/s);
    await responder?.close();
    expect(await dig("node_a.elsewhere.test", "SRV")).toContain("status: REFUSED");
  });

  test("is told that a version of EDNS above 0 is not spoken", async () => {
    expect(await dig("node_a.demo.test", "SRV", "+edns=1", "+noednsnegotiation")).toContain("status: BADVERS");
  });
});

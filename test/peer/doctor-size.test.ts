import { beforeAll, expect, test } from "vitest";
import { examine } from "../support/doctor.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const HERE = "node_a@10.92.0.1";
const THERE = "node_b@10.92.0.2";

requirePeer("erl", "netns")("srv-epmd doctor, about a way on which large packets are lost", () => {
  let hosts: readonly [Host, Host];
  let a: ErlangNode;
  let flags: readonly string[];
  const doctor = () => examine([...flags, THERE], { netns: hosts[0] });

  beforeAll(async () => {
    const { hosts: made } = await createHosts([
      { addresses: ["10.92.0.1/24"], hosts: ["10.92.0.1 box1"], hostname: "box1" },
      { addresses: ["10.92.0.2/24"], hosts: ["10.92.0.2 box2"], hostname: "box2" },
    ]);
    hosts = made as [Host, Host];
    flags = ["--register", "none", "--fallback", "epmd"];
    for (const host of hosts) {
      await startDaemon({ port: 4369, netns: host, args: ["--register", "none", "--listen", host.ipv4 ?? ""] });
    }
    a = await startNode({ name: HERE, netns: hosts[0] });
    await startNode({ name: THERE, netns: hosts[1] });
  });

  test("nothing is said while they pass", async () => {
    const { of } = await doctor();
    expect(of("peer-size")).toMatchObject({
      result: "ok",
      evidence: expect.stringContaining("a message of 1400 octets"),
    });
  });

  test("a message of the handshake that is larger gets no answer, and a link that stands has octets unacknowledged", async () => {
    expect(await a.ping(THERE)).toBe("pong");
    // A port of the bridge drops without a word what is larger than its MTU.
    const bridge = hosts[0].namespace.replace(/-1$/, "-br");
    await hosts[0].run("ip", "-n", bridge, "link", "set", "port2", "mtu", "1000");
    // One segment: what the sender's kernel would cut up itself passes here in one piece.
    await a.eval(`erlang:send({nobody, '${THERE}'}, binary:copy(<<"x">>, 1200)), ok`);
    const examined = await waitFor(
      async () => {
        const one = await doctor();
        return one.of("vm-links").result === "warn" && one;
      },
      { what: "the link to be stuck", timeout: 40_000 },
    );
    expect(examined.code).toBe(1);
    expect(examined.of("peer-size")).toMatchObject({ result: "fail", code: "PEER_LARGE_LOST" });
    expect(examined.of("peer-size").evidence).toMatch(
      /^10\.92\.0\.2:\d+ answers a small message .* and one of 1400 octets not/,
    );
    expect(examined.of("peer-handshake").result).toBe("ok");
    expect(examined.of("vm-links").code).toBe("LINK_STUCK");
    expect(examined.of("vm-links").evidence).toMatch(
      /^the link of node_a from 10\.92\.0\.1:\d+ to 10\.92\.0\.2:\d+ has \d{4,} octets unacknowledged for \d+\.\d s/,
    );
    expect(examined.of("vm-links").advice).toContain("MTU");
    await hosts[0].run("ip", "-n", bridge, "link", "set", "port2", "mtu", "1500");
  });
});

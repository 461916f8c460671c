import { expect, test } from "vitest";
import { examine } from "../support/doctor.js";
import { startLinkedNodes, writeCookie } from "../support/linked-nodes.js";
import { requirePeer } from "../support/require-peer.js";

requirePeer("erl", "epmd")("the cookie that doctor is given", () => {
  test("is compared with that of the node, and the verdict is exact", async () => {
    const nodes = await startLinkedNodes();
    const a = await nodes.start("a");
    const alone = ["--port", String(nodes.epmdPort), "--register", "none"];
    const doctor = (...more: readonly string[]) => examine([a.name, ...nodes.entries(a), ...alone, ...more]);
    expect((await doctor()).of("peer-cookie")).toMatchObject({
      result: "skip",
      evidence: expect.stringContaining("--cookie-file"),
    });
    expect((await doctor("--cookie-file", nodes.cookieFile)).of("peer-cookie")).toMatchObject({
      result: "ok",
      evidence: expect.stringContaining("the cookie is right; OTP 25, linked with 0 nodes"),
    });
    const wrong = await doctor("--cookie-file", await writeCookie("another"));
    expect(wrong.code).toBe(1);
    expect(wrong.of("peer-cookie")).toMatchObject({
      ...{ result: "fail", code: "PEER_COOKIE" },
      evidence: expect.stringContaining("it refuses the cookie"),
      advice: expect.stringContaining("-setcookie"),
    });
    expect(wrong.of("peer-handshake").result).toBe("ok");
    await nodes.killAll();
  });

  test("is not compared where none is given: of VMs that refuse each other JSON says that it was not", async () => {
    const nodes = await startLinkedNodes();
    const [a, b] = [await nodes.start("a"), await nodes.start("b", { cookie: "another" })];
    expect(await a.vm.ping(b.name)).toBe("pang");
    const alone = ["--port", String(nodes.epmdPort), "--register", "none"];
    const args = [b.name, ...nodes.entries(b), ...alone];
    const { of, with: having } = await examine(args);
    // The EPMD here is a stock one, which is another matter.
    const ofPeer = (failed: readonly string[]) => failed.filter((id) => id.startsWith("peer-"));
    expect(ofPeer([...having("fail"), ...having("warn")])).toEqual([]);
    expect(of("peer-handshake").result).toBe("ok");
    expect(of("peer-cookie")).toEqual({
      ...{ check: "peer-cookie", result: "skip" },
      evidence: "no cookie was given: with --cookie-file FILE it is compared with that of the node",
    });
    const given = await examine([...args, "--cookie-file", nodes.cookieFile]);
    expect([given.code, given.of("peer-cookie").code, ofPeer(given.with("fail"))]).toEqual([
      ...[1, "PEER_COOKIE"],
      ["peer-cookie"],
    ]);
    await nodes.killAll();
  });
});

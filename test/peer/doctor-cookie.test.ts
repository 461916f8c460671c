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
      result: "fail",
      evidence: expect.stringContaining("it refuses the cookie"),
      advice: expect.stringContaining("-setcookie"),
    });
    expect(wrong.of("peer-handshake").result).toBe("ok");
    await nodes.killAll();
  });
});

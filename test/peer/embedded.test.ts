import { expect, test } from "vitest";
import { run } from "../support/child.js";
import { startNode } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

requirePeer("erl", "dig")("the embedded DNS", () => {
  test("answers for the nodes that are alive here, over UDP and TCP, as long as they are", async () => {
    const daemon = await startDaemon({ args: ["--domain", "demo.test", "--dns-listen", "127.0.0.1:0"] });
    const ready = daemon.log().find((line) => line.msg === "ready");
    const dns = String(ready?.dns);
    expect(dns).toMatch(/^127\.0\.0\.1:[0-9]+$/);
    const [address = "", port = ""] = dns.split(":");
    const vms = await Promise.all(
      ["one", "two"].map((name) => startNode({ name: `${name}@127.0.0.1`, epmdPort: daemon.port })),
    );
    const [one, two] = vms;
    if (!one || !two) throw new Error("no VMs");

    const { stdout } = await runCli(["names", `127.0.0.1:${daemon.port}`, "--json"]);
    const { names } = JSON.parse(stdout) as { names: { name: string; port: number }[] };
    const portOf = (name: string) => names.find((entry) => entry.name === name)?.port;
    const resolve = async () => {
      const result = await runCli(["resolve", "one@demo.test", "two@demo.test", "--json", "--dns", dns]);
      return {
        code: result.code,
        reports: result.stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      };
    };
    const both = await resolve();
    expect(both.code).toBe(0);
    expect(both.reports).toMatchObject(
      ["one", "two"].map((name) => ({
        node: `${name}@demo.test`,
        source: "srv",
        endpoints: [{ address: "127.0.0.1", port: portOf(name), target: "7f000001.addr.demo.test" }],
      })),
    );

    const dig = async (...args: string[]) =>
      (await run("dig", [`@${address}`, "-p", port, "+short", "+tries=1", ...args])).stdout.trim();
    const expected = `1 1 ${portOf("one")} 7f000001.addr.demo.test.`;
    expect(await dig("one.demo.test", "SRV", "+notcp")).toBe(expected);
    expect(await dig("one.demo.test", "SRV", "+tcp")).toBe(expected);
    expect(await dig("7f000001.addr.demo.test", "A")).toBe("127.0.0.1");
    // A VM that asks for one that it was never told of: the way in by host, with the domain known to the daemon.
    expect(await one.ping("two@127.0.0.1")).toBe("pong");

    const killedAt = performance.now();
    one.child.signal("SIGKILL");
    await waitFor(async () => (await dig("one.demo.test", "SRV")) === "", { what: "one out of DNS", interval: 1 });
    const took = Math.round(performance.now() - killedAt);
    expect(took, `out of DNS after ${took} ms`).toBeLessThan(1_000);
    const { code, reports } = await resolve();
    expect(reports).toMatchObject([{ outcome: "not-found" }, { outcome: "found" }]);
    expect(code).toBe(1);
    await two.kill();
    await daemon.stop();
  });
});

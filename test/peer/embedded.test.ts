import { hostname } from "node:os";
import { expect, test } from "vitest";
import { run } from "../support/child.js";
import { startNode } from "../support/erlang.js";
import { createHosts } from "../support/netns.js";
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

requirePeer("erl", "netns")("the embedded DNS on an address of the network", () => {
  test("answers other machines with that address, not with their own loopback", async () => {
    const { hosts, remove } = await createHosts([{ addresses: ["10.97.0.1/24"] }, { addresses: ["10.97.0.2/24"] }]);
    const [netns, other] = hosts;
    if (!netns || !other) throw new Error("no hosts");
    const args = ["--domain", "demo.test", "--dns-listen", "10.97.0.1:8653", "--listen", "10.97.0.1"];
    const daemon = await startDaemon({ netns, port: 4369, args });
    const vm = await startNode({ netns, name: "one@10.97.0.1", epmdPort: 4369 });
    const { code, stdout } = await runCli(["resolve", "one@demo.test", "--dns", "10.97.0.1:8653", "--json"], {
      netns: other,
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ endpoints: [{ address: "10.97.0.1", family: 4 }] });
    await vm.stop();
    await daemon.stop();
    await remove();
  });
});

requirePeer("erl")("resolve and wait on the machine where a node lives", () => {
  test("find it under the machine's names and addresses, through any EPMD", async () => {
    const daemon = await startDaemon();
    const vm = await startNode({ sname: "here", epmdPort: daemon.port });
    const port = String(daemon.port);
    for (const host of ["localhost", hostname().split(".")[0], "127.0.0.1"]) {
      const { code, stdout } = await runCli(["resolve", `here@${host}`, "--port", port, "--json"]);
      expect(code, host).toBe(0);
      expect(JSON.parse(stdout), host).toMatchObject({ source: "registry", endpoints: [{ address: "127.0.0.1" }] });
    }
    expect(await runCli(["wait", "here@localhost", "--port", port, "--timeout", "2s"])).toMatchObject({ code: 0 });
    const absent = await runCli(["resolve", "gone@localhost", "--port", port]);
    expect(absent).toMatchObject({ code: 1, stdout: expect.stringContaining("gone is not registered with the EPMD") });
    await vm.stop();
    await daemon.stop();
  });
});

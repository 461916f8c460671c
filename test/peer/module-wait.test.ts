import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { beginVm, bootVm } from "../support/booting-vm.js";
import { epmdNames, startStockEpmd } from "../support/epmd.js";
import { startElixirNode, startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { moduleFolder } from "../support/module-folder.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

/** Milliseconds: longer than OTP's limits (5 s for a call, 7 s for the set-up of a connection) and than the usual wait. */
const LATE = 12_000;

const isListed = async (port: number, name: string) =>
  new RegExp(`^name ${name} at`, "m").test((await epmdNames(port)).stdout);

for (const release of [23, 25, 27, 29]) {
  const peers: Peer[] = [`otp${release}`, "erl", "epmd"];
  requirePeer(...peers)(`a node with the module on OTP ${release} whose EPMD is not up yet`, () => {
    test.concurrent("waits, says so, and is registered when it is up, also after longer than OTP's own limits", async () => {
      const epmdPort = await freePort();
      const node = await beginVm({ release, epmdPort, env: { SRV_EPMD_WAIT: "1m" } });
      await node.waitForOutput(
        /no srv-epmd answers at 127\.0\.0\.1 port [0-9]+ yet \(econnrefused\); a waits for it, at most 60\.0 s \(SRV_EPMD_WAIT\)/,
      );
      await sleep(LATE);
      await startDaemon({ port: epmdPort });
      const [, waited] = await node.waitForOutput(/a is registered after a wait of ([0-9.]+) s/);
      expect(Number(waited)).toBeGreaterThanOrEqual(LATE / 1000);
      await node.waitForOutput(/up as 'a@127\.0\.0\.1'/);
      expect(await isListed(epmdPort, "a")).toBe(true);
      // SIGTERM is the VM's own again, which stops in order.
      expect(await node.stop()).toMatchObject({ code: 0 });
    }, 60_000);

    test.concurrent("ends when the time is over, with one line that says what to do", async () => {
      const epmdPort = await freePort();
      const { code, ms, said } = await bootVm({ release, epmdPort, env: { SRV_EPMD_WAIT: "1500ms" } });
      expect(code).toBe(1);
      expect(ms).toBeGreaterThan(1_500);
      const place = `127\\.0\\.0\\.1 port ${epmdPort}`;
      expect(said).toMatch(
        new RegExp(
          `'srv_epmd: no srv-epmd answered at ${place} within [0-9.]+ s \\(econnrefused\\): start it, or wait longer with SRV_EPMD_WAIT'`,
        ),
      );
    }, 30_000);

    test.concurrent("and that is told to stop meanwhile ends at once", async () => {
      const node = await beginVm({ release, epmdPort: await freePort(), env: { SRV_EPMD_WAIT: "1m" } });
      await node.waitForOutput(/waits for it/);
      const toldAt = performance.now();
      expect(await node.stop("SIGTERM")).toMatchObject({ code: 0, signal: null });
      // It is killed after 5 s.
      expect(performance.now() - toldAt).toBeLessThan(4_000);
    }, 30_000);

    test.concurrent("and that is told to stop meanwhile is not started again by heart", async () => {
      const restarted = join(await temporaryFolder("heart"), "restarted");
      const env = { SRV_EPMD_WAIT: "1m", HEART_COMMAND: `touch ${restarted}`, HEART_NO_KILL: "TRUE" };
      const node = await beginVm({ release, epmdPort: await freePort(), env, args: ["-heart"] });
      await node.waitForOutput(/waits for it/);
      expect(await node.stop("SIGTERM")).toMatchObject({ code: 0, signal: null });
      // heart is another process, and runs the command at once when it does.
      await sleep(1_000);
      await expect(access(restarted)).rejects.toThrow("ENOENT");
    }, 30_000);

    test.concurrent("does not wait when it is a helper or a remote shell, or registers no name", async () => {
      const [epmdPort, env] = [await freePort(), { SRV_EPMD_WAIT: "1m" }];
      const [dynamic, ...asking] = await Promise.all([
        bootVm({ release, epmdPort, env, name: "undefined@127.0.0.1" }),
        bootVm({ release, epmdPort, env, name: "rpc-1a2b3c-a@127.0.0.1" }),
        bootVm({ release, epmdPort, env, args: ["-remsh", "b@127.0.0.1"] }),
        bootVm({ release, epmdPort, env, args: ["-extra", "--remsh", "b@127.0.0.1"] }),
        bootVm({ release, epmdPort, env, args: ["-extra", "--rpc-eval", "b@127.0.0.1", "node()"] }),
      ]);
      expect(dynamic.code).toBe(0);
      for (const { code, said } of asking) {
        expect(code).toBe(1);
        expect(said).toContain("(econnrefused); it must be up before this node is'");
      }
      for (const { said } of [dynamic, ...asking]) expect(said).not.toContain("waits for it");
    }, 30_000);
  });
}

requirePeer("erl", "epmd")("the wait of a node for its EPMD", () => {
  test.concurrent("is 10 s long where nothing else is said", async () => {
    const node = await beginVm({ epmdPort: await freePort() });
    await node.waitForOutput(/a waits for it, at most 10\.0 s/);
    const { code, ms } = await node.exited;
    expect(code).toBe(1);
    expect(ms).toBeGreaterThan(10_000);
  }, 40_000);

  test.concurrent("is refused when it is no time, also where the EPMD is up", async () => {
    const { port: epmdPort } = await startDaemon();
    for (const text of ["soon", "-1s", "2h", "10 s", "1.5.s", "99999999", "10 сек"]) {
      const { code, said } = await bootVm({ epmdPort, env: { SRV_EPMD_WAIT: text } });
      expect([code, said]).toEqual([
        1,
        expect.stringContaining(
          `'srv_epmd: SRV_EPMD_WAIT must be a time such as 500ms, 10s or 2m, at most 1h, or 0 for no wait; it is "${text}"'`,
        ),
      ]);
    }
    for (const text of ["", "0", "0s", "10", "2.5s", "1h"]) {
      expect(await bootVm({ epmdPort, env: { SRV_EPMD_WAIT: text } })).toMatchObject({ code: 0 });
    }
  }, 60_000);

  test.concurrent("is not for an answer: a name that is taken is refused at once", async () => {
    const epmdPort = await freePort();
    await startStockEpmd(epmdPort);
    const holder = await startNode({ name: "a@127.0.0.1", epmdPort });
    const { code, said } = await bootVm({ epmdPort, env: { SRV_EPMD_WAIT: "1m" } });
    expect(code).toBe(1);
    expect(said).toContain("seems to be in use by another Erlang node");
    expect(said).not.toContain("waits");
    await holder.stop();
  }, 40_000);

  test.concurrent("is also for a srv-epmd elsewhere, and for a broker's prelaunch", async () => {
    const epmdPort = await freePort();
    const env = { SRV_EPMD_ADDRESS: "127.0.0.2", SRV_EPMD_WAIT: "30s" };
    const [node, broker] = await Promise.all([
      beginVm({ epmdPort, env }),
      beginVm({ epmdPort, env, name: "rabbit_prelaunch_4711@127.0.0.1" }),
    ]);
    for (const child of [node, broker]) {
      await child.waitForOutput(/no srv-epmd answers at 127\.0\.0\.2 port [0-9]+ yet \(econnrefused\)/);
    }
    await startDaemon({ port: epmdPort, args: ["--listen", "127.0.0.2"] });
    for (const child of [node, broker]) await child.waitForOutput(/up as/);
  }, 40_000);

  describe("of a distribution that a running VM starts", () => {
    test.concurrent("ends with an error that the caller gets, and the VM lives on", async () => {
      const epmdPort = await freePort();
      const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
      const node = await startNode({ epmdPort, args, env: { SRV_EPMD_WAIT: "1s" } });
      expect(await node.eval("net_kernel:start(['a@127.0.0.1', longnames])")).toMatch(/^\{error,/);
      const { port } = await startDaemon({ port: epmdPort });
      expect(await node.eval("element(1, net_kernel:start(['a@127.0.0.1', longnames]))")).toBe("ok");
      expect(await isListed(port, "a")).toBe(true);
      await node.stop();
    }, 40_000);
  });
});

requirePeer(
  "elixir",
  "erl",
  "epmd",
)("an Elixir node with the module whose EPMD is not up yet", () => {
  test.concurrent("waits for it", async () => {
    const epmdPort = await freePort();
    const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    const starting = startElixirNode({ name: "a@127.0.0.1", epmdPort, args });
    await sleep(2_000);
    await startDaemon({ port: epmdPort });
    expect(await (await starting).eval("node()")).toBe(':"a@127.0.0.1"');
  }, 40_000);
});

import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { run, startChild } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { freePort } from "../support/free-port.js";
import { BIN, runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";

/** What only shows in the program as it is shipped: bundled, and in a process of its own. */
describe("the built program", () => {
  test("is in strict mode in each of its files, as the sources are", async () => {
    const dist = dirname(BIN);
    const chunks = (await readdir(join(dist, "chunks"))).map((name) => join(dist, "chunks", name));
    expect(chunks.length).toBeGreaterThan(50);
    for (const file of [BIN, ...chunks]) expect(await readFile(file, "utf8"), file).toMatch(/^(#!.*\n)?"use strict";/);
  });

  test("reads a YAML file", async () => {
    const file = join(await temporaryFolder("yaml"), "options.yaml");
    await writeFile(file, "node: [a@h=10.0.0.1:1]\njson: true\n");
    const { code, stdout, stderr } = await runCli(["resolve", "a@h", "--config", file]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "found", source: "static" });
  });

  test("does not call a result done that could not be written", async () => {
    const { code, stderr } = await run("sh", ["-c", `node ${BIN} resolve a@h --node a@h=10.0.0.1:1 > /dev/full`]);
    expect(code).toBe(3);
    expect(stderr).toContain("the result cannot be written: ENOSPC");
  });

  test("waits for as long as it was told to: what comes meanwhile is seen", async () => {
    const port = await freePort();
    const { stderr } = await runCli(["wait", "--port", String(port), "--timeout", "1"]);
    expect(Number(/gave up after ([0-9.]+) s/.exec(stderr)?.[1])).toBeGreaterThan(0.8);
    const waiting = runCli(["wait", "--port", String(port), "--timeout", "20s"]);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const daemon = await startDaemon({ port });
    expect(await waiting).toMatchObject({ code: 0 });
    await daemon.stop();
  });

  test("opens no debugger on SIGUSR1 and lives on after SIGUSR2", async () => {
    const daemon = await startDaemon();
    daemon.child.signal("SIGUSR1");
    daemon.child.signal("SIGUSR2");
    expect(await runCli(["names", `127.0.0.1:${daemon.port}`])).toMatchObject({ code: 0 });
    expect(daemon.child.stderr()).not.toContain("Debugger");
    await daemon.stop();
  });

  test("says when it is ready what it serves, whom it asks, where it publishes, and which ways are open", async () => {
    const settings = async (...args: string[]) => {
      const daemon = await startDaemon({ args });
      const ready = daemon.log().find(({ msg }) => msg === "ready");
      await daemon.stop();
      return ready;
    };
    const servers = ["--dns", "consul=127.0.0.1:8600", "--dns", "[::1]:53"];
    const consul = ["--consul", "http://127.0.0.1:1"];
    expect(await settings("--domain", "rabbit*=mq", "--domain", "svc", ...servers, ...consul)).toMatchObject({
      domain: ["rabbit*=mq.service.consul", "svc.service.consul"],
      nameServers: ["consul=127.0.0.1:8600", "[::1]:53"],
      publish: "consul",
      consul: "http://127.0.0.1:1",
      ways: ["module", "host"],
      mesh: false,
    });
    const zone = await settings("--domain", "svc.test", "--dns-listen", "127.0.0.1:0", "--dns", "127.0.0.1:1");
    expect(zone).toMatchObject({ publish: "zone", nameServers: [`svc.test=${zone?.dns}`, "127.0.0.1:1"] });
    expect(zone).not.toHaveProperty("consul");
    const mesh = await settings("--mesh", "--register", "none", "--domain", "svc", ...consul);
    expect(mesh).toMatchObject({ publish: "none", mesh: true });
    expect(mesh).not.toHaveProperty("nameServers");
  });

  test("takes two signals of one moment for one", async () => {
    const daemon = await startDaemon();
    daemon.child.signal("SIGTERM");
    daemon.child.signal("SIGTERM");
    expect(await daemon.child.exited).toMatchObject({ code: 0 });
    expect(daemon.log().map(({ msg }) => msg)).toEqual(["ready", "stopping", "stopped"]);
  });

  test("serves HTTP and patterns after an upgrade in place has taken its files away", async () => {
    const folder = join(await temporaryFolder("upgrade"), "dist");
    await cp(dirname(BIN), folder, { recursive: true });
    const at = await freePort();
    const args = ["serve", "--port", "0", "--admin", `127.0.0.1:${at}`, "--log-format", "json"];
    args.push("--log-level", "debug", "--consul", "http://127.0.0.1:1");
    const child = startChild(process.execPath, [join(folder, "srv-epmd.cjs"), ...args], { env: cleanEnvironment() });
    await child.waitForOutput(/"all parts of the program are loaded"/);
    await rm(join(folder, "chunks"), { recursive: true });
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${at}${path}`)).status;
    expect([await get("/readyz"), await get("/metrics"), await get("/page.css"), await get("/")]).toEqual([
      200, 200, 200, 200,
    ]);
    const port = /"port":([0-9]+)/.exec(child.stderr())?.[1];
    // Nobody answers at the agent's place; what asks it is there all the same.
    await runCli(["names", `127.0.0.1:${port}`, "--match", "n*@svc"]);
    expect(child.stderr()).toContain("ECONNREFUSED");
    expect(child.stderr()).not.toMatch(/cannot be (started|served)|Cannot find module/);
    await child.stop();
  });
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine } from "../support/doctor.js";
import { cleanEnvironment } from "../support/environment.js";
import { createIsolated, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, runCli, startDaemon } from "../support/srv-epmd.js";

const ADMIN = ["--admin", "127.0.0.1:9369"];
const TOKEN = "b1gs33d5-7f6e-4c3e-9a38-tokentoken00";

requirePeer("consul", "netns")("commands without options, on a machine with a srv-epmd", () => {
  let host: Host;
  let consul: Consul;
  let flags: readonly string[];
  let daemon: Daemon | undefined;
  const cli = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => runCli(args, { netns: host, env });
  const serve = async (...more: readonly string[]) => {
    daemon = await startDaemon({ port: 4369, netns: host, args: [...flags, ...more] });
    return daemon;
  };

  beforeAll(async () => {
    // A resolver that knows nothing of Consul.
    host = await createIsolated({ addresses: [], resolvConf: "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n" });
    consul = await startConsul({ netns: host });
    flags = ["--domain", "svc", "--consul", consul.url, "--dns", `consul=127.0.0.1:${consul.dnsPort}`, ...ADMIN];
    const body = { ID: "b", Name: "svc", Tags: ["node_b"], Address: "10.0.0.9", Port: 20002 };
    await consul.request("PUT", "/v1/agent/service/register", body);
  });
  afterAll(async () => {
    await daemon?.kill();
    await consul?.stop();
  });

  test("find nothing while none runs, and say why", async () => {
    const { code, stdout, stderr } = await cli(["resolve", "node_b@svc", "--json"]);
    expect(code).not.toBe(0);
    expect(JSON.parse(stdout).outcome).not.toBe("found");
    expect(stderr).toMatch(/nothing listens on 127\.0\.0\.1:9369\. Run it where srv-epmd runs/);
  });

  test("look up as it does, by its catalogue and by its DNS", async () => {
    await serve();
    const { code, stdout, stderr } = await cli(["resolve", "node_b@svc", "--json"]);
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ outcome: "found", source: "catalogue" })]);
    expect(stderr).toBe(
      `srv-epmd: with the settings of the srv-epmd here (127.0.0.1:9369): --domain svc --dns consul=127.0.0.1:${consul.dnsPort} --consul ${consul.url}\n`,
    );
    const byDns = await cli(["resolve", "node_b@svc", "--json", "--catalogue", "none"]);
    expect(JSON.parse(byDns.stdout)).toMatchObject({ outcome: "found", source: "srv" });
    expect((await cli(["resolve", "node_b"])).stdout).toContain("10.0.0.9:20002");
    expect((await cli(["wait", "node_b@svc", "--timeout", "5s"])).code).toBe(0);
    expect((await cli(["names", "--cluster"])).stdout).toContain("node_b@svc.service.consul");
  });

  test("name its options in doctor, which finds nothing to say of them", async () => {
    const { of, stderr } = await examine([], { netns: host });
    expect(stderr).toContain("--domain svc");
    expect(of("serve-options")).toMatchObject({
      result: "ok",
      evidence: expect.stringContaining("the srv-epmd here has the same"),
    });
    expect(of("resolver")).toMatchObject({
      result: "ok",
      evidence: `svc.service.consul: 127.0.0.1:${consul.dnsPort} answers`,
    });
    expect(of("consul-agent").result).toBe("ok");
  });

  test("take what is given by hand before it, and send no token to where it says", async () => {
    const other = await cli(["resolve", "node_b", "--domain", "other", "--json"]);
    expect(JSON.parse(other.stdout)).toMatchObject({ node: "node_b@other.service.consul", outcome: "not-found" });
    const { stdout, stderr } = await cli(["resolve", "node_b@svc", "--json"], { CONSUL_HTTP_TOKEN: TOKEN });
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "found", source: "srv" });
    expect(stderr).toContain(`it also has --consul ${consul.url}, to be given by hand`);
  });

  test("tell nothing else than before of an EPMD that is named", async () => {
    const { code, stderr } = await cli(["names", "127.0.0.1"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect((await cli(["wait"])).stderr).toBe("");
  });

  test("find it at another EPMD port, unless another EPMD has the usual one", async () => {
    await daemon?.kill();
    daemon = await startDaemon({ port: 14369, netns: host, args: flags });
    const { code, stdout, stderr } = await cli(["names", "--json"]);
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ epmd: "127.0.0.1:14369" })]);
    expect(stderr).toContain("--port 14369");
    const usual = await startDaemon({ port: 4369, netns: host });
    const names = await cli(["names", "--json"]);
    expect(JSON.parse(names.stdout)).toMatchObject({ epmd: "127.0.0.1:4369" });
    const { stderr: why } = await cli(["resolve", "nobody@svc"]);
    expect(why).toContain("has the EPMD port 14369, not 4369");
    await usual.kill();
    await daemon.kill();
  });

  test("wait for it, and have its settings then", async () => {
    const waiting = cli(["wait", "node_b@svc", "--timeout", "20s"]);
    await serve("--catalogue", "none");
    const { code, stdout, stderr } = await waiting;
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^node_b@svc is there/)]);
    expect(stderr).toContain(`--dns consul=127.0.0.1:${consul.dnsPort}`);
  });

  test("see the nodes of its own zone, which it alone serves", async () => {
    await daemon?.kill();
    daemon = await startDaemon({
      ...{ port: 4369, netns: host },
      args: ["--domain", "demo.test", "--dns-listen", "127.0.0.1:0", ...ADMIN],
    });
    const { code, stdout, stderr } = await cli(["resolve", "a@demo.test", "--json"]);
    // The resolver of the machine does not answer.
    expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ code: "SRV_NXDOMAIN" })]);
    expect(stderr).toMatch(/--dns-listen 127\.0\.0\.1:[1-9]/);
    await daemon.kill();
  });

  test("are told that it is there, where it serves no HTTP", async () => {
    daemon = await startDaemon({ port: 4369, netns: host, args: flags.slice(0, -2) });
    const { stderr } = await cli(["resolve", "node_b@svc"]);
    expect(stderr).toMatch(
      /nothing listens on 127\.0\.0\.1:9369\. A srv-epmd has the EPMD port 4369: give its --admin/,
    );
    const { of, stderr: line } = await examine(["--dns", "127.0.0.1:1"], { netns: host });
    expect(line).toMatch(
      /not known here, only the defaults and what is given: nothing listens on 127\.0\.0\.1:9369\. A /,
    );
    expect(of("serve-options").evidence).toContain("those of the srv-epmd here are not known");
    await daemon.kill();
  });

  describe("another user listens where it would serve HTTP", () => {
    const told = JSON.stringify({
      ...{ version: "1.0.0", epmd: { port: 4369 } },
      options: { node: ["node_b@svc=10.66.6.6:666"], consul: "http://10.66.6.6:8500" },
    });
    const LISTEN = `require("node:http").createServer((_, r) => r.end(process.argv[1])).listen(9369, "127.0.0.1", () => console.log("up"))`;

    test.runIf(process.getuid?.() === 0)("his settings are not used", async () => {
      daemon = await startDaemon({ port: 4369, netns: host, args: flags.slice(0, -2) });
      const [node = "", ...args] = [process.execPath, "-e", LISTEN, told];
      const as = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", node, ...args];
      const impostor = startChild("/usr/bin/setpriv", as, { netns: host, env: cleanEnvironment() });
      await impostor.waitForOutput(/up/);
      const { stdout, stderr } = await cli(["resolve", "node_b@svc"]);
      expect(stdout).not.toContain("10.66.6.6");
      expect(stderr).toContain("belongs to another user than the EPMD on port 4369");
      await impostor.kill();
      // The same from the daemon's own user is taken.
      const own = startChild(node, args, { netns: host, env: cleanEnvironment() });
      await own.waitForOutput(/up/);
      expect((await cli(["resolve", "node_b@svc"])).stdout).toContain("10.66.6.6:666");
      await own.kill();
      await daemon.kill();
    });
  });
});

import { beforeAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { examine, examineAsNobody } from "../support/doctor.js";
import { cleanEnvironment } from "../support/environment.js";
import { createIsolated, type Host } from "../support/netns.js";
import { programForAll } from "../support/program-for-all.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";

const GATEWAY = ["--gateway", "--domain", "svc.test", "--register", "none"];

/** As in a container, whose users but root may not listen on ports below 1024. */
requirePeer("netns")("srv-epmd doctor, where serve --gateway cannot have the port of its DNS", () => {
  let host: Host;
  beforeAll(async () => {
    host = await createIsolated({ addresses: [] });
    await host.run("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=1024");
  });
  const serve = (...more: readonly string[]) => runCli(["serve", ...GATEWAY, ...more], { netns: host });

  test("a user without the right: what serve says, and that nothing else is the cause", async () => {
    const { code, of } = await examineAsNobody(GATEWAY, host);
    expect([code, of("dns-listen").result, of("dns-listen").code]).toEqual([1, "fail", "DNS_LISTEN_DENIED"]);
    expect(of("dns-listen").evidence).toMatch(
      /^serve does not start here as this user \(uid 65534\): its DNS is not allowed to listen on 127\.0\.0\.1:53: /,
    );
    expect(of("dns-listen").advice).toMatch(/CAP_NET_BIND_SERVICE.*--sysctl.*--gateway-listen 127\.0\.0\.1:5300/);
    expect(of("epmd-port").follows).toBe("DNS_LISTEN_DENIED");
    const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, await programForAll()];
    const relay = ["--relay-socket", "/tmp/none.sock"];
    const child = startChild("setpriv", [...nobody, "serve", ...GATEWAY, ...relay], {
      netns: host,
      env: cleanEnvironment(),
    });
    await child.exited;
    const advice = of("dns-listen").advice ?? "";
    expect(child.stderr()).toContain(advice.slice(0, 60));
  });

  test("another name server there: which it is; and a port of its own", async () => {
    const listen = `require("node:net").createServer(() => {}).listen(53, "127.0.0.1", () => console.log("up"))`;
    const other = startChild(process.execPath, ["-e", listen], { netns: host, env: cleanEnvironment() });
    await other.waitForOutput(/up/);
    const { code, of } = await examine(GATEWAY, { netns: host });
    expect([code, of("dns-listen").code]).toEqual([1, "DNS_LISTEN_FAILS"]);
    expect(of("dns-listen").evidence).toMatch(/another name server listens there \(process \d+: .*node/);
    expect((await serve()).stderr).toContain("another name server listens there");
    const own = [...GATEWAY, "--gateway-listen", "127.0.0.1:5300"];
    expect((await examine(own, { netns: host })).of("dns-listen").result).toBe("ok");
    await other.kill();
  });

  test("an embedded DNS at an address that the machine does not have", async () => {
    const flags = ["--domain", "svc.test", "--dns-listen", "192.0.2.1:53"];
    const { of } = await examine(flags, { netns: host });
    expect(of("dns-listen")).toMatchObject({
      ...{ code: "DNS_LISTEN_FAILS", evidence: expect.stringContaining("this machine has no such address") },
      advice: expect.stringContaining("--dns-listen"),
    });
  });

  test("of a srv-epmd that runs nothing is tried", async () => {
    const args = ["--domain", "svc.test", "--dns-listen", "127.0.0.1:5353"];
    const daemon = await startDaemon({ port: 4369, netns: host, args });
    expect((await examine(args, { netns: host })).of("dns-listen").result).toBe("skip");
    await daemon.stop();
  });
});

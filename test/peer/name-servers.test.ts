import { describe, expect, onTestFinished, test } from "vitest";
import { type Consul, type ConsulOptions, startConsul } from "../support/consul-agent.js";
import { examine } from "../support/doctor.js";
import { type FakeDnsServer, NXDOMAIN, soa, startFakeDns } from "../support/fake-dns-server.js";
import { http } from "../support/http.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, type LogLine, runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

interface State {
  readonly domain: string;
  readonly state: string;
  readonly agent?: string;
  readonly advice?: string;
}

/** NXDOMAIN with the SOA of a zone, as DNS has it for what is not in it. */
const absent = (zone: string) => ({ rcode: NXDOMAIN, authorities: [soa(zone, 0, 0)] });

/** Another part of DNS than Consul's. */
const ELSEWHERE = "example";

requirePeer("consul")("serve, with name servers that know nothing of Consul", () => {
  const startStranger = async (): Promise<FakeDnsServer> => {
    const dns = await startFakeDns(() => absent(ELSEWHERE));
    onTestFinished(() => dns.close());
    return dns;
  };
  const startAgent = async (options: ConsulOptions = {}): Promise<Consul> => {
    const consul = await startConsul(options);
    onTestFinished(() => consul.stop().then(() => undefined));
    const node = { ID: "b", Name: "svc", Tags: ["node_b"], Address: "10.0.0.9", Port: 20002 };
    expect(await consul.request("PUT", "/v1/agent/service/register", node)).toMatchObject({ status: 200 });
    return consul;
  };
  /** Look-ups by DNS alone, so that the catalogue does not hide what DNS lacks. */
  const serve = async (dns: FakeDnsServer, consul: Consul, ...args: readonly string[]) => {
    const own = ["--domain", "svc", "--dns", `127.0.0.1:${dns.port}`, "--consul", consul.url, "--catalogue", "none"];
    const daemon = await startDaemon({ args: [...own, "--admin", "127.0.0.1:0", ...args] });
    onTestFinished(() => daemon.kill().then(() => undefined));
    const admin = String(daemon.log().find(({ msg }) => msg === "ready")?.admin);
    const get = async (path: string) => JSON.parse((await http(admin, path)).body);
    const state = async (): Promise<State | undefined> => (await get("/v1/status")).resolver[0];
    const lookUp = () => get("/v1/resolve?node=node_b@svc");
    const becomes = (wanted: string) =>
      waitFor(async () => (await state())?.state === wanted, { what: wanted, timeout: 30_000, interval: 100 });
    const tools = ["--admin", admin, "--port", String(daemon.port)];
    return { daemon, get, state, lookUp, becomes, tools };
  };
  const about = (daemon: Daemon, level: string): LogLine[] =>
    daemon.log().filter((line) => line.level === level && /name server/.test(line.msg ?? ""));

  test("asks the agent's own DNS, says so once, and so do its tools", async () => {
    const [dns, consul] = await Promise.all([startStranger(), startAgent()]);
    const { daemon, state, lookUp, becomes, tools } = await serve(dns, consul);
    await becomes("agent");
    const agent = `127.0.0.1:${consul.dnsPort}`;
    expect(await state()).toMatchObject({ domain: "svc.service.consul", agent });
    expect(await lookUp()).toMatchObject({ outcome: "found", source: "srv", endpoints: [{ address: "10.0.0.9" }] });
    expect(about(daemon, "info")).toEqual([
      expect.objectContaining({ agent, msg: expect.stringContaining(`as with --dns consul=${agent}`) }),
    ]);
    expect(about(daemon, "warn")).toEqual([]);
    const { stdout } = await runCli(["resolve", "node_b@svc", "--json", ...tools]);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "found", source: "srv" });
    const examined = (await examine(tools)).of("resolver");
    expect(examined.result).toBe("ok");
    expect(examined.evidence).toContain(`asks Consul's agent at ${agent}`);
    // Before serve runs, doctor says what it would do.
    const alone = await examine(["--domain", "svc", "--dns", `127.0.0.1:${dns.port}`, "--consul", consul.url]);
    expect(alone.of("resolver")).toMatchObject({
      result: "ok",
      evidence: expect.stringMatching(
        /does not know it .*; serve and doctor ask the DNS of Consul's agent in its place/,
      ),
    });
  });

  test("a --dns for the domain that is wrong is kept: the right one is named", async () => {
    const [dns, consul] = await Promise.all([startStranger(), startAgent()]);
    const { daemon, state, becomes } = await serve(dns, consul, "--dns", `consul=127.0.0.1:${dns.port}`);
    await becomes("unknown");
    expect((await state())?.advice).toContain(`give --dns consul=127.0.0.1:${consul.dnsPort}`);
    expect(about(daemon, "warn")).toHaveLength(1);
  });

  describe("and an agent whose DNS cannot be asked", () => {
    test.each<[string, ConsulOptions, readonly string[], RegExp]>([
      ["it is off", { withoutDns: true }, [], /ports\.dns is -1.*set ports\.dns in the agent's configuration/],
      [
        "it answers for another domain",
        { config: { domain: "corp" } },
        [],
        /answers for corp, not for consul.*give --consul-domain corp/,
      ],
      [
        "the token may not read the agent",
        { acl: true },
        [],
        /does not say where its DNS is: .*403.*give the token the right to read the agent \(agent:read\), or .*--dns consul=/,
      ],
    ])("%s: one warning with what is missing, on the page and in doctor too", async (_, options, args, expected) => {
      const [dns, consul] = await Promise.all([startStranger(), startAgent(options)]);
      const { daemon, state, get, lookUp, becomes, tools } = await serve(dns, consul, ...args);
      await becomes("unknown");
      const { reason, advice } = (await state()) as State & { reason: string };
      expect(`${reason}: ${advice}`).toMatch(expected);
      const [warning, ...more] = about(daemon, "warn");
      expect(more).toEqual([]);
      expect(warning).toMatchObject({
        ...{ advice, reason },
        msg: "no name server knows svc.service.consul: its nodes are not found by DNS",
      });
      expect(await lookUp()).toMatchObject({ outcome: "not-found", code: "SRV_NXDOMAIN" });
      const page = (await http(String(daemon.log().find(({ msg }) => msg === "ready")?.admin), "/")).body;
      expect(page).toContain("No name server knows");
      expect((await examine(tools)).of("resolver").result).toBe("fail");
      expect((await get("/v1/status")).settings.options).not.toHaveProperty("consul-domain");
    });

    test("with the option that was missing it is asked", async () => {
      const [dns, consul] = await Promise.all([startStranger(), startAgent({ config: { domain: "corp" } })]);
      const { lookUp, becomes } = await serve(dns, consul, "--consul-domain", "corp");
      await becomes("agent");
      expect(await lookUp()).toMatchObject({ outcome: "found", source: "srv" });
    });

    test("nor itself: when it comes, its DNS is asked", async () => {
      const dns = await startStranger();
      const consul = await startAgent({ dataDir: true });
      await consul.child().kill();
      const { daemon, state, becomes } = await serve(dns, consul);
      await becomes("unknown");
      expect((await state())?.advice).toMatch(
        /^start Consul's agent or give its address with --consul, or .*--dns consul=ip\[:port\]$/,
      );
      await consul.restart();
      await becomes("agent");
      expect([about(daemon, "warn").length, about(daemon, "info").length]).toEqual([1, 1]);
    });
  });

  test("a name server that forgets Consul while it runs: look-ups that fail make it look, and its return is logged", async () => {
    const consul = await startAgent();
    const dns = await startFakeDns(() => absent("consul"));
    onTestFinished(() => dns.close());
    const { daemon, lookUp, becomes } = await serve(dns, consul);
    await becomes("known");
    dns.handle(() => absent(ELSEWHERE));
    // Through EPMD, as VMs ask.
    const isAgentAsked = async () => {
      await runCli(["resolve", "node_b@svc.service.consul", "--via", `127.0.0.1:${daemon.port}`]);
      return daemon.log().some(({ agent }) => agent !== undefined);
    };
    await waitFor(isAgentAsked, { what: "the agent's DNS", timeout: 30_000, interval: 500 });
    expect(await lookUp()).toMatchObject({ outcome: "found" });
    dns.handle(() => absent("consul"));
    await becomes("known");
    expect(about(daemon, "info").map(({ msg }) => msg)).toEqual([
      expect.stringContaining("the DNS of its agent is asked"),
      "the name servers that are set know the domains again",
    ]);
    expect(about(daemon, "warn")).toEqual([]);
  }, 90_000);
});

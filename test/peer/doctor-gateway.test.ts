import { beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine, examineAsNobody } from "../support/doctor.js";
import { startNode } from "../support/erlang.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const NAME = "node_a@svc.service.consul";

requirePeer(
  "erl",
  "consul",
  "netns",
)("srv-epmd doctor, about a gateway whose DNS nobody asks", () => {
  let host: Host;
  let consul: Consul;
  let flags: string[];
  const doctor = () => examine([...flags, "node_b@svc"], { netns: host });

  beforeAll(async () => {
    const made = await createHosts([
      { addresses: ["10.91.0.1/24"], hosts: ["10.91.0.1 box1"], hostname: "box1" },
      { addresses: ["10.91.0.2/24"] },
    ]);
    const [first, second] = made.hosts as [Host, Host];
    host = first;
    consul = await startConsul({ netns: host, bind: "10.91.0.1" });
    const dns = `127.0.0.1:${consul.dnsPort}`;
    flags = ["--domain", "svc", "--consul", consul.socketUrl, "--dns", dns, "--gateway", "--gateway-listen", "none"];
    await startDaemon({ port: 4369, netns: host, args: flags });
    const far = [
      "--domain",
      "svc",
      "--consul",
      consul.socketUrl,
      "--advertise-address",
      "10.91.0.2",
      "--instance",
      "far",
    ];
    await startDaemon({ port: 4369, netns: second, args: far });
    await startNode({ name: "node_b@svc.service.consul", netns: second });
    await startNode({ name: NAME, netns: host });
    await waitFor(
      async () => {
        const { body } = await consul.request("GET", "/v1/health/service/svc?passing=1");
        return (body as unknown[]).length === 2;
      },
      { what: "both in Consul" },
    );
  });

  test("says what VMs here lack: the name server, or the lines in /etc/hosts", async () => {
    const { code, of, with: having } = await doctor();
    expect([code, having("fail")]).toEqual([1, ["gateway-resolver", "peer-ways"]]);
    expect(of("peer-ways").evidence).toMatch(
      /^unmodified VMs here do not use the gateway: svc\.service\.consul does not resolve to 127\.\S+ here: no gateway is in use; /,
    );
    expect(of("peer-ways").follows).toBe("GATEWAY_UNUSED");
    expect(of("peer-ways").advice).toMatch(/nameserver 127\.0\.0\.1.*srv-epmd hosts/);
  });

  test("says the same where no node is asked about", async () => {
    const { code, of, with: having } = await examine(flags, { netns: host });
    expect([code, having("fail")]).toEqual([1, ["gateway-resolver"]]);
    expect(of("gateway-resolver").evidence).toMatch(
      /for svc\.service\.consul, and none of the gateway; node_a here, without the module, asks it$/,
    );
    expect(of("gateway-resolver").advice).toMatch(/nameserver 127\.0\.0\.1.*srv-epmd hosts/);
  });

  test("is content once these are there", async () => {
    const { stdout } = await runCli(["hosts", "svc.service.consul"]);
    await host.setHosts(["10.91.0.1 box1", ...stdout.trim().split("\n")]);
    const { code, of, with: having } = await doctor();
    expect([code, having("fail"), having("warn")]).toEqual([0, [], []]);
    expect(of("peer-ways").evidence).toContain("where a relay leads to the node");
  });

  test("a line of /etc/hosts that hides DNS, or the gateway: file, line and both addresses", async () => {
    await host.setHosts(["10.91.0.1 box1", "# moved", "10.91.0.99 svc.service.consul"]);
    const { code, of, with: having } = await doctor();
    expect([code, having("fail")]).toEqual([1, ["gateway-resolver", "peer-hosts", "peer-ways"]]);
    expect(of("gateway-resolver")).toMatchObject({
      follows: "PEER_HOSTS_LINE",
      evidence: expect.stringContaining("/etc/hosts gives 10.91.0.99 for svc.service.consul"),
    });
    expect(of("peer-hosts").code).toBe("PEER_HOSTS_LINE");
    // Two lines of the file's own come before them.
    expect(of("peer-hosts").evidence).toMatch(
      /^\/etc\/hosts, line 5, has 10\.91\.0\.99 for svc\.service\.consul, and DNS has 10\.91\.0\.\d.*so does node_a$/,
    );
    expect(of("peer-hosts").advice).toMatch(/^take line 5 out of \/etc\/hosts, or put 10\.91\.0\.\d into it$/);
    expect(of("peer-ways").follows).toBe("GATEWAY_UNUSED");
    const unseen = await examineAsNobody([...flags, "node_b@svc"], host);
    expect(unseen.of("peer-hosts")).toMatchObject({
      ...{
        result: "warn",
        code: "PEER_HOSTS_UNTOLD",
        advice: expect.stringMatching(/^take line 5 out.*doctor as root/),
      },
      evidence: expect.stringMatching(/^\/etc\/hosts, line 5, .*; it is not known how node_a here finds its peers/),
    });
    expect(unseen.of("own-address").evidence).toContain("may not read the process of node_a");
    const [port, admin] = [14369, "127.0.0.1:19369"];
    const dns = ["--gateway-listen", "127.0.0.1:5353", "--admin", admin];
    const own = [...flags.slice(0, -2), ...dns, "--relay-socket", "/dev/null/relay.sock"];
    const second = await startDaemon({ port, netns: host, args: own });
    const told = await examine([...own, "--port", String(port), "node_b@svc"], { netns: host });
    await second.kill();
    // No VM is registered there.
    expect(told.of("peer-hosts")).toMatchObject({
      result: "warn",
      evidence: expect.stringMatching(
        /has 10\.91\.0\.99 .*, and the gateway has 127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+/,
      ),
    });
    const { stdout } = await runCli(["hosts", "svc.service.consul"]);
    await host.setHosts(["10.91.0.1 box1", ...stdout.trim().split("\n")]);
  });

  test("the relay process is down: with the reason that /readyz has", async () => {
    const own = [...flags, "--relay-socket", "/dev/null/relay.sock", "--admin", "127.0.0.1:19369"];
    const second = await startDaemon({ port: 14369, netns: host, args: own });
    const { code, of, with: having } = await examine([...own, "--port", "14369", "node_b@svc"], { netns: host });
    const plain = await examine([...own, "--port", "14369"], { netns: host });
    const read = "fetch('http://127.0.0.1:19369/readyz').then((answer) => answer.text()).then(console.log)";
    const ready = await host.run(process.execPath, "-e", read);
    await second.kill();
    expect([code, having("fail")]).toEqual([1, ["gateway-relay", "peer-ways", "readiness"]]);
    expect(of("peer-ways").code).toBe("PEER_RELAY_DOWN");
    for (const check of ["peer-ways", "readiness"]) expect(of(check).follows).toBe("RELAY_DOWN");
    expect([plain.code, plain.with("fail")]).toEqual([1, ["gateway-relay", "readiness"]]);
    expect(plain.of("gateway-relay").advice).toContain("another --relay-socket");
    const [reason = ""] = of("peer-ways").evidence.split("; ");
    expect(reason).toMatch(/^the relay process does not answer: /);
    expect(ready.stdout).toContain(reason);
  });

  test("says that no relay leads to a node: without its process the EPMD gives no port", async () => {
    // A folder that nobody can make, root neither.
    const own = ["--relay-socket", "/dev/null/relay.sock"];
    const port = 14369;
    const second = await startDaemon({ port, netns: host, args: [...flags, ...own, "--admin", "none"] });
    const {
      code,
      of,
      with: having,
    } = await examine([...flags, ...own, "--port", String(port), "node_b@svc"], {
      netns: host,
    });
    await second.kill();
    expect([code, having("fail")]).toEqual([1, ["peer-ways"]]);
    expect(of("peer-ways").evidence).toMatch(/gateway: the EPMD at 127\.[0-9.]+:14369 gives no port for node_b(;|$)/);
    expect(of("peer-ways")).toMatchObject({
      code: "PEER_EPMD_SILENT",
      advice: expect.stringContaining("start the gateway's relay process"),
    });
  });
});

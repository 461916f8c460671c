import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine } from "../support/doctor.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";

const [NODE, ASKED] = ["node_a@box-a.lab", "node_b@box-b.lab"];
const LINES = ["10.95.0.1 box-a.lab", "10.95.0.2 box-b.lab"];

requirePeer(
  "erl",
  "consul",
  "netns",
)("srv-epmd doctor, about stock VMs that are named after their hosts, as with epmd", () => {
  let made: Hosts;
  let here: Host;
  let there: Host;
  let consul: Consul;
  let stock: ErlangNode;
  const doctor = (...args: readonly string[]) =>
    examine([ASKED, "--consul", consul.socketUrl, ...args], { netns: here });

  beforeAll(async () => {
    made = await createHosts([{ addresses: ["10.95.0.1/24"] }, { addresses: ["10.95.0.2/24"] }]);
    [here, there] = made.hosts as [Host, Host];
    await Promise.all([here, there].map((host) => host.setHosts(LINES)));
    consul = await startConsul({ netns: there, bind: "10.95.0.2", node: "box-b" });
    await startDaemon({ netns: here, port: 4369, args: ["--listen", "10.95.0.1"] });
    await startDaemon({ netns: there, port: 4369, args: ["--listen", "10.95.0.2"] });
    [stock] = await Promise.all([startNode({ name: NODE, netns: here }), startNode({ name: ASKED, netns: there })]);
  });
  afterEach(() => here.setHosts(LINES));
  afterAll(() => made.remove());

  test("they reach each other without an SRV record and without --fallback", async () => {
    expect(await stock.ping(ASKED)).toBe("pong");
    const { code, with: having, of } = await doctor();
    expect([code, having("fail")]).toEqual([0, []]);
    expect(of("peer-records").evidence).toMatch(
      /no SRV record, and the EPMD at 10\.95\.0\.2:4369 \(\/etc\/hosts, line \d+\) gives port \d+: stock VMs here find it so$/,
    );
    expect(of("peer-handshake").evidence).toContain(`is ${ASKED}`);
    const { stdout } = await runCli(["doctor", ASKED], { netns: here });
    expect(stdout).toMatch(/^VMs here reach node_b@box-b\.lab; its cookie was not compared/);
  });

  test("a VM with the module beside them does not: which, and what it needs", async () => {
    const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    const modern = await startNode({ name: "node_m@box-a.lab", netns: here, args });
    expect(await modern.ping(ASKED)).toBe("pang");
    const { code, of } = await doctor();
    expect([code, of("peer-records").code]).toEqual([1, "PEER_NO_PORT"]);
    expect(of("peer-records").advice).toContain("give serve --fallback epmd");
    const { stdout } = await runCli(["doctor", ASKED], { netns: here });
    expect(stdout).toContain("\nnode_m here does not reach node_b@box-b.lab; node_a does\n");
    await modern.kill();
  });

  test("a stale line of /etc/hosts: file, line, its address and that of the machine", async () => {
    await here.setHosts(["10.95.0.1 box-a.lab", "10.95.0.1 box-b.lab"]);
    // Also where serve asks that EPMD itself.
    expect((await doctor("--fallback", "epmd")).of("peer-hosts").code).toBe("PEER_HOSTS_LINE");
    const { code, of } = await doctor();
    expect([code, of("peer-hosts").code, of("peer-records").follows]).toEqual([
      1,
      "PEER_HOSTS_LINE",
      "PEER_HOSTS_LINE",
    ]);
    expect(of("peer-hosts").evidence).toMatch(
      /^\/etc\/hosts, line 4, has 10\.95\.0\.1 for box-b\.lab, .* gives no port of node_b: .*; the EPMD at 10\.95\.0\.2, which Consul's node box-b has, gives port \d+ of it$/,
    );
    expect(of("peer-hosts").advice).toBe("put 10.95.0.2 into line 4 of /etc/hosts");
  });

  test("a stale line, and nothing knows another address: whose machine it leads to, or that the line may be wrong", async () => {
    const without = [ASKED, "--consul", "http://127.0.0.1:1"];
    await here.setHosts(["10.95.0.1 box-a.lab box-b.lab"]);
    const told = await examine(without, { netns: here });
    expect([told.code, told.of("peer-hosts").code]).toEqual([1, "PEER_HOSTS_LINE"]);
    expect(told.of("peer-hosts").evidence).toMatch(
      /^\/etc\/hosts, line 3, has 10\.95\.0\.1 for box-b\.lab, .*; the VMs there are named after box-a\.lab, and not after box-b\.lab$/,
    );
    await here.setHosts(["10.95.0.1 box-a.lab", "10.95.0.77 box-b.lab"]);
    const { code, with: having, of } = await examine(without, { netns: here });
    expect([code, having("fail"), having("warn")]).toEqual([1, ["peer-records"], []]);
    // The name server that does not answer is in the way of no VM here.
    expect(of("peer-records").evidence).toMatch(/^node_b@box-b\.lab is not found by its host: [^;]*$/);
    expect(of("peer-records").advice).toMatch(/^compare 10\.95\.0\.77 with .*: if it has another, correct line 4 of /);
    const { stdout } = await runCli(["doctor", ...without], { netns: here });
    expect(stdout).not.toMatch(/links|asked for/);
  });

  test("the node is not there: the line by which its EPMD was asked, and what that said", async () => {
    const gone = await examine(["node_c@box-b.lab"], { netns: here });
    expect([gone.code, gone.with("fail")]).toEqual([1, ["peer-records"]]);
    expect(gone.of("peer-records").evidence).toMatch(
      /^node_c@box-b\.lab is not found by its host: the EPMD at 10\.95\.0\.2:4369 \(\/etc\/hosts, line \d+\) gives no port: it has no node node_c$/,
    );
    expect(gone.of("peer-records").advice).toMatch(
      /^compare 10\.95\.0\.2 with .*; else see that the node runs there; or publish/,
    );
  });
});

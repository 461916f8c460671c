import { afterEach, beforeAll, expect, test } from "vitest";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import { examine } from "../support/doctor.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";

/** The machine that is examined, and one with the peers. */
const [HERE, THERE] = [1, 0];
const OWN = "10.90.0.2";
/** Of no machine. */
const MAPPED = "10.90.0.77";

/** Each verdict beside what VMs on the other machine get: with the module and without, for the VM's own name and the published one. */
requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("srv-epmd doctor, about a host part that is not the one that is published", () => {
  let cluster: Cluster;
  let daemon: Daemon | undefined;
  let withModule: ErlangNode;
  let stock: ErlangNode;
  const others: ErlangNode[] = [];

  const flags = (...more: readonly string[]) => [
    ...["--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--ttl", "3s"],
    ...more,
  ];
  /** The node there is published, and examined with the options of its daemon. */
  const examined = async (name: string, more: readonly string[]) => {
    const own = flags(...more);
    daemon = await startDaemon({ port: 4369, netns: cluster.host(HERE), args: own });
    await cluster.node(HERE, name.slice(0, name.indexOf("@")), {
      host: name.slice(name.indexOf("@") + 1),
      way: "gateway",
    });
    await cluster.whenPublished(name.slice(0, name.indexOf("@")));
    return examine(own, { netns: cluster.host(HERE) });
  };
  const pings = async (name: string) => [await withModule.ping(name), await stock.ping(name)];

  beforeAll(async () => {
    cluster = await startCluster({ hosts: 2, daemons: 1, listen: true });
    await cluster.host(THERE).setHosts(["10.90.0.1 box1", `${OWN} box2 box2.example`]);
    await cluster.host(HERE).setHosts([`${OWN} box2.example box2`, "10.90.0.1 box1"]);
    withModule = await startModule();
    stock = await startNode({ name: "stock@10.90.0.1", netns: cluster.host(THERE) });
  });
  const startModule = () => cluster.node(THERE, "peer");
  afterEach(async () => {
    await cluster.killNodes();
    await Promise.all(others.splice(0).map((node) => node.kill()));
    await daemon?.kill();
    withModule = await startModule();
  });

  test.each(["127.0.0.1", "localhost"])(
    "a published node that calls itself after %s: nobody elsewhere reaches it",
    async (host) => {
      const { code, of, with: having } = await examined(`loop@${host}`, ["--advertise-address", OWN]);
      expect([await pings(fullName("loop")), await pings(`loop@${host}`)]).toEqual([
        ["pang", "pang"],
        ["pang", "pang"],
      ]);
      expect([code, having("fail"), of("node-name").code]).toEqual([1, ["node-name"], "HOST_LOOPBACK"]);
      expect(of("node-name").evidence).toContain(`the VM of loop calls itself loop@${host}`);
      expect(of("node-name").evidence).toContain("published as loop@svc.service.consul");
      expect(of("node-name").advice).toMatch(
        /^start it with -name loop@svc\.service\.consul \(RELEASE_NODE\); .*--publish/,
      );
      // Left out, it may be meant for this machine alone.
      const left = await examine([...flags().slice(2), "--publish", "x*", "--domain", HOST], {
        netns: cluster.host(HERE),
      });
      expect(left.of("node-name").result).toBe("warn");
    },
  );

  test("an address of the machine at which it is not published: nobody elsewhere, and stock VMs where they are served", async () => {
    const name = `away@${OWN}`;
    const unserved = await examined(name, ["--advertise-address", MAPPED]);
    expect(await pings(name)).toEqual(["pang", "pang"]);
    expect([unserved.code, unserved.of("node-name").code]).toEqual([1, "HOST_NOT_PUBLISHED"]);
    expect(unserved.of("node-name").evidence).toContain("no VM on another machine finds it by that name");
    await cluster.killNode("away");
    await daemon?.stop();
    const served = await examined(name, ["--advertise-address", MAPPED, "--listen", OWN]);
    expect(await pings(name)).toEqual(["pang", "pong"]);
    expect(served.of("node-name")).toMatchObject({
      ...{ result: "warn", code: "HOST_NOT_PUBLISHED" },
      evidence: expect.stringContaining(`stock VMs that reach ${OWN} find it by that name, VMs with the module`),
    });
  });

  test("an address of another machine: nobody reaches it; one from which a port mapping leads here: stock VMs do", async () => {
    const foreign = await examined("astray@10.90.0.1", ["--advertise-address", OWN]);
    expect(await pings("astray@10.90.0.1")).toEqual(["pang", "pang"]);
    expect([foreign.code, foreign.of("node-name").code]).toEqual([1, "HOST_ELSEWHERE"]);
    expect(foreign.of("node-name").evidence).toContain("what they ask at 10.90.0.1 has no port of it for them");
    await cluster.killNode("astray");
    await daemon?.stop();

    const nobodys = await examined(`astray@${MAPPED}`, ["--advertise-address", OWN, "--listen", OWN]);
    expect(await pings(`astray@${MAPPED}`)).toEqual(["pang", "pang"]);
    expect(nobodys.of("node-name")).toMatchObject({
      ...{ result: "warn", code: "HOST_ELSEWHERE" },
      evidence: expect.stringContaining("which does not answer this machine"),
    });
    for (const machine of [HERE, THERE]) {
      const nft = (rule: string) => cluster.host(machine).run("nft", rule);
      await nft("add table ip nat");
      await nft("add chain ip nat output { type nat hook output priority -100; }");
      await nft(`add rule ip nat output ip daddr ${MAPPED} dnat to ${OWN}`);
    }
    const look = () => examine(flags("--advertise-address", OWN, "--listen", OWN), { netns: cluster.host(HERE) });
    const mapped = await look();
    expect(await pings(`astray@${MAPPED}`)).toEqual(["pang", "pong"]);
    // As a router does that maps the address for others and refuses its own network: all of it, or the port of the node.
    const here = (rule: string) => cluster.host(HERE).run("nft", rule);
    await here("flush chain ip nat output");
    await here("add chain ip nat refusing { type filter hook output priority 0; }");
    await here(`add rule ip nat refusing ip daddr ${MAPPED} meta l4proto tcp reject with tcp reset`);
    const refusals = [await look()];
    await here(`add rule ip nat output ip daddr ${MAPPED} tcp dport 4369 dnat to ${OWN}`);
    refusals.push(await look());
    expect(await pings(`astray@${MAPPED}`)).toEqual(["pang", "pong"]);
    for (const refused of refusals) {
      expect(refused.of("node-name")).toMatchObject({
        ...{ result: "warn", code: "HOST_ELSEWHERE" },
        evidence: expect.stringContaining("which refuses this machine"),
        advice: expect.stringContaining(`run srv-epmd names ${MAPPED} outside of this network`),
      });
    }
    for (const machine of [HERE, THERE]) await cluster.host(machine).run("nft", "delete table ip nat");
    expect(mapped.of("node-name")).toMatchObject({
      ...{ result: "warn", code: "HOST_ELSEWHERE" },
      evidence: expect.stringContaining("a port mapping leads from there to it"),
    });
  });

  test("a stock VM named after its machine: nobody elsewhere reaches it unless srv-epmd serves them, then stock VMs do", async () => {
    const name = "mach@box2.example";
    const unserved = await examined(name, ["--advertise-address", OWN]);
    expect([await pings(name), await pings(fullName("mach"))]).toEqual([
      ["pang", "pang"],
      ["pang", "pang"],
    ]);
    expect([unserved.code, unserved.of("node-name").code]).toEqual([1, "HOST_MACHINE_NAME"]);
    expect(unserved.of("node-name").evidence).toContain("published as mach@svc.service.consul");
    expect(unserved.of("node-name").advice).toContain("--node-host box2.example");
    await cluster.killNode("mach");
    await daemon?.stop();
    const served = await examined(name, ["--advertise-address", OWN, "--listen", OWN]);
    expect([await pings(name), await pings(fullName("mach"))]).toEqual([
      ["pang", "pong"],
      ["pang", "pang"],
    ]);
    expect(served.of("node-name")).toMatchObject({ result: "warn", code: "HOST_MACHINE_NAME" });
    expect(served.of("node-name").evidence).toContain("stock VMs find it where that name resolves to this machine");
  });
});

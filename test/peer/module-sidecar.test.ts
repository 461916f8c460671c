import { afterEach, beforeAll, expect, test } from "vitest";
import { run } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { type Cluster, fullName, HOST, startCluster } from "../support/module-cluster.js";
import { moduleFolder } from "../support/module-folder.js";
import { requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const WATCH = `
  Loop = fun Loop(Lost) -> receive {nodedown, Node} -> Loop([Node | Lost]); {lost, Pid} -> Pid ! {lost, Lost}, Loop(Lost); _ -> Loop(Lost) end end,
  register(watch, spawn(fun() -> ok = net_kernel:monitor_nodes(true), Loop([]) end)), ok`;
const LOST = "watch ! {lost, self()}, receive {lost, Lost} -> Lost end";

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
)("the sidecar of nodes with the module", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 4, daemons: 2 });
  });
  afterEach(() => cluster.killNodes());

  const published = (name: string) =>
    waitFor(async () => (await cluster.published()).includes(name), { what: `publication of ${name}` });

  test("may be killed and started again: no link suffers, and 3 s later there are new ones", async () => {
    const [a, b] = await Promise.all([cluster.node(0, "a"), cluster.node(1, "b")]);
    expect(await a.ping(fullName("b"))).toBe("pong");
    await Promise.all([a.eval(WATCH), b.eval(WATCH)]);
    await Promise.all([cluster.daemon(0).kill(), cluster.daemon(1).kill()]);
    const failed = await a.eval(`srv_epmd:address_please("b", "${HOST}", inet)`);
    expect(failed).toBe("{error,econnrefused}");
    expect(await a.eval(`[srv_epmd:address_please("b", "${HOST}", inet) || _ <- lists:seq(1, 20)], ok`)).toBe("ok");
    await a.child.waitForOutput(
      /srv_epmd: b@svc\.service\.consul cannot be looked up, no srv-epmd answers at 127\.0\.0\.1 port 4369 \(econnrefused\)/,
    );
    expect(a.child.stdout().match(/cannot be looked up/g), "one line for many failures").toHaveLength(1);

    await Promise.all([cluster.serve(0), cluster.serve(1)]);
    const backAt = performance.now();
    // Its own connections: global has not seen it yet.
    const c = await cluster.node(0, "c", { args: ["-connect_all", "false"] });
    await waitFor(async () => (await c.ping(fullName("b"))) === "pong", { what: "a new link to b", interval: 100 });
    const took = Math.round(performance.now() - backAt);
    expect(took, `new links after ${took} ms`).toBeLessThan(3_000);
    await waitFor(async () => (await b.ping(fullName("c"))) === "pong", { what: "a new link from b" });
    expect([await a.eval(LOST), await b.eval(LOST)]).toEqual(["[]", "[]"]);
  });

  test("that is missing at a node's start is named in one line, and the start ends at once", async () => {
    const startedAt = performance.now();
    const args = ["-noshell", "-name", fullName("a"), "-setcookie", "x", "-start_epmd", "false"];
    const folder = await moduleFolder();
    const { code, stdout, stderr } = await run("erl", [...args, "-pa", folder, "-epmd_module", "srv_epmd"], {
      netns: cluster.host(2),
      env: cleanEnvironment({ HOME: folder, ERL_CRASH_DUMP: "/dev/null" }),
    });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    // OTP writes the half of it to the one, and half to the other.
    expect({ code, said: (stderr + stdout).trim() }).toEqual({
      code: 1,
      said: "Protocol 'inet_tcp': register/listen error: 'srv_epmd: no srv-epmd answers at 127.0.0.1 port 4369 (econnrefused); it must be up before this node is'",
    });
  });

  test("may have another address, which SRV_EPMD_ADDRESS says: registration, look-ups, return after its restart", async () => {
    const a = await cluster.node(0, "a");
    const serve = () =>
      startDaemon({
        port: 4369,
        netns: cluster.host(2),
        args: [
          ...["--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--ttl", "3s"],
          ...["--listen", "10.90.0.3", "--allow", "10.90.0.4/32", "--advertise-address", "10.90.0.4"],
        ],
      });
    const sidecar = await serve();
    const env = { SRV_EPMD_ADDRESS: "10.90.0.3", BOX: "box4" };
    const remote = await cluster.node(3, "remote", { env });
    await published("remote");
    expect(await remote.ping(fullName("a"))).toBe("pong");
    expect(await remote.eval("{ok, Names} = net_adm:names(), [Name || {Name, _} <- Names]")).toBe('["remote"]');
    expect(await a.eval(`true = erlang:disconnect_node('${fullName("remote")}')`)).toBe("true");
    await waitFor(async () => (await remote.nodes()).length === 0, { what: "the end of the link" });
    expect(await a.ping(fullName("remote"))).toBe("pong");
    expect(await a.eval(`rpc:call('${fullName("remote")}', os, getenv, ["BOX"])`)).toBe('"box4"');

    await expect(cluster.node(3, "remote", { env })).rejects.toThrow("seems to be in use by another Erlang node");
    await expect(cluster.node(1, "other", { env })).rejects.toThrow(
      "no srv-epmd answers at 10.90.0.3 port 4369 (closed); it must be up before this node is, and --allow this machine",
    );

    await sidecar.kill();
    const again = await serve();
    const backAt = performance.now();
    await again.waitForLog(({ msg, node }) => msg === "node registered" && node === "remote", "its return");
    expect(performance.now() - backAt).toBeLessThan(3_000);
    expect(again.child.stderr()).not.toContain("refused");
    expect((await remote.nodes()).length).toBe(1);
    await remote.kill();
    await waitFor(async () => !(await cluster.published()).includes("remote"), { what: "its end" });
  });

  test("must be given by an IP address: anything else is refused at the start", async () => {
    await expect(cluster.node(0, "a", { env: { SRV_EPMD_ADDRESS: "sidecar" } })).rejects.toThrow(
      "no srv-epmd answers at sidecar port 4369 (not_an_ip_address)",
    );
  });
});

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { run } from "../support/child.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** What Caravan.Epmd.Client does: the port is the number before the `@`, and no EPMD is asked. */
const CLIENT = `
-module(port_in_name).
-export([start_link/0, register_node/3, port_please/2, address_please/3, listen_port_please/2, names/1]).
start_link() -> ignore.
register_node(_Name, _Port, _Family) -> {ok, 1}.
port_please(Name, _Ip) -> {port, port(Name), 5}.
address_please(_Name, Host, Family) -> inet:getaddr(Host, Family).
listen_port_please(Name, _Host) -> {ok, port(Name)}.
names(_Host) -> {error, address}.
port(Name) ->
    Text = if is_atom(Name) -> atom_to_list(Name); true -> Name end,
    {match, [Port]} = re:run(Text, "[0-9]+$", [{capture, all, list}]),
    list_to_integer(Port).
`;
/** Hosts as Consul makes them of addresses: the targets of SRV records. */
const [HOST_1, HOST_2] = ["0a5a0001.addr.dc1.consul", "0a5a0002.addr.dc1.consul"];
const INETRC = `{host, {10,90,0,1}, ["${HOST_1}"]}.\n{host, {10,90,0,2}, ["${HOST_2}"]}.\n{lookup, [file]}.\n`;
const [THEIRS, OURS] = [`app-9101@${HOST_1}`, `app-9102@${HOST_2}`];

requirePeer(
  "erl",
  "erlc",
  "consul",
  "dig",
  "netns",
)("a node of Caravan, which has its port in its name, and one with the module", () => {
  let cluster: Cluster;
  let theirs: ErlangNode;
  let ours: ErlangNode;

  beforeAll(async () => {
    cluster = await startCluster({ hosts: 2, daemons: 0, advertise: (_, [ipv4 = ""]) => [ipv4] });
    // As examples/migrate has it.
    await cluster.serve(1, "--node-host", HOST_2, "--srv-name", "{name}.svc.service.consul");
    const folder = await temporaryFolder("caravan");
    await writeFile(join(folder, "port_in_name.erl"), CLIENT);
    expect((await run("erlc", ["-o", folder, join(folder, "port_in_name.erl")])).code).toBe(0);
    theirs = await startNode({
      ...{ name: THEIRS, netns: cluster.host(0), inetrc: INETRC },
      args: ["-pa", folder, "-epmd_module", "port_in_name"],
    });
    // As Nomad does for a service block whose tag has the port in it.
    const service = { ID: "theirs", Name: "svc", Tags: ["app-9101"], Address: "10.90.0.1", Port: 9_101 };
    await cluster.consul.request("PUT", "/v1/agent/service/register", service);
    ours = await cluster.node(1, "app-9102", { host: HOST_2, env: { ERL_DIST_PORT: "9102" } });
    await waitFor(async () => (await cluster.published()).length === 2, { what: "both in Consul" });
  });

  test("see each other", async () => {
    expect(await ours.ping(THEIRS)).toBe("pong");
    await ours.eval(`true = erlang:disconnect_node('${THEIRS}')`);
    await waitFor(async () => (await theirs.nodes()).length === 0, { what: "the end of the link" });
    expect(await theirs.ping(OURS)).toBe("pong");
  });

  test("have the names that Caravan's strategy makes of the service's SRV records", async () => {
    const records = await cluster
      .host(0)
      .run("dig", "+short", "SRV", "svc.service.consul", "@10.90.0.1", "-p", String(cluster.consul.dnsPort));
    const names = Array.from(
      records.stdout.matchAll(/^\d+ \d+ (\d+) (\S+)\.$/gm),
      ([, port, target]) => `app-${port}@${target}`,
    );
    expect(names.sort()).toEqual([THEIRS, OURS]);
  });
});

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createCertificates } from "../support/certificates.js";
import { run } from "../support/child.js";
import { type Cluster, fullName, HOST, startCluster, waitForMesh } from "../support/cluster.js";
import { cleanEnvironment } from "../support/environment.js";
import { DEFAULT_COOKIE, erlCall } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** Where a node runs, as it says itself. */
const boxOf = (name: string) => `rpc:call('${fullName(name)}', os, getenv, ["BOX"])`;
const box = (index: number) => ({ BOX: `box${index + 1}` });

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
)("with the module, nodes on three machines under one host name", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3 });
  });
  afterEach(() => cluster.killNodes());

  /** Starts a, b and c on a machine each, lets a call the others, and waits for all links. */
  const mesh = async (args: readonly string[] = []) => {
    const start = (name: string, index: number) => cluster.node(index, name, { args, env: box(index) });
    const [a, b, c] = await Promise.all(["a", "b", "c"].map(start));
    if (!a || !b || !c) throw new Error("no nodes");
    const nodes = { a, b, c };
    await cluster.whenPublished("a", "b", "c");
    expect([await a.ping(fullName("b")), await a.ping(fullName("c"))]).toEqual(["pong", "pong"]);
    await waitForMesh(nodes);
    expect(await b.eval(boxOf("c"))).toBe('"box3"');
    return nodes;
  };

  /** Address and protocol of a link. */
  const peer = (name: string) =>
    `{ok, {net_address, {Address, _}, _, Protocol, _}} = net_kernel:node_info('${fullName(name)}', address), {Address, Protocol}`;

  test("form a full mesh over IPv4", async () => {
    const { a } = await mesh();
    expect(await a.eval(peer("c"))).toBe("{{10,90,0,3},tcp}");
  });

  test("form a full mesh over IPv6", async () => {
    const { a } = await mesh(["-proto_dist", "inet6_tcp"]);
    expect(await a.eval(peer("c"))).toBe("{{64912,0,0,0,0,0,0,3},tcp}");
  });

  requirePeer("openssl")("with certificates", () => {
    test("form a full mesh over TLS in which everybody's certificate is checked for that host name", async () => {
      const certificates = await createCertificates();
      const folder = await temporaryFolder("ssl-dist");
      const tls = async (name: string) => {
        const { cert, key } = await certificates.issue(name, `DNS:${name}`);
        const both = `{cacertfile, "${certificates.ca}"}, {certfile, "${cert}"}, {keyfile, "${key}"}, {verify, verify_peer}`;
        const file = join(folder, `${name}.conf`);
        await writeFile(file, `[{server, [${both}, {fail_if_no_peer_cert, true}]}, {client, [${both}]}].\n`);
        return ["-proto_dist", "inet_tls", "-ssl_dist_optfile", file];
      };
      const { a } = await mesh(await tls(HOST));
      expect(await a.eval(peer("c"))).toBe("{{10,90,0,3},tls}");

      await cluster.node(1, "imposter", { args: await tls("other.test") });
      expect(await a.ping(fullName("imposter"))).toBe("pang");
      await certificates.remove();
    });
  });

  test("are reached by the name that is called, 50 of 50 times", async () => {
    const args = ["-connect_all", "false"];
    const start = (name: string, index: number) => cluster.node(index, name, { args, env: box(index) });
    const [a] = await Promise.all([start("a", 0), start("b", 1), start("c", 2)]);
    const reached = await a.eval(
      `Reach = fun(Node) ->
         pong = net_adm:ping(Node), Box = rpc:call(Node, os, getenv, ["BOX"]), true = erlang:disconnect_node(Node), Box
       end,
       [{Reach('${fullName("b")}'), Reach('${fullName("c")}')} || _ <- lists:seq(1, 25)]`,
    );
    expect(reached.match(/\{"box2","box3"\}/g)).toHaveLength(25);
  });

  test("are found on another machine within 1 s of the registration there", async () => {
    const [a, b] = await Promise.all([cluster.node(0, "a"), cluster.node(1, "b", { env: box(1) })]);
    expect([await a.ping(fullName("b")), await a.eval(boxOf("b"))]).toEqual(["pong", '"box2"']);
    await b.kill();
    await cluster.node(2, "b", { env: box(2) });
    const registeredAt = performance.now();
    await waitFor(async () => (await a.ping(fullName("b"))) === "pong", { what: "the ping" });
    const took = Math.round(performance.now() - registeredAt);
    expect(await a.eval(boxOf("b"))).toBe('"box3"');
    expect(took, `found after ${took} ms`).toBeLessThan(1_000);
  });

  test("do not exist: the ping ends within 1 s when DNS says so", async () => {
    const a = await cluster.node(0, "a", { env: { SRV_EPMD_LOG: "debug" } });
    const [microseconds, result] = JSON.parse(
      (await a.eval(`{T, R} = timer:tc(net_adm, ping, ['${fullName("nobody")}']), [T, atom_to_list(R)]`)) as string,
    ) as [number, string];
    expect(result).toBe("pang");
    expect(microseconds).toBeLessThan(1_000_000);
    const said = /srv_epmd:address_please\["nobody","svc\.service\.consul",inet\] -> (.*)/;
    const [, reason] = await a.child.waitForOutput(said);
    expect(reason).toContain("{error,{not_found,inet,");
  });

  test("are not found in a family in which they have no address, and the error says so", async () => {
    const entry = { ID: "four", Name: "svc", Tags: ["four"], Address: "10.90.0.3", Port: 20004 };
    await cluster.consul.request("PUT", "/v1/agent/service/register", entry);
    const a = await cluster.node(0, "a");
    expect(await a.eval(`srv_epmd:address_please("four", "${HOST}", inet)`)).toBe("{ok,{10,90,0,3},20004,6}");
    const error = await a.eval(`srv_epmd:address_please("four", "${HOST}", inet6)`);
    expect(error).toMatch(/^\{error,\{not_found,inet6,.*IPv6/s);
  });

  test("may be hidden, and are called by erl_call, remote consoles and rpc", async () => {
    const [a, hidden] = await Promise.all([cluster.node(0, "a"), cluster.node(1, "hidden", { args: ["-hidden"] })]);
    expect(await hidden.ping(fullName("a"))).toBe("pong");
    expect(await a.eval("{nodes(), nodes(hidden)}")).toBe(`{[],['${fullName("hidden")}']}`);
    expect(await cluster.published()).toContain("hidden");

    // erl_call knows nothing of the module: the host name has to be resolvable, and the node on this machine.
    const hosts = cluster.host(0);
    await hosts.setHosts(["10.90.0.1 box1", `127.0.0.1 ${HOST}`]);
    const called = await erlCall({ name: fullName("a"), netns: hosts, args: ["-a", "erlang node"] });
    expect(called).toMatchObject({ code: 0, stdout: `'${fullName("a")}'` });

    const folder = await moduleFolder();
    const shell = await run(
      "erl",
      [
        ...[
          "-noinput",
          "-hidden",
          "-name",
          fullName("rem-00ff-a"),
          "-setcookie",
          DEFAULT_COOKIE,
          "-start_epmd",
          "false",
        ],
        ...["-pa", folder, "-epmd_module", "srv_epmd"],
        ...["-eval", `io:format("~p~n", [rpc:call('${fullName("hidden")}', erlang, node, [])]), halt().`],
      ],
      { netns: cluster.host(2), env: cleanEnvironment({ ERL_DIST_PORT: "9199", HOME: folder }) },
    );
    expect(shell).toMatchObject({ code: 0, stdout: `'${fullName("hidden")}'\n` });
    const registered = cluster.daemon(2).log();
    expect(registered.some(({ msg, node }) => msg === "node registered" && node === "rem-00ff-a")).toBe(true);
    expect(await cluster.published()).not.toContain("rem-00ff-a");
  });

  test("listen on ERL_DIST_PORT; helpers beside them with the same environment do not", async () => {
    const env = { ERL_DIST_PORT: "9101" };
    const a = await cluster.node(0, "a", { env });
    await cluster.node(0, "rpc-1a2b-a", { env });
    const names = await a.eval("{ok, Names} = net_adm:names(), lists:sort(Names)");
    const [, port = "9101"] = /\{"rpc-1a2b-a",(\d+)\}/.exec(names) ?? [];
    expect(names).toBe(`[{"a",9101},{"rpc-1a2b-a",${port}}]`);
    expect(port).not.toBe("9101");
    expect(await cluster.published()).not.toContain("rpc-1a2b-a");
  });
});

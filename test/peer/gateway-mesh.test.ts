import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createCertificates } from "../support/certificates.js";
import {
  type Cluster,
  type ClusterNodeOptions,
  fullName,
  HOST,
  startCluster,
  waitForMesh,
} from "../support/cluster.js";
import { erlCall } from "../support/erlang.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

/** Where a node runs, as it says itself. */
const boxOf = (name: string) => `rpc:call('${fullName(name)}', os, getenv, ["BOX"])`;
const box = (index: number) => ({ BOX: `box${index + 1}` });
const INET6 = ["-proto_dist", "inet6_tcp"];

requirePeer(
  "erl",
  "consul",
  "netns",
)("with the gateway, unmodified nodes on three machines under one host name", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    // The third is reached by IPv6 only.
    const advertise = (index: number, own: readonly string[]) => (index === 2 ? own.slice(1) : own);
    cluster = await startCluster({ hosts: 3, way: "gateway", advertise });
  });
  afterEach(() => cluster.killNodes());

  const published: Cluster["whenPublished"] = (...names) => cluster.whenPublished(...names);

  /** a, b and c on a machine each. What is reached by IPv6 listens there; to its peers that makes no difference. */
  const start = async (options: Pick<ClusterNodeOptions, "args"> = {}, last = INET6) => {
    const [a, b, c] = await Promise.all([
      cluster.node(0, "a", { ...options, env: box(0) }),
      cluster.node(1, "b", { ...options, env: box(1) }),
      cluster.node(2, "c", { args: [...last, ...(options.args ?? [])], env: box(2) }),
    ]);
    await published("a", "b", "c");
    return { a, b, c };
  };

  /** Lets a call the others, and waits for all links. */
  const mesh = async (options?: Pick<ClusterNodeOptions, "args">, last?: string[]) => {
    const nodes = await start(options, last);
    expect([await nodes.a.ping(fullName("b")), await nodes.a.ping(fullName("c"))]).toEqual(["pong", "pong"]);
    await waitForMesh(nodes);
    expect([await nodes.b.eval(boxOf("c")), await nodes.c.eval(boxOf("a"))]).toEqual(['"box3"', '"box1"']);
    return nodes;
  };

  /** Kills every daemon and starts it again. */
  const restart = async (...flags: string[]) => {
    await Promise.all([0, 1, 2].map((index) => cluster.daemon(index).kill()));
    await Promise.all([0, 1, 2].map((index) => cluster.serve(index, ...flags)));
  };

  /** The address that a node dialled. */
  const dialled = (name: string) =>
    `{ok, {net_address, {Address, _}, _, Protocol, _}} = net_kernel:node_info('${fullName(name)}', address), {Address, Protocol}`;

  test("form a full mesh over IPv4, with nothing but a resolver that points to the daemon", async () => {
    const { a } = await mesh();
    const address = await a.eval(dialled("b"));
    expect(address).toMatch(/^\{\{127,\d+,\d+,\d+\},tcp\}$/);
    // One address stands for the host that all share.
    expect(await a.eval(dialled("c"))).toBe(address);
  });

  test("form a full mesh when all of them are inet6_tcp", async () => {
    const { a } = await mesh({ args: INET6 }, []);
    // The IPv4-mapped form: no IPv6 address of the loopback interface is needed.
    expect(await a.eval(dialled("c"))).toMatch(/^\{\{0,0,0,0,0,65535,\d+,\d+\},tcp\}$/);
  });

  requirePeer("openssl")("with certificates", () => {
    test("form a full mesh over TLS from end to end, in which the host name is checked", async () => {
      const certificates = await createCertificates();
      const folder = await temporaryFolder("ssl-dist");
      const tls = async (name: string) => {
        const { cert, key } = await certificates.issue(name, `DNS:${name}`);
        const both = `{cacertfile, "${certificates.ca}"}, {certfile, "${cert}"}, {keyfile, "${key}"}, {verify, verify_peer}`;
        const file = join(folder, `${name}.conf`);
        await writeFile(file, `[{server, [${both}, {fail_if_no_peer_cert, true}]}, {client, [${both}]}].\n`);
        return ["-ssl_dist_optfile", file];
      };
      const own = await tls(HOST);
      const [a, b, c] = await Promise.all([
        cluster.node(0, "a", { args: ["-proto_dist", "inet_tls", ...own] }),
        cluster.node(1, "b", { args: ["-proto_dist", "inet_tls", ...own] }),
        cluster.node(2, "c", { args: ["-proto_dist", "inet6_tls", ...own] }),
      ]);
      await published("a", "b", "c");
      expect([await a.ping(fullName("b")), await a.ping(fullName("c"))]).toEqual(["pong", "pong"]);
      await waitForMesh({ a, b, c });

      await cluster.node(1, "imposter", { args: ["-proto_dist", "inet_tls", ...(await tls("other.test"))] });
      await published("imposter");
      expect(await a.ping(fullName("imposter"))).toBe("pang");
      await certificates.remove();
    });
  });

  test("are reached by the name that is called, 50 of 50 times", async () => {
    const { a } = await start({ args: ["-connect_all", "false"] });
    const reached = await a.eval(
      `Reach = fun(Node) ->
         pong = net_adm:ping(Node), Box = rpc:call(Node, os, getenv, ["BOX"]), true = erlang:disconnect_node(Node), Box
       end,
       [{Reach('${fullName("b")}'), Reach('${fullName("c")}')} || _ <- lists:seq(1, 25)]`,
    );
    expect(reached.match(/\{"box2","box3"\}/g)).toHaveLength(25);
  });

  test("may listen on 127.0.0.1 only: a relay leads those on their machine to them", async () => {
    const { b, c } = await start({ args: ["-connect_all", "false"] });
    const shy = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"];
    const [d, e] = await Promise.all([
      cluster.node(0, "d", { args: shy, env: box(0) }),
      cluster.node(0, "e", { args: ["-connect_all", "false"] }),
    ]);
    expect([await d.ping(fullName("b")), await d.ping(fullName("c"))]).toEqual(["pong", "pong"]);
    expect([await b.eval(boxOf("d")), await c.eval(boxOf("d"))]).toEqual(['"box1"', '"box1"']);
    expect([await e.ping(fullName("d")), await e.eval(boxOf("d"))]).toEqual(["pong", '"box1"']);
  });

  test("are found again on another machine, and on another port, by their peers", async () => {
    const { a, b } = await start({ args: ["-connect_all", "false"] });
    expect([await a.ping(fullName("b")), await a.eval(boxOf("b"))]).toEqual(["pong", '"box2"']);
    await b.kill();
    await cluster.node(0, "b", { env: box(0) });
    await waitFor(async () => (await a.ping(fullName("b"))) === "pong", { what: "the ping of b, now beside it" });
    expect(await a.eval(boxOf("b"))).toBe('"box1"');
    await cluster.killNode("b");
    await cluster.node(2, "b", { args: INET6, env: box(2) });
    await waitFor(async () => (await a.ping(fullName("b"))) === "pong", { what: "the ping of b, moved on" });
    expect(await a.eval(boxOf("b"))).toBe('"box3"');
  });

  test("keep their links when every daemon is killed and started again, and make new ones then", async () => {
    const { a, b, c } = await mesh();
    await watchLinks(a, b, c);
    await restart();
    const d = await cluster.node(1, "d", { args: ["-connect_all", "false"] });
    for (const name of ["a", "c"]) {
      await waitFor(async () => (await d.ping(fullName(name))) === "pong", { what: `a link from d to ${name}` });
    }
    expect(await lostLinks(a, b, c)).toEqual(["[]", "[]", "[]"]);
    expect(await b.eval(boxOf("c"))).toBe('"box3"');
  });

  test("do without the DNS of the gateway where /etc/hosts has the lines of `srv-epmd hosts`", async () => {
    const { stdout } = await runCli(["hosts", HOST]);
    const lines = stdout.trim().split("\n");
    await Promise.all(
      [0, 1, 2].map((index) => cluster.host(index).setHosts([...lines, `10.90.0.${index + 1} box${index + 1}`])),
    );
    await restart("--gateway-listen", "none");
    const { a, b, c } = await mesh();
    await watchLinks(a, b, c);
    await restart("--gateway-listen", "none");
    const d = await cluster.node(1, "d", { args: [...INET6, "-connect_all", "false"] });
    await waitFor(async () => (await d.ping(fullName("c"))) === "pong", { what: "a link from d to c" });
    await waitFor(async () => (await d.ping(fullName("a"))) === "pong", { what: "a link from d to a" });
    expect(await lostLinks(a, b, c)).toEqual(["[]", "[]", "[]"]);
    await Promise.all([0, 1, 2].map((index) => cluster.host(index).setHosts([`10.90.0.${index + 1} box${index + 1}`])));
    await restart();
  });

  test("are listed at the address of their host, and only those that live on this machine", async () => {
    const { a } = await start();
    await cluster.node(0, "rpc-1a2b-a");
    expect(await a.eval(`{ok, Names} = net_adm:names('${HOST}'), lists:sort([Name || {Name, _} <- Names])`)).toBe(
      '["a","rpc-1a2b-a"]',
    );
    // A host for which this machine has no nodes.
    expect(await a.eval(`net_adm:names('other.${HOST}')`)).toBe("{ok,[]}");
    expect(await cluster.published()).not.toContain("rpc-1a2b-a");
  });

  test("are called by erl_call, wherever they are", async () => {
    await start();
    const call = (name: string) =>
      erlCall({ name: fullName(name), netns: cluster.host(0), args: ["-a", "erlang node"] });
    for (const name of ["a", "b", "c"]) expect(await call(name)).toMatchObject({ stdout: `'${fullName(name)}'` });
  });

  test("with -erl_epmd_port are reached by the others, and reach nobody: they dial that port at every host", async () => {
    const { a, c } = await start({ args: ["-connect_all", "false"] });
    const fixed = await cluster.node(1, "fixed", { args: ["-erl_epmd_port", "20100", "-connect_all", "false"] });
    await published("fixed");
    // At the address that stands for the host they meet themselves.
    const strangers = ["a", "c"].map((name) => fixed.ping(fullName(name)));
    expect(await Promise.all(strangers)).toEqual(["pang", "pang"]);
    expect([await a.ping(fullName("fixed")), await c.ping(fullName("fixed"))]).toEqual(["pong", "pong"]);
    // A console beside it, as in the remote.vm.args of a release without an EPMD.
    const console = await cluster.node(1, "console", { args: ["-erl_epmd_port", "20100", "-dist_listen", "false"] });
    expect(await console.ping(fullName("fixed"))).toBe("pong");
    expect(await fixed.eval(boxOf("a"))).toBe('"box1"');
  });
});

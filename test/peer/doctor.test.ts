import { beforeAll, describe, expect, test } from "vitest";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import { examine, untilFails } from "../support/doctor.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { moduleFolder } from "../support/module-folder.js";
import { programForAll } from "../support/program-for-all.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** Two machines with a srv-epmd each and one Consul. */
const [HERE, THERE] = [1, 0];
const OWN = ["10.90.0.2", "fd90::2"];

requirePeer(
  "erl",
  "consul",
  "netns",
)("srv-epmd doctor, beside a srv-epmd and with a Consul", () => {
  let cluster: Cluster;
  let a: ErlangNode;
  let flags: readonly string[];
  let whereA: { address: string; port: number };

  /** With what serve was given on that machine. */
  const doctor = (...args: readonly string[]) => examine([...flags, ...args], { netns: cluster.host(HERE) });
  /** The other tool for the same, as the README has it. */
  const resolve = async (node: string, ...args: readonly string[]) => {
    const dns = ["--dns", cluster.dns, ...args];
    return runCli(["resolve", node, "--trace", "--probe", ...dns], { netns: cluster.host(HERE) });
  };
  /** As a Nomad service block would, or somebody by hand. */
  const register = (
    name: string,
    over: { tags?: readonly string[]; address?: string; port?: number; service?: string },
  ) =>
    cluster.consul.request("PUT", "/v1/agent/service/register", {
      ...{ ID: `by-hand-${name}`, Name: over.service ?? "svc", Tags: over.tags ?? [name] },
      ...{ Address: over.address ?? whereA.address, Port: over.port ?? whereA.port },
    });
  const published: Cluster["whenPublished"] = (...names) => cluster.whenPublished(...names);

  beforeAll(async () => {
    cluster = await startCluster({ hosts: 2 });
    flags = [
      "--domain",
      HOST,
      "--consul",
      cluster.consul.socketUrl,
      ...OWN.flatMap((own) => ["--advertise-address", own]),
    ];
    flags = [...flags, "--dns", cluster.dns];
    [a] = await Promise.all([cluster.node(THERE, "node_a"), cluster.node(HERE, "node_b")]);
    await published("node_a", "node_b");
    const { body } = await cluster.consul.request("GET", "/v1/health/service/svc");
    const entry = (body as { Service: { Tags: string[]; Address: string; Port: number } }[]).find(({ Service }) =>
      Service.Tags.includes("node_a"),
    );
    whereA = { address: entry?.Service.Address ?? "", port: entry?.Service.Port ?? 0 };
  });

  test("finds nothing to say of a set-up that works", async () => {
    const { code, with: having, of, stderr } = await doctor("node_a@svc");
    expect([having("fail"), having("warn")]).toEqual([[], []]);
    // These daemons serve no HTTP.
    expect(stderr).toMatch(
      /^srv-epmd: the settings of serve are not known here, .* A srv-epmd has the EPMD port 4369: .*\n$/,
    );
    expect(code).toBe(0);
    expect(having("skip")).toEqual([
      ...["nomad-task", "dns-listen", "own-address", "vm-links", "nomad-api", "nomad-entry", "hairpin"],
      ...[
        "gateway-relay",
        "gateway-resolver",
        "peer-daemon",
        "peer-cookie",
        "peer-hosts",
        "peer-link",
        "connect-certificate",
        "connect-relay",
        "mesh-upstream",
        "mesh-intention",
        "rabbitmq-streams",
        "readiness",
      ],
    ]);
    expect(of("registration").evidence).toMatch(
      /^node_b is registered as svc at 10\.90\.0\.2:[0-9]+ with the tag node_b$/,
    );
    expect(of("peer-handshake").evidence).toContain(`is ${fullName("node_a")}`);
    expect(await a.ping(fullName("node_b"))).toBe("pong");
    const told = await runCli(["doctor", ...flags, "node_a@svc"], { netns: cluster.host(HERE) });
    expect(told.stdout).toMatch(
      /^VMs here reach node_a@svc\.service\.consul; its cookie was not compared \(--cookie-file FILE\)\n(?: {6}.*\n)*\d+ ok, \d+ skipped \(--all\)\n$/,
    );
  });

  test("no srv-epmd answers the VMs here: that they do not reach the node, and why", async () => {
    const { code, of } = await doctor("node_a@svc", "--port", "14369");
    expect([code, of("peer-ways").code, of("peer-ways").follows]).toEqual([1, "PEER_NO_WAY", "EPMD_OTHER_PORT"]);
    expect(of("peer-ways").evidence).toContain("reaches nothing: no srv-epmd answers on 127.0.0.1:14369");
    const { stdout } = await runCli(["doctor", ...flags, "node_a@svc", "--port", "14369"], {
      netns: cluster.host(HERE),
    });
    expect(stdout).toMatch(
      /^fail {2}nothing listens on 127\.0\.0\.1:14369, while srv-epmd answers on port 4369 \(epmd-port\)\n/,
    );
    expect(stdout).toContain(`\nVMs here do not reach ${fullName("node_a")}\n`);
  });

  test("a name that differs from the VM's in capitals alone: what to ask for", async () => {
    await register("NODE_A", {});
    const { of } = await doctor("NODE_A@svc");
    await cluster.consul.request("PUT", "/v1/agent/service/deregister/by-hand-NODE_A");
    expect(of("peer-handshake").advice).toContain(`ask for ${fullName("node_a")}`);
  });

  test("--domain is not given: a VM whose name lies under Consul's domain is published nowhere", async () => {
    const { code, of } = await examine([], { netns: cluster.host(HERE) });
    expect([code, of("node-name").result]).toEqual([0, "warn"]);
    expect(of("node-name").advice).toContain(`give serve and doctor --domain ${HOST}`);
  });

  test("--domain is a name of Consul's under which no node is published: it fails, and the log of serve says it at the start", async () => {
    const args = ["--domain", "svc.query.consul", "--consul", cluster.consul.socketUrl];
    const { code, of } = await examine(args, { netns: cluster.host(HERE) });
    expect([code, of("domain").result]).toEqual([1, "fail"]);
    expect(of("domain").evidence).toContain("prepared query");
    expect((await examine([...args, "--register", "none"], { netns: cluster.host(HERE) })).of("domain").result).toBe(
      "skip",
    );
    const daemon = await startDaemon({ args });
    expect(daemon.log()).toContainEqual(
      expect.objectContaining({ level: "warn", msg: expect.stringContaining("svc.query.consul") }),
    );
    await daemon.stop();
  });

  test("another machine publishes a node of the name of one here: where, in the log and on the page of the daemon too", async () => {
    const impostor = await cluster.node(HERE, "node_a");
    const failed = await untilFails("same-name", () => doctor());
    expect(failed.code).toBe(1);
    expect(failed.of("same-name").evidence).toContain(`another ${fullName("node_a")} is published at `);
    expect(failed.of("same-name").evidence).toContain(`${whereA.address}:${whereA.port} on `);
    const told = await cluster.daemon(HERE).waitForLog(({ level }) => level === "error", "a loud line");
    expect(told.msg).toContain(`another node of the name ${fullName("node_a")} is published`);
    await impostor.kill();
    await cluster.daemon(HERE).waitForLog(({ msg }) => msg === "withdrawn", "its end");
  });

  test("--fallback epmd, and nobody there: it is no name server that is to blame", async () => {
    const { of } = await doctor("x@10.90.0.1", "--fallback", "epmd");
    expect(of("peer-records").evidence).toContain("the EPMD at 10.90.0.1:4369 gives no port: ");
    expect(of("peer-records").advice).toMatch(/^see that 10\.90\.0\.1 is its machine, .* --listen 10\.90\.0\.1/);
  });

  test("without a node it looks at this machine alone", async () => {
    const { code, with: having, of } = await doctor();
    expect([code, having("fail"), having("warn")]).toEqual([0, [], []]);
    expect(having("skip").filter((check) => check.startsWith("peer-"))).toHaveLength(13);
    expect(of("peer-tcp").evidence).toContain("no node was named");
  });

  test("changes nothing in Consul", async () => {
    const state = async () => {
      const answers = ["/v1/agent/services", "/v1/agent/checks"].map((path) => cluster.consul.request("GET", path));
      // Consul itself may write this meanwhile: an earlier test has left an entry whose VM is gone.
      const expired = "TTL expired (last output before timeout follows): ";
      return JSON.stringify(await Promise.all(answers)).replaceAll(expired, "");
    };
    const before = await state();
    await doctor("node_a@svc");
    expect(await state()).toBe(before);
  });

  describe("a wrong tag", () => {
    test.each([
      [
        "node_A_@svc",
        /no instance of the service svc has the tag node_A_: the tags are node_a, node_b/,
        /was node_a@svc/,
      ],
      ["web@svc", /has the tag web: the tags are/, /register it with the tag web/],
    ])("%s: the tags that there are, and the one that was meant", async (node, evidence, advice) => {
      const { code, with: having, of } = await doctor(node);
      expect([code, having("fail")]).toEqual([1, ["peer-records"]]);
      expect(of("peer-records").evidence).toMatch(evidence);
      expect(of("peer-records").advice).toMatch(advice);
    });

    test("of an instance that somebody else has registered: the tag that it must have", async () => {
      await cluster.consul.request("PUT", "/v1/agent/service/register", {
        ...{
          ID: "tagless",
          Name: "tagless",
          Tags: ["v1"],
          Port: 9100,
          Meta: { "erlang-node": "node_t@tagless.service.consul" },
        },
      });
      const { of } = await doctor("node_t@tagless");
      expect(of("peer-records")).toMatchObject({
        result: "fail",
        advice: expect.stringContaining("with the tag node_t"),
      });
      expect(of("peer-records").evidence).toContain("has the tags v1");
    });
  });

  test("Consul's servers here do not know the datacenter: which they know, and which is here", async () => {
    const { code, of } = await doctor("x@svc.service.dc2.consul");
    expect([code, of("peer-records").code]).toEqual([1, "PEER_OTHER_CONSUL"]);
    expect(of("peer-records").evidence).toMatch(
      /know the datacenters dc1, and not dc2; the Consul here: the leader of dc1 is 10\.90\.0\.1:\d+$/,
    );
    expect(of("consul-leader").evidence).toMatch(/^the leader of dc1 is 10\.90\.0\.1:\d+$/);
    expect((await doctor("x@nowhere")).of("peer-records").evidence).toMatch(/the leader of dc1 is 10\.90\.0\.1:\d+$/);
  });

  describe("a missing SRV record", () => {
    test("because nothing is registered under that service: one with nearly that name", async () => {
      const { code, of, with: having } = await doctor("node_a@scv");
      expect([code, having("fail")]).toEqual([1, ["peer-records"]]);
      expect(of("peer-records").evidence).toContain("nothing is registered in Consul as the service scv");
      expect(of("peer-records").advice).toContain("was the service svc meant?");
      const { code: resolved, stdout } = await resolve("node_a@scv");
      expect([resolved, stdout]).toEqual([1, expect.stringContaining("has no SRV record (NXDOMAIN")]);
    });

    test("because a machine stands behind the @: the node that was meant", async () => {
      const { of } = await doctor("node_a@test-agent");
      expect(of("peer-records").evidence).toContain("service test-agent: test-agent is the name of a machine");
      expect(of("peer-records").advice).toMatch(
        /^was node_a@svc\.service\.consul meant\? It is on that machine, and the part behind the @ is a service/,
      );
    });

    test("of a host that has addresses: there is no port, but for the fallbacks", async () => {
      const { of, with: having } = await doctor("x@test-agent.node.consul");
      expect(having("fail")).toEqual(["peer-records"]);
      expect(of("peer-records").evidence).toContain("test-agent.node.consul A 10.90.0.1");
      expect(of("peer-records").advice).toMatch(/--fallback epmd .* --fallback N/);
    });

    test("of a node that is critical: it is registered, and has gone", async () => {
      const gone = await cluster.node(THERE, "gone");
      await published("gone");
      await gone.kill("SIGKILL");
      const { of } = await untilFails("peer-records", () => doctor("gone@svc"));
      // Critical for the 5 s of grace, and then without a trace.
      expect(of("peer-records").evidence).toMatch(/its check is critical|has the tag gone/);
    });
  });

  test("DNS down: the name server that does not answer, and which to ask", async () => {
    const nobody = await freePort();
    const having = (dns: string) => [...flags.slice(0, -1), dns, "node_a@svc"];
    const down = having(`consul=127.0.0.1:${nobody}`);
    const { code, of, with: results } = await examine([...down, "--catalogue", "none"], { netns: cluster.host(HERE) });
    expect(code).toBe(1);
    expect(results("fail")).toEqual(["resolver", "registration-dns", "peer-records"]);
    expect(of("resolver").evidence).toMatch(/does not answer \(ECONNREFUSED\)/);
    expect(of("peer-records")).toMatchObject({ code: "PEER_UNAVAILABLE", follows: "RESOLVER_AGENT" });
    expect(of("registration-dns")).toMatchObject({ code: "DNS_UNAVAILABLE", follows: "RESOLVER_AGENT" });
    const plain = await runCli(["doctor", ...down, "--catalogue", "none"], { netns: cluster.host(HERE) });
    expect(plain.stdout).toMatch(
      /^(fail|warn) {2}svc\.service\.consul: 127\.0\.0\.1:\d+ does not answer.*\(resolver\)\n/,
    );
    expect(plain.stdout).toMatch(
      /\n {6}so: {2}registration-dns: .*\n {11}peer-records: .*\n.*\n1 problem; \d+ ok, \d+ skipped/,
    );
    // With Consul's catalogue look-ups go on, and that is all that is wrong.
    const { code: usual, ...told } = await examine(down, { netns: cluster.host(HERE) });
    expect([usual, told.with("fail")]).toEqual([0, []]);
    expect(told.of("resolver")).toMatchObject({ result: "warn", evidence: expect.stringContaining("does not answer") });
    expect(told.of("registration-dns")).toMatchObject({ result: "warn", follows: "RESOLVER_AGENT" });
    expect(told.of("peer-records").evidence).toContain("found by catalogue");
    // A server for all names is no wish: serve asks the agent's DNS in its place, and so does doctor.
    const general = await examine([...having(`127.0.0.1:${nobody}`), "--catalogue", "none"], {
      netns: cluster.host(HERE),
    });
    expect([general.code, general.with("fail"), general.with("warn")]).toEqual([0, [], []]);
    expect(general.of("resolver").evidence).toMatch(
      new RegExp(`ECONNREFUSED.*serve and doctor ask the DNS of Consul's agent in its place, at ${cluster.dns}`),
    );
    expect(general.of("peer-records").evidence).toContain("found by srv");
  });

  describe("a VM bound to loopback", () => {
    test("here: where it listens, and the option that makes it so", async () => {
      const loopback = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"];
      const bound = await cluster.node(HERE, "bound", { args: loopback });
      await published("bound");
      const { code, of, with: having } = await doctor();
      expect([code, having("fail")]).toEqual([1, ["vm-listens", "published-endpoint"]]);
      expect(of("vm-listens").evidence).toMatch(/^bound listens on 127\.0\.0\.1:[0-9]+ alone/);
      expect(of("vm-listens").advice).toContain("inet_dist_use_interface");
      const mesh = await doctor("--mesh");
      expect(mesh.of("vm-listens").result).toBe("ok");
      await bound.kill();
    });

    test("there: the connection is refused, and where to look", async () => {
      await register("refused", { port: 1 });
      const { code, of, with: having } = await doctor("refused@svc");
      expect([code, having("fail")]).toEqual([1, ["peer-tcp"]]);
      expect(of("peer-tcp").evidence).toContain("10.90.0.1:1 refuses connections");
      expect(of("peer-tcp").advice).toMatch(/listens on 127\.0\.0\.1 alone.*doctor --all on its machine/);
      expect(of("peer-handshake").result).toBe("skip");
      const { code: resolved, stdout } = await resolve("refused@svc");
      expect([resolved, stdout]).toEqual([1, expect.stringContaining("nothing listens there")]);
    });
  });

  test("an address that is published wrongly: where the node answers, and the option on its machine", async () => {
    const strayed = await startNode({ name: "strayed@other.service.consul", netns: cluster.host(THERE) });
    const port = Number(
      await strayed.eval('{ok, Names} = erl_epmd:names(), {_, P} = lists:keyfind("strayed", 1, Names), P'),
    );
    await register("strayed", { service: "other", address: "10.90.0.77", port });
    const { code, of } = await doctor("strayed@other");
    await cluster.consul.request("PUT", "/v1/agent/service/deregister/by-hand-strayed");
    await strayed.kill();
    expect([code, of("peer-tcp").code]).toEqual([1, "PEER_WRONG_ADDRESS"]);
    expect(of("peer-tcp").evidence).toContain(
      `is published at 10.90.0.77:${port}, and it answers at 10.90.0.1:${port}, the address of its Consul agent on test-agent`,
    );
    expect(of("peer-tcp").advice).toMatch(/^on test-agent, .* --advertise-address 10\.90\.0\.1, or none/);
  });

  test("an address that leads nowhere: no answer, or no route", async () => {
    await Promise.all([
      register("lost", { address: "10.90.0.77", port: 1 }),
      register("far", { address: "10.99.0.1", port: 1 }),
    ]);
    const [lost, far] = await Promise.all([doctor("lost@svc"), doctor("far@svc")]);
    expect(lost.of("peer-tcp")).toMatchObject({ result: "fail" });
    expect(far.of("peer-tcp").evidence).toContain("cannot be reached from here (ENETUNREACH)");
    expect(far.of("peer-tcp").advice).toContain("no route");
  });

  test("a node here whose check is critical", async () => {
    const { body } = await cluster.consul.request("GET", "/v1/agent/services");
    const id = Object.keys(body as object).find((one) => one.endsWith("box2:node_b")) ?? "";
    // Its srv-epmd puts that right within a second, and doctor may need longer: the check is failed all the while.
    let isOver = false;
    const failing = (async () => {
      while (!isOver) await cluster.consul.request("PUT", `/v1/agent/check/fail/service:${encodeURIComponent(id)}`);
    })();
    const { code, of } = await untilFails("registration", () => doctor()).finally(() => {
      isOver = true;
    });
    await failing;
    await waitFor(async () => (await doctor()).of("registration").result !== "fail", { what: "the repair" });
    expect(code).toBe(1);
    expect(of("registration").evidence).toContain(`its check service:${id} is critical`);
    expect(of("registration").advice).toContain("no srv-epmd refreshes it");
  });

  describe("another name behind the port", () => {
    test("another node: who it is, and that the entry may be old", async () => {
      await register("node_c", {});
      const { code, of, with: having } = await doctor("node_c@svc");
      expect([code, having("fail")]).toEqual([1, ["peer-handshake"]]);
      expect(of("peer-handshake").evidence).toContain(`is ${fullName("node_a")}, not ${fullName("node_c")}`);
      expect(of("peer-handshake").advice).toContain("another node has that port");
      const { code: resolved, stdout } = await resolve("node_c@svc");
      expect([resolved, stdout]).toEqual([1, expect.stringContaining(`is ${fullName("node_a")}, not`)]);
    });

    test("the same node under another host part: what to ask for, or how to start it", async () => {
      const { code, of, with: having } = await doctor(`node_a@${whereA.address}`);
      expect([code, having("fail")]).toEqual([1, ["peer-handshake"]]);
      expect(of("peer-handshake").advice).toContain(
        `ask for ${fullName("node_a")}, or start that VM with -name node_a@10.90.0.1`,
      );
    });

    test("a node with a short name that is asked for by its long one: that the two never connect", async () => {
      const short = await startNode({ sname: "shorty", netns: cluster.host(THERE) });
      await published("shorty");
      const { code, of, with: having } = await doctor("shorty@svc");
      const { stdout } = await resolve("shorty@svc");
      expect(await short.ping(fullName("node_a"))).toBe("pang");
      await short.kill();
      expect([code, having("fail")]).toEqual([1, ["peer-handshake"]]);
      expect(of("peer-handshake").evidence).toContain("is shorty@box1, not shorty@svc.service.consul");
      expect(of("peer-handshake").advice).toBe(
        "short and long names never connect: start that VM with -name shorty@svc.service.consul in place of -sname (a Mix release with RELEASE_DISTRIBUTION=name and RELEASE_NODE=shorty@svc.service.consul)",
      );
      expect(stdout).toContain("short and long names never connect");
    });

    test("a VM with a short name here: that it dials no long name, whoever answers", async () => {
      const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
      const short = await startNode({ sname: "shorty", netns: cluster.host(HERE), args });
      const { code, of } = await doctor("node_a@svc");
      expect(await short.ping(fullName("node_a"))).toBe("pang");
      await cluster.killNode("node_b");
      const alone = await doctor("node_a@svc");
      await short.kill();
      await cluster.node(HERE, "node_b");
      await published("node_b");
      // node_b here has a long name.
      expect([code, of("peer-handshake").result, of("node-name").code]).toEqual([1, "warn", "HOST_DIFFERS"]);
      expect(of("peer-handshake").evidence).toMatch(
        /^shorty here: a short name \(-sname\), and node_a@svc\.service\.consul is a long one: short and long names never connect; .*is node_a@svc/,
      );
      expect([alone.code, alone.of("peer-handshake").result]).toEqual([1, "fail"]);
      expect(alone.of("peer-handshake").advice).toContain("start shorty with -name in place of -sname");
    });

    test("of a node here: that its peers will hang up", async () => {
      const other = await cluster.node(HERE, "other", { host: "elsewhere.test" });
      const { code, of, with: having } = await doctor();
      await other.kill();
      expect([code, having("fail")]).toEqual([1, ["node-name"]]);
      expect(of("node-name").code).toBe("HOST_DIFFERS");
      expect(of("node-name").evidence).toContain(
        "calls itself other@elsewhere.test, and by these options it is published as other@svc.service.consul",
      );
      expect(of("node-name").advice).toMatch(/-name other@svc\.service\.consul.*--node-host elsewhere\.test/);
    });

    test("of a node here that calls itself after another service: the --domain with which it is published there", async () => {
      const other = await cluster.node(HERE, "other", { host: "rabbit.service.consul" });
      const { of } = await doctor();
      await other.kill();
      expect(of("node-name").advice).toContain(
        "-name other@svc.service.consul (RELEASE_NODE), or give serve --domain rabbit.service.consul",
      );
    });

    test("of a node here, the address at which it is published: that is right, and a peer elsewhere reaches it", async () => {
      const other = await cluster.node(HERE, "other", { host: "10.90.0.2" });
      await published("other");
      const { code, of, with: having } = await doctor();
      expect([code, having("warn")]).toEqual([0, []]);
      expect(of("node-name").evidence).toContain("calls itself other@10.90.0.2, an address of this machine");
      expect(await a.ping("other@10.90.0.2")).toBe("pong");
      const moved = ["--domain", HOST, "--consul", cluster.consul.socketUrl, "--advertise-address", "10.90.0.77"];
      const { of: ofMoved } = await examine(moved, { netns: cluster.host(HERE) });
      expect(ofMoved("node-name").evidence).toContain(
        "it is published as other@svc.service.consul at 10.90.0.77: no VM",
      );
      await other.kill();
    });

    test("of a node here, an address that leads elsewhere and refuses this machine: worth a look, and how to find out", async () => {
      const other = await cluster.node(HERE, "other", { host: "10.90.0.1" });
      await published("other");
      const { code, of, with: having } = await doctor();
      expect([code, having("fail"), having("warn")]).toEqual([0, [], ["node-name"]]);
      expect(of("node-name").evidence).toContain("this machine has no address 10.90.0.1, nor is it published there");
      expect(of("node-name").advice).toContain("run srv-epmd names 10.90.0.1 outside of this network");
      expect(await a.ping("other@10.90.0.1")).toBe("pang");
      await other.kill();
    });

    test("no Erlang node: what it says", async () => {
      // Consul's own RPC port: it takes the connection and knows nothing of distribution.
      const { body } = await cluster.consul.request("GET", "/v1/status/leader");
      await register("web", { port: Number(String(body).split(":")[1]) });
      const { code, of } = await doctor("web@svc");
      expect(code).toBe(1);
      expect(of("peer-handshake").result).toBe("fail");
      await cluster.consul.request("PUT", "/v1/agent/service/deregister/by-hand-web");
    });
  });

  test("IPv6 only: which VMs here cannot dial it, and the three ways out", async () => {
    const six = await cluster.node(THERE, "six", { args: ["-proto_dist", "inet6_tcp"] });
    const port = Number(await six.eval("{ok, [{_, P} | _]} = erl_epmd:names({127,0,0,1}), P"));
    await register("only6", { tags: ["only6"], address: "fd90::1", port });
    const { code, of, with: having } = await doctor("only6@svc");
    expect(code).toBe(1);
    expect(having("fail")).toContain("peer-family");
    expect(of("peer-family").evidence).toMatch(/^node_b here is -proto_dist inet_tcp .*IPv6 endpoints only/);
    expect(of("peer-family").advice).toMatch(/-proto_dist inet6_tcp.*IPv4 address too.*--gateway/);
    expect(of("peer-ways").evidence).toContain(
      "module, IPv4: a VM with -epmd_module srv_epmd reaches nothing: no IPv4 endpoint",
    );
    await six.kill();
  });

  test("a VM here that has neither the module nor the gateway: what it lacks", async () => {
    const stock = await cluster.node(HERE, "stock", { way: "gateway" });
    const { code, of, with: having } = await doctor("node_a@svc");
    expect([code, having("fail")]).toEqual([1, ["peer-ways"]]);
    expect(of("peer-ways").evidence).toMatch(/^for stock here, without -epmd_module srv_epmd, there is no way/);
    expect(of("peer-ways").advice).toMatch(/srv-epmd module.*--gateway/);
    expect(await stock.ping(fullName("node_a"))).toBe("pang");
    const { stdout: verdict } = await runCli(["doctor", ...flags, "node_a@svc"], { netns: cluster.host(HERE) });
    expect(verdict).toContain(`\nstock here does not reach ${fullName("node_a")}; node_b does\n`);
    // Whoever may not look at its process does not know.
    const nobody = [
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      process.execPath,
      await programForAll(),
    ];
    const command = [...nobody, "doctor", "--all", ...flags, "node_a@svc"].join(" ");
    const { stdout } = await cluster.host(HERE).run("sh", "-c", `${command} || true`);
    expect(stdout).toMatch(/fail +peer-ways [\s\S]*this user may not see whether .*stock.* has the module/);
    const { stdout: unsure } = await cluster.host(HERE).run("sh", "-c", `${command.replace("--all ", "")} || true`);
    expect(unsure).toMatch(/\nwhether VMs here reach node_a@svc\S* is not known\n/);
    await stock.kill();
  });

  test("a stock VM here, and an EPMD there that does not serve this machine: what is to listen there", async () => {
    const [stock, there] = await Promise.all([
      cluster.node(HERE, "stock", { way: "gateway" }),
      cluster.node(THERE, "plain", { way: "gateway", host: "10.90.0.1" }),
    ]);
    await published("plain");
    const { code, of, with: having } = await doctor("plain@10.90.0.1");
    expect([code, having("fail")]).toEqual([1, ["peer-ways"]]);
    // It closes with what was said to it unread, which may arrive as a reset.
    const turnedAway = /reaches nothing: .*10\.90\.0\.1:4369(: read ECONNRESET| closed the connection)/;
    expect(of("peer-ways").evidence).toMatch(turnedAway);
    expect(of("peer-ways").advice).toContain("with --listen 10.90.0.1");
    expect((await resolve("plain@10.90.0.1", "--domain", HOST)).stdout).toMatch(turnedAway);
    expect(await stock.ping("plain@10.90.0.1")).toBe("pang");
    await Promise.all([stock.kill(), there.kill()]);
  });

  test("an address as host part that no SRV record leads to", async () => {
    const { code, of, with: having } = await doctor("node_a@10.90.0.9");
    expect([code, having("fail")]).toEqual([1, ["peer-records"]]);
    expect(of("peer-records").evidence).toMatch(
      /the EPMD at 10\.90\.0\.9:4369 gives no port: .*; .* lead to 10\.90\.0\.1, not to 10\.90\.0\.9/,
    );
    expect(of("peer-records").advice).toMatch(/^see that 10\.90\.0\.9 is its machine.*--fallback epmd/);
  });

  test("of two instances of one name one is gone: worth a look, since look-ups put the other first", async () => {
    await register("node_a", { port: 1 });
    const { code, of, with: having } = await doctor("node_a@svc");
    await cluster.consul.request("PUT", "/v1/agent/service/deregister/by-hand-node_a");
    expect([code, having("fail"), having("warn")]).toEqual([0, [], ["peer-tcp"]]);
    expect(of("peer-tcp").evidence).toMatch(/^10\.90\.0\.1:1 refuses.*; 10\.90\.0\.1:[0-9]+ accepts/);
    expect(of("peer-handshake").result).toBe("ok");
  });

  test("a name that is none in DNS, or none of Erlang's", async () => {
    const [long, strange, capital] = await Promise.all(
      ["x".repeat(64), "n+1", "node_a@SVC.service.consul"].map((name) =>
        doctor(name.includes("@") ? name : `${name}@svc`),
      ),
    );
    expect(long?.of("node-name").evidence).toContain("has 64 octets; DNS allows 63");
    expect(strange?.of("node-name").evidence).toContain("no VM can be called n+1@svc.service.consul");
    expect(capital?.of("node-name")).toMatchObject({
      result: "warn",
      advice: expect.stringContaining("differs in one letter"),
    });
    expect([long?.code, strange?.code, capital?.code]).toEqual([1, 1, 0]);
  });
});

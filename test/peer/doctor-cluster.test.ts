import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createCertificates } from "../support/certificates.js";
import { startChild } from "../support/child.js";
import { fullName, HOST, startCluster } from "../support/cluster.js";
import { startConsul } from "../support/consul-agent.js";
import { cleanEnvironment } from "../support/environment.js";
import { startNode, waitForNodes } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { type LinkedNode, type LinkedNodes, startLinkedNodes, writeCookie } from "../support/linked-nodes.js";
import { moduleFolder } from "../support/module-folder.js";
import { findOtp } from "../support/otp.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

let nodes: LinkedNodes;

const command = (members: readonly LinkedNode[], ...more: readonly string[]) => [
  ...["doctor", "--cluster", ...members.map(({ name }) => name), ...nodes.entries(...members)],
  ...["--port", String(nodes.epmdPort), ...more],
];

/** `srv-epmd doctor --cluster` of these nodes, with the cookie. */
async function judge(members: readonly LinkedNode[], ...more: readonly string[]) {
  const { code, stdout, stderr } = await runCli(command(members, "--cookie-file", nodes.cookieFile, "--json", ...more));
  expect([stderr, stdout.includes("srv-epmd-test")]).toEqual(["", false]);
  return { code, verdict: JSON.parse(stdout) };
}

/** Global ends no links by itself, so that one can be missing. */
const FREE = ["-kernel", "prevent_overlapping_partitions", "false"];

requirePeer("erl", "epmd")("doctor --cluster", () => {
  beforeAll(async () => {
    nodes = await startLinkedNodes();
  });
  afterEach(() => nodes.killAll());

  const three = async () => {
    const all = [
      await nodes.start("a", { args: FREE }),
      await nodes.start("b", { args: FREE }),
      await nodes.start("c", { args: FREE }),
    ] as const;
    const [a, b, c] = all;
    await a.vm.ping(b.name);
    await b.vm.ping(c.name);
    await waitForNodes(a.vm, b.name, c.name);
    await waitForNodes(c.vm, a.name, b.name);
    return all;
  };

  test("finds nothing wrong with a whole cluster, and then each thing that is broken", async () => {
    const [a, b, c] = await three();
    expect(await judge([a, b, c])).toMatchObject({
      code: 0,
      verdict: {
        ...{ summary: "3 nodes, 3 of 3 links; nothing is wrong", well: true, links: { found: 3, expected: 3 } },
        nodes: [
          { node: a.name, release: "25", hidden: false, tls: false, cookie: "same", connectAll: true },
          { node: b.name },
          { node: c.name },
        ],
        ...{ unlinked: [], problems: [], notes: [] },
      },
    });

    await b.vm.eval(`erlang:disconnect_node('${c.name}')`);
    const cut = await waitFor(
      async () => {
        const seen = await judge([a, b, c]);
        return seen.verdict.well ? undefined : seen;
      },
      { what: "the missing link" },
    );
    expect(cut).toMatchObject({
      code: 1,
      verdict: {
        summary: `3 nodes, 2 of 3 links; ${b.name} does not see ${c.name}`,
        unlinked: [{ nodes: [b.name, c.name], link: "missing", expected: true }],
        problems: [{ code: "NO_LINK", nodes: [b.name, c.name] }],
      },
    });

    await a.vm.eval(`erlang:disconnect_node('${c.name}')`);
    const split = await judge([a, b, c]);
    expect(split.verdict.problems).toMatchObject([
      { code: "SPLIT", text: expect.stringContaining(`${a.name}, ${b.name} | ${c.name}`) },
    ]);

    await c.vm.kill();
    const { code, stdout } = await runCli(command([a, b, c], "--cookie-file", nodes.cookieFile));
    expect(code).toBe(1);
    expect(stdout.split("\n")[0]).toBe(
      `3 nodes, 2 of them there, 1 of 1 links; ${c.name} is not reached: refused at 127.0.0.1:${c.port}`,
    );
    expect(stdout).toMatch(
      /^ {5}1 2 3\n {2}1 {4}x x {2}c@127\.0\.0\.1 .* - +refused\n {2}2 {2}x {3}\+ {2}a@127\.0\.0\.1 .* OTP 25\n/m,
    );

    // Nobody has us in a list.
    expect(await a.vm.eval("nodes([visible, hidden, connected])")).toBe(`['${b.name}']`);
  });

  test("tells another cookie, and a hidden node and one that connects to nobody from broken links", async () => {
    const a = await nodes.start("a");
    const other = await nodes.start("other", { cookie: "another" });
    const hidden = await nodes.start("h", { args: ["-hidden"] });
    const manual = await nodes.start("m", { args: ["-connect_all", "false"] });
    const { code, verdict } = await judge([a, other, hidden, manual]);
    expect(code).toBe(1);
    expect(verdict.problems).toMatchObject([{ code: "OTHER_COOKIE", nodes: [other.name] }]);
    expect(verdict.notes.map((note: { code: string }) => note.code)).toEqual(["HIDDEN", "NOT_CONNECTING"]);
  });

  test("tells the links that global ends because of a node that does not dial with that node", async () => {
    const [a, b] = [await nodes.start("a"), await nodes.start("b")];
    const c = await nodes.start("c", { args: ["-kernel", "dist_auto_connect", "never"] });
    await a.vm.ping(b.name);
    await waitForNodes(b.vm, a.name);
    await a.vm.ping(c.name);
    const { verdict } = await waitFor(
      async () => {
        const judged = await judge([a, b, c]);
        return !judged.verdict.well && judged;
      },
      { what: "the links that are missing", timeout: 30_000 },
    );
    expect(verdict.summary).toContain(
      `; ${c.name} has dist_auto_connect never, and others have not: global ends links`,
    );
    expect(verdict.problems).toMatchObject([
      {
        code: "NEVER_CONNECTS",
        nodes: [c.name, a.name, b.name],
        effects: [{ code: expect.stringMatching(/SPLIT|ONE_SIDED/) }],
      },
    ]);
  });

  test("without a cookie tells who is there, and how more is seen", async () => {
    const [a, b] = [await nodes.start("a"), await nodes.start("b")];
    const { code, stdout } = await runCli(command([a, b]));
    expect(code).toBe(0);
    expect(stdout.split("\n")[0]).toBe("2 nodes are there; links and cookies were not looked at (--cookie-file)");
    const wrong = await runCli(command([a, b], "--cookie-file", await writeCookie("another"), "--json"));
    expect(wrong.code).toBe(1);
    expect(JSON.parse(wrong.stdout).links).toBeNull();
  });

  requirePeer("otp23", "otp29")("of releases that refuse each other", () => {
    test("names both, and the flags", async () => {
      const [old, recent] = [findOtp(23), findOtp(29)];
      const a = await nodes.start("a", old ? { otp: old } : {});
      const b = await nodes.start("b", recent ? { otp: recent } : {});
      expect(await b.vm.ping(a.name)).toBe("pang");
      expect((await judge([a, b])).verdict.problems).toMatchObject([
        {
          code: "RELEASES_REFUSE",
          text: `${b.name} (OTP 29) refuses ${a.name} (OTP 23), which lacks DFLAG_UNLINK_ID, DFLAG_V4_NC, DFLAG_MANDATORY_25_DIGEST`,
        },
      ]);
      const { code, stdout } = await runCli(command([a, b]));
      expect([code, stdout]).toEqual([
        1,
        expect.stringContaining(`${b.name} (OTP 29 or newer) refuses ${a.name} (OTP 23)`),
      ]);
    });
  });

  requirePeer("otp23", "otp29")("of which one node is refused by another and not seen by a third", () => {
    test("tells each missing link", async () => {
      const [old, recent] = [findOtp(23), findOtp(29)];
      const a = await nodes.start("a");
      const b = await nodes.start("b", old ? { otp: old } : {});
      const d = await nodes.start("d", recent ? { otp: recent } : {});
      // Global of a would end its link with b because of d; here nobody has made one.
      expect(await a.vm.ping(d.name)).toBe("pong");
      const { verdict } = await judge([a, b, d]);
      expect(verdict.links).toEqual({ found: 1, expected: 3 });
      expect(verdict.problems).toMatchObject([
        {
          text: expect.stringContaining(`${d.name} (OTP 29) refuses ${b.name} (OTP 23)`),
          effects: [{ code: "SPLIT", text: expect.stringContaining(`${a.name}, ${d.name} | ${b.name}`) }],
        },
      ]);
    });
  });

  requirePeer("openssl")("of which one node speaks TLS", () => {
    test("names it", async () => {
      const certificates = await createCertificates();
      const pair = await certificates.issue("node.test", "DNS:node.test");
      const file = join(await temporaryFolder("tls-dist"), "ssl_dist.conf");
      await writeFile(file, `[{server, [{certfile, "${pair.cert}"}, {keyfile, "${pair.key}"}]}].\n`);
      const a = await nodes.start("a", { args: ["-proto_dist", "inet_tls", "-ssl_dist_optfile", file] });
      const [b, c] = [await nodes.start("b"), await nodes.start("c")];
      expect(await b.vm.ping(c.name)).toBe("pong");
      const { verdict } = await judge([a, b, c]);
      expect(verdict.links).toEqual({ found: 1, expected: 3 });
      expect(verdict.problems).toMatchObject([
        { code: "TLS_DIFFERS", text: `${a.name} speaks TLS, ${b.name}, ${c.name} do not: they cannot be linked` },
      ]);
      await certificates.remove();
    });
  });

  test("--watch tells each change, and ends with the last verdict", async () => {
    const [a, b] = [await nodes.start("a"), await nodes.start("b")];
    await a.vm.ping(b.name);
    const args = command([a, b], "--cookie-file", nodes.cookieFile, "--watch");
    const watch = startChild(process.execPath, [BIN, ...args], { env: cleanEnvironment() });
    await watch.waitForOutput(/Z 2 nodes, 1 of 1 links; nothing is wrong\n/, 20_000);
    await b.vm.kill();
    await watch.waitForOutput(/Z 2 nodes, 1 of them there; .* is not reached: refused at /, 20_000);
    const { code } = await watch.stop("SIGINT");
    expect(code).toBe(1);
    expect(watch.stdout().trimEnd().split("\n")).toHaveLength(2);
  });

  test("refuses what it cannot use", async () => {
    const none = await runCli(["doctor", "--cluster"]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("which nodes: give '*@svc'")]);
    const wrong = await runCli(["doctor", "--cluster", "*"]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("must be a pattern such as '*@svc'")]);
    const several = await runCli(["doctor", "a@svc", "b@svc"]);
    expect([several.code, several.stderr]).toEqual([2, expect.stringContaining("with --cluster at several")]);
    const watch = await runCli(["doctor", "a@svc", "--watch"]);
    expect([watch.code, watch.stderr]).toEqual([2, expect.stringContaining("--watch is for doctor --cluster")]);
  });
});

requirePeer("erl", "consul")("doctor --cluster of a pattern", () => {
  test("finds the nodes in Consul, and in the srv-epmd here when Consul is away", async () => {
    const consul = await startConsul();
    const dns = ["--dns", `127.0.0.1:${consul.dnsPort}`, "--consul", consul.url];
    const daemon = await startDaemon({ args: ["--domain", "svc", ...dns] });
    const module = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    const start = (name: string) =>
      startNode({ name: `${name}@svc.service.consul`, epmdPort: daemon.port, args: module });
    const [a, b] = [await start("a"), await start("b")];
    const published = () => daemon.log().filter(({ msg }) => msg === "published").length === 2;
    await waitFor(published, { what: "both nodes in Consul" });
    await waitFor(async () => (await a.ping("b@svc.service.consul")) === "pong", { what: "the link" });
    const args = [
      "doctor",
      "--cluster",
      "*@svc",
      ...dns,
      "--port",
      String(daemon.port),
      "--cookie-file",
      await writeCookie(),
    ];
    const { code, stdout, stderr } = await runCli([...args, "--json"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({
      summary: "2 nodes, 1 of 1 links; nothing is wrong",
      nodes: [
        { node: "a@svc.service.consul", health: "passing", linked: { visible: ["b@svc.service.consul"] } },
        { node: "b@svc.service.consul", health: "passing" },
      ],
    });
    // Another check than ours leaves a node out of look-ups, and its links stand.
    const { body: services } = await consul.request("GET", "/v1/agent/services");
    const ServiceID = Object.keys(services as object).find((id) => id.endsWith(":b"));
    const disk = { Name: "disk", ID: "disk", ServiceID, TTL: "1h", Status: "critical" };
    await consul.request("PUT", "/v1/agent/check/register", disk);
    const kept = await waitFor(
      async () => {
        const { stdout } = await runCli([...args, "--json"]);
        const [problem] = JSON.parse(stdout).problems;
        return problem?.text.includes("disk") ? problem : undefined;
      },
      { what: "the check in the verdict" },
    );
    expect(kept).toMatchObject({
      ...{ code: "NOT_FOUND", nodes: ["b@svc.service.consul"] },
      text: "b@svc.service.consul is not found: its check disk is critical, so look-ups leave it out; a@svc.service.consul is linked with it",
      advice: expect.stringMatching(/^put right what that check tests/),
    });
    await consul.request("PUT", "/v1/agent/check/deregister/disk");
    const isBack = async () => JSON.parse((await runCli([...args, "--json"])).stdout).well;
    await waitFor(isBack, { what: "a verdict that is well again" });

    // The services of --domain are the cluster when none is named.
    const whole = await runCli(["doctor", "--cluster", "--domain", "svc", ...args.slice(3)]);
    expect([whole.code, whole.stdout]).toEqual([0, expect.stringContaining("2 nodes, 1 of 1 links")]);

    await consul.child().kill();
    const [away, nobody] = await Promise.all([
      runCli([...args, "--json"]),
      // No srv-epmd knows the nodes either.
      runCli([...args.slice(0, 3), ...dns, "--port", String(await freePort()), "--json"]),
    ]);
    expect([away.code, away.stderr]).toEqual([1, ""]);
    expect(JSON.parse(away.stdout)).toMatchObject({
      nodes: [{ node: "a@svc.service.consul" }, { node: "b@svc.service.consul" }],
      problems: [
        {
          code: "NO_ANSWER",
          text: expect.stringMatching(/^Consul does not list its nodes .*; the nodes are those that the srv-epmd here/),
        },
      ],
    });
    expect([nobody.code, nobody.stderr]).toEqual([1, ""]);
    expect(JSON.parse(nobody.stdout)).toMatchObject({
      ...{ well: false, nodes: [], problems: [{ code: "NO_ANSWER" }] },
      summary: expect.stringMatching(/^Consul at 127\.0\.0\.1:\d+ does not answer \(refused\)$/),
    });

    // Again and again it says so on stdout, once.
    const watch = startChild(process.execPath, [BIN, ...args, "--watch"], { env: cleanEnvironment() });
    await watch.waitForOutput(
      /Z Consul at \S+ does not answer \(refused\); 2 of 2 nodes were not looked for\n/,
      20_000,
    );
    await consul.restart();
    await watch.waitForOutput(/Z .*; nothing is wrong\n$/, 30_000);
    expect([(await watch.stop("SIGINT")).code, watch.stderr()]).toEqual([0, ""]);
    await b.kill();
    await a.kill();
    await daemon.stop();
  });

  test("tells a node that matches, is linked, and is not in Consul, from a stranger", async () => {
    const consul = await startConsul();
    const dns = ["--dns", `127.0.0.1:${consul.dnsPort}`, "--consul", consul.url];
    const daemon = await startDaemon({ args: ["--domain", "svc", ...dns] });
    const misspelt = await startDaemon({ args: ["--domain", "svcc", ...dns] });
    // The stranger does not find b either, for which global would end a link.
    const module = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd", ...FREE];
    const start = (name: string, { port }: { port: number }) => startNode({ name, epmdPort: port, args: module });
    const [a, b] = [await start("a@svc.service.consul", daemon), await start("b@svc.service.consul", misspelt)];
    const stranger = await start("c@svcc.service.consul", misspelt);
    await waitFor(async () => (await b.ping("a@svc.service.consul")) === "pong", { what: "the link" });
    await waitFor(async () => (await stranger.ping("a@svc.service.consul")) === "pong", { what: "another link" });
    const args = ["doctor", "--cluster", "*@svc", ...dns, "--port", String(daemon.port)];
    const judgement = async () => {
      const { code, stdout } = await runCli([...args, "--cookie-file", await writeCookie(), "--json"]);
      return { code, ...JSON.parse(stdout) };
    };
    expect(await judgement()).toMatchObject({
      ...{ code: 1, well: false },
      problems: [
        {
          ...{ code: "NOT_LISTED", nodes: ["b@svc.service.consul"] },
          text: expect.stringMatching(/^b@\S+ matches, is linked with a@\S+, and is not in Consul/),
        },
      ],
      notes: [{ code: "STRANGERS", nodes: ["c@svcc.service.consul"] }],
    });
    await b.kill();
    const isWell = async () => ((await judgement()).well ? true : undefined);
    await waitFor(isWell, { what: "a verdict that is well without the node" });
    await Promise.all([stranger.kill(), a.kill()]);
    await Promise.all([daemon.stop(), misspelt.stop()]);
  });

  test("notes a node whose VM has just ended", async () => {
    const consul = await startConsul();
    const dns = ["--dns", `127.0.0.1:${consul.dnsPort}`, "--consul", consul.url];
    const daemon = await startDaemon({ args: ["--domain", "svc", ...dns] });
    const other = await startDaemon({ args: ["--domain", "svc", "--instance", "other", ...dns] });
    const a = await startNode({ name: "a@svc.service.consul", epmdPort: daemon.port });
    const b = await startNode({ name: "b@svc.service.consul", epmdPort: other.port });
    const logged =
      (what: string, by = daemon) =>
      () =>
        by.log().some(({ msg }) => msg === what);
    await waitFor(logged("published"), { what: "the node in Consul" });
    await waitFor(logged("published", other), { what: "another one" });
    await a.kill();
    await waitFor(logged("withdrawn"), { what: "its end" });
    // Nobody removes the entry now, however long the next line takes.
    await daemon.kill();
    const { code, stdout } = await runCli(["doctor", "--cluster", "*@svc", ...dns, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      problems: [],
      notes: [{ code: "ENDED", nodes: ["a@svc.service.consul"] }],
    });
    expect(code).toBe(0);
    await b.kill();
    await other.stop();
  });

  test("finds those of the embedded zone", async () => {
    const zone = ["--domain", "demo.test", "--dns-listen", "127.0.0.1:0"];
    const daemon = await startDaemon({ args: zone });
    const a = await startNode({ name: "a@demo.test", epmdPort: daemon.port });
    const args = ["doctor", "--cluster", "*@demo.test", "--domain", "demo.test", "--port", String(daemon.port)];
    const { code, stdout } = await runCli([...args, "--cookie-file", await writeCookie(), "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      summary: "1 node, 0 of 0 links; nothing is wrong",
      nodes: [{ node: "a@demo.test" }],
    });
    expect(code).toBe(0);
    await a.kill();
    await daemon.stop();
  });
});

requirePeer(
  "erl",
  "consul",
  "netns",
)("doctor --cluster over three machines", () => {
  test("names the way that drops packets in one direction", async () => {
    const cluster = await startCluster({ hosts: 3, advertise: (_, [ipv4 = ""]) => [ipv4] });
    // Answers of the first machine to the second get lost.
    await cluster.host(0).run("ip", "route", "add", "blackhole", "10.90.0.2/32");
    const [a, b, c] = await Promise.all([0, 1, 2].map((at) => cluster.node(at, "abc"[at] ?? "", { args: FREE })));
    if (!a || !b || !c) throw new Error("no nodes");
    const [nameA, nameB] = [fullName("a"), fullName("b")];
    await waitFor(async () => (await cluster.published()).length === 3, { what: "all nodes in Consul" });
    await waitFor(async () => (await a.ping(fullName("c"))) === "pong", { what: "a link" });
    await waitFor(async () => (await b.ping(fullName("c"))) === "pong", { what: "another link" });
    await b.eval(`spawn(fun Try() -> net_kernel:connect_node('${nameA}'), Try() end)`);
    const flags = ["--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--cookie-file", await writeCookie()];
    const judgement = async () => {
      const { stdout } = await runCli(["doctor", "--cluster", "*@svc", "--json", ...flags], { netns: cluster.host(2) });
      const verdict = JSON.parse(stdout);
      return verdict.problems[0]?.text.includes("is dialling") ? verdict : undefined;
    };
    const verdict = await waitFor(judgement, { what: "the attempt to be seen", timeout: 30_000 });
    expect(verdict).toMatchObject({
      links: { found: 2, expected: 3 },
      problems: [
        {
          ...{ code: "NO_LINK", nodes: [nameA, nameB] },
          text: `${nameA} does not see ${nameB}; ${nameB} is dialling ${nameA}, without an answer so far`,
          advice: expect.stringMatching(
            `^run srv-epmd doctor ${nameA} on the machine of ${nameB} \\([^)]*box2\\): it says what ${nameB} waits for`,
          ),
        },
      ],
    });
    await cluster.killNodes();
  }, 90_000);
});

requirePeer(
  "erl",
  "consul",
  "netns",
)("doctor --cluster of VMs of two families", () => {
  test("names the family as the cause, and no packets that are dropped", async () => {
    const cluster = await startCluster({ hosts: 3, advertise: (_, [ipv4 = ""]) => [ipv4] });
    await cluster.node(0, "a", { args: FREE });
    const b = await cluster.node(1, "b", { args: [...FREE, "-proto_dist", "inet6_tcp"] });
    const [nameA, nameB] = [fullName("a"), fullName("b")];
    await cluster.whenPublished("a", "b");
    await b.eval(`spawn(fun Try() -> net_kernel:connect_node('${nameA}'), Try() end)`);
    const flags = ["--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--cookie-file", await writeCookie()];
    const { stdout } = await runCli(["doctor", "--cluster", "*@svc", "--json", ...flags], { netns: cluster.host(2) });
    const { problems } = JSON.parse(stdout);
    expect(problems).toMatchObject([
      {
        text: expect.stringContaining(
          `${nameB} dials IPv6 alone (-proto_dist inet6_tcp), and ${nameA} is published with IPv4 addresses alone`,
        ),
        advice: expect.stringMatching(new RegExp(`^start ${nameB} with -proto_dist inet_tcp`)),
      },
    ]);
    expect(stdout).not.toContain("dropped");
    await cluster.killNodes();
  }, 90_000);
});

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("doctor --cluster where a firewall drops packets", () => {
  const drops = (hook: "input" | "output", what: string) =>
    `add table ip t; add chain ip t c { type filter hook ${hook} priority 0; }; add rule ip t c ${what} drop`;

  test("tells a node that is kept from this machine alone, and ss tells in which direction a way is blocked", async () => {
    const cluster = await startCluster({ hosts: 3, advertise: (_, [ipv4 = ""]) => [ipv4] });
    const [a, b, c] = await Promise.all([0, 1, 2].map((at) => cluster.node(at, "abc"[at] ?? "", { args: FREE })));
    if (!a || !b || !c) throw new Error("no nodes");
    const [nameA, nameB, nameC] = ["a", "b", "c"].map(fullName);
    await cluster.whenPublished("a", "b", "c");
    for (const vm of [b, c]) await waitFor(async () => (await vm.ping(String(nameA))) === "pong", { what: "a link" });
    await waitForNodes(b, String(nameA), String(nameC));
    const flags = ["--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--cookie-file", await writeCookie()];
    const problem = async () => {
      const { stdout } = await runCli(["doctor", "--cluster", "*@svc", "--json", ...flags], { netns: cluster.host(2) });
      return JSON.parse(stdout).problems[0];
    };
    expect(await problem()).toBeUndefined();

    await cluster.host(0).run("nft", drops("input", "ip saddr 10.90.0.3 tcp dport != 4369 tcp flags syn / syn,ack"));
    expect(await problem()).toMatchObject({
      ...{
        code: "NOT_THERE",
        text: expect.stringMatching(/is not reached: no answer at .*; b@\S+, c@\S+ are linked with it$/),
      },
      advice: expect.stringMatching(
        /^b@\S+ dialled it at 10\.90\.0\.1:\d+, so that place is right: .* that drops packets of this/,
      ),
    });

    // Nothing there answers, as where the machine is down; Consul's servers reach its agent.
    await cluster.host(0).run("nft", `flush ruleset; ${drops("input", "ip saddr 10.90.0.3 tcp flags syn / syn,ack")}`);
    expect(await problem()).toMatchObject({
      code: "NOT_THERE",
      text: expect.stringMatching(
        /nothing at 10\.90\.0\.1 answers \(TCP ports 4369, \d+\), and Consul's servers reach the agent of .* the way from this machine is blocked \(a route, a firewall\); b@\S+, c@\S+ are linked with it/,
      ),
      advice: expect.stringMatching(/ip route get 10\.90\.0\.1\), and look for a firewall/),
    });

    // The topic cluster of the manual says how ss on the machine of a tells the two apart.
    const between = "10.90.0.2 tcp";
    const answersDropped = [
      [drops("input", `ip saddr ${between} dport != 4369`), false],
      [drops("output", `ip daddr ${between} sport != 4369`), true],
    ] as const;
    await b.eval(`spawn(fun Try() -> net_kernel:connect_node('${nameA}'), Try() end)`);
    for (const [rule, isListed] of answersDropped) {
      await cluster.host(0).run("nft", `flush ruleset; ${rule}`);
      await b.eval(`erlang:disconnect_node('${nameA}')`);
      const seen = await waitFor(
        async () => {
          const found = await problem();
          return found?.text.includes(`${nameB} is dialling ${nameA}`) ? found : undefined;
        },
        { what: "the attempt", timeout: 30_000 },
      );
      expect(seen.advice).toMatch(/^run srv-epmd doctor a@\S+ on the machine of b@\S+ \([^)]*box2\): /);
      const { stdout } = await runCli(["doctor", String(nameA), ...flags], { netns: cluster.host(1) });
      expect(stdout).toMatch(/^fail .*does not answer.*\(peer-tcp\)$/m);
      const listed = async () =>
        (await cluster.host(0).run("ss", "-tn", "state", "syn-recv")).stdout.includes("10.90.0.2:");
      if (isListed) await waitFor(listed, { what: "the attempt on the other side", timeout: 10_000 });
      else expect(await listed()).toBe(false);
    }
    await cluster.killNodes();
  }, 120_000);
});

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
)("doctor --cluster where global ends links because of one node", () => {
  test("a node that one machine does not reach: the links that are missing between others are told with it", async () => {
    const cluster = await startCluster({ hosts: 3, advertise: (_, [ipv4 = ""]) => [ipv4] });
    const ticks = ["-kernel", "net_ticktime", "4"];
    const flags = ["--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--cookie-file", await writeCookie()];
    const judgement = async () => {
      const look = await runCli(["doctor", "--cluster", "*@svc", "--json", ...flags], { netns: cluster.host(0) });
      return JSON.parse(look.stdout) as {
        summary: string;
        well: boolean;
        problems: { code: string; nodes: string[]; effects?: { code: string }[] }[];
      };
    };
    const [a] = await Promise.all([0, 1, 2].map((at) => cluster.node(at, "abc"[at] ?? "", { args: ticks })));
    // Linked once, and not by SRV_EPMD_CONNECT: a link that has ended stays so until it is looked at.
    for (const other of ["b", "c"]) {
      await waitFor(async () => (await a?.ping(fullName(other))) === "pong", { what: `the link with ${other}` });
    }
    await waitFor(
      async () => {
        const { well, summary } = await judgement();
        return well && summary.startsWith("3 nodes, ");
      },
      { what: "a cluster that is whole", timeout: 60_000 },
    );
    const rule = "add table ip t; add chain ip t c { type filter hook input priority 0; }";
    await cluster.host(0).run("nft", `${rule}; add rule ip t c ip saddr 10.90.0.3 drop`);
    // Of nodes that connect again and again, global ends this link now and then.
    await a?.eval(`erlang:disconnect_node('${fullName("b")}')`);
    const apart = await waitFor(
      async () => {
        const { problems } = await judgement();
        return problems.some(({ effects = [] }) => effects.length > 0) && problems;
      },
      { what: "links that are missing", timeout: 120_000 },
    );
    const effects = [{ code: expect.stringMatching(/SPLIT|ONE_SIDED/) }];
    expect(apart).toMatchObject([
      { code: "NOT_THERE", nodes: expect.arrayContaining(["c", "a", "b"].map(fullName)), effects },
    ]);
    await cluster.killNodes();
  }, 240_000);
});

requirePeer(
  "erl",
  "consul",
  "netns",
)("doctor --cluster of two VMs of one name", () => {
  test("tells them apart where they have one creation and one port, by their handshakes", async () => {
    const cluster = await startCluster({ hosts: 2, advertise: (_, [ipv4 = ""]) => [ipv4] });
    const fixed = ["-kernel", "inet_dist_listen_min", "20001", "inet_dist_listen_max", "20001"];
    const flags = ["--consul", cluster.consul.socketUrl, "--dns", cluster.dns];
    // srv-epmd gives the time in seconds: two VMs that start together mostly have the same. On a machine that is too busy for
    // that their creations tell them apart, and the handshakes are tried by the tests of distribution-probe.
    for (let attempt = 1; ; attempt++) {
      const twins = await Promise.all([0, 1].map((at) => cluster.node(at, "a", { args: fixed })));
      const [one, other] = await Promise.all(twins.map((vm) => vm.eval("erlang:system_info(creation)")));
      if (one === other || attempt === 6) break;
      await cluster.killNodes();
    }
    await waitFor(async () => (await cluster.published()).length === 2, { what: "both in Consul" });
    const { stdout } = await runCli(["doctor", "--cluster", "*@svc", "--json", ...flags], { netns: cluster.host(0) });
    expect(JSON.parse(stdout).problems).toMatchObject([
      { code: "TWICE", text: `${fullName("a")} is there twice: at 10.90.0.1:20001 and 10.90.0.2:20001` },
    ]);
    await cluster.killNodes();

    // Each of two others is linked with another one of them: no link has broken.
    const [b, c] = await Promise.all([0, 1].map((at) => cluster.node(at, "bc"[at] ?? "", { args: FREE })));
    const pair = await Promise.all([0, 1].map((at) => cluster.node(at, "a", { args: [...fixed, ...FREE] })));
    await waitFor(async () => (await cluster.published()).length === 4, { what: "all in Consul" });
    for (const [index, vm] of [b, c].entries()) {
      await waitFor(async () => (await vm?.ping(fullName("a"))) === "pong", { what: "a link" });
      await waitFor(async () => (await pair[index]?.nodes())?.includes(fullName("bc"[index] ?? "")), {
        what: "its end",
      });
    }
    const cookie = ["--cookie-file", await writeCookie()];
    const seen = await runCli(["doctor", "--cluster", "*@svc", "--json", ...flags, ...cookie], {
      netns: cluster.host(0),
    });
    const { problems } = JSON.parse(seen.stdout) as { problems: { code: string }[] };
    expect(problems.map(({ code }) => code)).not.toContain("ONE_SIDED");
    expect(problems[0]).toMatchObject({ code: "TWICE", nodes: [fullName("a")] });
    await cluster.killNodes();
  }, 240_000);

  test("has what global does because of them as its consequence, from each of three machines", async () => {
    const cluster = await startCluster({ hosts: 3, advertise: (_, [ipv4 = ""]) => [ipv4] });
    const env = { SRV_EPMD_CONNECT: `*@${HOST}` };
    await Promise.all([0, 1, 2].map((at) => cluster.node(at, "abc"[at] ?? "", { env })));
    const flags = ["--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--cookie-file", await writeCookie()];
    const judgement = async (at: number) => {
      const look = await runCli(["doctor", "--cluster", "*@svc", "--json", ...flags], { netns: cluster.host(at) });
      return JSON.parse(look.stdout) as {
        well: boolean;
        problems: { code: string; nodes: string[]; effects: object[] }[];
      };
    };
    await waitFor(async () => (await judgement(0)).well, { what: "a cluster that is whole", timeout: 30_000 });

    await cluster.node(2, "b", { env });
    const codes = new Set<string>();
    for (const at of [0, 1, 2]) {
      const apart = async () => {
        const { problems } = await judgement(at);
        for (const { code } of problems) codes.add(code);
        return problems[0]?.effects.length ? problems[0] : undefined;
      };
      const twice = await waitFor(apart, { what: "links that are missing", timeout: 60_000 });
      expect(twice).toMatchObject({
        code: "TWICE",
        effects: [{ code: expect.stringMatching(/SPLIT|NO_LINK|ONE_SIDED/) }],
      });
      expect(twice.nodes[0]).toBe(fullName("b"));
    }
    expect(Array.from(codes)).toEqual(["TWICE"]);
    await cluster.killNodes();
  }, 240_000);
});

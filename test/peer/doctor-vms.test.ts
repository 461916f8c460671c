import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Certificates, createCertificates } from "../support/certificates.js";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import { examine, examineAsNobody, untilFails } from "../support/doctor.js";
import { DEFAULT_COOKIE } from "../support/erlang.js";
import { findOtp } from "../support/otp.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

/** Two machines with a srv-epmd each and one Consul. */
const [HERE, THERE] = [1, 0];
const ADMIN = "127.0.0.1:9369";

requirePeer(
  "erl",
  "consul",
  "netns",
  "nft",
  "openssl",
)("srv-epmd doctor, about VMs that are found and do not connect", () => {
  let cluster: Cluster;
  let certificates: Certificates;
  let tls: readonly string[];

  const flags = () => {
    const own = ["10.90.0.2", "fd90::2"].flatMap((address) => ["--advertise-address", address]);
    return ["--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns, ...own];
  };
  const doctor = (...args: readonly string[]) => examine([...flags(), ...args], { netns: cluster.host(HERE) });
  const verdict = async (node: string) => {
    const { stdout } = await runCli(["doctor", ...flags(), node], { netns: cluster.host(HERE) });
    return stdout;
  };
  const published: Cluster["whenPublished"] = (...names) => cluster.whenPublished(...names);

  beforeAll(async () => {
    cluster = await startCluster({ hosts: 2, args: ["--admin", ADMIN] });
    certificates = await createCertificates();
    const pair = await certificates.issue("node.test", "DNS:node.test");
    const file = join(await temporaryFolder("tls-dist"), "ssl_dist.conf");
    await writeFile(file, `[{server, [{certfile, "${pair.cert}"}, {keyfile, "${pair.key}"}]}].\n`);
    tls = ["-proto_dist", "inet_tls", "-ssl_dist_optfile", file];
  });
  afterEach(() => cluster.killNodes());
  afterAll(() => certificates.remove());

  test.each([
    ["here", "there"],
    ["there", "here"],
  ])("TLS %s and not %s: which side speaks it, which does not, and the flag", async (secure) => {
    const [there, here] = [secure === "there" ? tls : [], secure === "here" ? tls : []];
    const [, b] = await Promise.all([
      cluster.node(THERE, "t_there", { args: there }),
      cluster.node(HERE, "t_here", { args: here }),
    ]);
    await published("t_there", "t_here");
    expect(await b.ping(fullName("t_there"))).toBe("pang");
    // A handshake is under way, and never done.
    const pinging = b.ping(fullName("t_there"));
    const { code, with: having, of } = await doctor("t_there@svc", "--admin", ADMIN);
    // No link came about, which follows.
    expect([code, having("fail").filter((id) => id !== "peer-link")]).toEqual([1, ["peer-tls"]]);
    expect(of("peer-link").facts).toMatchObject({ links: "none", linked: [] });
    await pinging;
    const [who, other] =
      secure === "there"
        ? [`${fullName("t_there")} at 10.90.0.1:`, "t_here here"]
        : ["t_here here", fullName("t_there")];
    const { code: problem, evidence, advice } = of("peer-tls");
    expect(problem).toBe("PEER_TLS");
    expect(evidence).toContain(`${who}`);
    expect(evidence.indexOf("speaks TLS")).toBeGreaterThan(evidence.indexOf(who));
    expect(evidence.indexOf("does not")).toBeGreaterThan(evidence.indexOf(other));
    expect(advice).toMatch(/-proto_dist inet_tls and -ssl_dist_optfile/);
    expect(await verdict("t_there@svc")).toMatch(
      /^fail {2}.* speaks TLS, .* \(peer-tls\)\n {6}do: .*\nVMs here do not reach/,
    );
  });

  test("TLS on both sides is right", async () => {
    await Promise.all([cluster.node(THERE, "t_there", { args: tls }), cluster.node(HERE, "t_here", { args: tls })]);
    await published("t_there", "t_here");
    const { of } = await doctor("t_there@svc");
    expect(of("peer-tls")).toMatchObject({ result: "ok", evidence: expect.stringContaining("speaks TLS, and so") });
  });

  test("two live nodes of one name on two machines: both places, their ages and creations", async () => {
    const [first, second] = [await cluster.node(THERE, "dup"), await cluster.node(HERE, "dup")];
    await waitFor(async () => (await cluster.published()).filter((tag) => tag === "dup").length >= 2, {
      what: "both in Consul",
    });
    const creations = await Promise.all([first, second].map((node) => node.eval("erlang:system_info(creation)")));
    // Asked where neither of them lives, as from any other machine; and where one of them does.
    const asked = ["--port", "14369", "dup@svc"];
    const elsewhere = await untilFails("peer-twice", () => doctor(...asked));
    expect(elsewhere.of("peer-twice")).toMatchObject({ code: "PEER_TWICE" });
    for (const evidence of [
      elsewhere.of("peer-twice").evidence,
      (await untilFails("same-name", () => doctor())).of("same-name").evidence,
    ]) {
      for (const creation of creations) expect(evidence).toContain(`creation ${creation}`);
      expect(evidence).toMatch(/10\.90\.0\.1:\d+ on \S+, published \d+[sm] ago/);
      expect(evidence).toMatch(/10\.90\.0\.2:\d+ on \S+, published \d+[sm] ago/);
    }
    const consul = ["--consul", cluster.consul.socketUrl];
    const listed = await runCli(["names", "--cluster", "--match", "*@svc", ...consul], { netns: cluster.host(HERE) });
    expect(listed.stdout).toMatch(
      /\ndup@svc\.service\.consul is there twice: 10\.90\.0\.\d:\d+ on \S+ \(\d+s\), 10\.90\.0\.\d:/,
    );
    const json = await runCli(["names", "--cluster", "--match", "*@svc", "--json", ...consul], {
      netns: cluster.host(HERE),
    });
    expect(JSON.parse(json.stdout).twice).toEqual([fullName("dup")]);
    // Where neither of them lives, as above.
    const from = ["--port", "14369", "--dns", cluster.dns];
    const resolved = await runCli(["resolve", "dup@svc", "--probe", ...from], {
      ...{ netns: cluster.host(HERE), env: { SRV_EPMD_ADMIN: "none" } },
    });
    expect(resolved.stdout).toMatch(
      /2 VMs are called dup@svc\.service\.consul, at 10\.90\.0\.\d:\d+ and 10\.90\.0\.\d:\d+/,
    );
  });

  test("one VM that another program has published too, at a port that is mapped to it, is one", async () => {
    await cluster.node(HERE, "one", {
      args: ["-kernel", "inet_dist_listen_min", "20123", "inet_dist_listen_max", "20123"],
    });
    await published("one");
    const nft = (rule: string) => cluster.host(HERE).run("nft", rule);
    await nft("add table ip nat");
    await nft("add chain ip nat output { type nat hook output priority -100; }");
    await nft("add rule ip nat output ip daddr 10.90.0.77 tcp dport 30999 dnat to 10.90.0.2:20123");
    await cluster.consul.request("PUT", "/v1/agent/service/register", {
      ...{ ID: "other", Name: "svc", Tags: ["one"], Address: "10.90.0.77", Port: 30_999 },
      Meta: { "erlang-node": fullName("one") },
    });
    try {
      await waitFor(async () => (await cluster.published()).filter((tag) => tag === "one").length === 2, {
        what: "both in Consul",
      });
      const beside = await runCli(["resolve", "one@svc", "--probe", "--json"], { netns: cluster.host(HERE) });
      const { endpoints, twins } = JSON.parse(beside.stdout);
      expect([endpoints[0].probe.result, twins]).toEqual(["node", undefined]);
      const examined = await doctor("one@svc");
      expect([examined.of("peer-twice").result, examined.with("fail")]).toEqual(["ok", []]);
      expect(examined.of("same-name")).toMatchObject({
        result: "ok",
        evidence: expect.stringContaining("at 10.90.0.77:30999"),
      });
      // Where it does not live, a look-up finds both places.
      const from = ["--port", "14369", "--dns", cluster.dns];
      const elsewhere = await runCli(["resolve", "one@svc", "--probe", ...from], {
        ...{ netns: cluster.host(HERE), env: { SRV_EPMD_ADMIN: "none" } },
      });
      expect(elsewhere.stdout.match(/is one@svc\.service\.consul/g)).toHaveLength(2);
      expect(elsewhere.stdout).not.toContain("VMs are called");
      const picture = await runCli(["doctor", "--cluster", "*@svc"], { netns: cluster.host(HERE) });
      expect(picture.stdout).not.toContain("twice");
    } finally {
      await nft("delete table ip nat");
      await cluster.consul.request("PUT", "/v1/agent/service/deregister/other");
    }
  });

  test("two live nodes of one name, asked on the machine of one: its EPMD hides the other, which is told of", async () => {
    // As in a release that fixes its port: whatever the creations are, the places differ.
    const port = { args: ["-kernel", "inet_dist_listen_min", "20123", "inet_dist_listen_max", "20123"] };
    await Promise.all([cluster.node(THERE, "dup", port), cluster.node(HERE, "dup", port)]);
    await waitFor(async () => (await cluster.published()).filter((tag) => tag === "dup").length >= 2, {
      what: "both in Consul",
    });
    const places = /2 VMs are called dup@svc\.service\.consul, at 127\.0\.0\.1:20123 \(here\) and 10\.90\.0\.1:20123: /;
    const beside = { netns: cluster.host(HERE) };
    const resolve = (...args: readonly string[]) => runCli(["resolve", "dup@svc", "--probe", ...args], beside);
    await waitFor(async () => places.test((await resolve()).stdout), { what: "both places to be told of" });
    // DNS alone, and an agent that does not answer: the published address tells.
    const dnsAlone = ["--consul", "http://127.0.0.1:1", "--catalogue", "none"];
    expect((await resolve(...dnsAlone)).stdout).toMatch(places);
    const told = JSON.parse((await resolve("--json")).stdout);
    expect(told.twins).toMatchObject([{ address: "10.90.0.1", port: 20123, probe: { result: "node" } }]);
    const twice = (await doctor("dup@svc")).of("peer-twice");
    expect(twice).toMatchObject({ code: "PEER_TWICE", follows: "NAME_TWICE" });
    expect(twice.evidence).toMatch(
      /127\.0\.0\.1:20123 here, creation \d+, 10\.90\.0\.1:20123 on \S+, published \d+s ago/,
    );
    const picture = await runCli(["doctor", "--cluster", "*@svc", ...flags()], beside);
    expect(picture.stdout).toContain(
      "dup@svc.service.consul is there twice: at 10.90.0.1:20123 and 127.0.0.1:20123 on this machine",
    );
    // A node that is published from here alone has none.
    await cluster.node(HERE, "lone");
    await published("lone");
    expect((await runCli(["resolve", "lone@svc", "--probe"], beside)).stdout).not.toContain("VMs are called");
    expect((await doctor("lone@svc")).of("peer-twice")).toMatchObject({ result: "ok" });
  });

  test("a srv-epmd here that does not find what doctor finds: what it says, and where doctor finds it", async () => {
    await cluster.node(THERE, "seen");
    await published("seen");
    const [port, admin] = [14369, "127.0.0.1:19369"];
    const blind = ["--domain", HOST, "--dns", "127.0.0.1:1", "--catalogue", "none", "--register", "none"];
    const daemon = await startDaemon({ port, netns: cluster.host(HERE), args: [...blind, "--admin", admin] });
    const own = ["--register", "none", "--port", String(port), "--admin", admin, "seen@svc"];
    const { code, of } = await doctor(...own);
    await daemon.kill();
    expect([code, of("peer-daemon").code]).toEqual([1, "PEER_DAEMON_DIFFERS"]);
    expect(of("peer-daemon").evidence).toMatch(
      /does not find seen@svc\.service\.consul: no name server could answer .*; doctor finds it by \w+ at 10\.90\.0\.1:\d+/,
    );
    expect(of("peer-records").result).toBe("ok");
    expect((await doctor("seen@svc")).of("peer-daemon")).toMatchObject({
      ...{ result: "ok", evidence: expect.stringMatching(/^the srv-epmd here finds it at 10\.90\.0\.1:\d+/) },
    });
  });

  test("a VM here that is stopped: by which signal, and how it goes on", async () => {
    const stopped = await cluster.node(HERE, "stopped");
    await published("stopped");
    stopped.child.signal("SIGSTOP");
    const { of, with: having } = await waitFor(
      async () => {
        const examined = await doctor();
        return examined.of("vm-state").result === "warn" && examined;
      },
      { what: "the state to be seen" },
    );
    expect(of("vm-state")).toMatchObject({
      code: "VM_STOPPED",
      advice: expect.stringMatching(/^continue it: kill -CONT \d+$/),
    });
    expect(of("vm-state").evidence).toContain("is stopped by a signal (SIGSTOP, SIGTSTP)");
    expect(of("published-endpoint").follows).toBe("VM_STOPPED");
    expect(having("fail")).toEqual(["published-endpoint"]);
    await cluster.node(THERE, "running");
    await published("running");
    const { stdout, code } = await runCli(["doctor", ...flags(), "running@svc"], { netns: cluster.host(HERE) });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fail {2}the VM of stopped .*\n {6}do: {2}continue it: kill -CONT/);
    expect(stdout).toContain("\nstopped here is stopped, and reaches nothing\n");
    stopped.child.signal("SIGCONT");
  });

  test("a firewall on this machine before a port of it: that it is here, not a wrong mapping", async () => {
    await cluster.node(HERE, "shut");
    await published("shut");
    const { evidence } = (await doctor()).of("published-endpoint");
    const [, port] = /^shut@\S+ is reached at 10\.90\.0\.2:(\d+)/.exec(evidence) ?? [];
    const nft = (rule: string) => cluster.host(HERE).run("nft", rule);
    await nft("add table inet shut; add chain inet shut out { type filter hook output priority 0; }");
    await nft(`add rule inet shut out tcp sport ${port} drop`);
    const { of } = await doctor();
    await nft("delete table inet shut");
    expect(of("published-endpoint")).toMatchObject({
      ...{ result: "fail", code: "PUBLISHED_NOT_REACHED" },
      evidence: expect.stringContaining("an address of this machine and the port on which its VM listens"),
      advice: expect.stringMatching(
        /^a firewall on this machine drops or rejects TCP port \d+: .*nft list ruleset here/,
      ),
    });
  });

  test("a VM on another machine that is stopped: silent from here, and there by which signal", async () => {
    const [silent] = await Promise.all([cluster.node(THERE, "asleep"), cluster.node(HERE, "awake")]);
    await published("asleep", "awake");
    silent.child.signal("SIGSTOP");
    const here = await untilFails("peer-handshake", () => doctor("asleep@svc"));
    const there = await examine(["--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns], {
      netns: cluster.host(THERE),
    });
    silent.child.signal("SIGCONT");
    expect([here.code, here.of("peer-handshake").code]).toEqual([1, "PEER_SAYS_NOTHING"]);
    // Its machine takes the connection.
    expect(here.of("peer-tcp").result).toBe("ok");
    expect(here.of("peer-handshake").evidence).toMatch(
      /^10\.90\.0\.1:\d+, .* accepts the connection and sends nothing/,
    );
    expect(here.of("peer-handshake").advice).toMatch(
      /^run srv-epmd doctor --all on its machine: vm-state .* \(kill -CONT <its process>/,
    );
    expect(there.of("vm-state")).toMatchObject({
      ...{ code: "VM_STOPPED", advice: expect.stringMatching(/^continue it: kill -CONT \d+$/) },
    });
  });

  test("a hidden node, and VMs that do not connect by themselves: what that means", async () => {
    const config = join(await temporaryFolder("sys-config"), "sys.config");
    await writeFile(config, "[{kernel, [{dist_auto_connect, once}]}].\n");
    await Promise.all([
      cluster.node(HERE, "hidden", { args: ["-hidden"] }),
      cluster.node(HERE, "never", { args: ["-kernel", "dist_auto_connect", "never"] }),
      cluster.node(HERE, "once", { args: ["-config", config.replace(/\.config$/, "")] }),
      cluster.node(HERE, "plain"),
    ]);
    const { code, of } = await doctor();
    expect([code, of("vm-state").result]).toEqual([0, "warn"]);
    await cluster.node(THERE, "far", { args: ["-hidden"] });
    await published("far");
    expect((await doctor("far@svc")).of("peer-handshake")).toMatchObject({
      ...{ result: "warn", code: "PEER_HIDDEN", advice: expect.stringContaining("nodes(hidden)") },
    });
    const { evidence } = of("vm-state");
    expect(evidence).toContain("hidden is a hidden node (-hidden): it is in no nodes()");
    expect(evidence).toContain("never has dist_auto_connect never: it dials no node by itself");
    expect(evidence).toContain("once has dist_auto_connect once: it dials a node once");
    expect(evidence).toContain("the VM of plain runs");
  });

  test("a node that lets in few nodes (net_kernel:allow): a failure, unless a VM here is linked with it", async () => {
    const [picky, asker] = await Promise.all([cluster.node(THERE, "picky"), cluster.node(HERE, "guest")]);
    await published("picky", "guest");
    await picky.eval(`net_kernel:allow(['friend@svc.service.consul'])`);
    expect(await asker.ping(fullName("picky"))).toBe("pang");
    const { code, with: having, of } = await doctor("picky@svc", "--admin", ADMIN);
    expect([code, having("fail")]).toEqual([1, ["peer-handshake"]]);
    expect(of("peer-handshake")).toMatchObject({
      ...{ code: "PEER_NOT_ALLOWED", evidence: expect.stringMatching(/no VM here is linked with it/) },
      advice: expect.stringMatching(/net_kernel:allowed\/0 .*; their names are guest@svc\.service\.consul$/),
    });
    expect(await verdict("picky@svc")).toContain(
      `\nVMs here reach ${fullName("picky")} only if they are on its list, and none of them is linked with it\n`,
    );
    await picky.eval(`net_kernel:allow(['guest@svc.service.consul'])`);
    expect(await asker.ping(fullName("picky"))).toBe("pong");
    const linked = await doctor("picky@svc", "--admin", ADMIN);
    expect([linked.code, linked.of("peer-handshake").result]).toEqual([0, "ok"]);
    expect(linked.of("peer-handshake").evidence).toContain("guest here is on that list, being linked with it");
  });

  test("what is known besides: a link that stands, and what a VM here was told when it asked", async () => {
    const [, asker] = await Promise.all([cluster.node(THERE, "known"), cluster.node(HERE, "asker")]);
    await published("known", "asker");
    const before = await doctor("known@svc", "--admin", ADMIN);
    expect(before.of("peer-link").evidence).toMatch(
      /^no link with the node (is seen here|stands here: so says asker);/,
    );
    expect(await asker.ping(fullName("known"))).toBe("pong");
    const { of } = await doctor("known@svc", "--admin", ADMIN);
    expect(of("peer-link").evidence).toMatch(
      /^a link stands: from asker to 10\.90\.0\.1:\d+; last asked for from here \d+s ago \(module\), and told 10\.90\.0\.1:\d+/,
    );
    expect(of("peer-link").facts).toMatchObject({ links: "linked", linked: ["asker"], lookUp: { outcome: "found" } });
    // Under a name that its VM does not have: the connection there is a link with that VM.
    const misspelt = await doctor("Known@svc", "--admin", ADMIN);
    expect(misspelt.of("peer-handshake").code).toBe("PEER_OTHER_NAME");
    expect(misspelt.of("peer-link").evidence).not.toContain("is no link");
    const wrong = await examine([...flags(), "--admin", ADMIN, "known@svc", "--cookie-env", "COOKIE"], {
      netns: cluster.host(HERE),
      env: { COOKIE: "another" },
    });
    expect([wrong.code, wrong.of("peer-cookie").code]).toEqual([0, "COOKIE_GIVEN"]);
    expect(wrong.of("peer-cookie").advice).toMatch(/^give the cookie of the VM of asker here/);
    // The commands ask the EPMD as well, and are no VM.
    await runCli(["resolve", "known@svc", "--domain", "svc", "--dns", cluster.dns], { netns: cluster.host(HERE) });
    expect((await doctor("known@svc", "--admin", ADMIN)).of("peer-link").evidence).toContain("(module)");
    await asker.ping(fullName("nobody"));
    const absent = await doctor("nobody@svc", "--admin", ADMIN);
    expect(absent.of("peer-link").evidence).toMatch(
      /last asked for from here \d+s ago \(module\), and told not-found: /,
    );
    expect(of("vm-links")).toMatchObject({ result: "ok" });
    // Its entry is left out, so nobody finds it: the link stands all the same.
    await cluster.consul.request("PUT", "/v1/agent/service/maintenance/srv-epmd%3Abox1%3Aknown?enable=true");
    const lost = await untilFails("peer-records", () => doctor("known@svc", "--admin", ADMIN));
    expect(lost.of("peer-link").evidence).toMatch(
      /^a link stands: from asker to 10\.90\.0\.1:\d+ \(where it was found before\);/,
    );
  });

  test("a node with another cookie, without --cookie-file: that none is linked with it, a failure", async () => {
    const [, asker] = await Promise.all([
      cluster.node(THERE, "stranger", { cookie: "another" }),
      cluster.node(HERE, "caller"),
    ]);
    await published("stranger", "caller");
    expect(await asker.ping(fullName("stranger"))).toBe("pang");
    const ask = () => doctor("stranger@svc", "--admin", ADMIN);
    // After one answer a link may have come about and ended.
    const once = await waitFor(
      async () => {
        const seen = await ask();
        const { code, facts } = seen.of("peer-link");
        const { lookUp } = (facts ?? {}) as { lookUp?: { secondsAgo: number } };
        // A busy VM may not have told of its links yet.
        return lookUp && lookUp.secondsAgo > 1 && code !== undefined && seen;
      },
      { what: "a look-up that is not of the next try", timeout: 20_000 },
    );
    expect([once.code, once.of("peer-link").code, once.of("peer-link").result]).toEqual([0, "PEER_UNLINKED", "warn"]);
    for (let tries = 1; tries <= 4; tries++) {
      expect(await asker.ping(fullName("stranger"))).toBe("pang");
      // What is asked at once counts once.
      await sleep(1_100);
    }
    const { code, of, with: having } = await untilFails("peer-link", ask);
    expect([code, having("fail"), of("peer-link").code]).toEqual([1, ["peer-link"], "PEER_UNLINKED"]);
    const { stdout } = await runCli(["doctor", ...flags(), "--admin", ADMIN, "stranger@svc"], {
      netns: cluster.host(HERE),
    });
    expect(stdout).toMatch(
      /^fail {2}a VM here asked for \S+ again and again, last \d+s ago .* so says caller \(peer-link\)\n {6}do: {2}compare its cookie: .*--cookie-file FILE/,
    );
    expect(stdout).toContain(`\nVMs here find ${fullName("stranger")}, and none is linked with it, though one asked`);
    const given = await examine([...flags(), "--admin", ADMIN, "stranger@svc", "--cookie-env", "COOKIE"], {
      netns: cluster.host(HERE),
      env: { COOKIE: DEFAULT_COOKIE },
    });
    expect([given.code, given.of("peer-cookie").code, given.of("peer-link").follows]).toEqual([
      ...[1, "PEER_COOKIE", "PEER_COOKIE"],
    ]);
    expect(given.of("peer-cookie").evidence).toContain("caller here accepts the cookie that was given");
    // With the cookie of the node: it is the VM here that has another one.
    const its = await examine([...flags(), "--admin", ADMIN, "stranger@svc", "--cookie-env", "COOKIE"], {
      netns: cluster.host(HERE),
      env: { COOKIE: "another" },
    });
    expect([its.code, its.of("peer-cookie").code]).toEqual([1, "PEER_COOKIE"]);
    expect(its.of("peer-cookie").evidence).toContain("caller here refuses the cookie that was given");
  });

  test("a link that was cut (erlang:disconnect_node): no failure, and with the cookie no problem", async () => {
    const [, cutter] = await Promise.all([cluster.node(THERE, "parted"), cluster.node(HERE, "cutter")]);
    await published("parted", "cutter");
    expect(await cutter.ping(fullName("parted"))).toBe("pong");
    await cutter.eval(`erlang:disconnect_node('${fullName("parted")}')`);
    const ask = (...args: readonly string[]) =>
      examine([...flags(), "--admin", ADMIN, "parted@svc", ...args], {
        netns: cluster.host(HERE),
        env: { COOKIE: DEFAULT_COOKIE },
      });
    await waitFor(async () => (await ask()).of("peer-link").code === "PEER_UNLINKED", {
      what: "the link to be missed",
    });
    const without = await ask();
    expect([without.code, without.of("peer-link").result]).toEqual([0, "warn"]);
    const given = await ask("--cookie-env", "COOKIE");
    expect([given.code, given.of("peer-link").code, given.of("peer-cookie").result]).toEqual([0, undefined, "ok"]);
  });

  test("a link that stands while new connections are dropped: both in the line of the verdict", async () => {
    const [far] = await Promise.all([cluster.node(THERE, "dropper"), cluster.node(HERE, "near")]);
    await published("dropper", "near");
    expect(await far.ping(fullName("near"))).toBe("pong");
    const nft = (rule: string) => cluster.host(THERE).run("nft", rule);
    await nft("add table ip dropper; add chain ip dropper in { type filter hook input priority 0; }");
    await nft("add rule ip dropper in ip saddr 10.90.0.2 tcp flags syn / syn,ack drop");
    const args = ["doctor", ...flags(), "--admin", ADMIN, "dropper@svc"];
    const { stdout, code } = await runCli(args, { netns: cluster.host(HERE) });
    await nft("delete table ip dropper");
    expect(code).toBe(1);
    // The rule drops what comes to each port.
    expect(stdout).toMatch(
      /^fail {2}10\.90\.0\.1:\d+ does not answer a connection attempt \(peer-tcp\)\n {6}nothing answers at 10\.90\.0\.1:4369 either\n {6}Consul's servers reach the agent of \S+, if [^\n]*\n {6}do: {2}look for a firewall that drops TCP port \d+ of /,
    );
    expect(stdout).toContain(`\nnear here is linked with ${fullName("dropper")}, and VMs here do not reach it anew\n`);
  });

  test("a few octets that stand on a link: the firewall, or the node that is not reached, and no MTU", async () => {
    const [, near] = await Promise.all([cluster.node(THERE, "muted"), cluster.node(HERE, "talker")]);
    await published("muted", "talker");
    expect(await near.ping(fullName("muted"))).toBe("pong");
    const [, port] = /10\.90\.0\.1:(\d+) accepts/.exec((await doctor("muted@svc")).of("peer-tcp").evidence) ?? [];
    const nft = (rule: string) => cluster.host(THERE).run("nft", rule);
    await nft("add table ip muted; add chain ip muted in { type filter hook input priority 0; }");
    await nft(`add rule ip muted in ip saddr 10.90.0.2 tcp dport ${port} drop`);
    await near.eval(`erlang:send({nobody, '${fullName("muted")}'}, x), ok`);
    const stuck = async () => {
      const one = await doctor("--admin", ADMIN);
      return one.of("vm-links").result === "warn" && one.of("vm-links");
    };
    const alone = await waitFor(stuck, { what: "the link to be stuck", timeout: 20_000 });
    const asked = await doctor("--admin", ADMIN, "muted@svc");
    await nft("delete table ip muted");
    expect(alone).toMatchObject({
      code: "LINK_STUCK",
      evidence: expect.stringMatching(
        /^the link of talker from \S+ to 10\.90\.0\.1:\d+ has \d{1,3} octets .*; its machine answers, at 10\.90\.0\.1:4369$/,
      ),
      advice: expect.stringMatching(
        /^so few octets fit any MTU: look for a firewall that drops packets of this link: nft/,
      ),
    });
    expect(alone).not.toHaveProperty("follows");
    expect(asked.of("vm-links")).toMatchObject({ code: "LINK_STUCK", follows: "PEER_NO_ANSWER" });
  });

  test("a firewall that rejects the port of a node: a firewall, and not a private address or a VM that has ended", async () => {
    await Promise.all([cluster.node(THERE, "walled"), cluster.node(HERE, "outer")]);
    await published("walled", "outer");
    const [, port] = /10\.90\.0\.1:(\d+) accepts/.exec((await doctor("walled@svc")).of("peer-tcp").evidence) ?? [];
    const nft = (rule: string) => cluster.host(THERE).run("nft", rule);
    const rejected = async (how: string) => {
      await nft("add table ip walled; add chain ip walled in { type filter hook input priority 0; }");
      await nft(`add rule ip walled in tcp dport ${port} reject with ${how}`);
      const { of } = await doctor("walled@svc");
      await nft("delete table ip walled");
      return of("peer-tcp");
    };
    // As RHEL's firewalld does.
    const prohibited = await rejected("icmp type admin-prohibited");
    const reset = await rejected("tcp reset");
    expect(prohibited).toMatchObject({
      ...{ result: "fail", code: "PEER_NO_ROUTE" },
      evidence: expect.stringMatching(/\(EHOSTUNREACH\); its machine answers, at 10\.90\.0\.1:4369$/),
      advice: expect.stringMatching(/^look for a firewall that rejects TCP port \d+ of 10\.90\.0\.1 for this machine/),
    });
    expect(reset).toMatchObject({
      ...{ result: "fail", code: "PEER_REFUSED" },
      advice: expect.stringMatching(
        /: run srv-epmd doctor --all on its machine.* look for a firewall that rejects TCP port/,
      ),
    });
  });

  test("srv-epmd is down while a link stands: that it stays, and what does not come about", async () => {
    const [, holder] = await Promise.all([cluster.node(THERE, "lasting"), cluster.node(HERE, "holder")]);
    await published("lasting", "holder");
    expect(await holder.ping(fullName("lasting"))).toBe("pong");
    await cluster.daemon(HERE).stop();
    const ask = [
      "doctor",
      "lasting@svc",
      "--domain",
      "svc",
      "--dns",
      cluster.dns,
      "--consul",
      cluster.consul.socketUrl,
    ];
    const rest = "which stays; no new link comes about until srv-epmd has the EPMD port here";
    const plain = await runCli(ask, { netns: cluster.host(HERE) });
    expect(plain.stdout).toContain(`\na VM here has a connection with ${fullName("lasting")}, ${rest}\n`);
    expect(plain.stdout).toContain("a connection stands: from holder to 10.90.0.1:");
    const env = { COOKIE: DEFAULT_COOKIE };
    const joined = await runCli([...ask, "--cookie-env", "COOKIE"], { netns: cluster.host(HERE), env });
    expect(joined.stdout).toContain(`\nholder here is linked with ${fullName("lasting")}, ${rest}\n`);
    await cluster.serve(HERE);
  });

  test("a node that Consul has no more, and that was found before: its machine, and no other name", async () => {
    const [gone, asker] = await Promise.all([cluster.node(THERE, "member_b"), cluster.node(HERE, "member_a")]);
    await published("member_a", "member_b");
    expect(await asker.ping(fullName("member_b"))).toBe("pong");
    await gone.kill();
    const absent = await waitFor(
      async () => {
        const examined = await doctor("member_b@svc", "--admin", ADMIN);
        return examined.of("peer-records").code === "PEER_NO_TAG" && examined;
      },
      { what: "its entry to go", timeout: 20_000 },
    );
    const { evidence, advice } = absent.of("peer-records");
    expect(evidence).toMatch(/^no instance of the service svc has the tag member_b: the tags are .*member_a/);
    expect(advice).toMatch(
      /^run srv-epmd doctor --all on its machine \(a look-up found it at 10\.90\.0\.1:\d+ before\): consul-agent .* registration .* consul-leader/,
    );
    // Also where nobody remembers it.
    expect((await doctor("member_c@svc")).of("peer-records").advice).toMatch(/^start member_c beside a srv-epmd/);
  });

  test.each([
    [
      "the entry",
      "/v1/agent/service/maintenance/srv-epmd%3Abox2%3Aresting",
      "service maintenance, consul maint, check _service_maintenance:srv-epmd:box2:resting",
      /run consul maint -disable -service=srv-epmd:box2:resting on test-agent:/,
    ],
    [
      "the machine",
      "/v1/agent/maintenance",
      "node maintenance, consul maint, check _node_maintenance",
      /run consul maint -disable on test-agent:/,
    ],
  ])(
    "consul maint of %s: its check and its reason, and no srv-epmd calls the node published meanwhile",
    async (what, path, mode, maintained) => {
      await cluster.node(HERE, "resting");
      await published("resting");
      const ask = (page: string) => {
        const read = `fetch("http://${ADMIN}${page}").then((answer) => answer.text()).then(console.log)`;
        return cluster.host(HERE).run(process.execPath, "-e", read);
      };
      await waitFor(async () => (await ask("/readyz")).stdout.includes('"ready":true'), { what: "to be ready" });
      await cluster.consul.request("PUT", `${path}?enable=true&reason=new%20disks`);
      const { code, of } = await untilFails("registration", () => doctor());
      expect([code, of("registration").code]).toEqual([1, "REGISTRATION_MAINTENANCE"]);
      const words = `${what} is in Consul's maintenance mode (${mode}): new disks`;
      expect(of("registration").evidence).toContain(words);
      expect(of("registration-dns").follows).toBe("REGISTRATION_MAINTENANCE");
      // Asked about from elsewhere, as a node that is not found.
      const asked = await examine(["resting@svc", "--port", "14369", ...flags()], { netns: cluster.host(THERE) });
      expect(asked.of("peer-records")).toMatchObject({
        ...{ code: "PEER_CRITICAL", evidence: expect.stringMatching(/^resting@svc.service.consul is registered at /) },
        advice: expect.stringMatching(maintained),
      });
      await waitFor(async () => (await ask("/readyz")).stdout.includes(words), { what: "readyz", timeout: 40_000 });
      const { stdout } = await ask("/v1/nodes");
      expect(JSON.parse(stdout).nodes).toContainEqual(
        expect.objectContaining({
          name: "resting",
          publication: "not-in-consul",
          reason: expect.stringContaining(words),
        }),
      );
      await cluster.consul.request("PUT", `${path}?enable=false`);
      await waitFor(async () => (await ask("/readyz")).stdout.includes('"ready":true'), {
        what: "its end",
        timeout: 40_000,
      });
    },
    90_000,
  );

  requirePeer("otp23", "otp29")("of releases that refuse each other", () => {
    test.each([
      [23, 29],
      [29, 23],
    ] as const)("OTP %i here and OTP %i there: both releases, and the flags that are missing", async (here, there) => {
      const of = (release: number) => {
        const otp = findOtp(release);
        return otp ? { otp } : {};
      };
      await cluster.host(HERE).setHosts(["10.90.0.2 box2", `127.0.0.1 ${HOST}`]);
      const [, own] = await Promise.all([
        cluster.node(THERE, "r_there", of(there)),
        cluster.node(HERE, "r_here", of(here)),
      ]);
      await published("r_there", "r_here");
      expect(await own.ping(fullName("r_there"))).toBe("pang");
      const isMissed = async () => {
        const seen = await doctor("r_there@svc", "--admin", ADMIN);
        return seen.of("peer-link").code === "PEER_UNLINKED" && seen;
      };
      const examined = await waitFor(isMissed, { what: "the look-up in vain" });
      expect(examined.of("peer-link").follows).toBe("PEER_RELEASE");
      await cluster.host(HERE).setHosts(["10.90.0.2 box2"]);
      expect([examined.code, examined.with("fail")]).toEqual([1, ["peer-release"]]);
      expect(examined.of("peer-size").result).toBe("ok");
      const { code, evidence } = examined.of("peer-release");
      expect(code).toBe("PEER_RELEASE");
      const [mine, other] =
        here === 23
          ? [/r_here here \(OTP 23\.[0-9.]+\)/, /\(OTP 29 or newer\)/]
          : [/r_here here \(OTP 29[0-9.]*\)/, /\(OTP 23\)/];
      expect(evidence).toMatch(mine);
      expect(evidence).toMatch(other);
      expect(evidence).toContain("has not DFLAG_MANDATORY_25_DIGEST, DFLAG_V4_NC, DFLAG_UNLINK_ID");
    });

    test("of those that do not, nothing is said: 23 and 25", async () => {
      const otp = findOtp(23);
      await Promise.all([cluster.node(THERE, "r_there", otp ? { otp } : {}), cluster.node(HERE, "r_here")]);
      await published("r_there", "r_here");
      const { of } = await doctor("r_there@svc");
      expect(of("peer-release")).toMatchObject({ result: "ok" });
    });

    test("OTP 23 here with the module, and nothing that resolves the host part: the line for /etc/hosts", async () => {
      const otp = findOtp(23);
      const [, old] = await Promise.all([
        cluster.node(THERE, "r_there"),
        cluster.node(HERE, "r_here", otp ? { otp } : {}),
      ]);
      await published("r_there", "r_here");
      expect(await old.ping(fullName("r_there"))).toBe("pang");
      const { code, of, with: having } = await doctor("r_there@svc");
      // No link came about, which follows: peer-link says so half a second after the question.
      expect([code, having("fail").filter((id) => id !== "peer-link")]).toEqual([1, ["peer-hosts"]]);
      expect(of("peer-hosts")).toMatchObject({
        code: "PEER_HOST_UNKNOWN",
        advice: expect.stringMatching(/: 127\.0\.0\.1 svc\.service\.consul$/),
      });
      // Whoever may not read its process cannot know whether it has the module, and says so.
      const asNobody = () => examineAsNobody([...flags(), "r_there@svc"], cluster.host(HERE));
      expect((await asNobody()).of("peer-hosts")).toMatchObject({
        ...{ result: "warn", code: "PEER_HOSTS_UNTOLD", advice: expect.stringContaining("doctor as root") },
        evidence: expect.stringMatching(/^it is not known how r_here here .* With the module and OTP 23 it gets pang/),
      });
      await cluster.host(HERE).setHosts(["10.90.0.2 box2", `127.0.0.1 ${HOST}`]);
      expect(await old.ping(fullName("r_there"))).toBe("pong");
      expect((await doctor("r_there@svc")).of("peer-hosts").result).toBe("ok");
      await cluster.host(HERE).setHosts(["10.90.0.2 box2"]);
    });
  });
});

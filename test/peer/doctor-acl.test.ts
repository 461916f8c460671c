import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../../src/admin/core/status.js";
import { aclToken, DNS_RULES } from "../support/acl-token.js";
import { startChild } from "../support/child.js";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { examine, untilFails } from "../support/doctor.js";
import { cleanEnvironment } from "../support/environment.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { moduleFolder } from "../support/module-folder.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { BIN, type Daemon, runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

const NODE = "node_a@svc.service.consul";

requirePeer("erl", "consul")("srv-epmd doctor, with a Consul that has ACLs", () => {
  let consul: Consul;
  let daemon: Daemon;
  let vm: ErlangNode;
  let tokenFile: string;
  let flags: string[];
  /** Given once by who wants another one. */
  let agent: readonly string[];
  let tokens: { write: string; read: string; none: string };

  const doctor = (...args: readonly string[]) => examine([...flags, ...agent, "--port", String(daemon.port), ...args]);
  const admin = () => flags[flags.indexOf("--admin") + 1] ?? "";
  const withAgent = (url: string) => examine([...flags, "--consul", url, "--port", String(daemon.port)]);
  const withToken = (token: string) =>
    examine([...flags, ...agent, "--port", String(daemon.port)], { env: { CONSUL_HTTP_TOKEN: token } });
  const setDefaultToken = (Token: string) => consul.request("PUT", "/v1/agent/token/default", { Token });
  const published = async () => {
    const { body } = await consul.request("GET", "/v1/health/service/svc?passing=1");
    return (body as unknown[]).length > 0;
  };

  beforeAll(async () => {
    consul = await startConsul({ acl: true });
    const [write, read, none, dns] = await Promise.all([
      aclToken(consul, 'service "svc" { policy = "write" }'),
      aclToken(consul, 'service "svc" { policy = "read" }'),
      aclToken(consul, 'service "other" { policy = "write" }'),
      aclToken(consul, DNS_RULES),
    ]);
    tokens = { write, read, none };
    await setDefaultToken(dns);
    tokenFile = join(await temporaryFolder("token"), "token");
    await writeFile(tokenFile, tokens.none);
    flags = ["--domain", "svc", "--dns", `127.0.0.1:${consul.dnsPort}`, "--advertise-address", "127.0.0.1"];
    flags.push("--admin", `127.0.0.1:${await freePort()}`);
    agent = ["--consul", consul.url];
    daemon = await startDaemon({ args: [...flags, ...agent, "--consul-token-file", tokenFile] });
    vm = await startNode({ name: NODE, epmdPort: daemon.port });
  });
  afterAll(async () => {
    await vm?.kill();
    await daemon?.kill();
    await consul?.kill();
  });

  describe("a refused token", () => {
    test("that lacks a right: the node that is not published, and the policy that is missing", async () => {
      // The page of the daemon has the reason when the agent has refused the registration.
      const examined = async () => {
        const found = await doctor("--consul-token-file", tokenFile);
        return found.of("registration").evidence.includes("srv-epmd says") && found;
      };
      const { code, of, with: having, stderr } = await waitFor(examined, { what: "the daemon's reason" });
      expect([code, having("fail")]).toEqual([1, ["consul-token", "registration", "registration-dns", "readiness"]]);
      expect(of("readiness")).toMatchObject({ code: "NOT_READY", follows: "TOKEN_DENIED" });
      expect(of("consul-token").evidence).toBe(`the token in ${tokenFile} may not write the service svc`);
      expect(of("consul-token").advice).toBe('give it the policy service "svc" { policy = "write" }');
      expect(of("registration")).toMatchObject({ code: "REGISTRATION_MISSING", follows: "TOKEN_DENIED" });
      expect(of("registration").evidence).toMatch(/; srv-epmd says: .*\(403\)$/);
      expect(of("registration-dns")).toMatchObject({ code: "DNS_MISSING", follows: "REGISTRATION_MISSING" });
      expect(JSON.stringify(having) + stderr).not.toContain(tokens.none);
    });

    test("that may only read, that Consul does not know, or that is not there", async () => {
      const unknown = "11111111-0000-4000-8000-000000000000";
      const [read, foreign, none] = await Promise.all([
        withToken(tokens.read),
        withToken(unknown),
        // Nor has serve, as far as doctor knows.
        examine([...flags.slice(0, flags.indexOf("--admin")), ...agent, "--port", String(daemon.port)]),
      ]);
      expect(read.of("consul-token").evidence).toBe("the token may not write the service svc");
      expect(foreign.of("consul-token").evidence).toBe("Consul does not know the token (ACL not found)");
      expect(foreign.of("consul-token").advice).toContain("give a token that exists");
      expect(foreign.of("registration-dns")).toMatchObject({ code: "DNS_MISSING", follows: "REGISTRATION_UNTOLD" });
      for (const check of ["registration", "same-name"]) expect(foreign.of(check).follows).toBe("TOKEN_UNKNOWN");
      expect(none.of("consul-token").evidence).toContain(
        "the agent's default token, or the anonymous one (none is given) may not write",
      );
      for (const { told, stderr } of [read, foreign, none]) {
        for (const secret of [tokens.read, unknown]) expect(JSON.stringify(told) + stderr).not.toContain(secret);
      }
    });
  });

  test("finds all well once the token has the right, and that the address is this machine's alone", async () => {
    await writeFile(tokenFile, tokens.write);
    // A running one would try it within half a minute.
    const { port } = daemon;
    await daemon.kill();
    daemon = await startDaemon({ port, args: [...flags, ...agent, "--consul-token-file", tokenFile] });
    await waitFor(published, { what: "the publication", interval: 50 });
    const { code, of, with: having } = await doctor("--consul-token-file", tokenFile, NODE);
    expect([code, having("fail"), having("warn")]).toEqual([0, [], ["published-endpoint"]]);
    expect(of("consul-token").evidence).toBe(
      `the token in ${tokenFile} may write svc; the token in ${tokenFile} lacks node_prefix "" { policy = "read" }: Consul does not show it all that it has of svc; look-ups are answered by DNS`,
    );
    expect(of("published-endpoint").advice).toContain("--advertise-address");
  });

  test("a token that is not that of serve is no failure of what serve has published", async () => {
    await setDefaultToken(await aclToken(consul, DNS_RULES));
    const { code, of } = await withToken(tokens.read);
    expect([code, of("consul-token").code]).toEqual([0, "TOKEN_OTHER"]);
    expect(of("consul-token").advice).toContain("give doctor the token that serve has");
  });

  describe("doctor without the token that serve has", () => {
    const ofConsul = ["registration", "catalogue", "same-name"];

    test("needs none where everybody may read", async () => {
      await setDefaultToken(await aclToken(consul, DNS_RULES));
      const { code, of, with: having } = await doctor(NODE);
      expect([code, having("warn")]).toEqual([0, ["published-endpoint"]]);
      for (const check of [...ofConsul, "registration-dns"]) expect(of(check).result).toBe("ok");
      expect(of("consul-token").evidence).toBe(
        "serve has published the nodes here with a token in a file (--consul-token-file), which doctor has not",
      );
    });

    test("asks for it elsewhere, and says nothing else of what Consul has; what DNS lacks is a problem of its own", async () => {
      for (const rules of ['service "svc" { policy = "read" }', 'node_prefix "" { policy = "read" }']) {
        await setDefaultToken(await aclToken(consul, rules));
        const { code, of, with: having, stderr } = await doctor(NODE);
        expect([code, having("fail")], `${rules} ${stderr}`).toEqual([0, []]);
        expect(of("consul-token")).toMatchObject({
          code: "TOKEN_NOT_GIVEN",
          evidence: expect.stringContaining(
            "serve has a token in a file (--consul-token-file), and this command has none: what Consul has of",
          ),
          advice: expect.stringContaining("--consul-token-file"),
        });
        for (const check of ofConsul) {
          expect(of(check), rules).toMatchObject({ result: "skip", evidence: expect.stringContaining("consul-token") });
        }
        // It is answered with the agent's default token, whatever doctor has.
        expect(of("registration-dns"), rules).toMatchObject({
          ...{ result: "warn", code: "DNS_LEAVES_OUT", advice: expect.stringContaining("acl.tokens.default") },
          evidence: expect.stringContaining(`though the srv-epmd here has published ${NODE} in Consul`),
        });
        expect(of("registration-dns")).not.toHaveProperty("follows");
      }
    });

    describe("of a cluster", () => {
      const WHY = "serve has a token in a file (--consul-token-file), and this command has none";
      const LACKS = 'the token lacks node_prefix "" { policy = "read" }';
      const asking = () => ["--consul", consul.url, "--admin", admin(), "--port", String(daemon.port)];
      const cluster = async (args: readonly string[], token?: string) => {
        const env = token === undefined ? {} : { env: { CONSUL_HTTP_TOKEN: token } };
        const { code, stdout } = await runCli(["doctor", "--cluster", ...args, ...asking(), "--json"], env);
        return { code, ...JSON.parse(stdout) };
      };

      test("does not say that no node matches: it is not known, and why is the verdict", async () => {
        await setDefaultToken("");
        const plain = await runCli(["doctor", "--cluster", "*@svc", ...asking()]);
        expect([plain.code, plain.stdout.split("\n")]).toEqual([
          1,
          [
            `${WHY}: which nodes svc has is not known`,
            "",
            `fail  ${WHY}: which nodes svc has is not known`,
            expect.stringMatching(/^ {6}do: {2}give it the same: --consul-token-file FILE, CONSUL_HTTP_TOKEN/),
            "",
          ],
        ]);
        expect(plain.stderr).not.toContain("not show");
        expect(await cluster(["*@svc"])).toMatchObject({
          ...{ code: 1, well: false, nodes: [] },
          problems: [{ code: "UNREAD", text: `${WHY}: which nodes svc has is not known` }],
        });
        expect(await cluster(["*@svc"], tokens.read)).toMatchObject({
          ...{ code: 1, problems: [{ code: "UNREAD", text: `${LACKS}: which nodes svc has is not known` }] },
        });
      });

      test("says the same of nodes that are named", async () => {
        const { code, problems } = await cluster(["node_x@svc", "node_y@svc", NODE]);
        const nodes = ["node_x@svc.service.consul", "node_y@svc.service.consul"];
        expect([code, problems]).toMatchObject([1, [{ code: "UNREAD", nodes }]]);
      });

      test("--watch says it once, on stdout", async () => {
        const args = [BIN, "doctor", "--cluster", "*@svc", ...asking(), "--watch"];
        const watch = startChild(process.execPath, args, { env: cleanEnvironment() });
        await watch.waitForOutput(/Z serve has a token .* is not known\n/, 20_000);
        await setDefaultToken(await aclToken(consul, DNS_RULES));
        await watch.waitForOutput(
          /Z 1 node is there; links and cookies were not looked at \(--cookie-file\)\n/,
          20_000,
        );
        expect((await watch.stop("SIGINT")).code).toBe(0);
        expect([watch.stdout().trimEnd().split("\n").length, watch.stderr()]).toEqual([
          2,
          expect.not.stringMatching(/not show/),
        ]);
        await setDefaultToken("");
      });

      test("that may see some of the machines alone notes that there may be more nodes", async () => {
        const machine = await aclToken(consul, 'service "svc" { policy = "read" } node_prefix "" { policy = "read" }');
        expect((await cluster(["*@svc"], machine)).notes).toEqual([]);
        const { body } = await consul.request("GET", "/v1/agent/self");
        const { NodeName } = (body as { Config: { NodeName: string } }).Config;
        const one = `service "svc" { policy = "read" } node "${NodeName}" { policy = "read" }`;
        expect(await cluster(["*@svc"], await aclToken(consul, one))).toMatchObject({
          ...{
            code: 0,
            summary: expect.stringMatching(/^1 node that Consul shows is there; links and cookies were not looked at/),
          },
          notes: [{ code: "UNREAD", text: `${LACKS}: Consul may have more nodes of svc` }],
        });
      });

      test("names --cluster tells it below the number of nodes, and in JSON", async () => {
        const list = (more: readonly string[], env = {}) =>
          runCli(["names", "--cluster", "--match", "*@svc", ...asking(), ...more], { env });
        const [plain, json, read] = await Promise.all([
          list([]),
          list(["--json"]),
          list(["--json"], { CONSUL_HTTP_TOKEN: tokens.read }),
        ]);
        expect(plain.stdout.split("\n").slice(0, 3)).toEqual([
          expect.stringContaining("0 nodes in Consul"),
          `${WHY}: Consul may have more nodes of svc than it shows`,
          expect.stringMatching(/^give it the same/),
        ]);
        expect(JSON.parse(json.stdout)).toMatchObject({ nodes: [], unread: WHY });
        expect(JSON.parse(read.stdout)).toMatchObject({ nodes: [], unread: LACKS });
      });
    });
  });

  test("a token without node:read, where DNS has nothing either: the policy that is missing, what follows, and DNS by itself", async () => {
    await setDefaultToken("");
    const { code, of } = await doctor("--consul-token-file", tokenFile, "node_b@svc");
    expect([code, of("consul-token").code, of("consul-token").result]).toEqual([1, "TOKEN_CANNOT_READ", "warn"]);
    const token = `the token in ${tokenFile}`;
    expect(of("consul-token").evidence).toBe(
      `${token} lacks node_prefix "" { policy = "read" }: Consul does not show it all that it has of svc; ${token} may write svc`,
    );
    expect(of("consul-token").advice).toBe('give it the policy node_prefix "" { policy = "read" }');
    const plain = await runCli([
      ...["doctor", "node_b@svc", ...flags, ...agent, "--port", String(daemon.port)],
      ...["--consul-token-file", tokenFile],
    ]);
    expect(plain.stdout.split("\n")[0]).toMatch(/^fail {2}the token in .* lacks node_prefix .*\(consul-token\)$/);
    expect(of("peer-records")).toMatchObject({ result: "fail", follows: "TOKEN_CANNOT_READ" });
    // DNS is answered with the default token: the policy for the other one does not mend it.
    expect(of("registration-dns")).toMatchObject({
      ...{ result: "fail", code: "DNS_MISSING", advice: expect.stringContaining("acl.tokens.default") },
    });
    expect(of("registration-dns")).not.toHaveProperty("follows");
    expect(plain.stdout).toMatch(/^fail {2}.*\(registration-dns\)$/m);
    await setDefaultToken(await aclToken(consul, DNS_RULES));
    const { of: byDns } = await doctor("--consul-token-file", tokenFile);
    expect(byDns("consul-token")).toMatchObject({ result: "ok", evidence: expect.stringContaining("answered by DNS") });
  });

  test("a token without node:read, where DNS answers look-ups and cannot answer patterns: a warning", async () => {
    await setDefaultToken(await aclToken(consul, DNS_RULES));
    const match = () => runCli(["names", "--match", "*@svc", "--port", String(daemon.port)]);
    await match();
    expect((await doctor("--consul-token-file", tokenFile)).of("consul-token").result).toBe("ok");
    // A token that shows nothing of the nodes here says nothing of them.
    const { of: blind, with: failing } = await examine([...flags, ...agent, "--port", String(daemon.port)], {
      env: { CONSUL_HTTP_TOKEN: tokens.none },
    });
    expect(blind("registration")).toMatchObject({
      ...{ result: "skip", evidence: expect.stringMatching(/is in Consul, as the srv-epmd here says, and the token/) },
    });
    expect(failing("fail")).not.toContain("registration");
    // What is not known is not ready, though no node is missing from the list that Consul shows.
    const ready = await fetch(`http://${admin()}/readyz?cluster=*@svc`);
    expect([ready.status, await ready.text()]).toEqual([
      503,
      expect.stringMatching(/the nodes of svc\.service\.consul are not known: .*which lacks node_prefix/),
    ]);
    // As often as a VM with SRV_EPMD_CONNECT.
    for (let i = 0; i < 8; i++) await match();
    const { code, of } = await doctor("--consul-token-file", tokenFile);
    expect(code).toBe(0);
    expect(of("consul-token")).toMatchObject({
      ...{ result: "warn", code: "TOKEN_CANNOT_READ" },
      evidence: expect.stringMatching(
        /patterns of VMs here \(SRV_EPMD_CONNECT\) are matched with svc, and DNS cannot answer them/,
      ),
      advice: 'give it the policy node_prefix "" { policy = "read" }',
    });
    // Of a token that may read it all nothing is missing.
    const all = await aclToken(consul, 'service "svc" { policy = "write" } node_prefix "" { policy = "read" }');
    expect((await withToken(all)).of("consul-token").result).toBe("ok");
  });

  test("no token at all, with a default token that may not read nodes: what DNS lacks follows from that", async () => {
    await setDefaultToken(await aclToken(consul, 'service "svc" { policy = "write" }'));
    // The settings of serve, which has a token, are not known.
    const bare = flags.slice(0, flags.indexOf("--admin"));
    const { of } = await examine([...bare, ...agent, "--admin", "none", "--port", String(daemon.port)]);
    expect(of("consul-token")).toMatchObject({
      ...{ result: "warn", code: "DEFAULT_TOKEN_CANNOT_READ" },
      evidence: expect.stringMatching(/^the agent's default token, .* lacks node_prefix "" \{ policy = "read" \}: /),
      advice: expect.stringMatching(/^give that policy to the agent's default token \(acl\.tokens\.default\)/),
    });
    expect(of("registration-dns")).toMatchObject({ code: "DNS_MISSING", follows: "DEFAULT_TOKEN_CANNOT_READ" });
    await setDefaultToken(await aclToken(consul, DNS_RULES));
  });

  test("the token of serve may not read nodes: its log and its page name the policy", async () => {
    const lacks = 'lacks the policy node_prefix "" { policy = "read" }';
    await daemon.waitForLog(({ msg = "" }) => msg.includes(`no instance of svc: it ${lacks}`), "the policy");
    const { problems } = (await (await fetch(`http://${admin()}/v1/status`)).json()) as Status;
    expect(problems).toMatchObject([{ code: "CLUSTER_UNREAD", sentence: expect.stringContaining(lacks) }]);
  });

  test("DNS that answers with a token without rights: which it needs", async () => {
    await setDefaultToken("");
    const look = () => doctor("--consul-token-file", tokenFile);
    const { code, of, with: having } = await untilFails("registration-dns", look);
    expect([code, having("fail")]).toEqual([1, ["registration-dns"]]);
    expect(of("registration").result).toBe("ok");
    // Its own DNS is asked already.
    expect(of("registration-dns").advice).toMatch(
      /^with ACLs .*acl\.tokens\.default.*node_prefix "" \{ policy = "read"/,
    );
    expect(of("registration-dns").advice).not.toContain("--dns");
  });

  test("options that are not those of serve: what is published, and what they would make of it", async () => {
    const { of } = await doctor("--consul-token-file", tokenFile, "--advertise-port", "4711");
    expect(of("registration")).toMatchObject({
      result: "warn",
      advice: expect.stringContaining("the options and the environment of serve"),
    });
    expect(of("registration").evidence).toContain("by these options it is svc at 127.0.0.1:4711");
  });

  test("another service than that of serve", async () => {
    const wrong = flags.map((flag) => (flag === "svc" ? "svx" : flag));
    const here = [...wrong, ...agent, "--consul-token-file", tokenFile, "--port", String(daemon.port)];
    const [same, other] = await Promise.all([examine(here), examine([...here, "--instance", "elsewhere"])]);
    for (const { of } of [same, other]) {
      expect(of("registration").evidence).toMatch(/^node_a is registered as svc at .*by these options it is svx at/);
      expect(of("registration")).toMatchObject({ result: "warn", advice: expect.stringContaining("of serve") });
    }
    const { of } = same;
    expect(of("node-name").evidence).toContain("by these options it is published as node_a@svx.service.consul");
  });

  test("a token of serve that has lost its right while the nodes are in Consul: no other token is looked for", async () => {
    const { port } = daemon;
    const run = async (token: string) => {
      await daemon.kill();
      await writeFile(tokenFile, token);
      daemon = await startDaemon({ port, args: [...flags, ...agent, "--consul-token-file", tokenFile] });
    };
    await run(tokens.read);
    // With the same token, without any, and with one that may write.
    for (const own of [tokens.read, undefined, tokens.write]) {
      const env = own === undefined ? {} : { env: { CONSUL_HTTP_TOKEN: own } };
      const look = async () => {
        const found = await examine([...flags, ...agent, "--port", String(port)], env);
        return found.of("consul-token").evidence.startsWith("Consul refuses the token of the srv-epmd here") && found;
      };
      const { of } = await waitFor(look, { what: "the refusal", timeout: 20_000 });
      expect(of("consul-token")).toMatchObject({
        ...{
          result: "fail",
          code: "TOKEN_DENIED",
          evidence: expect.stringMatching(/Missing service:write on svc|403/),
        },
        advice: 'give serve a token that Consul knows, with the policy service "svc" { policy = "write" }',
      });
      expect(of("readiness").follows).toBe("TOKEN_DENIED");
    }
    await run(tokens.write);
    await waitFor(published, { what: "the publication", interval: 50 });
  });

  test("an agent that does not answer", async () => {
    const nobody = await freePort();
    const { code, of, with: having } = await withAgent(`http://127.0.0.1:${nobody}`);
    expect([code, having("fail")[0]]).toEqual([1, "consul-agent"]);
    expect(of("consul-agent").evidence).toContain("ECONNREFUSED");
    expect(of("consul-agent").advice).toMatch(/CONSUL_HTTP_ADDR.*bridge network/);
    expect(having("skip")).toEqual(expect.arrayContaining(["consul-leader", "consul-token", "registration", "clock"]));
  });

  test("a token given by hand, and no address: that of the agent of serve", async () => {
    const env = { CONSUL_HTTP_TOKEN: tokens.read };
    const asking = ["--admin", admin(), "--port", String(daemon.port)];
    const advice = expect.stringMatching(`^give --consul ${consul.url} too, which the srv-epmd here uses: `);
    const { of } = await examine(asking, { env });
    expect(of("consul-agent")).toMatchObject({ code: "CONSUL_DOWN", result: "fail", advice });
    const { stdout, stderr } = await runCli(["doctor", "--cluster", "*@svc", ...asking, "--json"], { env });
    expect(JSON.parse(stdout).problems).toMatchObject([{ code: "NO_ANSWER", advice }]);
    expect(stderr).toContain(`it also has --consul ${consul.url}, `);
  });

  test("an agent asked in the wrong way: what is said to it wrongly", async () => {
    const [tls, file] = await Promise.all([
      withAgent(consul.url.replace("http", "https")),
      doctor("--consul-token-file", "/nowhere"),
    ]);
    expect(tls.of("consul-agent")).toMatchObject({
      evidence: expect.stringMatching(/^https:.* does not speak TLS$/),
      advice: `give --consul ${consul.url}`,
    });
    for (const check of ["consul-leader", "registration", "clock"]) {
      expect(file.of(check).evidence).toBe("Consul cannot be asked: see consul-agent");
    }
    expect(file.of("consul-agent").evidence).toContain("/nowhere");
    expect(file.of("consul-agent").advice).toContain("--consul-token-file");
  });

  test("a clock that differs: by how much, and why it matters", async () => {
    // Nobody may set the clock of a machine that others use too: what is wrong is the agent's, seen through a proxy.
    const proxy = createServer((incoming, response) => {
      const { method, url, headers } = incoming;
      const passed = request({ port: consul.httpPort, method, path: url, headers }, (answer) => {
        const date = new Date(Date.now() - 90_000).toUTCString();
        response.writeHead(answer.statusCode ?? 500, { ...answer.headers, date });
        answer.pipe(response);
      });
      // doctor may end, and leave a blocking query behind.
      passed.on("error", () => response.destroy());
      response.on("close", () => passed.destroy());
      incoming.pipe(passed);
    }).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const { of } = await withAgent(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    proxy.close();
    expect(of("clock").result).toBe("warn");
    expect(of("clock").evidence).toMatch(/^the clock here is (89|90|91) s ahead of the one at/);
    expect(of("clock").advice).toContain("certificates");
  });
});

requirePeer(
  "erl",
  "consul",
  "netns",
)("srv-epmd doctor of a node of which Consul tells serve alone", () => {
  test("says that it is not known whether VMs here reach it, which one is linked with it, and what is missing", async () => {
    const addresses = ["10.91.0.1", "10.91.0.2"];
    const { hosts, remove } = await createHosts(addresses.map((address) => ({ addresses: [`${address}/24`] })));
    const [here, there] = hosts;
    if (!here || !there) throw new Error("no hosts");
    const bind = here.ipv4 ?? "";
    const consul = await startConsul({ acl: true, bind, netns: here, config: { client_addr: `127.0.0.1 ${bind}` } });
    const tokenFile = join(await temporaryFolder("token"), "token");
    await writeFile(tokenFile, consul.masterToken, { mode: 0o600 });
    const dns = ["--dns", `consul=${bind}:${consul.dnsPort}`];
    const start = async (netns: Host) => {
      const own = ["--instance", netns.namespace, "--advertise-address", netns.ipv4 ?? "", "--admin", "127.0.0.1:9369"];
      const args = ["--domain", "svc", "--consul", consul.socketUrl, ...dns, "--consul-token-file", tokenFile, ...own];
      return startDaemon({ netns, port: 4369, args });
    };
    const module = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    const node = (name: string, netns: Host) =>
      startNode({ name: `${name}@svc.service.consul`, netns, epmdPort: 4369, args: module });
    const daemons = [await start(here), await start(there)];
    const [a, b] = [await node("node_a", here), await node("node_b", there)];
    const asking = ["node_b@svc", "--admin", "127.0.0.1:9369", "--consul", consul.socketUrl];
    const linesOf = async (...more: readonly string[]) => {
      const { code, stdout } = await runCli(["doctor", ...asking, ...more], { netns: here });
      return { code, lines: stdout.split("\n") };
    };
    const isKnown = async () => {
      const { lines } = await linesOf("--consul-token-file", tokenFile);
      return lines.some((line) => line.startsWith("VMs here reach node_b@svc"));
    };
    await waitFor(isKnown, { what: "a verdict with the token" });

    const { code, lines } = await linesOf();
    expect(code).toBe(1);
    expect(lines.slice(0, 4)).toEqual([
      expect.stringMatching(/^fail {2}serve has a token in a file .*, and this command has none: .* \(consul-token\)$/),
      expect.stringMatching(/^ {6}do: {2}give it the same: --consul-token-file FILE/),
      expect.stringMatching(/^ {6}so: {2}peer-records: the srv-epmd here finds node_b@\S+ at \S+, and doctor does not/),
      expect.stringMatching(
        /^warn {2}.*though the srv-epmd here has published node_a@\S+ in Consul \(registration-dns\)$/,
      ),
    ]);
    expect(lines.slice(5, 6)).toEqual(["whether VMs here reach node_b@svc.service.consul is not known"]);
    const poor = await aclToken(consul, 'service "svc" { policy = "write" }');
    const silent = await linesOf("--dns", "127.0.0.1:1");
    expect(silent.lines).toContain("whether VMs here reach node_b@svc.service.consul is not known");
    const lacking = await examine(asking, { netns: here, env: { CONSUL_HTTP_TOKEN: poor } });
    expect(lacking.of("peer-records")).toMatchObject({ code: "PEER_UNREAD", follows: "TOKEN_CANNOT_READ" });

    await waitFor(async () => (await a.ping("node_b@svc.service.consul")) === "pong", { what: "the link" });
    const isTold = async () => (await linesOf()).lines.find((line) => line.startsWith("node_a here is linked with"));
    expect(await waitFor(isTold, { what: "the link in the verdict" })).toBe(
      "node_a here is linked with node_b@svc.service.consul; whether VMs here reach it anew is not known",
    );
    await Promise.all([a.kill(), b.kill()]);
    await Promise.all(daemons.map((daemon) => daemon.kill()));
    await consul.kill();
    await remove();
  });
});

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { examine } from "../support/doctor.js";
import { startStockEpmd } from "../support/epmd.js";
import { startNode } from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { createIsolated, type Host } from "../support/netns.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { silentPort } from "../support/silent-port.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";

requirePeer("erl", "epmd")("srv-epmd doctor, about the EPMD port", () => {
  let port: number;
  beforeAll(async () => {
    port = await freePort();
  });
  const doctor = (...args: readonly string[]) => examine(["--port", String(port), ...args]);

  test("nothing is there: what to start", async () => {
    const { code, of, with: having } = await doctor();
    expect([code, having("fail")]).toEqual([1, ["epmd-port"]]);
    expect(of("epmd-port").evidence).toBe(`nothing listens on 127.0.0.1:${port}`);
    expect(of("epmd-port").advice).toMatch(/srv-epmd serve.*srv-epmd wait/);
    expect(of("loopbacks").result).toBe("skip");
  });

  test("a stock epmd has it: how to end it with nodes and without, and how it does not come back", async () => {
    const epmd = await startStockEpmd(port);
    const idle = await doctor();
    expect([idle.code, idle.with("fail")]).toEqual([1, ["epmd-port"]]);
    expect(idle.of("epmd-port").evidence).toMatch(
      /^a stock epmd answers on 127\.0\.0\.1:[0-9]+ \(process [0-9]+: .*epmd.*\), with no nodes$/,
    );
    expect(idle.of("epmd-port").advice).toMatch(/epmd -port [0-9]+ -kill.*--replace-epmd.*-start_epmd false/);
    const vm = await startNode({ name: "a@127.0.0.1", epmdPort: port });
    const busy = await doctor();
    expect(busy.of("epmd-port").evidence).toMatch(/, with the nodes a \(port [0-9]+\)$/);
    const [, command = ""] = /move its nodes: stop it \((kill [0-9]+);/.exec(busy.of("epmd-port").advice ?? "") ?? [];
    expect(command).toBe(`kill ${epmd.pid}`);
    expect(busy.of("vm-listens").result).toBe("ok");
    // The advice moves the node, which it says of VMs since OTP 25.
    process.kill(Number(command.split(" ")[1]));
    const daemon = await startDaemon({ port });
    await daemon.waitForLog(({ msg, node }) => msg === "node registered" && node === "a", "the node");
    expect((await doctor()).of("epmd-port").result).toBe("ok");
    await daemon.stop();
    await vm.kill();
  });

  test("something else has it, that talks or is silent", async () => {
    const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")).listen(port, "127.0.0.1");
    await once(server, "listening");
    const { code, of } = await doctor();
    server.close();
    expect(code).toBe(1);
    expect(of("epmd-port").evidence).toContain(
      `what listens on 127.0.0.1:${port} is not an EPMD (process ${process.pid}`,
    );
    expect(of("epmd-port").advice).toContain("ERL_EPMD_PORT");
    const silent = await examine(["--port", String(await silentPort())]);
    expect(silent.of("epmd-port").evidence).toContain("accepts connections and does not answer");
  });

  test("a node has registered a port where nobody listens", async () => {
    const daemon = await startDaemon();
    const nobody = await freePort();
    const node = await rawNode(daemon.port, { name: "ghost", port: nobody });
    const {
      code,
      of,
      with: having,
    } = await examine(["--port", String(daemon.port)], { env: { ERL_DIST_PORT: "9100" } });
    expect([code, having("fail")]).toEqual([1, ["vm-listens"]]);
    expect(of("vm-listens").evidence).toContain(`ghost has registered port ${nobody}, and nothing listens there`);
    expect(of("vm-listens").evidence).toContain("ERL_DIST_PORT=9100 is in this environment, and no node listens there");
    expect(of("vm-listens").advice).toMatch(/network namespace.*inet_dist_listen_min 9100/);
    await node.close();
    await daemon.kill();
  });

  test("a VM that asks no EPMD listens on ERL_DIST_PORT", async () => {
    const [daemon, dist] = await Promise.all([startDaemon(), freePort()]);
    const vm = await startNode({ name: "a@127.0.0.1", args: ["-erl_epmd_port", String(dist)], epmdPort: port });
    const { of } = await examine(["--port", String(daemon.port)], { env: { ERL_DIST_PORT: String(dist) } });
    expect(of("vm-listens")).toMatchObject({ result: "warn", advice: expect.stringContaining("--publish-node") });
    await vm.kill();
    await daemon.kill();
  });

  test("embedded DNS: what is published there is looked at as it is in Consul", async () => {
    const dns = await freePort();
    const flags = ["--domain", "demo.test", "--dns-listen", `127.0.0.1:${dns}`];
    const serving = await startDaemon({ args: flags });
    const vm = await startNode({ name: "a@demo.test", epmdPort: serving.port });
    const { code, of, with: having } = await examine([...flags, "--port", String(serving.port), "a@demo.test"]);
    expect([code, having("fail"), having("warn")]).toEqual([0, [], []]);
    expect(of("resolver").evidence).toBe(`demo.test: 127.0.0.1:${dns} answers`);
    expect(of("published-endpoint").result).toBe("ok");
    expect(of("consul-agent").result).toBe("skip");
    const closed = await freePort();
    await serving.kill();
    const mapped = [...flags, "--advertise-port", String(closed)];
    const wrong = await startDaemon({ port: serving.port, args: mapped });
    await wrong.waitForLog(({ msg }) => msg === "node registered", "the return of the node");
    const { of: found, with: failing } = await examine([...mapped, "--port", String(serving.port)]);
    expect(failing("fail")).toEqual(["published-endpoint"]);
    expect(found("published-endpoint").evidence).toContain(`a@demo.test is published at 127.0.0.1:${closed}`);
    expect(found("published-endpoint").advice).toMatch(/mapped wrongly: --advertise-address and --advertise-port/);
    await wrong.kill();
    const without = await examine([...flags, "--port", String(serving.port), "a@demo.test"]);
    expect(without.with("fail")).toEqual(["epmd-port", "resolver", "peer-records"]);
    await vm.kill();
  });

  test("is over soon when neither name servers nor Consul answer, and says which do not", async () => {
    const udp = createSocket("udp4").bind(0, "127.0.0.1");
    await once(udp, "listening");
    const dns = `127.0.0.1:${udp.address().port}`;
    const startedAt = performance.now();
    const {
      code,
      of,
      with: having,
    } = await doctor("a@svc", "--domain", "svc", "--dns", dns, "--consul", `http://127.0.0.1:${await silentPort()}`);
    const took = Math.round(performance.now() - startedAt);
    udp.close();
    expect(took, `${took} ms`).toBeLessThan(15_000);
    expect([code, having("fail")]).toEqual([1, ["epmd-port", "resolver", "consul-agent", "peer-records"]]);
    expect(of("peer-records").code).not.toBe("CHECK_LATE");
    expect(of("resolver").evidence).toContain(`${dns} does not answer (timeout)`);
    // Something listens there: an agent that has to be started refuses connections.
    expect(of("consul-agent").advice).toMatch(
      /^see the log of the agent, which runs and does not answer: .*kill -CONT/,
    );
  });
});

requirePeer("erl", "netns")("srv-epmd doctor, about VMs that are not where srv-epmd is", () => {
  let host: Host;
  const doctor = (...args: readonly string[]) => examine(args, { netns: host });
  beforeAll(async () => {
    host = await createIsolated({ addresses: [] });
  });

  test("a srv-epmd on another port than VMs and doctor ask: which it has", async () => {
    const daemon = await startDaemon({ port: 14369, netns: host, args: ["--admin", "127.0.0.1:9369"] });
    const { of } = await doctor("--port", "4369");
    expect(of("epmd-port").evidence).toBe("nothing listens on 127.0.0.1:4369, while srv-epmd answers on port 14369");
    // Each check is content: there is nothing to look at.
    const empty = await runCli(["doctor", "--port", "14369"], { netns: host });
    expect(empty.stdout).toMatch(/^no node is registered here: a VM that should be has ended, .*\n\d+ ok, /);
    expect(of("epmd-port").advice).toContain("ERL_EPMD_PORT=14369 for VMs");
    const { of: found } = await doctor();
    expect(found("epmd-port")).toMatchObject({
      result: "warn",
      evidence: expect.stringMatching(
        /^srv-epmd answers on 127\.0\.0\.1:14369, with no nodes; nothing listens on port 4369/,
      ),
      advice: expect.stringContaining("every VM here needs ERL_EPMD_PORT=14369"),
    });
    const vm = await startNode({ name: "told@127.0.0.1", epmdPort: 14369, netns: host });
    expect((await doctor()).of("epmd-port").result).toBe("ok");
    await vm.kill();
    await daemon.kill();
  });

  /** The DNS of a Consul agent at its usual port, which answers everything with this code. */
  const agentDns = async (rcode: number) => {
    const program = `const s = require("node:dgram").createSocket("udp4").bind(8600, "127.0.0.1", () => console.log("up"));
      s.on("message", (m, { port }) => { m[2] |= 0x80; m[3] |= ${rcode}; s.send(m, port, "127.0.0.1"); });`;
    const agent = startChild(process.execPath, ["-e", program], { netns: host });
    await agent.waitForOutput(/up/);
    return agent;
  };
  const resolverAdvice = async (dns: string) => (await doctor("a@svc", "--dns", dns)).of("resolver").advice;

  test("no --dns, while Consul's agent answers on its usual port: that one is named", async () => {
    const agent = await agentDns(0);
    expect(await resolverAdvice("127.0.0.1:8601")).toMatch(
      /^Consul's agent answers at 127\.0\.0\.1:8600: give --dns consul=127\.0\.0\.1:8600,/,
    );
    await agent.kill();
    expect(await resolverAdvice("127.0.0.1:8600")).toMatch(/^start the Consul agent, or give the address and port/);
  });

  test("an agent with another domain refuses to answer: how the domain is given", async () => {
    const agent = await agentDns(5);
    expect(await resolverAdvice("127.0.0.1:8600")).toContain("--consul-domain");
    await agent.kill();
  });

  test("a VM with another ERL_EPMD_PORT, and one that does not register again", async () => {
    const [daemon, other] = await Promise.all([
      startDaemon({ port: 4369, netns: host }),
      startDaemon({ port: 4370, netns: host }),
    ]);
    const vm = await startNode({ name: "astray@127.0.0.1", epmdPort: 4370, netns: host });
    const { code, of } = await doctor();
    expect([code, of("vm-listens").result]).toEqual([0, "warn"]);
    expect(of("vm-listens").evidence).toMatch(
      /^a VM runs here as astray \(process [0-9]+\), and is not registered: it asks the EPMD on port 4370, and srv-epmd has 4369$/,
    );
    expect(of("vm-listens").advice).toContain("ERL_EPMD_PORT=4369");
    await vm.kill();
    // As OTP 23 does not.
    const lost = await startNode({ name: "lost@127.0.0.1", epmdPort: 4369, netns: host });
    await lost.eval("sys:suspend(erl_epmd)");
    await daemon.kill();
    const next = await startDaemon({ port: 4369, netns: host });
    expect((await doctor()).of("vm-listens")).toMatchObject({
      result: "warn",
      evidence: expect.stringMatching(/^a VM runs here as lost \(process [0-9]+\), and is not registered$/),
      advice: expect.stringContaining("an older one has to be restarted"),
    });
    await lost.kill();
    await Promise.all([next.kill(), other.kill()]);
  });
});

requirePeer("epmd", "netns")("srv-epmd doctor, about the loopbacks", () => {
  let host: Host;
  const doctor = () => examine([], { netns: host });
  beforeAll(async () => {
    host = await createIsolated({ addresses: [] });
    // Without ::1 srv-epmd listens on 127.0.0.1 alone.
    await host.run("ip", "addr", "del", "::1/128", "dev", "lo");
    await startDaemon({ port: 4369, netns: host });
  });

  test("on another port than srv-epmd's: where that is", async () => {
    const { of } = await examine(["--port", "4370"], { netns: host });
    expect(of("epmd-port").evidence).toBe("nothing listens on 127.0.0.1:4370, while srv-epmd answers on port 4369");
  });

  test("a machine without ::1 is well", async () => {
    const { code, of } = await doctor();
    expect([code, of("loopbacks").evidence]).toEqual([0, "127.0.0.1:4369 answers, and this machine has no ::1"]);
  });

  describe("with ::1 come late", () => {
    beforeAll(async () => {
      await host.run("ip", "addr", "add", "::1/128", "dev", "lo");
    });

    test("nothing is there: who cannot register", async () => {
      const { code, of } = await doctor();
      expect([code, of("loopbacks").result]).toEqual([0, "warn"]);
      expect(of("loopbacks").advice).toContain("VMs with -proto_dist inet6_tcp cannot register here");
    });

    test("somebody else is there: VMs on IPv6 register with that", async () => {
      const program =
        'require("node:net").createServer((s) => s.end("no EPMD")).listen(4369, "::1", () => console.log("up"))';
      const other = startChild(process.execPath, ["-e", program], { netns: host });
      await other.waitForOutput(/up/);
      const { code, of } = await doctor();
      expect([code, of("epmd-port").result, of("loopbacks").result]).toEqual([1, "ok", "fail"]);
      expect(of("loopbacks").evidence).toMatch(
        /127\.0\.0\.1:4369 is srv-epmd.* and \[::1\]:4369 is not an EPMD \(process/,
      );
    });
  });
});

requirePeer("netns")("srv-epmd doctor, where no srv-epmd runs", () => {
  test("begins with the EPMD port: the name servers of resolv.conf are a default, and those of --dns are meant", async () => {
    const netns = await createIsolated({ addresses: [] });
    const { stdout } = await runCli(["doctor", "node_b@svc"], { netns });
    expect(stdout).toMatch(
      /^fail {2}nothing listens on 127\.0\.0\.1:4369 \(epmd-port\)\n {6}do: .*\n {6}so: {2}resolver: /,
    );
    const { of } = await examine(["node_b@svc"], { netns });
    expect(of("resolver")).toMatchObject({ result: "fail", follows: "EPMD_NOTHING" });
    const given = await examine(["node_b@svc", "--dns", "127.0.0.1:53"], { netns });
    expect(given.of("resolver").result).toBe("fail");
    expect(given.of("resolver").follows).not.toBe("EPMD_NOTHING");
  });
});

import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildCNode, C_NODE } from "../support/c-node.js";
import { type Certificates, createCertificates, type KeyPair } from "../support/certificates.js";
import { startChild } from "../support/child.js";
import { startConsul } from "../support/consul-agent.js";
import { startStockEpmd } from "../support/epmd.js";
import { type ErlangNode, startNode } from "../support/erlang.js";
import { listenWith } from "../support/fake-node.js";
import { freePort } from "../support/free-port.js";
import { WATCH } from "../support/linked-nodes.js";
import { findOtp } from "../support/otp.js";
import { requirePeer } from "../support/require-peer.js";
import { runCli, startDaemon } from "../support/srv-epmd.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";

interface Probed {
  readonly code: number | null;
  readonly probe: Readonly<Record<string, unknown>>;
}

/** `srv-epmd resolve --probe` of a node that is said to be there. */
async function probe(name: string, port: number, address = "127.0.0.1"): Promise<Probed> {
  const place = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const { code, stdout } = await runCli(["resolve", name, "--node", `${name}=${place}`, "--probe", "--json"]);
  return { code, probe: JSON.parse(stdout).endpoints[0].probe };
}

/** A VM on a port of its own, with no EPMD anywhere. */
async function startOn(port: number, options: Partial<Parameters<typeof startNode>[0]> = {}): Promise<ErlangNode> {
  const { args = [], ...rest } = options;
  const nobody = await freePort();
  const vm = { name: "a@127.0.0.1", epmdPort: nobody, ...rest };
  return startNode({ ...vm, args: ["-erl_epmd_port", String(port), ...args] });
}

/** An EPMD that gives each VM the same creation. @returns its port */
async function epmdOfOneCreation(): Promise<number> {
  return listenWith((socket) => socket.once("data", () => socket.write(Buffer.of(118, 0, 0, 0, 0, 7))));
}

/** @param start a VM that listens on the port and registers with the EPMD */
async function tellsVmsApart(start: (port: number, epmdPort: number) => Promise<ErlangNode>): Promise<void> {
  const epmdPort = await epmdOfOneCreation();
  const [port, other] = [await freePort(), await freePort()];
  const vms = [await start(port, epmdPort), await start(other, epmdPort)];
  const mapped = await listenWith((socket) => {
    const toVm = connect(port, "127.0.0.1");
    socket.on("close", () => toVm.destroy()).pipe(toVm);
    toVm.on("error", () => socket.destroy()).pipe(socket);
  });
  const look = async (...places: readonly number[]) => {
    const entries = places.flatMap((place) => ["--node", `a@127.0.0.1=127.0.0.1:${place}`]);
    const { stdout } = await runCli(["resolve", "a@127.0.0.1", ...entries, "--probe"]);
    expect(stdout.match(/is a@127\.0\.0\.1.*creation 7\b/g)).toHaveLength(places.length);
    return /[0-9]+ VMs are called .* and 127.0.0.1:[0-9]+/.exec(stdout)?.[0];
  };
  expect(await look(port, mapped)).toBeUndefined();
  expect(await look(port, other)).toBe(`2 VMs are called a@127.0.0.1, at 127.0.0.1:${port} and 127.0.0.1:${other}`);
  await Promise.all(vms.map((vm) => vm.kill()));
}

/** Progress reports are the VM's own, of applications that it starts by the way. */
const SEEN = `[News || {_, News} <- ets:tab2list(seen), string:find(io_lib:format("~p", [News]), "progress") =:= nomatch]`;

for (const release of [23, 25, 27, 29]) {
  requirePeer(`otp${release}`)(`a VM of OTP ${release}`, () => {
    test("is one VM at two places, and two are two where their creation and name are one", async () => {
      const otp = findOtp(release);
      await tellsVmsApart((port, epmdPort) => startOn(port, { epmdPort, ...(otp && { otp }) }));
    });

    test("says its name, version and creation, and knows nothing of it afterwards", async () => {
      const otp = findOtp(release);
      const port = await freePort();
      const vm = await startOn(port, otp ? { otp } : {});
      await vm.eval(WATCH);
      const before = await vm.eval("{erlang:system_info(process_count), length(erlang:ports())}");

      const seen = await probe("a@127.0.0.1", port);
      expect(seen).toMatchObject({
        code: 0,
        probe: {
          ...{ result: "node", name: "a@127.0.0.1", version: 6, hidden: false, status: "ok" },
          flags: expect.arrayContaining(["PUBLISHED", "HANDSHAKE_23"]),
          release: { 23: "OTP 23", 29: "OTP 29 or newer" }[release] ?? "OTP 25, 26 or 27",
        },
      });
      expect(await vm.eval("erlang:system_info(creation)")).toBe(String(seen.probe.creation));
      // Many at once and one after the other, some of them under one name.
      const crowd = await Promise.all(Array.from({ length: 4 }, () => probe("a@127.0.0.1", port)));
      expect(crowd.map(({ probe: { result } }) => result)).toEqual(Array(4).fill("node"));

      const after = () => vm.eval("{erlang:system_info(process_count), length(erlang:ports())}");
      await waitFor(async () => (await after()) === before, { what: "the VM to be as it was" });
      expect(await vm.eval(SEEN)).toBe("[]");
      expect(await vm.eval("nodes([visible, hidden, connected])")).toBe("[]");
      expect(await vm.eval("ets:info(sys_dist, size)")).toBe("0");
      expect((await probe("b@127.0.0.1", port)).code).toBe(1);
      await vm.kill();
    });
  });
}

requirePeer("erl")("the machine's own VM", () => {
  test("is told from another node of its machine, and a hidden one from one that shows itself", async () => {
    const port = await freePort();
    const vm = await startOn(port, { args: ["-hidden"] });
    expect(await probe("b@127.0.0.1", port)).toMatchObject({
      code: 1,
      probe: { result: "other-node", name: "a@127.0.0.1", hidden: true },
    });
    await vm.kill();
  });

  test("that takes only nodes it knows says so, and nothing else", async () => {
    const port = await freePort();
    const vm = await startOn(port);
    await vm.eval("net_kernel:allow(['friend@127.0.0.1'])");
    expect(await probe("a@127.0.0.1", port)).toMatchObject({
      code: 0,
      probe: { result: "erlang", status: "not_allowed" },
    });
    await vm.kill();
  });

  test("over IPv6 is found there", async () => {
    const port = await freePort();
    const vm = await startOn(port, { name: "a@::1", args: ["-proto_dist", "inet6_tcp"] }).catch(() => undefined);
    const named = vm ?? (await startOn(port, { sname: "a@localhost", args: ["-proto_dist", "inet6_tcp"] }));
    const name = (await named.eval("node()")).replaceAll("'", "");
    expect((await probe("a@h.test", port, "::1")).probe).toMatchObject({ result: "other-node", name });
    await named.kill();
  });

  test("that hangs takes the connection and says nothing", async () => {
    const port = await freePort();
    const vm = await startOn(port);
    vm.child.signal("SIGSTOP");
    const args = ["resolve", "a@127.0.0.1", "--node", `a@127.0.0.1=127.0.0.1:${port}`, "--probe", "--timeout", "500ms"];
    const { code, stdout } = await runCli(args);
    expect(stdout).toContain("accepts the connection and sends nothing: no Erlang node, or one that does not respond");
    expect(code).toBe(1);
    await vm.kill();
  });
});

requirePeer("openssl", "erl")("a VM with -proto_dist inet_tls", () => {
  let certificates: Certificates;
  let pair: KeyPair;
  beforeAll(async () => {
    certificates = await createCertificates();
    pair = await certificates.issue("node.test", "DNS:node.test");
  });
  afterAll(() => certificates.remove());

  const startTls = async (port: number, further: string, otp = findOtp(25), epmdPort?: number) => {
    const file = join(await temporaryFolder("tls-dist"), "ssl_dist.conf");
    await writeFile(file, `[{server, [{certfile, "${pair.cert}"}, {keyfile, "${pair.key}"}${further}]}].\n`);
    const args = ["-proto_dist", "inet_tls", "-ssl_dist_optfile", file];
    return startOn(port, { args, ...(otp && { otp }), ...(epmdPort !== undefined && { epmdPort }) });
  };

  test.each([23, 25, 27, 29])(
    "of OTP %i is asked inside TLS, and the certificate's names are told",
    async (release) => {
      const otp = findOtp(release);
      if (!otp) return;
      const port = await freePort();
      const vm = await startTls(port, "", otp);
      expect(await probe("a@127.0.0.1", port)).toMatchObject({
        code: 0,
        probe: { result: "node", name: "a@127.0.0.1", tls: { names: ["node.test"] } },
      });
      expect(await vm.nodes()).toEqual([]);
      await vm.kill();
    },
  );

  test("is one VM at two places, and two are two where their creation and name are one", async () => {
    await tellsVmsApart((port, epmdPort) => startTls(port, "", findOtp(25), epmdPort));
  });

  test("that wants a client certificate is told from one without TLS", async () => {
    const port = await freePort();
    const verify = `, {cacertfile, "${certificates.ca}"}, {verify, verify_peer}, {fail_if_no_peer_cert, true}`;
    const vm = await startTls(port, verify);
    expect((await probe("a@127.0.0.1", port)).probe).toMatchObject({ result: "tls" });
    await vm.kill();
  });
});

requirePeer("ei", "epmd")("a C node", () => {
  test("is a hidden node", async () => {
    const epmdPort = await freePort();
    await startStockEpmd(epmdPort);
    const program = await buildCNode(C_NODE, join(await temporaryFolder("c-node"), "c-node"));
    const port = await freePort();
    const env = { ...process.env, ERL_EPMD_PORT: String(epmdPort) };
    const child = startChild(program, ["c@127.0.0.1", "abc", "--publish", String(port)], { env });
    await child.waitForOutput(/published/);
    expect((await probe("c@127.0.0.1", port)).probe).toMatchObject({ result: "node", hidden: true, version: 6 });
  });
});

describe("srv-epmd resolve --via", () => {
  const via = async (name: string, port: number, ...args: readonly string[]) => {
    const { code, stdout } = await runCli(["resolve", name, "--via", `127.0.0.1:${port}`, "--json", ...args]);
    return { code, report: JSON.parse(stdout) };
  };

  requirePeer("erl", "epmd")("and the stock EPMD", () => {
    test("gives what it has registered, and the probe says that it is the node", async () => {
      const epmdPort = await freePort();
      await startStockEpmd(epmdPort);
      const vm = await startNode({ name: "a@127.0.0.1", epmdPort });
      const { code, report } = await via("a@127.0.0.1", epmdPort, "--probe");
      expect(report).toMatchObject({
        ...{ outcome: "found", source: "epmd" },
        endpoints: [{ address: "127.0.0.1", probe: { result: "node", name: "a@127.0.0.1" } }],
        via: { kind: "stock", stockVm: `127.0.0.1:${report.endpoints[0].port}` },
      });
      expect(code).toBe(0);
      expect(await via("b@127.0.0.1", epmdPort)).toMatchObject({ code: 1, report: { via: { stockVm: null } } });
      await vm.kill();
    });
  });

  requirePeer("erl", "consul")("and a srv-epmd", () => {
    test("gives the endpoints that the module gets, and its reasons", async () => {
      const consul = await startConsul();
      const dns = ["--dns", `127.0.0.1:${consul.dnsPort}`, "--consul", consul.url];
      const daemon = await startDaemon({ args: ["--domain", "svc", ...dns] });
      const vm = await startNode({ name: "a@svc.service.consul", epmdPort: daemon.port });
      await daemon.waitForLog(({ msg }) => msg === "published", "the node in Consul");
      const { report } = await via("a@svc", daemon.port, "--probe");
      expect(report).toMatchObject({
        ...{ node: "a@svc.service.consul", outcome: "found" },
        endpoints: [{ probe: { result: "node", name: "a@svc.service.consul" } }],
        via: { kind: "srv-epmd", stockVm: expect.stringMatching(/^127\.0\.0\.1:/) },
      });
      expect(await via("b@svc", daemon.port)).toMatchObject({
        code: 1,
        report: { outcome: "not-found", reason: expect.stringContaining("b.svc.service.consul has no SRV record") },
      });

      const cluster = await runCli(["names", "--cluster", "--match", "*@svc", "--consul", consul.url, "--json"]);
      expect(JSON.parse(cluster.stdout).nodes).toMatchObject([
        { node: "a@svc.service.consul", health: "passing", age: expect.any(Number), machine: "test-agent" },
      ]);
      await vm.kill();
      await daemon.stop();
      await consul.stop();
    });
  });
});

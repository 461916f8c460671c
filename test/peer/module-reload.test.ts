import { afterEach, beforeAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import type { ErlangNode } from "../support/erlang.js";
import { findOtp } from "../support/otp.js";
import { type Peer, requirePeer } from "../support/require-peer.js";
import { runCli } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const RELEASES = [23, 25, 27, 29] as const;
const SILENT_PORT = 20777;

/** As an upgrade of a release does: whoever is in old code when it is purged is killed. */
const LOAD_AND_PURGE_TWICE = `
  {Module, Code, File} = code:get_object_code(srv_epmd),
  [begin code:purge(Module), {module, Module} = code:load_binary(Module, File, Code), code:purge(Module) end || _ <- [1, 2]],
  {file, File} = code:is_loaded(Module), ok`;
/** The processes of the module: the connector, and the one that says with whom the node is linked. */
const KILL_BOTH = `
  [_, _] = Ours = [Pid || Pid <- processes(), element(1, proc_lib:translate_initial_call(Pid)) =:= srv_epmd],
  [exit(Pid, kill) || Pid <- Ours], ok`;
/** Processes that wait for an answer of the srv-epmd. */
const WAITING = `
  length([Pid || Pid <- processes(), {_, Stack} <- [process_info(Pid, current_stacktrace)],
    lists:any(fun(Call) -> element(1, Call) =:= srv_epmd end, Stack)])`;
/** A process that waits for net_kernel's answer. */
const KILL_ATTEMPT = `
  Kernel = whereis(net_kernel),
  [Attempt] = [Pid || Pid <- processes(), Pid =/= self(),
    [{current_function, {gen, do_call, _}}, {monitors, [{process, Kernel}]}] <- [process_info(Pid, [current_function, monitors])]],
  exit(Attempt, kill)`;
/** Takes connections and says nothing; tells of each connection, or of what it is sent. */
const listen = (address: string, port: number) =>
  `require("node:net").createServer((socket) => {
     console.log("connected");
     socket.on("error", () => {}).on("data", () => console.log("asked"));
   }).listen(${port}, "${address}", () => console.log("listening"))`;

/** What a node says of its own accord, such as the report of a crash. */
const words = ({ child }: ErlangNode) => child.stdout().replaceAll(/^(@@.*)?\n/gm, "") + child.stderr();

requirePeer(
  "erl",
  "erlc",
  "consul",
  "netns",
)("when the module is loaded again and purged, or a process of it is killed", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3, daemons: 2 });
    for (const index of [0, 1]) {
      // OTP 23 resolves the host part itself; it dials what the module says.
      await cluster.host(index).setHosts([`10.90.0.${index + 1} box${index + 1} ${HOST}`]);
    }
  });
  afterEach(() => cluster.killNodes());

  for (const release of RELEASES) {
    const peers: Peer[] = [`otp${release}`];
    requirePeer(...peers)(`on OTP ${release}`, () => {
      test("a node with SRV_EPMD_CONNECT goes on connecting", async () => {
        const otp = findOtp(release);
        const start = (index: number, of: string, env: NodeJS.ProcessEnv = {}) =>
          cluster.node(index, `${of}${release}`, { env, ...(otp && { otp }) });
        const a = await start(0, "a", { SRV_EPMD_CONNECT: `*${release}@${HOST}` });
        const waitForLink = (of: string) =>
          waitFor(async () => (await a.nodes()).includes(fullName(`${of}${release}`)), { what: `a link to ${of}` });

        expect(await a.eval(LOAD_AND_PURGE_TWICE)).toBe("ok");
        await start(1, "purged");
        await waitForLink("purged");
        expect(words(a)).toBe("");

        await a.eval(KILL_BOTH);
        await start(1, "killed");
        await waitForLink("killed");
      });
    });
  }

  test.each([
    ["its srv-epmd's answer", `*@${HOST}`, 1],
    ["its srv-epmd's answers for two patterns", `*@${HOST},x*@${HOST}`, 3],
  ])("a node that waits for %s meanwhile goes on connecting", async (_, patterns, processes) => {
    // A node of the test before in the list would be looked up, and that look-up be waited for, too.
    const listed = async () => (await runCli(["names", "--match", "*@svc"], { netns: cluster.host(0) })).stdout;
    await waitFor(async () => /: 0 names$/m.test(await listed()), { what: "an empty list" });
    const a = await cluster.node(0, "a", { env: { SRV_EPMD_CONNECT: patterns } });
    cluster.daemon(0).child.signal("SIGSTOP");
    try {
      await waitFor(async () => Number(await a.eval(WAITING)) === processes, { what: "a question" });
      expect(await a.eval(LOAD_AND_PURGE_TWICE)).toBe("ok");
    } finally {
      cluster.daemon(0).child.signal("SIGCONT");
    }
    await cluster.node(1, "b");
    await waitFor(async () => (await a.nodes()).includes(fullName("b")), { what: "a link to b" });
    expect(words(a)).toBe("");
  });

  test("an attempt that was killed is made again", async () => {
    const silent = startChild(process.execPath, ["-e", listen("10.90.0.2", SILENT_PORT)], { netns: cluster.host(1) });
    await silent.waitForOutput(/listening/);
    const entry = { ID: "silent", Name: "svc", Tags: ["silent"], Address: "10.90.0.2", Port: SILENT_PORT };
    await cluster.consul.request("PUT", "/v1/agent/service/register", entry);
    const args = ["-kernel", "net_setuptime", "2"];
    const a = await cluster.node(0, "a", { args, env: { SRV_EPMD_CONNECT: `silent@${HOST}` } });
    await silent.waitForOutput(/connected/);
    await a.eval(KILL_ATTEMPT);
    await silent.waitForOutput(/connected\s+asked\s+connected/);
    await cluster.consul.request("PUT", "/v1/agent/service/deregister/silent");
    await silent.stop();
  });

  test("a node whose srv-epmd elsewhere is silent lives on, and registers when that is back", async () => {
    const serve = () => cluster.serve(2, "--listen", "10.90.0.3", "--allow", "10.90.0.1/32");
    const daemon = await serve();
    const remote = await cluster.node(0, "remote", { env: { SRV_EPMD_ADDRESS: "10.90.0.3" } });
    await daemon.kill();
    const silent = startChild(process.execPath, ["-e", listen("10.90.0.3", 4369)], { netns: cluster.host(2) });
    await silent.waitForOutput(/asked/);
    expect(await remote.eval(LOAD_AND_PURGE_TWICE)).toBe("ok");
    await silent.stop();
    const back = await serve();
    await back.waitForLog(({ msg, node }) => msg === "node registered" && node === "remote", "its return");
    expect(remote.child.hasExited()).toBe(false);
    await back.stop();
  });
});

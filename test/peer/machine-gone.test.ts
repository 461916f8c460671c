import { beforeEach, expect, test } from "vitest";
import { epmdNames } from "../support/epmd.js";
import { type ErlangNode, type NodeOptions, startNode } from "../support/erlang.js";
import { moduleFolder } from "../support/module-folder.js";
import { createHosts, type Host } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, type LogLine, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

const OWN = "10.90.0.1";
const THERE = "10.90.0.2";

requirePeer(
  "erl",
  "erlc",
  "netns",
)("a node that has registered from another machine, which then loses its power", () => {
  let here: Host;
  let machine: Host;
  /** With the same address, started when that one has gone. */
  let successor: Host;
  let daemon: Daemon;

  beforeEach(async () => {
    const addresses = [`${THERE}/24`];
    const { hosts } = await createHosts([{ addresses: [`${OWN}/24`] }, { addresses }, { addresses }]);
    [here, machine, successor] = hosts as [Host, Host, Host];
    await successor.run("ip", "link", "set", "eth0", "down");
  });

  const serve = async (...args: string[]) => {
    const flags = ["--listen", OWN, "--allow", THERE, "--domain", "svc", "--register", "none", ...args];
    daemon = await startDaemon({ port: 4369, netns: here, args: flags });
  };
  const node = async (netns: Host, env: NodeOptions["env"] = {}): Promise<ErlangNode> => {
    const args = ["-pa", await moduleFolder(), "-epmd_module", "srv_epmd"];
    return startNode({ name: "far@svc.service.consul", netns, args, env: { SRV_EPMD_ADDRESS: OWN, ...env } });
  };
  const isRegistered = async () => (await epmdNames(4369, here)).stdout.includes("name far at");
  /** Nothing of what its kernel sends arrives any more. */
  const losePower = () => machine.run("ip", "link", "set", "eth0", "down");
  const comeBack = async () => {
    await successor.run("ip", "link", "set", "eth0", "up");
    await here.run("ip", "neigh", "flush", "dev", "eth0");
  };
  const logged = (text: string) => daemon.waitForLog(({ msg }: LogLine) => msg?.includes(text) ?? false, text);

  test("is gone with --keep-alive and 10 s, not after hours", async () => {
    await serve("--keep-alive", "1s");
    await node(machine);
    expect(await isRegistered()).toBe(true);
    await losePower();
    await waitFor(async () => !(await isRegistered()), { what: "the end of its registration", timeout: 20_000 });
    await logged("node gone");
  });

  test("gets its name when it comes back before that, for nothing listens where it did", async () => {
    await serve();
    await node(machine);
    await losePower();
    await comeBack();
    const again = await node(successor);
    expect(await again.eval("node()")).toBe("'far@svc.service.consul'");
    expect((await logged("replaces the holder")).msg).toContain("nothing listens at the holder's port");
    expect(await isRegistered()).toBe(true);
  });

  test("gets its name when it comes back before that and listens on the same port as before", async () => {
    await serve();
    const env = { ERL_DIST_PORT: "9101" };
    await node(machine, env);
    await losePower();
    await comeBack();
    await node(successor, env);
    expect((await logged("replaces the holder")).msg).toContain("the node has come back");
    expect((await epmdNames(4369, here)).stdout).toContain("name far at port 9101");
  });

  test("keeps its name from a second VM beside it as long as it lives", async () => {
    await serve();
    await node(machine);
    await expect(node(machine)).rejects.toThrow("seems to be in use by another Erlang node");
    expect(await isRegistered()).toBe(true);
  });
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { type Place, run } from "../support/child.js";
import { cleanEnvironment } from "../support/environment.js";
import { epmdNames, runEpmd } from "../support/epmd.js";
import {
  type ErlangNode,
  erlCall,
  type NodeOptions,
  startElixirNode,
  startNode,
  waitForNodes,
} from "../support/erlang.js";
import { freePort } from "../support/free-port.js";
import { createHosts, type Host, type Hosts } from "../support/netns.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

// Stock VMs and tools with `srv-epmd serve` where they expect epmd.

const INET6 = ["-proto_dist", "inet6_tcp"];
const listed = async (port: number, netns?: Place) =>
  Array.from((await epmdNames(port, netns)).stdout.matchAll(/^name (\S+) at port/gm), ([, name = ""]) => name).sort();

requirePeer(
  "erl",
  "epmd",
  "erl_call",
  "elixir",
)("on one machine", () => {
  test.concurrent("nodes reach each other, and stock tools work: epmd -names, -dump, -kill, -stop, erl_call", async () => {
    const { port: epmdPort, child } = await startDaemon();
    const [a, b, hidden, elixir] = await Promise.all([
      startNode({ name: "a@127.0.0.1", epmdPort }),
      startNode({ name: "b@127.0.0.1", epmdPort }),
      startNode({ name: "hidden@127.0.0.1", epmdPort, args: ["-hidden"] }),
      startElixirNode({ name: "elixir@127.0.0.1", epmdPort }),
    ]);
    expect(await a.ping("b@127.0.0.1")).toBe("pong");
    expect(await hidden.ping("a@127.0.0.1")).toBe("pong");
    expect(await b.ping("hidden@127.0.0.1")).toBe("pong");
    expect(await elixir.ping("a@127.0.0.1")).toBe("pong");
    await waitForNodes(elixir, "a@127.0.0.1", "b@127.0.0.1");

    const pinged = performance.now();
    expect(await a.ping("nobody@127.0.0.1")).toBe("pang");
    expect(performance.now() - pinged).toBeLessThan(3500);

    const names = await a.eval("{ok, Names} = net_adm:names('127.0.0.1'), lists:sort([Name || {Name, _} <- Names])");
    expect(names).toBe('["a","b","elixir","hidden"]');
    expect((await runEpmd(epmdPort, ["-names"])).stdout).toMatch(
      new RegExp(`^epmd: up and running on port ${epmdPort} with data:\n(name (a|b|elixir|hidden) at port \\d+\n){4}$`),
    );
    expect((await runEpmd(epmdPort, ["-dump"])).stdout).toMatch(/active name {5}<a> at port \d+, fd = -1\n\0/);
    expect(await runEpmd(epmdPort, ["-kill"])).toMatchObject({
      code: 1,
      stdout: "Killing not allowed - living nodes in database.\n",
    });
    expect((await runEpmd(epmdPort, ["-stop", "a"])).stdout).toBe("epmd: local epmd responded with <>\n");
    expect((await runEpmd(epmdPort, ["-started"])).code).toBe(0);
    expect(child.hasExited()).toBe(false);
    expect(await listed(epmdPort)).toEqual(["a", "b", "elixir", "hidden"]);

    const called = await erlCall({ name: "b@127.0.0.1", epmdPort, args: ["-a", "erlang node"] });
    expect(called).toMatchObject({ code: 0, stdout: "'b@127.0.0.1'" });

    await expect(startNode({ name: "a@127.0.0.1", epmdPort })).rejects.toThrow(
      /the name a@127\.0\.0\.1 seems to be in use by another Erlang node/,
    );
    await a.kill();
    await waitFor(async () => !(await listed(epmdPort)).includes("a"), { what: "a to be gone" });
    const again = await startNode({ name: "a@127.0.0.1", epmdPort });
    expect(await again.ping("b@127.0.0.1")).toBe("pong");
  });

  test.concurrent("nodes with short names are found by ping, erl_call and the host name's EPMD", async () => {
    const { port: epmdPort } = await startDaemon();
    const [a, elixir] = await Promise.all([
      startNode({ sname: "a@localhost", epmdPort }),
      startElixirNode({ sname: "e@localhost", epmdPort }),
    ]);
    expect(await a.ping("e@localhost")).toBe("pong");
    expect(await elixir.nodes()).toContain("a@localhost");
    const called = await erlCall({ sname: "a@localhost", epmdPort, args: ["-a", "erlang node"] });
    expect(called).toMatchObject({ code: 0, stdout: "a@localhost" });
  });

  test.concurrent.each(["SIGTERM", "SIGKILL"] as const)(
    "after the daemon's %s nodes come back to its successor within 3 s, and new connections work",
    async (signal) => {
      const epmdPort = await freePort();
      const first = await startDaemon({ port: epmdPort });
      const [a, b] = await Promise.all([
        startNode({ name: "a@127.0.0.1", epmdPort }),
        startNode({ name: "b@127.0.0.1", epmdPort }),
      ]);
      await first.stop(signal);
      expect(await a.ping("b@127.0.0.1")).toBe("pang");
      const second = await startDaemon({ port: epmdPort });
      const isBack = async () => (await listed(epmdPort)).join(" ") === "a b";
      await waitFor(isBack, { what: "both nodes to be registered again", timeout: 3000 });
      expect(await a.ping("b@127.0.0.1")).toBe("pong");
      const third = await startNode({ name: "c@127.0.0.1", epmdPort });
      expect(await third.ping("a@127.0.0.1")).toBe("pong");
      await Promise.all([a, b, third].map((node) => node.kill()));
      await second.stop();
    },
  );
});

/** A machine whose name its own /etc/hosts maps to these addresses. */
const machine = (hostname: string, index: number, lines: readonly string[]) => ({
  addresses: [`10.91.0.${index}/24`, `fd91::${index}/64`],
  hostname,
  hosts: lines,
});

requirePeer(
  "netns",
  "erl",
  "epmd",
  "erl_call",
  "elixir",
)("on a machine with a host name of its own", () => {
  let made: Hosts;
  const daemons: Daemon[] = [];
  const host = (index: number): Host => {
    const found = made.hosts[index];
    if (!found) throw new Error(`no host ${index}`);
    return found;
  };
  beforeAll(async () => {
    made = await createHosts([
      machine("debian", 1, ["127.0.1.1 debian.test debian"]),
      machine("addressed", 2, ["10.91.0.2 addressed.test addressed", "fd91::2 six.test six"]),
      machine("six", 3, ["fd91::3 six.test six"]),
    ]);
    daemons.push(...(await Promise.all(made.hosts.map((netns) => startDaemon({ netns, port: 4369 })))));
  });
  afterAll(async () => {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    await made.remove();
  });

  /** Two nodes that find each other through the EPMD at the address of their host part. */
  async function pair(netns: Host, kind: "name" | "sname", suffix: string, options: Partial<NodeOptions> = {}) {
    const start = (name: string): Promise<ErlangNode> => startNode({ [kind]: name + suffix, netns, ...options });
    const [a, b] = await Promise.all([start("a"), start("b")]);
    expect(await a.ping(`b${suffix === "" ? `@${await hostPart(a)}` : suffix}`)).toBe("pong");
    return { a, b, end: () => Promise.all([a.kill(), b.kill()]) };
  }
  const hostPart = async (node: ErlangNode) => /@([^']+)/.exec(await node.eval("node()"))?.[1] ?? "";
  const gone = async (netns: Host) =>
    waitFor(async () => (await listed(4369, netns)).length === 0, { what: "all names to be gone" });

  test("short names work where the host name is 127.0.1.1, as Debian has it", async () => {
    // Not told otherwise, erl runs `epmd -daemon` first: it finds the port taken and ends without a word.
    const { a, end } = await pair(host(0), "sname", "", { args: ["-start_epmd", "true"] });
    expect(await a.eval("node()")).toBe("a@debian");
    expect(await a.eval("{ok, Names} = net_adm:names(), lists:sort([Name || {Name, _} <- Names])")).toBe('["a","b"]');
    const called = await erlCall({ sname: "b", netns: host(0), args: ["-a", "erlang node"] });
    expect(called).toMatchObject({ code: 0, stdout: "b@debian" });
    const elixir = await startElixirNode({ sname: "e", netns: host(0) });
    expect(await elixir.ping("a@debian")).toBe("pong");
    await elixir.kill();
    await end();
    await gone(host(0));
  });

  test("long names work there too", async () => {
    const { a, end } = await pair(host(0), "name", "@debian.test");
    expect(await a.ping("nobody@debian.test")).toBe("pang");
    await end();
    await gone(host(0));
  });

  test("short and long names work where the host name is the machine's own address", async () => {
    const { a, end } = await pair(host(1), "sname", "");
    expect(await a.eval("{ok, Names} = net_adm:names(), length(Names)")).toBe("2");
    await end();
    await gone(host(1));
    const { end: endLong } = await pair(host(1), "name", "@addressed.test");
    await endLong();
    await gone(host(1));
  });

  test("inet6 nodes work, with short and long names", async () => {
    const { end } = await pair(host(2), "sname", "", { args: INET6 });
    await end();
    await gone(host(2));
    const { a, end: endLong } = await pair(host(2), "name", "@six.test", { args: INET6 });
    expect(await a.ping("nobody@six.test")).toBe("pang");
    await endLong();
  });

  test("a stranger's VM is told nothing where --listen names no address", async () => {
    const node = await startNode({ sname: "shy", netns: host(1) });
    const other = await startNode({ name: "other@10.91.0.1", netns: host(0) });
    const pinged = performance.now();
    expect(await other.ping("shy@10.91.0.2")).toBe("pang");
    expect(performance.now() - pinged).toBeLessThan(3500);
    expect(await other.eval("net_adm:names({10,91,0,2})")).toMatch(/^\{error,address\}$|^\{ok,\[\]\}$/);
    await Promise.all([node.kill(), other.kill()]);
  });

  test("srv-epmd in place of epmd on two machines: nodes reach each other across them", async () => {
    const [first, second] = await Promise.all([
      startDaemon({ netns: host(0), port: 4400, args: ["--listen", "10.91.0.1", "--listen", "fd91::1"] }),
      startDaemon({ netns: host(1), port: 4400, args: ["--listen", "10.91.0.2", "--listen", "fd91::2"] }),
    ]);
    const [a, b] = await Promise.all([
      startNode({ name: "a@10.91.0.1", netns: host(0), epmdPort: 4400 }),
      startNode({ name: "b@10.91.0.2", netns: host(1), epmdPort: 4400 }),
    ]);
    expect(await a.ping("b@10.91.0.2")).toBe("pong");
    expect(await b.nodes()).toEqual(["a@10.91.0.1"]);
    await Promise.all([a.kill(), b.kill()]);
    await Promise.all([first.stop(), second.stop()]);
  });

  test("a daemon that has the port keeps stock epmd out, and answers its commands", async () => {
    const env = cleanEnvironment();
    expect(await run("epmd", ["-daemon"], { netns: host(0), env })).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await run("epmd", ["-names"], { netns: host(0), env })).toMatchObject({
      code: 0,
      stdout: "epmd: up and running on port 4369 with data:\n",
    });
  });
});

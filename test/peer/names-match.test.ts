import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { epmdNames, startStockEpmd } from "../support/epmd.js";
import { freePort } from "../support/free-port.js";
import { ask, type RawClient, type RawOptions, rawNode, request } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { type Daemon, runCli, startDaemon } from "../support/srv-epmd.js";
import { waitFor } from "../support/wait-for.js";

/** Milliseconds between a change of one daemon's nodes and the answer of another. */
const LIMIT = 200;

/** The lines behind the four bytes of the port. */
async function lines(daemon: Daemon, pattern: string, options: RawOptions = {}): Promise<string[]> {
  const answer = await ask(daemon.port, request("n", pattern), options);
  expect(answer.readUInt32BE(0)).toBe(daemon.port);
  return answer.subarray(4).toString().split("\n").slice(0, -1);
}

const ownAddress = Object.values(networkInterfaces())
  .flat()
  .find((entry) => entry?.family === "IPv4" && !entry.internal)?.address;

requirePeer("consul")("NAMES with a pattern", () => {
  let consul: Consul;
  /** Publishes under two services. */
  let here: Daemon;
  /** Publishes nothing, and yet knows what there is. */
  let onlooker: Daemon;
  let nodes: RawClient[];

  const register = (name: string, port: number) => rawNode(here.port, { name, port });
  const becomes = async (expected: readonly string[], pattern = "*@one.service.consul") => {
    const since = performance.now();
    await waitFor(async () => (await lines(onlooker, pattern)).join() === expected.join(), {
      what: `[${expected}]`,
      interval: 1,
    });
    return Math.round(performance.now() - since);
  };

  beforeAll(async () => {
    consul = await startConsul();
    const agent = ["--consul", consul.url];
    [here, onlooker] = await Promise.all([
      startDaemon({
        args: [...agent, "--domain", "a_*=one", "--domain", "*=two", "--instance", "here", "--listen", "127.0.0.1"],
      }),
      startDaemon({ args: [...agent, "--register", "none"] }),
    ]);
    nodes = [await register("a_2", 20002), await register("a_1", 20001), await register("b_1", 20011)];
    await becomes(["name a_1@one.service.consul at port 20001", "name a_2@one.service.consul at port 20002"]);
    await becomes(["name b_1@two.service.consul at port 20011"], "*@two");
  });
  afterAll(async () => {
    for (const node of nodes) node.reset();
    await Promise.all([here.stop(), onlooker.stop()]);
    await consul.stop();
  });

  test("lists the matching nodes of a service, sorted, on whatever machine they live", async () => {
    expect(await lines(onlooker, "a_?@one")).toEqual([
      "name a_1@one.service.consul at port 20001",
      "name a_2@one.service.consul at port 20002",
    ]);
    expect(await lines(onlooker, "*_1@one.service.dc1.consul")).toEqual(["name a_1@one.service.consul at port 20001"]);
    expect(await lines(onlooker, "b_*@one")).toEqual([]);
    expect(await lines(onlooker, "*@none")).toEqual([]);
  });

  test("lists a node once, with its own daemon as with another", async () => {
    expect(await lines(here, "a_*@one")).toEqual(await lines(onlooker, "a_*@one"));
  });

  test("knows a node within 200 ms of its registration, and of its end", async () => {
    const before = await lines(onlooker, "*@one");
    const after = [...before, "name a_9@one.service.consul at port 20009"];
    const appeared: number[] = [];
    const vanished: number[] = [];
    // Other tests use the machine too: the quickest of some tries tells how long it takes.
    for (let tries = 0; tries < 10 && !(Math.min(...appeared) < LIMIT && Math.min(...vanished) < LIMIT); tries++) {
      const node = await register("a_9", 20009);
      appeared.push(await becomes(after));
      node.reset();
      vanished.push(await becomes(before));
    }
    expect(Math.min(...appeared), `from registration: ${appeared.join(", ")} ms`).toBeLessThan(LIMIT);
    expect(Math.min(...vanished), `from its end: ${vanished.join(", ")} ms`).toBeLessThan(LIMIT);
  });

  test("names instances that others registered by their tags", async () => {
    const service = { Name: "three", ID: "n1", Port: 9100, Tags: ["n1", "with.dot"] };
    await consul.request("PUT", "/v1/agent/service/register", service);
    await becomes(["name n1@three.service.consul at port 9100"], "*@three");
  });

  test("takes no instance for a list of nodes, nor its word for a host elsewhere", async () => {
    const register = (ID: string, more: object) =>
      consul.request("PUT", "/v1/agent/service/register", { Name: "four", ID, Port: 9100, ...more });
    const tags = (round: number) => Array.from({ length: 200 }, (_, index) => `x${round}-${index}`);
    await register("elsewhere", { Meta: { "erlang-node": "n2@evil.example" }, Tags: ["n2"] });
    for (const round of [1, 2, 3]) await register("flood", { Tags: tags(round) });
    await register("its own", { Meta: { "erlang-node": "n3@10.1.2.3" }, Address: "10.1.2.3" });
    await register("last", { Tags: ["n1"] });
    await becomes(["name n1@four.service.consul at port 9100", "name n3@10.1.2.3 at port 9100"], "*@four");
  });

  test("of a host that neither Consul nor a zone knows is answered with the nodes alive here", async () => {
    expect(await lines(here, "b_*@127.0.0.1")).toEqual(["name b_1@127.0.0.1 at port 20011"]);
    expect(await lines(here, "*@elsewhere.example")).toEqual([]);
  });

  test.skipIf(ownAddress === undefined)("is for a stranger what it is for stock EPMD: NAMES", async () => {
    const stranger = { localAddress: ownAddress };
    expect(await lines(here, "*@one", stranger)).toEqual(await lines(here, "", stranger));
    expect(await lines(here, "*@one", stranger)).toContain("name b_1 at port 20011");
  });

  test("leaves plain NAMES alone, and what is no pattern is plain NAMES", async () => {
    const plain = ["name b_1 at port 20011", "name a_1 at port 20001", "name a_2 at port 20002"];
    expect(await lines(here, "")).toEqual(plain);
    expect(await lines(here, "a_*")).toEqual(plain);
    expect(await lines(here, "*@.")).toEqual(plain);
    expect(await lines(onlooker, "")).toEqual([]);
  });

  test("srv-epmd names --match prints them", async () => {
    const at = `127.0.0.1:${onlooker.port}`;
    const { stdout, code } = await runCli(["names", "--match", "a_*@one", at]);
    expect(stdout).toBe(
      `EPMD at ${at}: 2 names\n  a_1@one.service.consul  port 20001\n  a_2@one.service.consul  port 20002\n`,
    );
    expect(code).toBe(0);
    const json = await runCli(["names", "--match", "a_1@one", at, "--json"]);
    expect(JSON.parse(json.stdout)).toEqual({
      epmd: at,
      port: onlooker.port,
      names: [{ name: "a_1@one.service.consul", port: 20001 }],
    });
    expect(await runCli(["names", "--match", "x*@one", at])).toMatchObject({
      code: 0,
      stdout: `EPMD at ${at}: 0 names\n`,
    });
  });
});

requirePeer("epmd")("patterns and stock EPMD", () => {
  test("stock epmd -names lists what it always did", async () => {
    const daemon = await startDaemon({ args: ["--domain", "demo.test", "--dns-listen", "127.0.0.1:0"] });
    await rawNode(daemon.port, { name: "a", port: 20001 });
    const { stdout } = await epmdNames(daemon.port);
    expect(stdout).toBe(`epmd: up and running on port ${daemon.port} with data:\nname a at port 20001\n`);
    await daemon.stop();
  });

  test("a daemon with a zone of its own answers from that, and asks no Consul", async () => {
    const nobody = await freePort();
    const daemon = await startDaemon({
      args: [...["--domain", "svc", "--dns-listen", "127.0.0.1:0", "--consul", `http://127.0.0.1:${nobody}`]],
    });
    await rawNode(daemon.port, { name: "a", port: 20001 });
    expect(await lines(daemon, "*@svc")).toEqual(["name a@svc.service.consul at port 20001"]);
    expect(daemon.log().filter(({ level }) => level === "warn")).toEqual([]);
    await daemon.stop();
  });

  test("without an agent the nodes alive here are the answer, and one warning tells so", async () => {
    const nobody = await freePort();
    const daemon = await startDaemon({
      args: ["--domain", "svc", "--register", "none", "--consul", `http://127.0.0.1:${nobody}`],
    });
    await rawNode(daemon.port, { name: "a", port: 20001 });
    for (let i = 0; i < 3; i++) {
      expect(await lines(daemon, "*@svc")).toEqual(["name a@svc.service.consul at port 20001"]);
    }
    // Another one tells that no name server knows Consul's domain.
    const warnings = daemon.log().filter(({ level, msg }) => level === "warn" && msg?.includes("Consul does"));
    expect(warnings.map(({ msg }) => msg)).toEqual([
      "Consul does not tell which nodes the service has: patterns get the nodes here",
    ]);
    expect((await daemon.stop()).code).toBe(0);
  });

  describe("srv-epmd names --match says with exit 3", () => {
    test.each([
      ["has nodes", true],
      ["has none", false],
    ])("that a stock EPMD which %s does not know patterns", async (_, hasNode) => {
      const port = await freePort();
      const epmd = await startStockEpmd(port);
      if (hasNode) await rawNode(port, { name: "a" });
      const { code, stdout, stderr } = await runCli(["names", "--match", "*@svc", `127.0.0.1:${port}`]);
      expect(stderr).toMatch(`the EPMD at 127.0.0.1:${port} does not know patterns: it is no srv-epmd`);
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      await epmd.kill();
    });
  });
});

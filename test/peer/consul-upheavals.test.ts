import { afterAll, beforeAll, expect, test } from "vitest";
import { type Consul, startConsul } from "../support/consul-agent.js";
import { useConsulParts } from "../support/consul-part.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

const startPart = useConsulParts();
const NAMES = Array.from({ length: 20 }, (_, index) => `node_${String(index).padStart(2, "0")}`);
const MOST_LINES = 10;

requirePeer("consul")("after an upheaval Consul holds exactly the live nodes, and the log says how it went", () => {
  let consul: Consul;

  beforeAll(async () => {
    consul = await startConsul();
  });
  afterAll(() => consul?.kill());

  /** `name:port` of what DNS answers. */
  const inCatalogue = async () => {
    const { body } = await consul.request("GET", "/v1/health/service/svc?passing=1");
    const entries = body as { Service: { Tags: string[]; Port: number } }[];
    return entries.map(({ Service }) => `${Service.Tags[0]}:${Service.Port}`).sort();
  };
  const holds = (names: readonly string[], ...ports: number[]) => {
    const expected = ports.flatMap((port) => names.map((name) => `${name}:${port}`)).sort();
    return waitFor(async () => (await inCatalogue()).join() === expected.join(), {
      what: `${expected.length} nodes`,
      timeout: 40_000,
    });
  };
  const startAll = async () => {
    const part = startPart(consul, { timings: { grace: 300 } });
    const nodes = NAMES.map((name) => part.up(name));
    await holds(NAMES, 20_001);
    await waitFor(() => part.messages().filter((message) => message === "published").length === NAMES.length, {
      what: "the lines of the start",
    });
    return { part, nodes, before: part.messages().length };
  };
  const isOver = (part: ReturnType<typeof startPart>) =>
    waitFor(() => part.registrar.status().every(({ published }) => published), { what: "all to be published" });
  /** Its end leaves nothing to the next test. */
  const end = async ({ part, nodes }: Awaited<ReturnType<typeof startAll>>) => {
    for (const node of nodes) part.registry.unregister(node);
    await part.stop();
    await holds([]);
  };

  test("the agent was away and has lost its state, and a VM has ended meanwhile", async () => {
    const all = await startAll();
    const { part, nodes, before } = all;
    const restarted = consul.restart();
    await waitFor(() => part.registrar.agent.trouble, { what: "the loss", timeout: 8_000 }).catch(() => undefined);
    part.registry.unregister(nodes[0] as NonNullable<(typeof nodes)[0]>);
    await restarted;
    await holds(NAMES.slice(1), 20_001);
    await isOver(part);
    await waitFor(() => part.messages().includes("published again"), { what: "the last line" });
    const told = part.messages().slice(before);
    expect(told.length).toBeLessThanOrEqual(MOST_LINES);
    expect(told.filter((message) => message === "published")).toEqual([]);
    await end(all);
  });

  test("an operator has deregistered them all", async () => {
    const all = await startAll();
    const { part, before } = all;
    for (const { id } of await part.client.services()) await part.client.deregister(id);
    await holds(NAMES, 20_001);
    await waitFor(() => part.messages().includes("published again"), { what: "the last line" });
    expect(part.messages().slice(before).length).toBeLessThanOrEqual(MOST_LINES);
    await end(all);
  });

  test("two daemons want the same ids", async () => {
    const all = await startAll();
    const { part, before } = all;
    const other = startPart(consul, { owner: "boot/2/4369" });
    const others = NAMES.map((name) => other.up(name, {}, 20_002));
    await holds(NAMES, 20_001, 20_002);
    await waitFor(() => other.messages("warn").length > 0, { what: "a line" });
    // Both say that there are two nodes of a name, of three names at most, and that there are more.
    const isOfTwo = (message: string) => /another node of the name|more names published here/.test(message);
    expect(
      part
        .messages()
        .slice(before)
        .filter((message) => !isOfTwo(message)),
    ).toEqual([]);
    // Each of its nodes is new, which is a line; that it had to take other ids is one for all of them.
    const told = other.messages().filter((message) => message !== "published");
    expect(told.filter((message) => !isOfTwo(message)).length).toBeLessThanOrEqual(2);
    for (const messages of [part.messages().slice(before), told]) {
      expect(messages.filter(isOfTwo).length).toBeLessThanOrEqual(4);
    }
    for (const node of others) other.registry.unregister(node);
    await other.stop();
    await holds(NAMES, 20_001);
    await end(all);
  });

  test("one daemon's entries are overwritten by another's, which saw the ids free", async () => {
    const all = await startAll();
    const { part, before } = all;
    for (const name of NAMES) {
      await consul.request("PUT", "/v1/agent/service/register", {
        ...{ ID: `srv-epmd:box1:${name}`, Name: "svc", Tags: [name], Port: 20_002 },
        Meta: { "erlang-node": `${name}@svc`, "erlang-dist-port": "20002", "srv-epmd-owner": "boot/2/4369" },
      });
    }
    await holds(NAMES, 20_001, 20_002);
    await isOver(part);
    expect(part.messages().slice(before).length).toBeLessThanOrEqual(MOST_LINES);
    for (const name of NAMES) {
      await consul.request("PUT", `/v1/agent/service/deregister/srv-epmd:box1:${name}`);
    }
    await end(all);
  }, 60_000);
});

import { beforeAll, expect, test } from "vitest";
import { type Cluster, fullName, startCluster } from "../support/cluster.js";
import { declareQueue, publish, type Rabbitmq, startRabbitmq, takeMessage } from "../support/rabbitmq.js";
import { registeredNames, watchTags } from "../support/registered-names.js";
import { requirePeer } from "../support/require-peer.js";
import { temporaryFolder } from "../support/temporary.js";
import { waitFor } from "../support/wait-for.js";
import { lostLinks, watchLinks } from "../support/watch-nodes.js";

/** Milliseconds. Brokers take five seconds to boot, three on two busy cores far longer. */
const BOOT = 300_000;
const TEST = 180_000;

const NAMES = ["n1", "n2", "n3"];
const PEERS = NAMES.map(fullName);

requirePeer(
  "rabbitmq",
  "erl_call",
  "consul",
  "netns",
)("RabbitMQ brokers on three machines, behind gateways", () => {
  let cluster: Cluster;
  let tags: ReturnType<typeof watchTags>;
  let brokers: [Rabbitmq, Rabbitmq, Rabbitmq];

  const start = (index: number, name: string, options: { readonly dir?: string; readonly peers?: string[] } = {}) =>
    startRabbitmq({ name: fullName(name), netns: cluster.host(index), timeout: BOOT, ...options });

  beforeAll(async () => {
    cluster = await startCluster({
      hosts: 3,
      way: "gateway",
      listen: true,
      args: ["--helpers", "ask"],
    });
    tags = watchTags(cluster);
    const dir3 = await temporaryFolder("n3");
    brokers = await Promise.all([
      start(0, "n1", { peers: PEERS }),
      start(1, "n2", { peers: PEERS }),
      start(2, "n3", { peers: PEERS, dir: dir3 }),
    ]);
    await declareQueue(brokers[0], "orders", "quorum");
    await declareQueue(brokers[1], "letters", "classic");
  }, BOOT);

  const each = <T>(ask: (broker: Rabbitmq) => Promise<T>) => Promise.all(brokers.map(ask));
  const three = <T>(value: T) => [value, value, value];
  const running = () => each(runningNodes);
  const partitions = () => each((broker) => broker.eval("rabbit_node_monitor:partitions()"));
  /** As rabbitmqctl of each machine lists them. Far below the 60 s after which it says that brokers did not answer. */
  const queues = () =>
    each(async (broker) => {
      const { stdout, stderr } = await broker.ctl("list_queues", "--silent", "--timeout", "10", "name", "type");
      return stdout.trim().split("\n").sort().join(" ") + stderr;
    });
  const QUEUES = "letters\tclassic orders\tquorum";
  /** The nodes have registered with a daemon that was started again. */
  const isBack = (index: number) =>
    cluster.daemon(index).waitForLog(({ msg, node }) => msg === "node registered" && node === NAMES[index], "its node");

  test("that start at once form a cluster from the list in rabbitmq.conf, each on a port of its own", async () => {
    expect(await running()).toEqual(three(PEERS));
    const ports = brokers.map(({ distPort }) => distPort);
    expect(new Set(ports).size).toBe(3);
    expect(await publishedPorts(cluster)).toEqual(ports);
  });

  test("share their queues: what is published on one is read on another", async () => {
    const [n1, n2, n3] = brokers;
    expect(await each((broker) => broker.eval("length(rabbit_amqqueue:list())"))).toEqual(three("2"));
    await publish(n1, "orders", "ordered");
    await publish(n2, "letters", "written");
    expect([await takeMessage(n3, "orders"), await takeMessage(n1, "letters")]).toEqual(["ordered", "written"]);
  });

  test(
    "answer rabbitmqctl on every machine",
    async () => {
      // The brokers elsewhere send their part of the list straight to the node of the tool.
      expect(await queues()).toEqual(three(QUEUES));
      const status = (command: string) =>
        each(async (broker) => {
          const { stdout, stderr } = await broker.ctl(command, "--formatter", "json", "--timeout", "10");
          expect(stderr).toBe("");
          return JSON.parse(stdout) as Record<string, unknown>;
        });
      for (const { running_nodes, partitions } of await status("cluster_status")) {
        expect([(running_nodes as string[]).sort(), partitions]).toEqual([PEERS, {}]);
      }
      for (const { rabbitmq_version } of await status("status")) expect(rabbitmq_version).toBe("3.10.8");
      const elsewhere = await brokers[0].ctl("status", "--node", fullName("n3"));
      expect(elsewhere.stdout, elsewhere.stderr).toMatch(/^Node name: n3@/m);
    },
    TEST,
  );

  test(
    "stay one cluster when their daemons are restarted one after the other, and when all are killed at once",
    async () => {
      await watchLinks(...brokers);
      for (const index of [0, 1, 2]) {
        await cluster.daemon(index).stop();
        await cluster.serve(index);
      }
      await Promise.all([0, 1, 2].map(isBack));
      expect(await queues()).toEqual(three(QUEUES));
      await Promise.all([0, 1, 2].map((index) => cluster.daemon(index).kill()));
      await Promise.all([0, 1, 2].map((index) => cluster.serve(index)));
      await Promise.all([0, 1, 2].map(isBack));
      expect(await queues()).toEqual(three(QUEUES));
      expect(await lostLinks(...brokers)).toEqual(three("[]"));
      expect([await running(), await partitions()]).toEqual([three(PEERS), three("[]")]);
    },
    TEST,
  );

  test(
    "take one back that was killed and started on another machine, on another port",
    async () => {
      const [n1, n2, n3] = brokers;
      await n3.kill();
      await publish(n1, "orders", "missed");
      const moved = await start(0, "n3", { peers: PEERS, dir: n3.dir });
      brokers = [n1, n2, moved];
      await waitFor(async () => (await running()).every((names) => names.length === 3), {
        what: "n3 in the cluster",
      });
      expect(await running()).toEqual(three(PEERS));
      expect(await publishedPorts(cluster)).toEqual([n1.distPort, n2.distPort, moved.distPort]);
      expect(moved.distPort).not.toBe(n3.distPort);
      expect(await takeMessage(moved, "orders")).toBe("missed");
      expect([await queues(), await partitions()]).toEqual([three(QUEUES), three("[]")]);
    },
    TEST,
  );

  test(
    "take in a fourth by `rabbitmqctl join_cluster`",
    async () => {
      const n4 = await start(2, "n4");
      for (const command of [["stop_app"], ["join_cluster", fullName("n1")], ["start_app"]]) {
        expect(await n4.ctl("--silent", ...command)).toMatchObject({ code: 0, stderr: "" });
      }
      expect(await runningNodes(n4)).toEqual([...PEERS, n4.name]);
      expect(await running()).toEqual(three([...PEERS, n4.name]));
    },
    TEST,
  );

  test("show Consul themselves, and none of the helpers that they and rabbitmqctl start", async () => {
    const helpers = [0, 1, 2]
      .flatMap((index) => registeredNames(cluster, index))
      .filter((name) => !/^n[1-4]$/.test(name));
    expect(helpers).toContainEqual(expect.stringMatching(/^rabbitmqcli-/));
    expect(await tags.stop()).toEqual(["n1", "n2", "n3", "n4"]);
  });
});

async function runningNodes(broker: Rabbitmq): Promise<string[]> {
  const names = await broker.eval("rabbit_mnesia:cluster_nodes(running)");
  return names
    .replaceAll(/[[\]']/g, "")
    .split(",")
    .sort();
}

/** Of what Consul's DNS gives: an entry whose node has gone stays in the catalogue for 5 s, critical. */
async function publishedPorts(cluster: Cluster): Promise<number[]> {
  const { body } = await cluster.consul.request("GET", "/v1/health/service/svc?passing=1");
  const instances = body as { Service: { Tags: string[]; Port: number } }[];
  return instances
    .map(({ Service }) => Service)
    .sort((a, b) => a.Tags.join().localeCompare(b.Tags.join()))
    .map(({ Port }) => Port);
}

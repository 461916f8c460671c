import { beforeAll, expect, test } from "vitest";
import { areTlsRecords, capture } from "../support/capture.js";
import { type Cluster, fullName, startCluster } from "../support/cluster.js";
import { declareQueue, publish, type Rabbitmq, startRabbitmq, takeMessage } from "../support/rabbitmq.js";
import { requirePeer } from "../support/require-peer.js";

/** Milliseconds. Brokers take five seconds to boot, three on two busy cores far longer. */
const BOOT = 300_000;

const NAMES = ["n1", "n2", "n3"];
const PEERS = NAMES.map(fullName);

requirePeer(
  "rabbitmq",
  "erl_call",
  "consul",
  "netns",
  "tcpdump",
)("RabbitMQ brokers on three machines, unmodified, at ends of Consul Connect", () => {
  let cluster: Cluster;
  let brokers: [Rabbitmq, Rabbitmq, Rabbitmq];

  const start = (index: number) =>
    startRabbitmq({
      ...{ name: fullName(NAMES[index] ?? ""), netns: cluster.host(index), timeout: BOOT, peers: PEERS },
      env: { RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}" },
    });

  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3, way: "gateway", native: true, args: ["--helpers", "ask"] });
  });

  test(
    "form a cluster and share a queue, and all that is seen between the machines is TLS",
    async () => {
      const wire = await capture(cluster.host(1), "tcp and not port 8500 and not port 8300 and not port 8301");
      brokers = await Promise.all([start(0), start(1), start(2)]);
      const [n1, n2, n3] = brokers;
      for (const broker of brokers) {
        expect(await broker.eval("lists:sort(rabbit_mnesia:cluster_nodes(running))")).toBe(
          `[${PEERS.map((name) => `'${name}'`).join(",")}]`,
        );
      }
      await declareQueue(n1, "orders", "quorum");
      await publish(n2, "orders", "ordered");
      expect(await takeMessage(n3, "orders")).toBe("ordered");
      // The others send what they have to the command's own node, which is not published.
      for (const broker of brokers) {
        const { stdout } = await broker.ctl("list_queues", "--silent", "--timeout", "10", "name", "online");
        expect(stdout.match(/@/g), stdout).toHaveLength(3);
      }
      const flows = await wire.stop();
      expect(flows.length).toBeGreaterThan(3);
      expect(flows.filter(({ bytes }) => !areTlsRecords(bytes)).map(({ from, to }) => `${from} ${to}`)).toEqual([]);
    },
    BOOT,
  );
});

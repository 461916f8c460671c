import { beforeAll, expect, test } from "vitest";
import { type Cluster, fullName, HOST, startCluster } from "../support/cluster.js";
import { examine } from "../support/doctor.js";
import { declareQueue, publish, type Rabbitmq, startRabbitmq, streamOffsets } from "../support/rabbitmq.js";
import { registeredNames, watchTags } from "../support/registered-names.js";
import { requirePeer } from "../support/require-peer.js";
import { waitFor } from "../support/wait-for.js";

/** Milliseconds. Brokers take five seconds to boot, three on two busy cores far longer. */
const BOOT = 300_000;
const TEST = 180_000;

const NAMES = ["n1", "n2", "n3"];
const PEERS = NAMES.map(fullName);
const MACHINES = [0, 1, 2];

requirePeer(
  "rabbitmq4",
  "erl_call",
  "consul",
  "netns",
)("RabbitMQ 4 on three machines, behind gateways", () => {
  let cluster: Cluster;
  let tags: ReturnType<typeof watchTags>;
  let brokers: Rabbitmq[];
  const own = (index: number) => `10.90.0.${index + 1} box${index + 1}`;
  const doctor = (index: number) => {
    const flags = ["--domain", HOST, "--consul", cluster.consul.socketUrl, "--dns", cluster.dns, "--gateway"];
    return examine(flags, { netns: cluster.host(index) });
  };

  beforeAll(async () => {
    cluster = await startCluster({ hosts: 3, way: "gateway", listen: true });
    // As Debian's installer has it.
    await Promise.all(MACHINES.map((index) => cluster.host(index).setHosts([`127.0.1.1 box${index + 1}`])));
    tags = watchTags(cluster);
    brokers = await Promise.all(
      MACHINES.map((index) =>
        startRabbitmq({
          series: 4,
          name: fullName(`n${index + 1}`),
          netns: cluster.host(index),
          timeout: BOOT,
          peers: PEERS,
        }),
      ),
    );
  }, BOOT);

  test("form a cluster; the nodes that they start to look for each other are helpers, which Consul never sees", async () => {
    for (const broker of brokers) {
      expect(await broker.eval("lists:sort(rabbit_nodes:list_running())")).toBe(
        `[${PEERS.map((name) => `'${name}'`).join(",")}]`,
      );
    }
    const started = MACHINES.flatMap((index) => registeredNames(cluster, index)).filter((name) =>
      /^n[1-3]-[0-9]+-[0-9]+$/.test(name),
    );
    expect(started.length).toBeGreaterThanOrEqual(3);
    expect(await tags.stop()).toEqual(NAMES);
  });

  test(
    "have streams with one member while their machines' own names stand for 127.0.1.1: doctor says so, and what to do",
    async () => {
      const [n1] = brokers as [Rabbitmq];
      await declareQueue(n1, "events", "stream");
      await expect(publish(n1, "events", "first")).rejects.toThrow("badmatch,timeout");
      expect(await streamOffsets(n1, "events")).toEqual([-1, -1, 0]);
      const broken = await doctor(0);
      expect(broken.of("rabbitmq-streams")).toMatchObject({
        result: "warn",
        evidence: expect.stringContaining("box1, the name of this machine, is 127.0.1.1 here"),
        advice: expect.stringMatching(/10\.90\.0\.1 box1 in \/etc\/hosts.*6000-6500.*certificate/),
      });
      await Promise.all(MACHINES.map((index) => cluster.host(index).setHosts([own(index)])));
      await waitFor(async () => (await streamOffsets(n1, "events")).join() === "0,0,0", {
        what: "a member on each machine",
        timeout: 30_000,
      });
      await publish(n1, "events", "second");
      // A majority confirms.
      await waitFor(async () => (await streamOffsets(n1, "events")).join() === "1,1,1", { what: "all to have it" });
      const well = await doctor(1);
      expect(well.of("rabbitmq-streams").result).toBe("ok");
      expect(well.of("rabbitmq-streams").evidence).toContain("box2 is 10.90.0.2 here");
    },
    TEST,
  );
});

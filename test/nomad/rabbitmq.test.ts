import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../support/wait-for.js";
import { edited, type Job, nomadJob, type Variables } from "./lab/job.js";
import { type Lab, startLab } from "./lab/lab.js";
import { requireLab } from "./lab/needs.js";
import { expectSteady, type Observer } from "./lab/observer.js";
import { executable, rabbitmqRelease } from "./lab/releases.js";
import { observeDns, tellStoryOf } from "./lab/service.js";
import { DOMAIN } from "./lab/way.js";

const NAMES = ["n1", "n2", "n3"] as const;
const NODES = NAMES.map((name) => `${name}@${DOMAIN}`);
/** Milliseconds. Three brokers that boot at once on two cores. */
const BOOT = 400_000;
const MESSAGES = 100;

/**
 * The gateway job for one broker, as nomad/README.md says: a job for each, with a name that stays, on a client that stays, and its data
 * on the allocation's disk, which Nomad hands on to the next allocation.
 */
function forBroker(name: string, machine: string): (text: string) => string {
  return (text) =>
    edited(
      text,
      [
        /job "svc" \{/,
        `job "${name}" {\n  constraint {\n    attribute = "\${node.unique.name}"\n    value     = "${machine}"\n  }`,
      ],
      // No canary: it would be a second broker of this name.
      [/ *canary .*\n *auto_promote .*\n/, ""],
      [/group "node" \{/, `group "node" {\n    ephemeral_disk {\n      sticky  = true\n      migrate = true\n    }`],
      [/ *RELEASE_DISTRIBUTION = .*\n/, ""],
      [
        /RELEASE_NODE = .*/,
        `RABBITMQ_NODENAME = "${name}@\${var.service}.service.consul"
        RABBITMQ_USE_LONGNAME = "true"
        RABBITMQ_DIST_PORT = "\${NOMAD_PORT_dist}"
        RABBITMQ_CONFIG_FILE = "/local/rabbitmq.conf"
        SVC_STATE = "\${NOMAD_ALLOC_DIR}/data/broker"`,
      ],
      [/ *ERL_AFLAGS = .*\n/, ""],
      [/^ *PORT +=.*\n/m, ""],
      [
        /(task "svc" \{\n *driver = "exec"\n)/,
        `$1      template {
        destination = "local/rabbitmq.conf"
        data        = <<-CONF
          listeners.tcp.default = {{ env "NOMAD_PORT_http" }}
          cluster_formation.peer_discovery_backend = classic_config
${NODES.map((node, index) => `          cluster_formation.classic_config.nodes.${index + 1} = ${node}`).join("\n")}
        CONF
      }
`,
      ],
    );
}

requireLab("consul", "rabbitmq")("three RabbitMQ brokers in the gateway job", () => {
  let lab: Lab;
  let jobs: Job[];
  let observer: Observer;
  let artifacts: Variables;

  beforeAll(async () => {
    const [program, archive] = [await executable(), await rabbitmqRelease()];
    lab = await startLab();
    const [own, release] = [await lab.artifacts.offer(program), await lab.artifacts.offer(archive)];
    const { url, checksum } = release;
    artifacts = {
      srv_epmd: own.url,
      srv_epmd_checksum: own.checksum,
      release: url,
      release_checksum: checksum,
      count: 1,
    };
    jobs = NAMES.map((name) => nomadJob(lab, "gateway.nomad.hcl", name));
    observer = observeDns(lab, DOMAIN);
  });
  afterAll(async () => {
    await observer?.stop();
    await lab?.down();
  });

  const run = (index: number, edit = (text: string) => text) =>
    jobs[index]?.run(artifacts, (text) => edit(forBroker(NAMES[index] ?? "", lab.machines[index]?.name ?? "")(text)));
  const allocationOf = async (index: number) => (await jobs[index]?.running())?.[0]?.ID ?? "";
  /** In a broker, by its rabbitmqctl. */
  const evaluate = async (index: number, expressions: string) => {
    const command = ["/local/release/bin/svc", "ctl", "eval", expressions];
    return (
      await lab.nomad("alloc", "exec", "-i=false", "-t=false", "-task", "svc", await allocationOf(index), ...command)
    ).trim();
  };
  const whenClustered = () =>
    waitFor(
      async () => {
        for (const index of NAMES.keys()) {
          const running = await evaluate(index, "lists:sort(rabbit_nodes:all_running()).");
          if (NODES.some((node) => !running.includes(node))) throw new Error(`${NAMES[index]} sees ${running}`);
        }
        return true;
      },
      { what: "a cluster of three brokers", timeout: BOOT, interval: 2_000 },
    );
  const messages = (index: number) => evaluate(index, QUEUE_LENGTH);

  const start = async () => {
    for (const job of jobs) tellStoryOf(job);
    for (const index of NAMES.keys()) await run(index);
    for (const job of jobs) expect(await job.deployed()).toBe("successful");
    await whenClustered();
    await evaluate(0, DECLARE_AND_FILL);
    expect(await messages(1)).toBe(String(MESSAGES));
    observer.report();
  };

  test("an update, broker after broker, keeps the messages of a quorum queue", async () => {
    await start();
    for (const [index, job] of jobs.entries()) {
      const before = await allocationOf(index);
      await run(index, (text) => text.replace(/SRV_EPMD_GATEWAY +=/, 'UPDATE = "1"\n        $&'));
      expect(await job.deployed()).toBe("successful");
      expect(await allocationOf(index)).not.toBe(before);
      await whenClustered();
      expect(await messages(index)).toBe(String(MESSAGES));
    }
    expectSteady(observer.report(), { fewest: 2 });
  });

  test("a broker that is killed comes back with its messages", async () => {
    await start();
    await lab.nomad("alloc", "signal", "-s", "SIGKILL", "-task", "svc", await allocationOf(1));
    const isGone = async () => !(await evaluate(0, "rabbit_nodes:all_running().")).includes(NODES[1] ?? "");
    await waitFor(isGone, { what: "a cluster of two", timeout: 60_000, interval: 500 });
    await whenClustered();
    expect(await messages(1)).toBe(String(MESSAGES));
    expectSteady(observer.report(), { fewest: 2 });
  });
});

const IN_CHANNEL = (expressions: string) =>
  `{ok, C} = amqp_connection:start({amqp_params_direct, <<"guest">>, <<"guest">>, <<"/">>, node(), none, []}),
   {ok, Ch} = amqp_connection:open_channel(C), R = begin ${expressions} end, amqp_connection:close(C), R.`;

/** A durable quorum queue with as many persistent messages as it should have, confirmed. */
const DECLARE_AND_FILL = IN_CHANNEL(`
   Type = [{<<"x-queue-type">>, longstr, <<"quorum">>}],
   {'queue.declare_ok', _, Ready, _} = amqp_channel:call(Ch, {'queue.declare', 0, <<"orders">>, false, true, false, false, false, Type}),
   {'confirm.select_ok'} = amqp_channel:call(Ch, {'confirm.select', false}),
   Properties = erlang:make_tuple(15, undefined, [{1, 'P_basic'}]),
   [ok = amqp_channel:call(Ch, {'basic.publish', 0, <<>>, <<"orders">>, false, false}, {amqp_msg, Properties, <<"order">>}) || _ <- lists:seq(Ready + 1, ${MESSAGES})],
   true = amqp_channel:wait_for_confirms(Ch, 30)`);
const QUEUE_LENGTH = IN_CHANNEL(`
   {'queue.declare_ok', _, Ready, _} = amqp_channel:call(Ch, {'queue.declare', 0, <<"orders">>, true, false, false, false, false, []}), Ready`);

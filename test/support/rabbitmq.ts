import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ErlangServer, type ServerOptions, startServer } from "./erlang-server.js";
import { freePort } from "./free-port.js";
import { findUnpackedServer, type UnpackedServer } from "./unpacked.js";

/** Of Debian 12 (3.10.8, Erlang/OTP 25) or of Debian 13 (4.0, Erlang/OTP 27). */
export type RabbitmqSeries = 3 | 4;

export interface RabbitmqOptions extends ServerOptions {
  /** 3 when not given. */
  readonly series?: RabbitmqSeries;
  /** RABBITMQ_DIST_PORT; a free one when not given. It cannot be 0: RabbitMQ does not take an ephemeral port. */
  readonly distPort?: number;
  /** Node names of the whole cluster, its own among them: what classic_config finds. None: a cluster of one. */
  readonly peers?: readonly string[];
  /** On 127.0.0.1; a free one when not given. */
  readonly amqpPort?: number;
  /** Further lines of rabbitmq.conf. */
  readonly config?: readonly string[];
}

export interface Rabbitmq extends ErlangServer {
  readonly distPort: number;
  readonly amqpPort: number;
}

/** The first of several new brokers asks the others ten times whether they are a cluster; 5 s in all by default. */
const CLUSTER_FORMATION = [
  "cluster_formation.peer_discovery_backend = classic_config",
  "cluster_formation.discovery_retry_interval = 200",
];

export function findRabbitmq(series: RabbitmqSeries = 3): UnpackedServer | undefined {
  return series === 4 ? findUnpackedServer("rabbitmq4", 27) : findUnpackedServer("rabbitmq");
}

/** Real RabbitMQ, its code unmodified; its boot is complete when this returns. @throws with the tail of its log */
export async function startRabbitmq(options: RabbitmqOptions): Promise<Rabbitmq> {
  const server = findRabbitmq(options.series);
  if (server === undefined) throw new Error("RabbitMQ is not there: bash test/install-peers.sh");
  const { name, peers = [], distPort = await freePort(), amqpPort = await freePort(), config = [] } = options;
  const home = server.path("usr/lib/rabbitmq/lib/rabbitmq_server-*");
  const started = await startServer(server, options, async (dir) => {
    const file = (path: string) => join(dir, path);
    await mkdir(file("mnesia"), { recursive: true });
    await writeFile(file("plugins"), "[].\n");
    await writeFile(
      file("rabbitmq.conf"),
      [
        `listeners.tcp.1 = 127.0.0.1:${amqpPort}`,
        ...(peers.length > 0 ? CLUSTER_FORMATION : []),
        ...peers.map((peer, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${peer}`),
        ...config,
        "",
      ].join("\n"),
    );
    return {
      command: [join(home, "sbin/rabbitmq-server")],
      ctl: [join(home, "sbin/rabbitmqctl")],
      logFile: file("log/rabbit.log"),
      ready: /Server startup complete/,
      env: {
        // The script then becomes the VM, as in a unit of systemd, instead of waiting for it.
        RUNNING_UNDER_SYSTEMD: "true",
        ERL_LIBS: server.path("usr/lib/erlang/lib"),
        RABBITMQ_NODENAME: name,
        RABBITMQ_USE_LONGNAME: "true",
        RABBITMQ_DIST_PORT: String(distPort),
        RABBITMQ_CONF_ENV_FILE: "/dev/null",
        RABBITMQ_CONFIG_FILE: file("rabbitmq.conf"),
        RABBITMQ_ADVANCED_CONFIG_FILE: file("advanced.config"),
        RABBITMQ_GENERATED_CONFIG_DIR: file("generated"),
        RABBITMQ_ENABLED_PLUGINS_FILE: file("plugins"),
        RABBITMQ_PLUGINS_EXPAND_DIR: file("expanded"),
        RABBITMQ_MNESIA_BASE: file("mnesia"),
        RABBITMQ_LOG_BASE: file("log"),
        RABBITMQ_LOGS: file("log/rabbit.log"),
        RABBITMQ_PID_FILE: file("pid"),
      },
    };
  });
  return { ...started, distPort, amqpPort };
}

/**
 * Declares a durable queue in a broker, by a client inside of it.
 * @param type `quorum` and `stream` have their members on all nodes of the cluster
 */
export async function declareQueue(
  broker: Rabbitmq,
  queue: string,
  type: "classic" | "quorum" | "stream",
): Promise<void> {
  const type_ = `{<<"x-queue-type">>, longstr, <<"${type}">>}`;
  const declare = `{'queue.declare', 0, <<"${queue}">>, false, true, false, false, false, [${type_}]}`;
  await inChannel(broker, `{'queue.declare_ok', _, _, _} = amqp_channel:call(Channel, ${declare})`);
}

/** Publishes a text into a queue; the broker has confirmed it when this returns. */
export async function publish(broker: Rabbitmq, queue: string, text: string): Promise<void> {
  const properties = `{'P_basic', ${Array(14).fill("undefined").join(", ")}}`;
  await inChannel(
    broker,
    `{'confirm.select_ok'} = amqp_channel:call(Channel, {'confirm.select', false}),
     ok = amqp_channel:call(Channel, {'basic.publish', 0, <<>>, <<"${queue}">>, false, false},
       {amqp_msg, ${properties}, <<"${text}">>}),
     true = amqp_channel:wait_for_confirms(Channel, 10)`,
  );
}

/** Last offset of each member of a stream, -1 for one that has nothing; sorted. */
export async function streamOffsets(broker: Rabbitmq, stream: string): Promise<number[]> {
  const status = `rabbit_stream_queue:status(<<"/">>, <<"${stream}">>)`;
  const offsets = await broker.eval(`lists:sort([proplists:get_value(offset, Member, -1) || Member <- ${status}])`);
  return JSON.parse(offsets) as number[];
}

/** Takes the next text (of letters and digits) from a queue; undefined when it is empty. */
export async function takeMessage(broker: Rabbitmq, queue: string): Promise<string | undefined> {
  const value = await inChannel(
    broker,
    `case amqp_channel:call(Channel, {'basic.get', 0, <<"${queue}">>, true}) of
       {{'basic.get_ok', _, _, _, _, _}, {amqp_msg, _, Text}} -> {message, Text};
       {'basic.get_empty', _} -> empty
     end`,
  );
  return /^\{message,<<"(.*)">>\}$/.exec(value)?.[1];
}

/** The client runs in the broker: it needs no AMQP port, and its node is the one the queue is used from. */
function inChannel(broker: Rabbitmq, expressions: string): Promise<string> {
  const parameters = `{amqp_params_direct, <<"guest">>, <<"guest">>, <<"/">>, node(), none, []}`;
  return broker.eval(
    `{ok, Connection} = amqp_connection:start(${parameters}),
     {ok, Channel} = amqp_connection:open_channel(Connection),
     Value = begin ${expressions} end,
     amqp_connection:close(Connection),
     Value`,
  );
}

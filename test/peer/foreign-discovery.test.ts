import { afterEach, expect, test } from "vitest";
import { createCertificates } from "../support/certificates.js";
import { startConsul } from "../support/consul-agent.js";
import { startNode } from "../support/erlang.js";
import { findOtp } from "../support/otp.js";
import { rawNode } from "../support/raw-epmd.js";
import { requirePeer } from "../support/require-peer.js";
import { startDaemon } from "../support/srv-epmd.js";
import { findUnpacked } from "../support/unpacked.js";
import { waitFor } from "../support/wait-for.js";

requirePeer(
  "consul",
  "openssl",
  "otp27",
  "rabbitmq4",
)("what a srv-epmd publishes", () => {
  const stops: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  test("is a full node name to the Consul discovery of RabbitMQ 4", async () => {
    const rabbitmq = findUnpacked("rabbitmq4");
    const plugins = rabbitmq?.path("usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins");
    const consul = await startConsul();
    stops.push(consul.stop);
    const flags = ["--domain", "mq", "--publish", "rabbit", "--consul", consul.socketUrl];
    const daemon = await startDaemon({ args: flags });
    stops.push(daemon.stop);
    const rabbit = await rawNode(daemon.port, { name: "rabbit", port: 25_672 });
    stops.push(rabbit.close);
    await daemon.waitForLog(({ msg }) => msg === "published", "its publication");

    // As much of a broker as looks for its peers. httpc wants authorities for plain HTTP too.
    const certificates = await createCertificates();
    stops.push(certificates.remove);
    const otp = findOtp(27);
    const broker = await startNode({
      ...{ name: "broker@127.0.0.1", epmdPort: daemon.port, env: { ERL_LIBS: plugins } },
      ...(otp && { otp }),
    });
    stops.push(() => broker.kill());
    const options = `[{consul_host, "127.0.0.1"}, {consul_port, ${consul.httpPort}}, {consul_svc, "mq"}]`;
    await broker.eval(`ok = public_key:cacerts_load("${certificates.ca}"),
      application:set_env(rabbit, cluster_formation, [{peer_discovery_consul, ${options}}]),
      ok = rabbit_peer_discovery_consul:init()`);
    const listed = () => broker.eval("rabbit_peer_discovery_consul:list_nodes()");
    expect(await waitFor(listed, { what: "RabbitMQ's answer" })).toBe("{ok,{'rabbit@mq.service.consul',disc}}");
  });
});

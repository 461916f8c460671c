import type { Series } from "../daemon/metrics.js";
import { version } from "../version.js";
import type { LocalNode } from "./core/view.js";
import type { Readings } from "./exposition.js";
import type { DaemonStatus } from "./status.js";

/** What is not counted but so at the moment of the question. @param connections EPMD connections that are open */
export async function readNow(status: DaemonStatus, connections: number): Promise<Readings> {
  const [{ ready, checks }, { nodes }, relays] = await Promise.all([
    status.readiness(),
    status.nodes(),
    status.relays(),
  ]);
  const inState = (...states: readonly LocalNode["publication"][]) =>
    nodes.filter(({ publication }) => states.includes(publication)).length;
  const consul = checks.find(({ name }) => name === "consul");
  return {
    srv_epmd_build_info: [{ labels: { version }, value: 1 }],
    srv_epmd_ready: one(ready),
    srv_epmd_connections: one(connections),
    srv_epmd_registered_nodes: one(nodes.length),
    srv_epmd_published_nodes: one(inState("in-consul")),
    srv_epmd_missing_nodes: one(inState("not-in-consul", "unknown")),
    srv_epmd_consul_up: one(consul?.ok ?? true),
    ...(relays && {
      srv_epmd_relay_listeners: one(relays.relays.length),
      srv_epmd_relay_links: one(relays.totals.openLinks),
      srv_epmd_relay_links_total: one(relays.totals.links),
      srv_epmd_relay_bytes_total: [
        { labels: { direction: "to_node" }, value: relays.totals.bytesToNode },
        { labels: { direction: "from_node" }, value: relays.totals.bytesFromNode },
      ],
      srv_epmd_relay_dials_failed_total: one(relays.totals.dialsFailed),
    }),
  };
}

function one(value: number | boolean): readonly Series[] {
  return [{ labels: {}, value: Number(value) }];
}

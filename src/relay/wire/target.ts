import { type IpPort, isAliveName } from "../../config/network-values.js";
import { address, endpoint, type Fields, invalid, list, object, optional, text } from "./fields.js";

/** A VM does not wait for a connection until more endpoints are tried. */
export const MAX_ENDPOINTS = 32;

/** A relay: connections to `address`, which stands for the node's host, go to one of the endpoints. */
export interface RelayTarget {
  /** `node_a@svc.service.consul` */
  readonly node: string;
  /** Loopback address to listen on, canonical. */
  readonly address: string;
  /** In the order in which they are tried; at least one. */
  readonly endpoints: readonly IpPort[];
  /** The endpoints speak mutual TLS with certificates of Consul Connect; undefined: the node itself is there. */
  readonly peer?: RelayPeer | undefined;
}

/** The service of Consul that is at the other end of a link. */
export interface RelayPeer {
  readonly service: string;
  /** Undefined: ours. */
  readonly datacenter?: string | undefined;
}

/** @throws ProtocolError RELAY_LINE */
export function target(fields: Fields): RelayTarget {
  const node = text(fields, "node");
  if (!isAliveName(node.slice(0, Math.max(0, node.indexOf("@"))))) throw invalid("node is not of the form name@host");
  const endpoints = list(fields, "endpoints").map((item) => endpoint(object(item, "endpoint")));
  if (endpoints.length < 1 || endpoints.length > MAX_ENDPOINTS) throw invalid(`endpoints are not 1..${MAX_ENDPOINTS}`);
  const peer = fields.peer === undefined ? undefined : relayPeer(object(fields.peer, "peer"));
  return { node, address: address(fields), endpoints, ...(peer && { peer }) };
}

function relayPeer(fields: Fields): RelayPeer {
  return { service: text(fields, "service"), ...optional(fields, "datacenter") };
}

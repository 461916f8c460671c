import type { Logger } from "../daemon/logger.js";
import { parseNodeName } from "../names/node-name.js";
import { hostPort } from "../net/ip.js";
import type { NodeResolver } from "../resolve/node-resolver.js";
import type { RelayClientOptions } from "./client.js";
import { isUnanswered } from "./wire/protocol.js";

/** What a daemon does when an endpoint has not taken the connection of a relay: records that may be out of date are not used again. */
export function onDialFailed(log: Logger, nodes: Pick<NodeResolver, "refused">): RelayClientOptions["onDialFailed"] {
  return (node, endpoint, failure) => {
    const { code, reason } = failure;
    log.info({ node, address: hostPort(endpoint), reason: code, error: reason }, "relay cannot reach the node");
    if (isUnanswered(failure)) nodes.refused(parseNodeName(node), endpoint);
  };
}

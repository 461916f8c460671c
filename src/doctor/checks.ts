import { catalogue } from "./catalogue.js";
import { clock, consulAgent, consulLeader, consulToken } from "./consul.js";
import { epmdPort, loopbacks, ownAddress } from "./epmd-port.js";
import type { Check } from "./examination.js";
import { meshIntention, meshUpstream } from "./mesh.js";
import { nodeName } from "./node-name.js";
import { nomadApi, nomadEntry } from "./nomad.js";
import { peerHandshake, peerRecords, peerTcp } from "./peer.js";
import { peerFamily, peerWays } from "./peer-ways.js";
import { domain, hairpin, portMapping, publishedEndpoint, registrationDns } from "./published.js";
import { rabbitmqStreams } from "./rabbitmq-streams.js";
import { registration, sameName } from "./registration.js";
import { resolver } from "./resolver.js";
import { vmListens } from "./vm-listens.js";

/** In the order of the report: from this machine to the node asked for. A new check gets its place here. */
export const CHECKS: readonly Check[] = [
  ...[epmdPort, loopbacks, ownAddress, vmListens, portMapping, nodeName, domain],
  ...[resolver, nomadApi, nomadEntry, consulAgent, consulLeader, consulToken],
  ...[registration, catalogue, sameName, registrationDns, publishedEndpoint, hairpin],
  ...[peerRecords, peerTcp, peerHandshake, peerFamily, peerWays],
  ...[meshUpstream, meshIntention, rabbitmqStreams, clock],
];

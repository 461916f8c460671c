import { catalogue } from "./catalogue.js";
import { clock } from "./clock.js";
import { connectCertificate } from "./connect-certificate.js";
import { connectRelay } from "./connect-relay.js";
import { consulAgent } from "./consul-agent.js";
import { consulCluster } from "./consul-cluster.js";
import { consulLeader } from "./consul-leader.js";
import { consulToken } from "./consul-token.js";
import { dnsListen } from "./dns-listen.js";
import { domain } from "./domain.js";
import { epmdPort } from "./epmd-port.js";
import type { Check } from "./examination.js";
import { gatewayRelay } from "./gateway-relay.js";
import { gatewayResolver } from "./gateway-resolver.js";
import { hairpin } from "./hairpin.js";
import { loopbacks } from "./loopbacks.js";
import { meshIntention } from "./mesh-intention.js";
import { meshUpstream } from "./mesh-upstream.js";
import { nodeName } from "./node-name.js";
import { nomadApi } from "./nomad-api.js";
import { nomadEntry } from "./nomad-entry.js";
import { nomadTask } from "./nomad-task.js";
import { ownAddress } from "./own-address.js";
import { peerCookie } from "./peer-cookie.js";
import { peerDaemon } from "./peer-daemon.js";
import { peerFamily } from "./peer-family.js";
import { peerHandshake } from "./peer-handshake.js";
import { peerHosts } from "./peer-hosts.js";
import { peerLink } from "./peer-link.js";
import { peerRecords } from "./peer-records.js";
import { peerRelease } from "./peer-release.js";
import { peerSize } from "./peer-size.js";
import { peerTcp } from "./peer-tcp.js";
import { peerTls } from "./peer-tls.js";
import { peerTwice } from "./peer-twice.js";
import { peerWays } from "./peer-ways.js";
import { portMapping } from "./port-mapping.js";
import { publishedEndpoint } from "./published-endpoint.js";
import { rabbitmqStreams } from "./rabbitmq-streams.js";
import { readiness } from "./readiness.js";
import { registration } from "./registration.js";
import { registrationDns } from "./registration-dns.js";
import { resolver } from "./resolver.js";
import { sameName } from "./same-name.js";
import { serveOptions } from "./serve-options.js";
import { vmLinks } from "./vm-links.js";
import { vmListens } from "./vm-listens.js";
import { vmState } from "./vm-state.js";
import { besideUpstreams } from "./way.js";

/** In the order of the report: what explains others first, then from this machine to the node asked for. A new check gets its place here. */
export const CHECKS: readonly Check[] = [
  ...[serveOptions, nomadTask, dnsListen, epmdPort, loopbacks, ownAddress, vmListens, vmState, vmLinks],
  besideUpstreams(portMapping),
  nodeName,
  ...[domain, resolver].map(besideUpstreams),
  ...[nomadApi, nomadEntry],
  ...[consulAgent, consulLeader, consulCluster, consulToken, registration, catalogue].map(besideUpstreams),
  sameName,
  ...[registrationDns, publishedEndpoint, hairpin].map(besideUpstreams),
  ...[gatewayRelay, gatewayResolver],
  ...[
    peerRecords,
    peerDaemon,
    peerTcp,
    peerHandshake,
    peerCookie,
    peerSize,
    peerTls,
    peerRelease,
    peerTwice,
    peerFamily,
    peerHosts,
    peerWays,
    peerLink,
  ],
  ...[connectCertificate, connectRelay],
  ...[meshUpstream, meshIntention, rabbitmqStreams, clock, readiness],
];

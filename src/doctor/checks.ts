import { catalogue } from "./catalogue.js";
import { connectCertificate, connectRelay } from "./connect.js";
import { clock, consulAgent, consulLeader, consulToken } from "./consul.js";
import { consulCluster } from "./consul-cluster.js";
import { dnsListen } from "./dns-listen.js";
import { epmdPort, loopbacks, ownAddress } from "./epmd-port.js";
import type { Check } from "./examination.js";
import { meshUpstream } from "./mesh.js";
import { meshIntention } from "./mesh-intention.js";
import { nodeName } from "./node-name.js";
import { nomadApi, nomadEntry } from "./nomad.js";
import { nomadTask } from "./nomad-task.js";
import { peerRecords, peerTcp } from "./peer.js";
import { peerCookie } from "./peer-cookie.js";
import { peerDaemon } from "./peer-daemon.js";
import { peerHandshake } from "./peer-handshake.js";
import { peerHosts } from "./peer-hosts.js";
import { peerLink } from "./peer-link.js";
import { peerRelease } from "./peer-release.js";
import { peerSize } from "./peer-size.js";
import { peerTls } from "./peer-tls.js";
import { peerTwice } from "./peer-twice.js";
import { peerFamily, peerWays } from "./peer-ways.js";
import { domain, hairpin, portMapping, publishedEndpoint, registrationDns } from "./published.js";
import { rabbitmqStreams } from "./rabbitmq-streams.js";
import { registration, sameName } from "./registration.js";
import { resolver } from "./resolver.js";
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
  ...[meshUpstream, meshIntention, rabbitmqStreams, clock],
];

import type { DnsServer, IpPort } from "../config/network-values.js";
import type { Logger } from "../daemon/logger.js";
import type { NameServer } from "../dns/exchange.js";
import { NameServers } from "../dns/name-servers.js";
import { type QueryPeer, type Responder, startResponder } from "../dns/responder.js";
import { ConfigError, ListenError } from "../errors.js";
import { hostPort, isOwnServer } from "../net/ip.js";
import type { GatewayAddresses } from "./core/addresses.js";
import {
  addressResponse,
  codeResponse,
  noDataResponse,
  type OtherQuestion,
  readGatewayQuestion,
  reverseResponse,
  withoutNxdomain,
} from "./core/message.js";
import { createForwarder } from "./forward.js";
import { listenTrouble } from "./listen-trouble.js";
import { describeLoop, LoopCheck } from "./loop-check.js";

export interface GatewayDnsOptions {
  readonly at: IpPort;
  /** @param host a valid host name in lower case */
  readonly isGatewayHost: (host: string) => boolean;
  /** Canonical IPv4 literal; undefined when the host cannot get an address now. */
  readonly addressFor: (host: string) => Promise<string | undefined>;
  /** Which addresses are the gateway's, and which host each stands for. */
  readonly addresses: Pick<GatewayAddresses, "contains" | "hostOf">;
  /** Where all other questions go. */
  readonly forward: {
    /** `--gateway-forward`. Empty: those of resolv.conf but ourselves. */
    readonly servers: readonly NameServer[];
    /** `--dns`, and the zone that we serve. Servers with a domain come first, servers without a domain last. */
    readonly dns: readonly DnsServer[];
    /** The gateway's domains: the check for loops tries a name under each. */
    readonly domains: readonly string[];
    /** Path; default /etc/resolv.conf. It is read again when it changes. */
    readonly resolvConf?: string;
    /** After this time a question is given up, milliseconds; default 4.5 s. */
    readonly limit?: number;
    /** Questions at once; further ones get SERVFAIL. Default 512. */
    readonly maxForwards?: number;
  };
  /** Whether a canonical address is one of this machine's, loopbacks included. Other clients are refused. */
  readonly isLocal: (address: string) => boolean;
  readonly log: Logger;
}

export interface GatewayDns extends Responder {
  /** Whether a name server is this one: our own resolver must not ask it. */
  readonly isOwnServer: (server: NameServer) => boolean;
}

/** Loopback interfaces do not fragment datagrams: the size that the client allows is allowed. */
const MAX_UDP_SIZE = 65_535;

/**
 * The DNS of the gateway. A and AAAA of its hosts are loopback addresses. Every other question is forwarded to another
 * name server, whose response goes to the client unchanged.
 * @throws ListenError; ConfigError when another name server forwards to this one
 */
export async function startGatewayDns(options: GatewayDnsOptions): Promise<GatewayDns> {
  const { at, forward, isLocal, log } = options;
  let listening: IpPort = at;
  const isOwn = (server: NameServer) => isOwnServer(listening, server, isLocal);
  const nameServers = new NameServers({
    rules: rulesOf(forward),
    resolvConf: forward.resolvConf ?? RESOLV_CONF,
    isOwn,
    otherwise: forward.dns.filter(({ domain }) => domain === undefined),
    log,
  });
  const forwarder = createForwarder({ ...forward, nameServers, log });
  const loops = new LoopCheck();

  async function answer(query: Buffer, peer: QueryPeer): Promise<Buffer> {
    if (!isLocal(peer.address)) return codeResponse(query, "REFUSED");
    const question = readGatewayQuestion(query, options.isGatewayHost);
    switch (question.kind) {
      case "host": {
        const address = await options.addressFor(question.host);
        return address === undefined
          ? codeResponse(query, "SERVFAIL")
          : addressResponse(query, question.host, question.qtype, address);
      }
      case "no-host":
        return noDataResponse(query);
      case "other": {
        // A transfer has many messages, and only one would be forwarded. A question of our check for loops ends here.
        const refused = (question.transfer && peer.transport === "tcp") || loops.cameBack(question.qname);
        if (refused) return codeResponse(query, "REFUSED");
        const own = await answerOurselves(query, question);
        if (own) return own;
        const response = await forwarder.forward(query, question.qname, peer.transport);
        if (!response) return codeResponse(query, "SERVFAIL");
        return options.isGatewayHost(question.qname) ? withoutNxdomain(response) : response;
      }
      default:
        return question satisfies never;
    }
  }

  /** What no other name server knows. Undefined: forward it. */
  async function answerOurselves(query: Buffer, question: OtherQuestion): Promise<Buffer | undefined> {
    const { qname, reverse, isInternet } = question;
    if (reverse && options.addresses.contains(reverse.address)) {
      return reverseResponse(query, reverse, options.addresses.hostOf(reverse.address));
    }
    if (!options.isGatewayHost(qname) || !isInternet) return undefined;
    const { servers } = await nameServers.serversFor(qname, performance.now());
    // The host exists. Without another name server it has its addresses and no other data.
    return servers.length === 0 ? noDataResponse(query) : undefined;
  }

  const responder = await startResponder({ ...at, answer, maxUdpSize: MAX_UDP_SIZE, log }).catch((error: unknown) => {
    throw withAdvice(error, at);
  });
  listening = { address: at.address, port: responder.port };
  const close = async () => {
    forwarder.close();
    await responder.close();
  };
  const loop = await loops.run(nameServers, forward.domains);
  if (loop) {
    await close();
    const ourselves = hostPort(listening.address, listening.port);
    throw new ConfigError("CONFIG_CONFLICT", describeLoop(loop, originOf(loop.server, forward), ourselves));
  }
  return { address: responder.address, port: responder.port, isOwnServer: isOwn, close };
}

const RESOLV_CONF = "/etc/resolv.conf";

/** The domains of `--dns` first; then `--gateway-forward`, which replaces resolv.conf. */
function rulesOf({ servers, dns }: GatewayDnsOptions["forward"]): DnsServer[] {
  return [
    ...dns.filter(({ domain }) => domain !== undefined),
    ...servers.map(({ address, port }) => ({ address, port, domain: undefined })),
  ];
}

function originOf(
  server: NameServer,
  { servers, dns, resolvConf = RESOLV_CONF }: GatewayDnsOptions["forward"],
): string {
  const among = (named: readonly NameServer[]) =>
    named.some(({ address, port }) => address === server.address && port === server.port);
  if (among(servers)) return "--gateway-forward";
  return among(dns) ? "--dns" : resolvConf;
}

/** The same error with advice. */
function withAdvice(error: unknown, at: IpPort): unknown {
  if (!(error instanceof ListenError)) return error;
  const trouble = listenTrouble((error.cause ?? {}) as NodeJS.ErrnoException, at);
  if (!trouble) return error;
  const { code, why, advice } = trouble;
  return new ListenError(code, `the gateway's DNS ${why}; ${advice}`, { cause: error, at });
}

import { setMaxListeners } from "node:events";
import { exchange, type NameServer } from "../dns/exchange.js";
import type { NameServers } from "../dns/name-servers.js";
import { hostPort } from "../net/ip.js";

/** A name server that, asked by us, asks us. */
export interface Loop {
  readonly server: NameServer;
  /** Names under this domain come back; undefined: any name. */
  readonly domain: string | undefined;
}

interface Probe extends Loop {
  readonly qname: string;
}

/** Milliseconds: a loop shows in a few, and slow name servers must not keep the daemon from starting. */
const LIMIT = 800;
/** Octets in a label of a probe's name, hexadecimal. */
const LABEL_OCTETS = 12;
/** Such that there is room for a label before it (RFC 1035 section 2.3.4). */
const LONGEST_DOMAIN = 253 - 2 * LABEL_OCTETS - 1;

/**
 * Finds name servers that lead back to us, as CoreDNS's loop plugin does: each is asked for a name that nobody can know,
 * and whoever asks us for it has it from us.
 */
export class LoopCheck {
  readonly #probes = new Map<string, Probe>();
  #found: ((loop: Loop) => void) | undefined;

  /** To be told of every question that comes in. @returns whether it is one of our own that came back */
  cameBack(qname: string): boolean {
    const probe = this.#probes.get(qname);
    if (probe) this.#found?.(probe);
    return probe !== undefined;
  }

  /**
   * Silence is no loop. Never rejects.
   * @param domains names under them may go other ways than the rest
   */
  async run(nameServers: NameServers, domains: readonly string[]): Promise<Loop | undefined> {
    const { randomBytes } = await import("node:crypto");
    const label = () => randomBytes(LABEL_OCTETS).toString("hex");
    for (const domain of [undefined, ...domains.filter((name) => name.length <= LONGEST_DOMAIN)]) {
      const { servers } = await nameServers.serversFor(domain ?? "", performance.now());
      // No reserved name such as .invalid: resolvers answer those themselves (RFC 6761).
      for (const server of servers) this.#add({ server, domain, qname: `${label()}.${domain ?? label()}` });
    }
    if (this.#probes.size === 0) return undefined;
    const ending = new AbortController();
    setMaxListeners(0, ending.signal);
    const found = new Promise<Loop>((resolve) => {
      this.#found = resolve;
    });
    const asked = Array.from(this.#probes.values(), ({ server, qname }) =>
      exchange({ server, qname, qtype: "SRV", transport: "udp", edns: false, timeout: LIMIT, signal: ending.signal }),
    );
    const loop = await Promise.race([found, Promise.all(asked).then(() => undefined)]);
    ending.abort();
    return loop;
  }

  #add(probe: Probe): void {
    this.#probes.set(probe.qname, probe);
  }
}

/** @param origin where the server was named: `--gateway-forward`, resolv.conf */
export function describeLoop({ server, domain }: Loop, origin: string, ourselves: string): string {
  const what = domain === undefined ? "questions" : `questions for names under ${domain}`;
  return `${origin}: the name server ${hostPort(server.address, server.port)} sends ${what} back to the gateway's own DNS at ${ourselves}, which would send them there again; ${advice(domain)}`;
}

function advice(domain: string | undefined): string {
  return domain === undefined
    ? "give one that does not, with --gateway-forward"
    : `say who knows such names, with --dns such as --dns ${domain}=127.0.0.1:8600 for Consul`;
}

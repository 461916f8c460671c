import { setMaxListeners } from "node:events";
import { exchange, type NameServer } from "../dns/exchange.js";
import type { NameServers } from "../dns/name-servers.js";
import { hostPort } from "../net/ip.js";

/** A name server that forwards our questions back to us. */
interface Loop {
  readonly server: NameServer;
  /** Questions for names under this domain come back; undefined: for any name. */
  readonly domain: string | undefined;
}

interface LoopProbe extends Loop {
  readonly qname: string;
}

/** Milliseconds. A loop shows within a few; a slow name server must not delay the start for longer. */
const LIMIT = 800;
/** Random octets in a label of a probe's name, written in hexadecimal. */
const LABEL_OCTETS = 12;
/** With a longer domain there is no room for a label before it (RFC 1035 section 2.3.4). */
const LONGEST_DOMAIN = 253 - 2 * LABEL_OCTETS - 1;

/**
 * Finds name servers that forward to us, as CoreDNS's loop plugin does: each is asked for a random name; when a question
 * for that name comes in here, that server has forwarded it.
 */
export class LoopCheck {
  readonly #probes = new Map<string, LoopProbe>();
  #found: ((loop: Loop) => void) | undefined;

  /** To be called with the name of every incoming question. @returns whether it is a name of this check */
  cameBack(qname: string): boolean {
    const probe = this.#probes.get(qname);
    if (probe) this.#found?.(probe);
    return probe !== undefined;
  }

  /**
   * A server that does not answer is not a loop. Never rejects.
   * @param domains names under them may be forwarded elsewhere than other names
   */
  async run(nameServers: NameServers, domains: readonly string[]): Promise<Loop | undefined> {
    const { randomBytes } = await import("node:crypto");
    const label = () => randomBytes(LABEL_OCTETS).toString("hex");
    for (const domain of [undefined, ...domains.filter((name) => name.length <= LONGEST_DOMAIN)]) {
      const { servers } = await nameServers.serversFor(domain ?? "", performance.now());
      // Not a reserved name such as .invalid: resolvers answer those themselves (RFC 6761).
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

  #add(probe: LoopProbe): void {
    this.#probes.set(probe.qname, probe);
  }
}

/** @param origin where the server was named: `--gateway-forward`, resolv.conf */
export function describeLoop({ server, domain }: Loop, origin: string, ourselves: string): string {
  const what = domain === undefined ? "questions" : `questions for names under ${domain}`;
  return `${origin}: the name server ${hostPort(server.address, server.port)} forwards ${what} back to the gateway's own DNS at ${ourselves}, which would forward them there again; ${advice(domain)}`;
}

function advice(domain: string | undefined): string {
  return domain === undefined
    ? "give another name server with --gateway-forward"
    : `give the name server for such names with --dns, such as --dns ${domain}=127.0.0.1:8600 for Consul`;
}

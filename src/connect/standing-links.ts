import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { grouped } from "../grouped.js";
import { Joined } from "../relay/joined.js";
import type { Authorization } from "./core/credentials.js";
import type { InboundLink, Refusal } from "./core/inbound.js";

/** What the agent is asked about: URI and serial number of a certificate. */
export interface Caller {
  readonly uri: string;
  readonly serial: string;
}

/** A caller that was let in. */
export interface Admitted extends Caller {
  /** The service that it was let in to. */
  readonly service: string;
  /** `spiffe://…` of that service, as our certificate had it. */
  readonly own: string;
}

interface StandingLinksOptions {
  /** Milliseconds for the other direction of a link, when one has ended. */
  readonly linger: number;
  readonly authorize: (service: string, caller: Caller) => Promise<Authorization>;
  readonly onLinkEnd: () => void;
  /** A link is cut, since its caller may not come in any more. */
  readonly onCut: (cut: Pick<Refusal, "reason" | "node" | "service" | "caller">) => void;
}

interface Standing extends InboundLink {
  readonly admitted: Admitted;
  readonly joined: Joined;
}

/**
 * Links between callers that were let in and VMs here. An intention that comes later ends them: one of the service that
 * the caller was let in to, even when the nodes here are of another service by now.
 */
export class StandingLinks {
  readonly #options: StandingLinksOptions;
  readonly #standing = new Set<Standing>();
  #timer: NodeJS.Timeout | undefined;
  #isRechecking = false;

  constructor(options: StandingLinksOptions) {
    this.#options = options;
  }

  get all(): InboundLink[] {
    return Array.from(this.#standing, ({ node, caller, since }) => ({ node, caller, since }));
  }

  /** @param node full name of the VM's node */
  join(socket: TLSSocket, vm: Socket, node: string, admitted: Admitted): void {
    const joined = new Joined(socket, vm, {
      linger: this.#options.linger,
      onEnd: () => {
        this.#standing.delete(standing);
        this.#options.onLinkEnd();
      },
    });
    const standing: Standing = { node, caller: admitted.uri, since: Date.now(), admitted, joined };
    this.#standing.add(standing);
  }

  /** @param recheck milliseconds after which the agent is asked about them again; 0: never */
  recheckEvery(recheck: number): void {
    clearInterval(this.#timer);
    if (recheck > 0) this.#timer = setInterval(() => void this.#recheck(), recheck).unref();
  }

  /** Cuts links that have stalled. @param stall milliseconds */
  sweep(stall: number): void {
    const now = performance.now();
    for (const { joined } of this.#standing) {
      if (joined.stalledSince !== undefined && now - joined.stalledSince > stall) joined.cut();
    }
  }

  /** Cuts all. */
  close(): void {
    clearInterval(this.#timer);
    for (const { joined } of this.#standing) joined.cut();
  }

  /** Cuts the links whose callers may not come in any more. While the agent does not say so, a link stays. */
  async #recheck(): Promise<void> {
    // An agent that is slow may need longer for all links than the time between two turns.
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    try {
      const byCaller = grouped(
        this.#standing,
        ({ admitted: { service, serial, uri } }) => `${service} ${serial} ${uri}`,
      );
      await Promise.all(Array.from(byCaller.values(), (links) => this.#recheckLinks(links)));
    } finally {
      this.#isRechecking = false;
    }
  }

  /** Never rejects. @param links of one caller to one service */
  async #recheckLinks(links: readonly [Standing, ...Standing[]]): Promise<void> {
    const { service, uri, serial } = links[0].admitted;
    let answer: Authorization;
    try {
      answer = await this.#options.authorize(service, { uri, serial });
    } catch {
      return;
    }
    if (answer.isAllowed) return;
    for (const { node, caller, admitted, joined } of links) {
      joined.cut();
      this.#options.onCut({ reason: answer.reason, node, service: admitted.own, caller });
    }
  }
}

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { Joined } from "../relay/joined.js";
import type { Authorization } from "./core/credentials.js";
import type { InboundLink, Refusal } from "./core/inbound.js";

/** What the agent is asked about: URI and serial number of a certificate. */
export interface Caller {
  readonly uri: string;
  readonly serial: string;
}

interface StandingLinksOptions {
  /** Milliseconds for the other direction of a link, when one has ended. */
  readonly linger: number;
  readonly authorize: (caller: Caller) => Promise<Authorization>;
  readonly onLinkEnd: () => void;
  /** A link is cut, since its caller may not come in any more. */
  readonly onCut: (cut: Pick<Refusal, "reason" | "node" | "caller">) => void;
}

interface Standing extends InboundLink {
  readonly serial: string;
  readonly joined: Joined;
}

/** Links between callers that were let in and VMs here. An intention that comes later ends them. */
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
  join(socket: TLSSocket, vm: Socket, node: string, { uri, serial }: Caller): void {
    const joined = new Joined(socket, vm, {
      linger: this.#options.linger,
      onEnd: () => {
        this.#standing.delete(standing);
        this.#options.onLinkEnd();
      },
    });
    const standing: Standing = { node, caller: uri, serial, since: Date.now(), joined };
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

  /** An agent that does not answer ends none. */
  async #recheck(): Promise<void> {
    // An agent that is slow may need longer for all links than the time between two turns.
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    await Promise.all(Array.from(this.#byCaller().values(), (links) => this.#recheckLinks(links)));
    this.#isRechecking = false;
  }

  #byCaller(): Map<string, Standing[]> {
    const callers = new Map<string, Standing[]>();
    for (const standing of this.#standing) {
      const key = `${standing.serial} ${standing.caller}`;
      callers.set(key, [...(callers.get(key) ?? []), standing]);
    }
    return callers;
  }

  /** @param links of one caller */
  async #recheckLinks(links: readonly Standing[]): Promise<void> {
    const [{ caller, serial } = { caller: "", serial: "" }] = links;
    const answer = await this.#options.authorize({ uri: caller, serial }).catch(() => undefined);
    if (!answer || answer.isAllowed) return;
    for (const { node, joined } of links) {
      joined.cut();
      this.#options.onCut({ reason: answer.reason, node, caller });
    }
  }
}

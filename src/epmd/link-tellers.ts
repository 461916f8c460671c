import type { Duplex } from "node:stream";
import type { RegisteredNode } from "./core/registry.js";
import { LINKS_QUESTION, type Links, readLinks } from "./wire/links.js";

/** Milliseconds: a VM answers at once, and a health check waits for a second or two. */
const ANSWER_TIMEOUT = 1_000;

/** Why a VM does not say with whom it is linked: it has not offered to, or does not answer. */
export type NoLinks = "not-offered" | "silent";

/**
 * The connections on which VMs with the module say with whom they are linked. A VM is asked when somebody wants to know,
 * and each time anew.
 */
export class LinkTellers {
  readonly #tellers = new Map<RegisteredNode, Teller>();
  readonly #timeout: number;

  constructor(timeout = ANSWER_TIMEOUT) {
    this.#timeout = timeout;
  }

  /** A VM offers to tell, in place of an offer that it made before. */
  hold(node: RegisteredNode, connection: Duplex): void {
    this.end(node);
    const teller = new Teller(connection, this.#timeout);
    this.#tellers.set(node, teller);
    connection.once("close", () => {
      if (this.#tellers.get(node) === teller) this.#tellers.delete(node);
    });
    // The VM takes the first question as the sign that its offer was understood.
    void teller.ask();
  }

  /** The node is not registered any more. */
  end(node: RegisteredNode): void {
    this.#tellers.get(node)?.end();
    this.#tellers.delete(node);
  }

  async ask(node: RegisteredNode): Promise<Links | NoLinks> {
    const teller = this.#tellers.get(node);
    return teller ? ((await teller.ask()) ?? "silent") : "not-offered";
  }
}

/**
 * One connection. Equal questions at the same time have one answer. The module answers what it has received since its last answer
 * once, so one question is under way at a time.
 */
class Teller {
  readonly #connection: Duplex;
  readonly #timeout: number;
  #received: Buffer = Buffer.alloc(0);
  #asked:
    | { readonly answer: Promise<Links | undefined>; readonly settle: (links: Links | undefined) => void }
    | undefined;
  /** The VM owes the answer to a question that was given up, as one does that is stopped. */
  #isLate = false;

  constructor(connection: Duplex, timeout: number) {
    this.#connection = connection;
    this.#timeout = timeout;
    connection.on("data", (chunk: Buffer) => this.#take(chunk));
    connection.once("close", () => this.#asked?.settle(undefined));
  }

  /** Undefined: the VM does not answer. */
  ask(): Promise<Links | undefined> {
    if (this.#asked) return this.#asked.answer;
    let settle: (links: Links | undefined) => void = () => {};
    const answer = new Promise<Links | undefined>((resolve) => {
      const timer = setTimeout(() => {
        this.#isLate = true;
        settle(undefined);
      }, this.#timeout);
      settle = (links) => {
        clearTimeout(timer);
        this.#asked = undefined;
        resolve(links);
      };
    });
    this.#asked = { answer, settle };
    if (!this.#isLate) this.#connection.write(LINKS_QUESTION);
    return answer;
  }

  end(): void {
    this.#connection.destroy();
    this.#asked?.settle(undefined);
  }

  #take(chunk: Buffer): void {
    // What nobody has asked for would pass for the next answer.
    if (!this.#asked && !this.#isLate) {
      this.end();
      return;
    }
    this.#received = Buffer.concat([this.#received, chunk]);
    const read = readLinks(this.#received);
    if (read.kind === "more") return;
    this.#received = Buffer.alloc(0);
    if (read.kind === "invalid") this.end();
    else if (!this.#isLate) this.#asked?.settle(read.links);
    else {
      // It says how things were before somebody asked again.
      this.#isLate = false;
      if (this.#asked) this.#connection.write(LINKS_QUESTION);
    }
  }
}

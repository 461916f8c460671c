import { atMost, eachOf } from "../each-of.js";
import { isHiddenNode, type RegisteredNode, type Registry } from "../epmd/core/registry.js";
import type { LinkTellers } from "../epmd/link-tellers.js";
import type { NodeLinks } from "./core/status.js";

/** Milliseconds between two rounds of questions: the page is made anew up to twice a second for each reader. */
const PAUSE = 3_000;
/** After so long nothing that is known is worth showing without a wait, milliseconds. */
const OLD = 10_000;
/** How long who asks first waits for the answers, milliseconds: a VM gives them at once. */
const FIRST_WAIT = 200;
/** VMs that are asked in a round. */
const MOST_ASKED = 64;
/** Characters of names that are kept of one VM: room for a thousand nodes. */
const MOST_KEPT = 64 * 1024;

export interface VmLinksDeps {
  readonly registry: Registry;
  readonly links: Pick<LinkTellers, "ask">;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * With whom the VMs here said last that they are linked. They are asked only while somebody wants to know, one round at a
 * time for all who do.
 */
export class VmLinks {
  readonly #deps: VmLinksDeps;
  readonly #kept = new WeakMap<RegisteredNode, NodeLinks>();
  #round: Promise<void> | undefined;
  /** Of the last round, by performance.now(). */
  #startedAt = Number.NEGATIVE_INFINITY;
  #endedAt = Number.NEGATIVE_INFINITY;
  #changes = 0;

  constructor(deps: VmLinksDeps) {
    this.#deps = deps;
  }

  /** Another number after each change, but for the time of an answer. */
  get changes(): number {
    return this.#changes;
  }

  /** Of the nodes here that were asked. It waits for no VM, but for a moment where nothing is known of late. */
  async now(): Promise<readonly NodeLinks[]> {
    const now = performance.now();
    if (!this.#round && now - this.#startedAt >= PAUSE) {
      this.#startedAt = now;
      this.#round = this.#askAll().finally(() => {
        this.#round = undefined;
        this.#endedAt = performance.now();
      });
    }
    if (this.#round && now - this.#endedAt > OLD) await atMost(FIRST_WAIT, this.#round);
    return this.#deps.registry.nodes().flatMap((node) => this.#kept.get(node) ?? []);
  }

  async #askAll(): Promise<void> {
    const { registry } = this.#deps;
    const nodes = registry.nodes().reverse().slice(0, MOST_ASKED);
    await eachOf(nodes, async (node) => this.#keep(node, await this.#ask(node)));
  }

  async #ask(node: RegisteredNode): Promise<NodeLinks> {
    const of = { name: node.aliveName, hidden: isHiddenNode(node) };
    const told = await this.#deps.links.ask(node);
    if (typeof told !== "string") {
      const linked = Array.from(told.linked);
      const size = linked.reduce((sum, { length }) => sum + length, told.node.length);
      if (size > MOST_KEPT) return { ...of, state: "too-many" };
      return { ...of, state: "told", node: told.node, linked, at: new Date(this.#deps.now()).toISOString() };
    }
    const before = this.#kept.get(node);
    // Its connection has ended, and the module offers again in time.
    if (told === "not-offered" && (before === undefined || before.state === "not-offered")) {
      return { ...of, state: "not-offered" };
    }
    return { ...of, state: "silent", ...(before && "at" in before && { at: before.at }) };
  }

  #keep(node: RegisteredNode, links: NodeLinks): void {
    if (withoutTime(links) !== withoutTime(this.#kept.get(node))) this.#changes++;
    this.#kept.set(node, links);
  }
}

function withoutTime(links: NodeLinks | undefined): string {
  return JSON.stringify(links, (key, value) => (key === "at" ? undefined : value)) ?? "";
}

import type { ConsulClient } from "../consul/client.js";
import type { Leftovers } from "./ownership.js";
import type { Publisher } from "./publisher.js";

interface HandoverDeps {
  readonly client: Pick<ConsulClient, "onNewToken" | "releaseTokens">;
  /** By key. */
  readonly publishers: ReadonlyMap<string, Pick<Publisher, "anotherToken" | "held" | "isChanging">>;
  readonly leftovers: Pick<Leftovers, "anotherToken" | "hasAny">;
}

/**
 * From one token to the next: all entries are registered again with it, and the former one is given back when none
 * depends on it any more.
 */
export class Handover {
  readonly #deps: HandoverDeps;

  constructor(deps: HandoverDeps) {
    this.#deps = deps;
    deps.client.onNewToken(() => {
      for (const publisher of deps.publishers.values()) publisher.anotherToken();
      deps.leftovers.anotherToken();
    });
  }

  /** Entries at the agent depend on a token of ours, as far as is known. */
  get hasEntries(): boolean {
    const { publishers, leftovers } = this.#deps;
    const isHeld = Array.from(publishers.values()).some(({ held }) => held.size > 0);
    return isHeld || leftovers.hasAny("renewed") || leftovers.hasAny("former");
  }

  /** Gives the former token back, if it is time. */
  look(): void {
    const { client, publishers, leftovers } = this.#deps;
    if (leftovers.hasAny("former")) return;
    for (const { held, isChanging } of publishers.values()) {
      // A step that is under way may have been sent with the former token.
      if (isChanging || Array.from(held.values()).some(({ stale }) => stale)) return;
    }
    client.releaseTokens();
  }
}

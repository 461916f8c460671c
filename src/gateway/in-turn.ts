import type { NameServer } from "../dns/exchange.js";

/** What one try came to. Undefined: nothing was said, and nothing will be. */
export interface Reply {
  readonly response: Buffer;
  /** Another server may do better: SERVFAIL, REFUSED. */
  readonly isRefusal: boolean;
}

export interface InTurnOptions {
  /** Never rejects; ends when the signal is aborted. */
  readonly ask: (server: NameServer, signal: AbortSignal) => Promise<Reply | undefined>;
  /** The next server is asked when one has been silent for this long. Milliseconds. */
  readonly patience: number;
  /** All the time that there is. Milliseconds. */
  readonly limit: number;
  /** How often each may be asked, as long as it is silent. */
  readonly rounds: number;
  readonly onSilent: (server: NameServer) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks one server after the other. Those that were silent are still listened to while the next ones are asked: a slow
 * answer is better than none.
 * @returns the first answer, else the last refusal, else undefined
 */
export function askInTurn(servers: readonly NameServer[], options: InTurnOptions): Promise<Buffer | undefined> {
  const { ask, patience, limit, rounds, onSilent, signal } = options;
  return new Promise((resolve) => {
    const ending = new AbortController();
    const settled = new Set<NameServer>();
    let turns = 0;
    let underWay = 0;
    let refusal: Buffer | undefined;
    let waiting: NodeJS.Timeout | undefined;
    const finish = (response: Buffer | undefined) => {
      clearTimeout(waiting);
      clearTimeout(end);
      signal.removeEventListener("abort", giveUp);
      ending.abort();
      resolve(response);
    };
    const giveUp = () => finish(refusal);
    const end = setTimeout(giveUp, limit);
    signal.addEventListener("abort", giveUp, { once: true });

    const next = (): NameServer | undefined => {
      while (turns < servers.length * rounds) {
        const server = servers[turns++ % servers.length];
        if (server && !settled.has(server)) return server;
      }
      return undefined;
    };
    const proceed = () => {
      clearTimeout(waiting);
      if (ending.signal.aborted) return;
      const server = next();
      if (server) void tryOne(server);
      else if (underWay === 0) finish(refusal);
    };
    const tryOne = async (server: NameServer) => {
      const turn = turns;
      underWay += 1;
      waiting = setTimeout(() => {
        onSilent(server);
        proceed();
      }, patience);
      const reply = await ask(server, ending.signal);
      underWay -= 1;
      if (reply && !reply.isRefusal) return finish(reply.response);
      refusal = reply?.response ?? refusal;
      settled.add(server);
      // A late no does not hurry the one that is being asked now.
      if (turn === turns || underWay === 0) proceed();
    };
    if (signal.aborted) giveUp();
    else proceed();
  });
}

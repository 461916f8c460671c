import type { DnsResult } from "./wire/answer.js";

/**
 * Asks for one name. Never rejects.
 * @param troubled called when every name server has failed once; the query goes on
 */
export type AskFor = (qname: string, deadline: number, troubled?: () => void) => Promise<DnsResult>;

/** The next name is asked for after this, or as soon as every name server has failed once for the name before. Milliseconds. */
const HEAD_START = 1_000;
/** The same for a search domain for which the name servers failed a moment ago, and the time that such a name gets. */
const HEAD_START_OF_TROUBLED = 100;
const TIME_OF_TROUBLED = 300;
/** How long "a moment ago" is: RFC 8767's failure recheck timer, milliseconds. */
const RECHECK = 30_000;

interface Candidate {
  readonly qname: string;
  /** Empty for the name as it was written. */
  readonly domain: string;
  /** The name servers failed for names under the domain a moment ago. */
  readonly wasTroubled: boolean;
}

/**
 * Looks up the names that the search list makes of one name. When the name servers fail for one of them, the next is
 * asked for: glibc goes on after SERVFAIL (res_query.c), and so does this after REFUSED and a timeout.
 */
export class Search {
  readonly #now: () => number;
  /** When the name servers failed for a search domain, by domain. */
  readonly #troubledAt = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param names not empty, each once, in the order of the search list: `asked` with a search domain, or alone */
  async lookUp(asked: string, names: readonly string[], deadline: number, ask: AskFor): Promise<DnsResult> {
    const candidates = names.map((qname) => this.#candidate(qname, asked));
    const results = new Map<string, DnsResult>();
    await this.#askInOrder(candidates, results, deadline, ask);
    const all = () => names.flatMap((name) => results.get(name) ?? []);
    if (all().every(({ kind }) => kind === "unavailable")) {
      // The name servers fail for every domain: each name gets all the time that is left.
      await untilTrue(candidates, async (candidate) => {
        const result = await ask(candidate.qname, deadline);
        this.#note(candidate, result);
        results.set(candidate.qname, result);
        return result.kind === "records";
      });
    }
    const first = (kind: DnsResult["kind"]) => all().find((result) => result.kind === kind);
    // While one name is unavailable, it is not known whether it has records.
    return first("records") ?? first("unavailable") ?? first("nodata") ?? (all().at(-1) as DnsResult);
  }

  /** Ends with the first name that has records, or when all have been answered or given up. */
  #askInOrder(
    candidates: readonly Candidate[],
    results: Map<string, DnsResult>,
    deadline: number,
    ask: AskFor,
  ): Promise<void> {
    const started = this.#now();
    // The other half is for the queries that follow an absence: A and AAAA.
    const half = (started + deadline) / 2;
    const headStart = Math.min(HEAD_START, (half - started) / candidates.length);
    return new Promise((resolve) => {
      let isFound = false;
      const askFor = ([candidate, ...others]: readonly Candidate[]) => {
        if (candidate === undefined || isFound) return;
        const { qname, wasTroubled } = candidate;
        let isOver = false;
        const next = () => {
          clearTimeout(timer);
          if (!isOver) askFor(others);
          isOver = true;
        };
        const timer = setTimeout(next, wasTroubled ? Math.min(headStart, HEAD_START_OF_TROUBLED) : headStart);
        const until = wasTroubled ? Math.min(half, this.#now() + TIME_OF_TROUBLED) : half;
        void ask(qname, until, next).then((result) => {
          this.#note(candidate, result);
          results.set(qname, result);
          isFound ||= result.kind === "records";
          next();
          if (isFound || results.size === candidates.length) resolve();
        });
      };
      askFor(candidates);
    });
  }

  #candidate(qname: string, asked: string): Candidate {
    const domain = qname.slice(asked.length + 1);
    const at = this.#troubledAt.get(domain);
    return { qname, domain, wasTroubled: at !== undefined && this.#now() - at < RECHECK };
  }

  #note({ domain }: Candidate, result: DnsResult): void {
    const hasFailed = result.kind === "unavailable" || (result.kind === "records" && result.stale);
    if (hasFailed) this.#troubledAt.set(domain, this.#now());
    else this.#troubledAt.delete(domain);
  }
}

/** Ends when it is true of one, or when all have ended. */
async function untilTrue<T>(items: readonly T[], isTrue: (item: T) => Promise<boolean>): Promise<void> {
  await new Promise<void>((resolve) => {
    const all = items.map(async (item) => {
      if (await isTrue(item)) resolve();
    });
    void Promise.all(all).then(() => resolve());
  });
}

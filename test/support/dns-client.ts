import { Resolver } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface SrvAnswer {
  /** Target. */
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** The operating system's kind of DNS client (c-ares), which shares nothing with ours. An absence is an empty list. */
export interface DnsClient {
  readonly srv: (name: string) => Promise<SrvAnswer[]>;
  readonly a: (name: string) => Promise<string[]>;
  readonly aaaa: (name: string) => Promise<string[]>;
}

export function dnsClient(port: number, address = "127.0.0.1"): DnsClient {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([`${address}:${port}`]);
  return {
    srv: (name) => orNone(resolver.resolveSrv(name)),
    a: (name) => orNone(resolver.resolve4(name)),
    aaaa: (name) => orNone(resolver.resolve6(name)),
  };
}

async function orNone<T>(answer: Promise<T[]>): Promise<T[]> {
  try {
    return await answer;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTFOUND" || code === "ENODATA") return [];
    throw error;
  }
}

/** One look at a name. */
export interface Look {
  /** Milliseconds since the watch began. */
  readonly at: number;
  readonly ports: readonly number[];
}

export interface Watch {
  readonly looks: () => readonly Look[];
  /** @returns the looks that found nothing */
  readonly stop: () => Promise<Look[]>;
}

/** Asks for the SRV records of a name over and over, every few milliseconds, to see whether they are ever absent. */
export function watchSrv(client: DnsClient, name: string): Watch {
  const startedAt = performance.now();
  const looks: Look[] = [];
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const ports = (await client.srv(name)).map(({ port }) => port).sort((a, b) => a - b);
      looks.push({ at: Math.round(performance.now() - startedAt), ports });
      await sleep(5);
    }
  })();
  // Reported by stop().
  watching.catch(() => undefined);
  return {
    looks: () => looks,
    stop: async () => {
      stopped = true;
      await watching;
      return looks.filter(({ ports }) => ports.length === 0);
    },
  };
}

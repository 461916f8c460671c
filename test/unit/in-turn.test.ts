import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { NameServer } from "../../src/dns/exchange.js";
import { askServersInTurn, type InTurnOptions, type Reply } from "../../src/gateway/forward.js";

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
});

/** A name server whose replies the test gives; `asked` has the time of each question. */
class Fake implements NameServer {
  readonly address = "192.0.2.1";
  readonly asked: number[] = [];
  #reply: (reply: Reply | undefined) => void = () => {};
  constructor(readonly port: number) {}

  ask(): Promise<Reply | undefined> {
    this.asked.push(performance.now());
    return new Promise((resolve) => {
      this.#reply = resolve;
    });
  }

  async says(reply: Partial<Reply> | undefined): Promise<void> {
    this.#reply(reply && { response: Buffer.from(String(this.port)), isRefusal: false, ...reply });
    await vi.advanceTimersByTimeAsync(0);
  }
}

function start(count: number, options: Partial<InTurnOptions> = {}) {
  const servers = Array.from({ length: count }, (_, index) => new Fake(index));
  const began = performance.now();
  const silent: number[] = [];
  const outcome: { text?: string | undefined; at?: number } = {};
  const end = askServersInTurn(servers, {
    ask: (server) => (server as Fake).ask(),
    patience: 100,
    limit: 1_000,
    rounds: 2,
    onSilent: ({ port }) => silent.push(port),
    signal: new AbortController().signal,
    ...options,
  }).then((response) => Object.assign(outcome, { text: response?.toString(), at: performance.now() - began }));
  const times = () => servers.map(({ asked }) => asked.map((at) => at - began));
  return { servers: servers as [Fake, Fake, Fake], times, silent, outcome, end };
}

describe("name servers asked in turn", () => {
  test("are asked when those before were silent for a while, as often as there are rounds, until time is over", async () => {
    const { times, silent, end, outcome } = start(2);
    await vi.advanceTimersByTimeAsync(1_000);
    await end;
    expect(times()).toEqual([
      [0, 200],
      [100, 300],
    ]);
    expect(silent).toEqual([0, 1, 0, 1]);
    expect(outcome).toEqual({ text: undefined, at: 1_000 });
  });

  test("are heard as long as there is time, and the first answer ends it", async () => {
    const { servers, end, outcome } = start(2, { rounds: 1 });
    await vi.advanceTimersByTimeAsync(900);
    await servers[0].says({});
    await end;
    expect(outcome).toEqual({ text: "0", at: 900 });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("are not asked again when they said no, and the last no is given when there is nothing else", async () => {
    const { servers, times, end, outcome } = start(3);
    await servers[0].says({ isRefusal: true });
    await servers[1].says({ isRefusal: true });
    await servers[2].says(undefined);
    await end;
    expect(times()).toEqual([[0], [0], [0]]);
    expect(outcome).toEqual({ text: "1", at: 0 });
  });

  test("are not hurried by the late no of another", async () => {
    const { servers, times } = start(3);
    await vi.advanceTimersByTimeAsync(150);
    await servers[0].says({ isRefusal: true });
    expect(times()).toEqual([[0], [100], []]);
    await vi.advanceTimersByTimeAsync(60);
    expect(times()).toEqual([[0], [100], [200]]);
  });

  test("give the no of one when the others stay silent", async () => {
    const { servers, end, outcome } = start(2);
    await servers[0].says({ isRefusal: true });
    await vi.advanceTimersByTimeAsync(1_000);
    await end;
    expect(outcome).toEqual({ text: "0", at: 1_000 });
  });

  test("are left when the gateway closes, and those that are being asked are told", async () => {
    const closing = new AbortController();
    const signals: AbortSignal[] = [];
    const ask = (_: NameServer, signal: AbortSignal) => {
      signals.push(signal);
      return new Promise<undefined>(() => {});
    };
    const { end, outcome } = start(1, { signal: closing.signal, ask });
    closing.abort();
    await end;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(outcome).toMatchObject({ text: undefined, at: 0 });
    expect(vi.getTimerCount()).toBe(0);
    const late = start(1, { signal: closing.signal, ask });
    await late.end;
    expect(signals.length).toBe(1);
  });

  test("may be none", async () => {
    const { end, outcome } = start(0);
    await end;
    expect(outcome).toEqual({ text: undefined, at: 0 });
  });
});

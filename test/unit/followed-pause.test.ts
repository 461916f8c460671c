import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Catalogue } from "../../src/catalogue/catalogue.js";
import type { CatalogueBackend, CatalogueSnapshot } from "../../src/catalogue/core/backend.js";
import type { ServiceInstance } from "../../src/catalogue/core/instances.js";
import type { ServiceView } from "../../src/catalogue/followed.js";
import { collectLog } from "../support/log-lines.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Answers = NonNullable<CatalogueBackend["answers"]>;

const QUERY = { service: "svc" };

const instance = (name: string): ServiceInstance => ({
  ...{ serviceId: name, tags: [name], meta: {}, address: "10.0.0.1", port: 1 },
  ...{ critical: false, weight: 1, version: 1 },
});

/** A service of so many instances, whose list takes a moment. Queries with an index are held. @param answers another question */
async function follow(count: number, listTakes: number, answers: Answers = async () => {}) {
  let list = Array.from({ length: count }, (_, index) => instance(`n${index}`));
  let index = 1;
  let queries = 0;
  let questions = 0;
  const answered = (): CatalogueSnapshot => ({ instances: list, index, hasLeader: true });
  const backend: CatalogueBackend = {
    ...{ name: "consul", title: "Consul", meanwhile: { known: "", unknown: "" } },
    follow: (_, from, wait, signal) => {
      queries++;
      return new Promise((resolve, reject) => {
        setTimeout(() => resolve(answered()), from === 0 ? listTakes : wait);
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    answers: (signal) => {
      questions++;
      return answers(signal);
    },
  };
  const catalogue = new Catalogue({ backend, log: collectLog().log, now: () => Date.now(), random: () => 0.5 });
  onTestFinished(() => catalogue.close());
  const look = (limit = 10_000) => Promise.resolve(catalogue.look(QUERY, limit));
  // Not by a look-up: that has all until its answer, and may use it for a moment.
  void catalogue.instances(QUERY, 10_000);
  await vi.advanceTimersByTimeAsync(listTakes);
  return {
    catalogue,
    look,
    known: () => catalogue.known(QUERY),
    queries: () => queries,
    questions: () => questions,
    change: () => {
      list = list.map((one) => ({ ...one, port: 2 }));
      index++;
    },
  };
}

const told = (view: ServiceView | undefined) => (view?.isPaused ? "may lack changes" : view?.instances[0]?.port);

test("look-ups of one moment have all that changed during a pause, whichever of them ends it", async () => {
  // A list of 1,100 pauses for 2 s, and may be asked for again after 245 ms.
  const { look, known, change } = await follow(1_100, 10);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told(known())).toBe("may lack changes");
  change();
  const views = Promise.all(Array.from({ length: 5 }, () => look()));
  await vi.advanceTimersByTimeAsync(20);
  expect((await views).map(told)).toEqual([2, 2, 2, 2, 2]);
});

test("a pause that ends by itself while look-ups wait for its end is all that they wait for", async () => {
  // A list of 1,001 pauses for 20 ms, and may be asked for again after 225 ms.
  const { look, known, queries } = await follow(1_001, 1);
  await vi.advanceTimersByTimeAsync(5);
  expect(told(known())).toBe("may lack changes");
  const view = look();
  await vi.advanceTimersByTimeAsync(30);
  expect(told(await view)).toBe(1);
  await vi.advanceTimersByTimeAsync(1_000);
  // The first one, the one after the pause, and the one that is held.
  expect(queries()).toBe(3);
});

test("the first answer is what look-ups waited for, though a pause begins with it", async () => {
  const { catalogue } = await follow(1_100, 100);
  // Another service of the same back end.
  const other = catalogue.look({ service: "other" }, 10_000);
  await vi.advanceTimersByTimeAsync(100);
  expect(told(await other)).toBe(1);
});

test("look-ups that come one after the other while a busy back end makes its list ask it once in a while together", async () => {
  const { look, change, questions } = await follow(1_100, 1_800);
  await vi.advanceTimersByTimeAsync(1_000);
  change();
  const views: Promise<ServiceView | undefined>[] = [];
  for (let begun = 0; begun < 170; begun++) {
    views.push(look());
    await vi.advanceTimersByTimeAsync(10);
  }
  // The list is late after 520 ms; a question each 500 ms.
  expect(questions()).toBe(3);
  await vi.advanceTimersByTimeAsync(200);
  expect(new Set((await Promise.all(views)).map(told))).toEqual(new Set([2]));
});

test("a list that is overdue is waited for no longer, though the back end answers other questions", async () => {
  const { look } = await follow(1_100, 2_500);
  await vi.advanceTimersByTimeAsync(1_000);
  const view = look();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(told(await view)).toBe("may lack changes");
});

test("a look-up that has no more time leaves the others to wait", async () => {
  const { look, change } = await follow(1_100, 900);
  await vi.advanceTimersByTimeAsync(100);
  change();
  // The pause may be ended 245 ms after the first answer.
  const looks = [look(100), look(700), look(5_000)];
  await vi.advanceTimersByTimeAsync(1_100);
  expect((await Promise.all(looks)).map(told)).toEqual(["may lack changes", "may lack changes", 2]);
});

test("a query to a silent back end is waited for once, and its answer counts when it comes", async () => {
  const givenUp = (signal: AbortSignal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const { look, known, change } = await follow(1_100, 1_500, givenUp);
  await vi.advanceTimersByTimeAsync(1_000);
  change();
  const first = look();
  // 520 ms for the list, and 500 for the question.
  await vi.advanceTimersByTimeAsync(1_020);
  expect(told(await first)).toBe("may lack changes");
  expect(told(await look())).toBe("may lack changes");
  await vi.advanceTimersByTimeAsync(480);
  expect(known()?.instances[0]?.port).toBe(2);
});

test("closing ends the wait for the end of a pause", async () => {
  const { look, catalogue } = await follow(1_100, 10);
  const view = look();
  await catalogue.close();
  expect(told(await view)).toBe("may lack changes");
});

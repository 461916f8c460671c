import { expect, test } from "vitest";
import { ConsulError } from "../../src/errors.js";
import { AgentEntries } from "../../src/publish/agent-entries.js";
import type { HeldService } from "../../src/publish/core/service-entry.js";
import { heldService, OWNER, serviceEntry } from "../support/service-entry.js";

const IDS = Array.from({ length: 40 }, (_, index) => serviceEntry(`n${index}`).id);
const { signal } = new AbortController();

/** An agent whose answers come when the test says so, and a clock that the test moves. */
function agent(held: readonly HeldService[] = []) {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  let now = 0;
  let listError: Error | undefined;
  const answered = async <Answer>(question: string, answer: () => Answer) => {
    asked.push(question);
    await new Promise<void>((resolve) => answers.push(resolve));
    return answer();
  };
  const entries = new AgentEntries({
    client: {
      service: (id) => answered(id, () => held.find((one) => one.id === id)),
      services: () =>
        answered("list", () => {
          if (listError) throw listError;
          return [...held];
        }),
    },
    self: { instance: "box1", owner: OWNER },
    now: () => now,
    timings: { audit: 30_000, recheck: 1_000 },
    signal,
  });
  return {
    entries,
    asked,
    find: (id: string, isNew = true) => entries.find(id, isNew, signal),
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    answer: async () => {
      for (const resolve of answers.splice(0)) resolve();
      for (let turn = 0; turn < 8; turn++) await null;
    },
    failLists: () => {
      listError = new ConsulError("CONSUL_UNAVAILABLE", "no answer");
    },
  };
}

test("a few ids are asked for one by one, many in one moment by one list", async () => {
  const { asked, find, answer } = agent([heldService(serviceEntry("n1")), heldService(serviceEntry("n20"))]);
  const found = Promise.all(IDS.map((id) => find(id)));
  expect(asked).toEqual([...IDS.slice(0, 8), "list"]);
  await answer();
  expect((await found).flatMap((one) => one?.id ?? [])).toEqual([IDS[1], IDS[20]]);
  expect(asked).toHaveLength(9);
});

test("a list is believed for half of the time after which the survey of a publication begins, counted from its question", async () => {
  const { entries, asked, find, answer, pass } = agent();
  const list = entries.all(signal);
  pass(300);
  await answer();
  await list;
  pass(199);
  expect(await find("srv-epmd:box1:n1")).toBeUndefined();
  expect(asked).toEqual(["list"]);
  pass(1);
  void find("srv-epmd:box1:n1");
  expect(asked).toEqual(["list", "srv-epmd:box1:n1"]);
});

test("an entry that we have changed since is asked for, also when the change ended while the list was under way", async () => {
  const { entries, asked, find, answer, pass } = agent();
  const list = entries.all(signal);
  entries.wrote("srv-epmd:box1:n1");
  await answer();
  await list;
  pass(1);
  entries.wrote("srv-epmd:box1:n2");
  for (const name of ["n1", "n2", "n3"]) void find(`srv-epmd:box1:${name}`);
  expect(asked).toEqual(["list", "srv-epmd:box1:n1", "srv-epmd:box1:n2"]);
});

test("an entry of ours that a list leaves out is asked for: proxies filter lists", async () => {
  const { entries, asked, find, answer } = agent();
  const list = entries.all(signal);
  await answer();
  await list;
  void find("srv-epmd:box1:n1", false);
  expect(asked).toEqual(["list", "srv-epmd:box1:n1"]);
});

test("a list that took long is not asked for again at once, though many ask", async () => {
  const { asked, find, answer, pass } = agent();
  const lists = () => asked.filter((question) => question === "list").length;
  for (const id of IDS) void find(id);
  pass(600);
  await answer();
  await answer();
  // It was too old when it came: each has asked for its own.
  expect(asked).toHaveLength(1 + IDS.length);
  pass(600 * 29 - 1);
  for (const id of IDS) void find(id);
  expect(lists()).toBe(1);
  await answer();
  pass(1);
  for (const id of IDS) void find(id);
  expect(lists()).toBe(2);
});

test("a list that fails leaves the question for the single id", async () => {
  const { asked, find, answer, failLists } = agent([heldService(serviceEntry("n20"))]);
  failLists();
  const found = Promise.all(IDS.map((id) => find(id)));
  await answer();
  await answer();
  expect((await found)[20]?.id).toBe(IDS[20]);
  expect(asked).toHaveLength(1 + IDS.length);
});

test("a burst takes the list that a survey has asked for already", async () => {
  const { entries, asked, find, answer } = agent([heldService(serviceEntry("n20"))]);
  const survey = entries.all(signal);
  const found = Promise.all(IDS.map((id) => find(id)));
  expect(asked).toEqual(["list", ...IDS.slice(0, 8)]);
  await answer();
  expect((await found)[20]?.id).toBe(IDS[20]);
  expect(await survey).toHaveLength(1);
  expect(asked).toHaveLength(9);
});

test("a survey waits for the rest after the list of a burst, and its list is the next one", async () => {
  const { entries, asked, find, answer, pass } = agent();
  const lists = () => asked.filter((question) => question === "list").length;
  for (const id of IDS) void find(id);
  pass(200);
  // If it ended now, 29 times as long.
  expect(entries.claim()).toBe(200 * 29);
  await answer();
  expect(entries.claim()).toBe(200 * 29);
  pass(200 * 29);
  for (const id of IDS) void find(id);
  expect(lists()).toBe(1);
  expect(entries.claim()).toBe(0);
  void entries.all(signal);
  expect(lists()).toBe(2);
});

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { expectSteady, type Observer, observe } from "../nomad/lab/observer.js";

const A = "198.51.100.11:20001";
const B = "198.51.100.12:20002";
const nameOf = (address: string) => `${address === A ? "a" : "b"}@svc.service.consul`;

let observer: Observer;
afterEach(() => observer.stop());

/** An observer of two nodes, and what it is made to see. */
function observed() {
  const seen = { listed: [A, B], living: [A, B], answers: true };
  observer = observe({
    look: async () => {
      if (!seen.answers) throw new Error("no answer");
      return new Set(seen.listed);
    },
    vms: () => seen.living.map((address, pid) => ({ node: nameOf(address), address, pid })),
  });
  return seen;
}
/** What is now has been looked at. */
const looked = () => sleep(350);

test("what is as it should be is no difference", async () => {
  observed();
  await looked();
  const report = observer.report();
  expect(report).toMatchObject({ fewest: { nodes: 2 }, missing: [], dead: [] });
  expectSteady(report, { fewest: 2 });
});

test("a living node that is missing is told with its time, whether it comes back or not", async () => {
  const seen = observed();
  await looked();
  seen.listed = [A];
  await looked();
  expect(observer.report().missing).toMatchObject([{ node: nameOf(B), end: "none" }]);
  await sleep(700);
  seen.listed = [A, B];
  await looked();
  const report = observer.report();
  expect(report.missing).toMatchObject([{ node: nameOf(B), end: "entry" }]);
  expect(report.fewest).toMatchObject({ nodes: 1, without: [nameOf(B)] });
  expect(() => expectSteady(report)).toThrow();
});

test("one that has left and ended since the last look is not missing", async () => {
  const seen = observed();
  seen.listed = [A];
  await sleep(700);
  seen.living = [A];
  expect(observer.report().missing).toMatchObject([{ node: nameOf(B), end: "vm" }]);
});

test("an entry of a node that has ended is told, and of one that nobody reaches", async () => {
  const seen = observed();
  await looked();
  seen.living = [A];
  await sleep(700);
  expect(() => expectSteady(observer.report(), { dead: 300 })).toThrow();
  observer.unreachable("198.51.100.11");
  await looked();
  expect(
    observer
      .report()
      .dead.map(({ node }) => node)
      .sort(),
  ).toEqual([nameOf(A), nameOf(B)]);
  seen.listed = [];
  await looked();
  expect(observer.report().dead.map(({ end }) => end)).toEqual(["entry", "entry"]);
});

test("a node that leaves the catalogue before it ends is not missing", async () => {
  const seen = observed();
  await looked();
  seen.listed = [A];
  await sleep(700);
  seen.living = [A];
  await looked();
  const report = observer.report();
  expect(report.missing).toMatchObject([{ node: nameOf(B), end: "vm" }]);
  expectSteady(report);
});

test("without an answer nothing is known, and how long is told", async () => {
  const seen = observed();
  await looked();
  observer.report();
  seen.answers = false;
  seen.listed = [];
  await sleep(700);
  const report = observer.report();
  expect(report.missing).toEqual([]);
  expect(report.silence).toBeGreaterThan(400);
});

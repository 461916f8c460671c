import { expect, test } from "vitest";
import { NO_TRIES, summaryLines, type Try, tally, tryLine } from "../../src/cli/ping-report.js";

const NODE = "a@svc.test";

function answered(seq: number, address: string, creation: number): Try {
  const endpoint = { address, port: 20_001, family: 4 } as const;
  const probe = { result: "node", name: NODE, creation, flags: [], release: "OTP 25", version: 6, elapsedMs: 1 };
  const answer = { outcome: "found", source: "catalogue", endpoints: [endpoint], ttl: 0, stale: false };
  const at = new Date(0);
  return { ...{ seq, at, node: NODE, answer, lookUpMs: 1 }, reached: { endpoint, probe } } as unknown as Try;
}

/** What is said of each answer, and at the end. */
function told(...answers: readonly (readonly [address: string, creation: number])[]) {
  let all = NO_TRIES;
  const lines = answers.map(([address, creation], index) => {
    const one = answered(index + 1, address, creation);
    const { text } = tryLine(one, all);
    all = tally(all, one);
    return / has been restarted$|; a.*$/.exec(text)?.[0] ?? "";
  });
  return { lines, sum: summaryLines(NODE, all, "box").map(({ text }) => text) };
}

test("a VM of a new creation at the same place has been restarted", () => {
  const { lines, sum } = told(["10.0.0.1", 1], ["10.0.0.1", 1], ["10.0.0.1", 2], ["10.0.0.1", 3]);
  expect(lines).toEqual(["", "", " has been restarted", " has been restarted"]);
  expect(sum[1]).toBe("4 tries, 4 answered, 0% lost, restarted 2 times");
});

test("two VMs of one name: each in turn is no restart", () => {
  const moved = "; another VM than before, at another place: it has moved, or two have the name";
  const back = "; a VM that answered before the last one: two VMs have the name";
  const { lines, sum } = told(["10.0.0.2", 7], ["10.0.0.1", 8], ["10.0.0.2", 7], ["10.0.0.1", 8]);
  expect(lines).toEqual(["", moved, back, back]);
  expect(sum).toContain("4 tries, 4 answered, 0% lost");
  expect(sum.at(-1)).toBe(
    `two VMs have the name: answers came from 10.0.0.1:20001, 10.0.0.2:20001; srv-epmd doctor ${NODE} says what to do`,
  );
});

test("a VM that has moved to another machine", () => {
  const { lines, sum } = told(["10.0.0.2", 7], ["10.0.0.1", 8], ["10.0.0.1", 8]);
  expect(lines.at(-1)).toBe("");
  expect(sum).toContain("3 tries, 3 answered, 0% lost, another VM elsewhere once");
  expect(sum.join()).not.toContain("two VMs");
});

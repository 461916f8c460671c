import { expect, test } from "vitest";
import { lazily } from "../../src/lazily.js";

test("a part is made once, for all who ask", async () => {
  let made = 0;
  const part = lazily(async () => ++made);
  expect(await Promise.all([part(), part()])).toEqual([1, 1]);
  expect(await part()).toBe(1);
});

test("a part that could not be made is made with the next use, and whoever waited is told", async () => {
  let attempts = 0;
  const part = lazily(async () => {
    attempts++;
    if (attempts < 3) throw new Error(`EMFILE ${attempts}`);
    return "here";
  });
  const waiting = await Promise.allSettled([part(), part()]);
  expect(waiting.map((result) => result.status === "rejected" && String(result.reason))).toEqual([
    "Error: EMFILE 1",
    "Error: EMFILE 1",
  ]);
  await expect(part()).rejects.toThrow("EMFILE 2");
  expect(await part()).toBe("here");
  expect(attempts).toBe(3);
});

import { describe, expect, test } from "vitest";
import { pairsOf, pictureOf } from "../../src/admin/page/look-ups.js";
import { renderPage } from "../../src/admin/page.js";
import type { LookUp } from "../../src/daemon/core/observations.js";
import { rowsOf } from "../support/markup.js";
import { emptyStatus, failedLookUp, lookUp, NOW } from "../support/status.js";

const stranger = (asker: string, node: string): LookUp => lookUp({ asker, here: false, node });

/** The picture of a page, without what is around it. */
function pictureIn(lookUps: readonly LookUp[]): string {
  const page = renderPage(emptyStatus({ lookUps }), NOW);
  return /<figure>.*<\/figure>/s.exec(page)?.[0] ?? "";
}

const linesIn = (picture: string) => Array.from(picture.matchAll(/<g class="link ([a-z-]+)".*?<\/g>/gs));

/** Where the lines begin and end. */
const endsIn = (picture: string) =>
  Array.from(picture.matchAll(/class="line" d="M0 ([\d.]+)C.* 100 ([\d.]+)"/g), ([, from, to]) =>
    [from, to].map(Number),
  );

describe("pairs", () => {
  test("each who asked and each node make one, with the newest outcome, newest first", () => {
    const pairs = pairsOf([
      failedLookUp("unavailable", "no", { node: "a@h" }),
      stranger("10.0.0.1", "a@h"),
      lookUp({ node: "a@h", asker: "::1" }),
      lookUp({ node: "b@h" }),
    ]);
    expect(pairs.map(({ asker, node, count, last }) => [asker, node, count, last.outcome])).toEqual([
      ["this machine", "a@h", 2, "unavailable"],
      ["10.0.0.1", "a@h", 1, "found"],
      ["this machine", "b@h", 1, "found"],
    ]);
  });

  test("whoever calls himself this machine is not", () => {
    const pairs = pairsOf([lookUp({ node: "a@h" }), stranger("this machine", "a@h")]);
    expect(pairs.map(({ here, count }) => [here, count])).toEqual([
      [true, 1],
      [false, 1],
    ]);
    expect(pictureOf(pairs, 9).links.map(({ from, to }) => [from, to])).toEqual([
      [0, 0],
      [1, 0],
    ]);
  });

  test("this machine is the first to ask, and nodes stand by who asks for them", () => {
    const lookUps = [stranger("10.0.0.2", "a@h"), stranger("10.0.0.1", "c@h"), lookUp({ node: "z@h" })];
    const { askers, nodes } = pictureOf(pairsOf(lookUps), 9);
    expect(askers.map(({ name }) => name)).toEqual(["this machine", "10.0.0.1", "10.0.0.2"]);
    expect(nodes.map(({ name }) => name)).toEqual(["z@h", "c@h", "a@h"]);
  });
});

describe("the drawing", () => {
  test("one pair: one line, which says what it is", () => {
    const picture = pictureIn([lookUp({ at: NOW - 65_000 }), lookUp({ at: NOW - 70_000 })]);
    expect(linesIn(picture)).toHaveLength(1);
    expect(picture).toContain(
      "<title>this machine → node_b@svc.service.consul: 2 look-ups, the last one 1m ago: found</title>",
    );
    expect(endsIn(picture)).toEqual([[1, 1]]);
    expect(picture).toContain('viewBox="0 0 100 2" width="100%" height="2rem"');
  });

  test("every outcome has a class of its own, and a key that tells of it", () => {
    const outcomes = ["found", "not-found", "unreachable", "unavailable", "refused"] as const;
    const picture = pictureIn(outcomes.map((outcome) => lookUp({ node: `${outcome}@h`, outcome })));
    expect(linesIn(picture).map(([, outcome]) => outcome)).toEqual(outcomes);
    const keys = Array.from(
      picture.matchAll(/<span class="key"><svg class="link ([a-z-]+)"/g),
      ([, outcome]) => outcome,
    );
    expect(keys).toEqual(outcomes);
  });

  test("lines end where the labels stand, and the shorter column in the middle", () => {
    const picture = pictureIn(["a", "b", "c"].map((name) => lookUp({ node: `${name}@h` })));
    expect(endsIn(picture)).toEqual([
      [3, 1],
      [3, 3],
      [3, 5],
    ]);
  });

  test("who asks more often has a thicker line, within limits", () => {
    const times = (count: number) =>
      Number(/class="line" d="[^"]*" stroke-width="([\d.]+)"/.exec(pictureIn(Array(count).fill(lookUp())))?.[1]);
    expect(times(1)).toBe(1.5);
    expect(times(8)).toBe(4.5);
    expect(times(100_000)).toBe(7);
  });

  test.each([10, 24])("%i pairs: all of them", (count) => {
    const picture = pictureIn(Array.from({ length: count }, (_, index) => lookUp({ node: `n${index}@h` })));
    expect(linesIn(picture)).toHaveLength(count);
    expect(picture).not.toContain("more</b>");
  });

  test("50 pairs: the newest, and how many more; the table has them all", () => {
    const lookUps = Array.from({ length: 50 }, (_, index) => stranger(`10.0.0.${index % 7}`, `n${index}@h`));
    const picture = pictureIn(lookUps);
    expect(linesIn(picture)).toHaveLength(24);
    expect(picture).toContain("… and 26 pairs more");
    expect(picture).toContain('title="n23@h"');
    expect(picture).not.toContain('title="n24@h"');
    expect(rowsOf(renderPage(emptyStatus({ lookUps }), NOW), "Look-ups by asker and node")).toHaveLength(50);
  });
});

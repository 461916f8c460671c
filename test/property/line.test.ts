import fc from "fast-check";
import { expect, test } from "vitest";
import { Line, type Waiting } from "../../src/publish/core/line.js";

const MOST = 3;

type One = Waiting<number>;

/** The rule in full: of those that may go, the one whose share has the fewest calls, then the earliest. */
function chosen(waiting: readonly One[], calls: ReadonlyMap<string, number>): One | undefined {
  const callsOf = ({ share }: One) => calls.get(share) ?? 0;
  const order = (one: One, other: One) => callsOf(one) - callsOf(other) || one.by - other.by || one.order - other.order;
  return waiting.filter((one) => one.isWaiting && callsOf(one) < MOST).sort(order)[0];
}

const operation = fc.oneof(
  fc.record({ kind: fc.constant("enter" as const), share: fc.constantFrom("a", "b", "c", "d"), by: fc.nat(9) }),
  fc.record({ kind: fc.constant("leave" as const), which: fc.nat(30) }),
  fc.record({ kind: fc.constant("next" as const) }),
  fc.record({ kind: fc.constant("end" as const), which: fc.nat(30) }),
);

test("whoever enters, leaves and ends: next is who has the fewest calls of its share, then the least time", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const line = new Line<number>(MOST);
      const all: One[] = [];
      const underWay: string[] = [];
      for (const one of operations) {
        if (one.kind === "enter") {
          const { share, by } = one;
          all.push({ caller: all.length, share, by, order: all.length, isWaiting: true });
          line.enter(all[all.length - 1] as One);
        } else if (one.kind === "leave") {
          const leaving = all[one.which % Math.max(1, all.length)];
          if (leaving) leaving.isWaiting = false;
        } else if (one.kind === "end") {
          const [share] = underWay.splice(one.which % Math.max(1, underWay.length), 1);
          if (share !== undefined) line.ended(share);
        } else {
          const calls = new Map<string, number>();
          for (const share of underWay) calls.set(share, (calls.get(share) ?? 0) + 1);
          const expected = chosen(all, calls);
          const next = line.next();
          expect(next?.caller).toBe(expected?.caller);
          if (next) underWay.push(next.share);
        }
      }
    }),
  );
});

test("a choice among ten thousand compares a few: not all of them with each call", () => {
  const line = new Line<number>(MOST);
  let looks = 0;
  const share = (number: number) => `share${number % 5_000}`;
  for (let order = 0; order < 10_000; order++) {
    const by = (order * 7919) % 10_000;
    const one = { caller: order, share: share(order), order, isWaiting: true };
    line.enter({
      ...one,
      get by() {
        looks++;
        return by;
      },
    });
  }
  looks = 0;
  for (let turn = 0; turn < 1_000; turn++) {
    const next = line.next();
    if (turn % 2 === 0 && next) line.ended(next.share);
  }
  expect(looks).toBeLessThan(1_000 * 200);
});

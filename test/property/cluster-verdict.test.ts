import fc from "fast-check";
import { expect, test } from "vitest";
import type { Joined, Probe } from "../../src/distribution/core/words.js";
import { isExpected, memberOf } from "../../src/doctor/core/cluster-links.js";
import { judgeCluster } from "../../src/doctor/core/cluster-verdict.js";

const OTP25 = ["PUBLISHED", "BIG_CREATION", "HANDSHAKE_23", "UNLINK_ID", "MANDATORY_25_DIGEST", "V4_NC"];
const RELEASES = {
  "23": OTP25.slice(0, 3),
  "24": [...OTP25.slice(0, 4), "V4_NC"],
  "25": OTP25,
  "29": OTP25,
} as const;

const vm = fc.record({
  release: fc.constantFrom("23", "24", "25", "29"),
  tls: fc.boolean(),
  long: fc.boolean(),
  prevents: fc.boolean(),
  cookie: fc.constantFrom("same", "same", "same", "refused"),
  autoConnect: fc.constantFrom(undefined, undefined, "never", "once"),
  linked: fc.array(fc.nat(5)),
  connecting: fc.array(fc.nat(5), { maxLength: 1 }),
});

test("each link that is missed is told, whatever else is wrong", () => {
  fc.assert(
    fc.property(fc.array(vm, { minLength: 2, maxLength: 6 }), (vms) => {
      const names = vms.map(({ long }, index) => `n${index}@${long ? "svc.test" : "box"}`);
      const members = vms.map((one, index) => {
        const others = (list: readonly number[]) =>
          list.flatMap((other) => (other === index ? [] : (names[other] ?? [])));
        const joined: Joined =
          one.cookie === "refused"
            ? { cookie: "refused" }
            : {
                cookie: "same",
                state: {
                  ...{ release: one.release, visible: others(one.linked), hidden: [] },
                  ...{ connecting: others(one.connecting), ends: [], families: [], connectAll: true },
                  ...{ autoConnect: one.autoConnect, preventsPartitions: one.prevents },
                },
              };
        const probe: Probe = {
          ...({ result: "node", version: 6 } as const),
          ...{ name: names[index] ?? "", creation: 7, hidden: false, status: "ok" },
          ...{ flags: RELEASES[one.release as "23"], release: "OTP", elapsedMs: 1, joined },
          ...(one.tls && { tls: { protocol: "TLSv1.3", names: [] } }),
        };
        const endpoint = { address: "10.0.0.1", port: 1, family: 4 } as const;
        return memberOf({ node: names[index] ?? "", places: [{ endpoint, probe }] });
      });
      const { pairs, problems } = judgeCluster(members);
      for (const pair of pairs.filter(({ link }) => link !== "linked" && link !== "unknown").filter(isExpected)) {
        const [one, other] = [pair.one.node, pair.other.node];
        const isTold = problems.some(({ code, nodes }) => {
          const ofBoth = nodes.includes(one) && nodes.includes(other);
          return ofBoth || (code === "OTHER_COOKIE" && (nodes.includes(one) || nodes.includes(other)));
        });
        expect(isTold, `${one} and ${other}`).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { consulToken } from "../../src/doctor/consul-token.js";
import { problemsOf } from "../../src/doctor/core/finding.js";
import type { Examination } from "../../src/doctor/examination.js";

const NODE_POLICY = 'node_prefix "" { policy = "read" }';

test("doctor without a token says which policy that of serve lacks, as the status of serve has it", async () => {
  const { config } = loadConfig({ command: "doctor", flags: { domain: "svc" }, env: {} });
  const unread = {
    ...{ code: "TOKEN_NOT_GIVEN", services: ["svc"], why: "serve has a token", advice: "give it the same" },
  } as const;
  const problems = async (cluster: object) => {
    const daemon = async () => ({ nodes: [], cluster });
    const examination = { config, asked: undefined, daemon, leader: async () => ({}), unread: async () => unread };
    const finding = await consulToken.run(examination as unknown as Examination);
    return problemsOf(finding).map(({ code, evidence, advice }) => [code, evidence[0], advice[0]]);
  };
  const listed = { outcome: "listed", patterns: ["*@svc.service.consul"], nodes: [] };
  const notGiven = ["TOKEN_NOT_GIVEN", expect.any(String), "give it the same"];
  expect(await problems({ ...listed, missingPolicies: [NODE_POLICY] })).toEqual([
    notGiven,
    [
      "TOKEN_CANNOT_READ",
      expect.stringMatching(/^the token of the srv-epmd here lacks node_prefix .* no node of \*@svc\.service\.consul,/),
      `give the token of serve the policy ${NODE_POLICY}`,
    ],
  ]);
  expect(await problems(listed)).toEqual([notGiven]);
});

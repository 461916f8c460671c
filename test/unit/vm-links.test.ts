import { expect, test } from "vitest";
import { problemsOf } from "../../src/doctor/core/finding.js";
import type { Examination } from "../../src/doctor/examination.js";
import { vmLinks } from "../../src/doctor/vm-links.js";
import { parseNodeName } from "../../src/names/node-name.js";

const NODE = "b@svc.test";

test("a link that is stuck is about the node that was asked for where it leads to its machine, else about the VM here", async () => {
  const answering = (value: unknown) => () => Promise.resolve(value);
  const link = (address: string, port: number) => ({
    ...{ local: { address: "127.0.0.1", port }, remote: { address, port: 40_000 } },
    ...{ inode: 0, unacknowledged: 8, repeats: 5, waitingMs: 9_000 },
  });
  const vms = ["a", "c"].map((aliveName, index) => ({ node: { aliveName, port: 9_000 + index } }));
  // Nobody is asked at addresses of this machine.
  const own = ["10.0.0.1", "10.0.0.7"];
  const examination = {
    ...{ asked: { name: parseNodeName(NODE), operand: NODE, full: NODE, host: "svc.test" }, config: { port: 4_369 } },
    ...{
      machine: { addresses: () => own },
      connections: answering([link("10.0.0.7", 9_000), link("10.0.0.1", 9_001)]),
    },
    ...{ localVms: answering(vms), vms: answering([]), nodes: answering(vms), listeners: answering([]) },
    resolution: answering({ outcome: "found", endpoints: [{ address: "10.0.0.7", port: 9_100, family: 4 }] }),
    ...{ daemon: answering({ lookUps: [] }), instancesInConsul: answering([]) },
  };
  const problems = problemsOf(await vmLinks.run(examination as unknown as Examination));
  expect(problems).toMatchObject([
    { code: "LINK_STUCK", about: "b", evidence: [expect.stringMatching(/^the link of a from /)] },
    { code: "LINK_STUCK", about: "c", evidence: [expect.stringMatching(/^the link of c from /)] },
  ]);
});

import { expect, test } from "vitest";
import type { Examination } from "../../src/doctor/examination.js";
import { linksKnown } from "../../src/doctor/links-known.js";
import { parseNodeName } from "../../src/names/node-name.js";
import type { Connection } from "../../src/os/core/connections.js";

const NODE = "b@svc.test";
const asked = { name: parseNodeName(NODE), operand: NODE, full: NODE, host: "svc.test" };

/** A VM here that listens at port 9000 and does not tell its links; the node asked for was found at 10.0.0.7 before. */
function links(found: readonly string[], dialledFrom: readonly string[]) {
  const connections = dialledFrom.map((address, index): Connection => {
    const [local, remote] = [
      { address: "10.0.0.1", port: 9_000 },
      { address, port: 40_000 + index },
    ];
    return { local, remote, inode: 0, unacknowledged: 0, repeats: 0, waitingMs: 0 };
  });
  const vms = [{ node: { aliveName: "a", port: 9_000 }, probe: { result: "refused" }, process: undefined }];
  const lookUp = { outcome: "found", node: NODE, endpoints: ["10.0.0.7:9100"], at: 0, here: true, way: "module" };
  const resolution = {
    outcome: found.length > 0 ? "found" : "not-found",
    endpoints: found.map((address) => ({ address, port: 9_100, family: 4 })),
  };
  const answering = (value: unknown) => () => Promise.resolve(value);
  const examination = {
    ...{ config: { port: 4_369 }, startedAt: 0, connections: answering(connections), listeners: answering([]) },
    ...{ vms: answering([]), nodes: answering([]), localVms: answering(vms), peersOfAsked: answering(vms) },
    ...{ probes: answering([]), resolution: answering(resolution) },
    daemon: answering({ lookUps: [lookUp], links: [{ name: "a", state: "not-offered", hidden: false }] }),
  };
  return linksKnown(asked, examination as unknown as Examination);
}

test("a connection from an address at which the node was before does not count while it is found elsewhere", async () => {
  expect(await links(["10.0.0.2"], ["10.0.0.7"])).toMatchObject({ state: "unknown", words: [] });
  const { state, words } = await links(["10.0.0.2"], ["10.0.0.7", "10.0.0.2"]);
  expect([state, words]).toEqual([
    "connected",
    [expect.stringMatching(/^a connection stands: from its machine \(10\.0\.0\.2:40001\) to a;/)],
  ]);
});

test("of a node that is not found it is said that it was there before", async () => {
  const { words } = await links([], ["10.0.0.7"]);
  expect(words[0]).toMatch(
    /^a connection stands: from the machine where it was found before \(10\.0\.0\.7:40000\) to a;/,
  );
});

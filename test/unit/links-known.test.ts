import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { Examination } from "../../src/doctor/examination.js";
import { linksKnown } from "../../src/doctor/links-known.js";
import { parseNodeName } from "../../src/names/node-name.js";
import type { Connection } from "../../src/os/core/connections.js";

const NODE = "b@svc.test";
const asked = { name: parseNodeName(NODE), operand: NODE, full: NODE, host: "svc.test" };

/** A VM here that listens at port 9000 and does not tell its links; the node asked for was found at 10.0.0.7 before. */
function links(
  found: readonly string[],
  dialledFrom: readonly string[],
  { told = { name: "a", state: "not-offered", hidden: false }, admin }: { told?: object; admin?: object } = {},
) {
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
    ...{ config: { port: 4_369, admin }, startedAt: 0, connections: answering(connections), listeners: answering([]) },
    ...{ vms: answering([]), nodes: answering([]), localVms: answering(vms), peersOfAsked: answering(vms) },
    ...{ probes: answering([]), resolution: answering(resolution) },
    daemon: answering({ lookUps: [lookUp], links: [told] }),
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

test("a link that a VM told of, and of which no connection is seen: the VM is asked again", async () => {
  const at = new Date(-5_000).toISOString();
  const told = { name: "a", state: "told", hidden: false, node: "a@svc.test", linked: [NODE], at };
  let asked = 0;
  // Its status now: the link has been cut since.
  const server = createServer((_, response) => {
    asked++;
    const links = [{ ...told, linked: [], at: new Date().toISOString() }];
    response.end(JSON.stringify({ epmd: { port: 4_369 }, readiness: { checks: [] }, nodes: [], links }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const admin = { address: "127.0.0.1", port: (server.address() as AddressInfo).port };
  const { state, linked } = await links(["10.0.0.7"], [], { told, admin });
  server.close();
  expect([asked, state, linked]).toEqual([1, "none", []]);
});

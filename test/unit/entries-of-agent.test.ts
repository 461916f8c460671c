import { expect, test } from "vitest";
import type { ServiceMember } from "../../src/catalogue/core/instances.js";
import { entriesOfAgent, type OfHere } from "../../src/doctor/core/entries-of-agent.js";

const HERE: OfHere = {
  ...{ machine: "box-a", owner: "boot-a/net-a/4369", prefix: "srv-epmd:vm:" },
  held: new Set(["srv-epmd:vm:node_a"]),
  known: new Set(["srv-epmd:vm:node_a", "srv-epmd:vm:node_c"]),
};

const member = (serviceId: string, machine: string, owner: string): ServiceMember => ({
  ...{ serviceId, machine, tags: [], port: 20_001, address: "10.0.0.1", weight: 1, version: 1 },
  ...{ critical: false, health: "passing", meta: { "srv-epmd-owner": owner } },
});
const OWN = member("srv-epmd:vm:node_a", "box-a", "boot-a/net-a/4369");
const idsOf = (members: readonly ServiceMember[]) => members.map(({ serviceId, machine }) => `${serviceId} ${machine}`);

test("an entry of this instance at another agent is another srv-epmd's, and no orphan", () => {
  const other = member("srv-epmd:vm:node_b", "box-b", "boot-b/net-b/4369");
  const found = entriesOfAgent([OWN, other], HERE);
  expect([idsOf(found.own), idsOf(found.orphans), found.namesakes]).toEqual([idsOf([OWN]), [], ["box-b"]]);
});

test("an entry with the very id of one here, at another agent, is not taken for the one here", () => {
  const same = member("srv-epmd:vm:node_a", "box-b", "boot-b/net-b/4369");
  expect(entriesOfAgent([same], HERE)).toEqual({ own: [], orphans: [], namesakes: ["box-b"] });
});

test("an entry on this machine that the agent does not know is an orphan, unless its node is here", () => {
  const gone = member("srv-epmd:vm:ghost", "box-a", "former/net-a/4369");
  const coming = member("srv-epmd:vm:node_c", "box-a", "boot-a/net-a/4369");
  const foreign = member("srv-epmd:vm2:ghost", "box-a", "boot-c/net-c/4369");
  expect(idsOf(entriesOfAgent([OWN, gone, coming, foreign], HERE).orphans)).toEqual(idsOf([gone]));
});

test("without the name of this machine nothing is called an orphan, and entries are told by their owner", () => {
  const here = { ...HERE, machine: undefined };
  const others = [member("srv-epmd:vm:node_a", "box-b", "boot-b/net-b/4369"), member("srv-epmd:vm:x", "box-a", "who")];
  expect(entriesOfAgent([OWN, ...others], here)).toEqual({ own: [OWN], orphans: [], namesakes: [] });
});

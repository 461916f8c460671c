import { expect, test } from "vitest";
import type { Probe } from "../../src/distribution/core/words.js";
import { type ClusterDeps, examineCluster, type NamedCluster } from "../../src/doctor/cluster.js";
import type { Endpoint } from "../../src/net/endpoint.js";
import type { NamedVm } from "../../src/resolve/twins.js";

const at = (address: string, port = 20_001) => ({ address, port, family: 4 }) as Endpoint;

interface World {
  /** Where each node is. */
  readonly places: Readonly<Record<string, readonly Endpoint[]>>;
  readonly probe: (endpoint: { readonly address: string; readonly port: number }, node: string) => Probe;
  readonly vms?: (node: string) => readonly NamedVm[];
  readonly epmdPortAt?: ClusterDeps["epmdPortAt"];
  readonly source?: string;
}

function examine({ places, probe, vms = () => [], epmdPortAt, source = "srv" }: World) {
  const names = Object.keys(places);
  const named: NamedCluster = {
    ...{ members: names.map((node) => ({ node })), catalogueOf: () => undefined, mayHide: () => false },
  };
  const deps = {
    ...{ from: "box", isOwn: (address: string) => address === "10.0.0.1" },
    nodes: {
      resolve: async ({ aliveName = "" }) => {
        const node = names.find((name) => name.startsWith(`${aliveName}@`)) ?? "";
        return { outcome: "found", source, endpoints: places[node] };
      },
    },
    probe: async (endpoint: Endpoint, _: unknown, node: string) => probe(endpoint, node),
    vmsNamed: async ({ full }: { full: string }) => vms(full),
    epmdPortAt: epmdPortAt ?? (async () => ({ port: 4369, answers: true })),
  };
  return examineCluster(async () => named, deps as unknown as ClusterDeps);
}

const node = (name: string, creation: number): Probe =>
  ({ result: "node", name, creation, flags: ["PUBLISHED"], release: "OTP 25", elapsedMs: 1 }) as unknown as Probe;
const SILENT: Probe = { result: "silent", stage: "connect", elapsedMs: 2_000 };

test("two VMs of one name are told in one order, whichever is found first", async () => {
  const [one, other] = [at("10.0.0.2"), at("10.0.0.3")];
  const told = async (found: readonly Endpoint[]) => {
    const probe = ({ address }: { address: string }) => node("a@svc.test", address === one.address ? 1 : 2);
    const vms = () => found.map((endpoint): NamedVm => ({ endpoint, probe: probe(endpoint), origin: "elsewhere" }));
    const { verdict } = await examine({ places: { "a@svc.test": found }, probe, vms });
    return verdict.problems[0]?.text;
  };
  expect(await told([other, one])).toBe("a@svc.test is there twice: at 10.0.0.2:20001 and 10.0.0.3:20001");
  expect(await told([other, one])).toBe(await told([one, other]));
});

test("of an address that gives no answer the EPMD port is asked, once for all nodes there", async () => {
  const asked: string[] = [];
  const { members, verdict } = await examine({
    places: { "a@svc.test": [at("10.0.0.1")], "b@svc.test": [at("10.0.0.2")], "c@svc.test": [at("10.0.0.2", 20_002)] },
    probe: (endpoint, name) => (endpoint.address === "10.0.0.1" ? node(name, 1) : SILENT),
    epmdPortAt: async (address) => {
      asked.push(address);
      return { port: 4369, answers: false };
    },
  });
  expect(asked).toEqual(["10.0.0.2"]);
  expect(verdict.problems).toMatchObject([{ code: "NOT_THERE", nodes: ["b@svc.test", "c@svc.test"] }]);
  expect(verdict.problems[0]?.text).toContain("nothing at 10.0.0.2 answers (TCP ports 4369, 20001, 20002)");
  expect(members.map(({ isHere }) => isHere)).toEqual([true, undefined, undefined]);
});

test("an address of a sidecar proxy here is no node of this machine", async () => {
  const proxy = at("10.0.0.1");
  const looked = { places: { "a@svc.test": [proxy] }, probe: () => node("a@svc.test", 1) };
  expect((await examine({ ...looked, source: "upstream" })).members[0]?.isHere).toBeUndefined();
  expect((await examine(looked)).members[0]?.isHere).toBe(true);
});

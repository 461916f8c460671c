import { describe, expect, test } from "vitest";
import {
  clusterNodes,
  nextIndex,
  nodesOfService,
  type ServiceInstance,
  type ServiceMember,
} from "../../src/catalogue/core/instances.js";
import { isPublishedUnder, matchNodes, nodesAlive } from "../../src/catalogue/core/matching.js";
import { Domains, parseServiceDomain } from "../../src/names/domains.js";
import { parseGlob } from "../../src/text.js";
import { registeredNode, serveConfig } from "../support/registered-node.js";

const HOST = "svc.service.consul";
const WHOLE = { tagSuffix: undefined };

function instance(over: Partial<ServiceInstance> = {}): ServiceInstance {
  return {
    serviceId: "id",
    tags: [],
    port: 20001,
    meta: {},
    address: "10.0.0.1",
    critical: false,
    weight: 1,
    version: 0,
    ...over,
  };
}

/** `name@host:port` of each node. */
function listed(instances: readonly ServiceInstance[], host = HOST, config = serveConfig()) {
  const domain = parseServiceDomain(host, "consul");
  if (!domain) throw new Error(`${host} is no service`);
  return nodesOfService(instances, { host, domain }, config).map(
    ({ aliveName, host: at, port }) => `${aliveName}@${at}:${port}`,
  );
}

test("a name is published under the service that its host stands for, if it is no helper and --publish has it", () => {
  const asked = { glob: parseGlob("node_*"), host: HOST };
  const isPublished = (node: string, publish: readonly string[] = []) =>
    isPublishedUnder(node, asked, { publish: publish.map((pattern) => parseGlob(pattern)) });
  expect(isPublished(`node_a@${HOST}`)).toBe(true);
  expect(isPublished("node_a@Svc.service.consul")).toBe(true);
  for (const other of ["node_a@svcc.service.consul", `web@${HOST}`, `node_a_ctl_7@${HOST}`, "node_a@box"]) {
    expect(isPublished(other), other).toBe(false);
  }
  expect(isPublished(`node_a@${HOST}`, ["node_a"])).toBe(true);
  expect(isPublished(`node_b@${HOST}`, ["node_a"])).toBe(false);
});

describe("the nodes of a service", () => {
  test("have the full name that their meta says, whatever their tags are", () => {
    const meta = { "erlang-node": "node_a@Svc.service.consul" };
    const tags = ["blue", "node_b", "v1", "v2", "v3", "v4"];
    expect(listed([instance({ meta, tags })])).toEqual(["node_a@Svc.service.consul:20001"]);
  });

  test("are none of those whose meta claims a host elsewhere: whoever writes an entry leads no VM to another domain", () => {
    const hosts = [
      ...["evil.example", "10.0.0.9", "localhost", "127.0.0.1", "other.service.consul", "svc.service.dc1.evil"],
      ...["xsvc.service.consul", "svc.service.consul.evil.example", "svc.node.consul", "other"],
    ];
    const claims = hosts.map((host) => instance({ meta: { "erlang-node": `a@${host}` }, tags: ["a"] }));
    expect(listed(claims)).toEqual([]);
    expect(listed(claims, "svc.service.dc1.consul")).toEqual([]);
    expect(
      listed([instance({ meta: { "erlang-node": "a@svc.service.dc2.consul" } })], "svc.service.dc1.consul"),
    ).toEqual([]);
  });

  test.each([
    ["in another spelling of the service", "svc.service.dc1.consul"],
    ["in its short form", "svc"],
    ["below the service", "n1.svc.service.consul"],
    ["that is the instance's own address", "10.0.0.1"],
    ["of this daemon's --node-host", "Box1.example"],
  ])("may have a host %s: %s", (_, host) => {
    const config = serveConfig({ nodeHost: "box1.example" });
    const named = instance({ meta: { "erlang-node": `a@${host}` } });
    expect(listed([named], HOST, config)).toEqual([`a@${host}:20001`]);
  });

  test("are none of the tags of an instance that has many: that is no list of nodes", () => {
    const tags = (count: number) => Array.from({ length: count }, (_, index) => `t${index}`);
    expect(listed([instance({ tags: tags(4) })])).toHaveLength(4);
    for (const count of [5, 6, 10, 20_000]) expect(listed([instance({ tags: tags(count) })])).toEqual([]);
    // Those that can be no name are no list either way.
    const labels = tags(50).map((tag) => `traefik.http.routers.${tag}.rule=Host`);
    expect(listed([instance({ tags: ["node_a", ...labels] })])).toEqual([`node_a@${HOST}:20001`]);
  });

  test("without meta are named by each tag that can be an alive name, under the asked host", () => {
    const tags = ["node_a", "with.dot", "a b", "ü", "", "x".repeat(64), "other-1"];
    expect(listed([instance({ tags })])).toEqual([`node_a@${HOST}:20001`, `other-1@${HOST}:20001`]);
  });

  test.each(["node_a", "@svc", "a.b@svc", "a@svc/4", "a@b at port 1\nname evil@svc", "a\nb@svc", "a@"])(
    "whose meta says %j, which is no node name, are named by their tags",
    (name) => {
      expect(listed([instance({ meta: { "erlang-node": name }, tags: ["t"] })])).toEqual([`t@${HOST}:20001`]);
    },
  );

  test("that are critical, or have no port that can be dialled, are left out", () => {
    const tags = ["a"];
    const absent = [{ critical: true }, { port: 0 }, { port: 70000 }, { port: -1 }, { port: Number.NaN }];
    expect(listed(absent.map((over) => instance({ tags, ...over })))).toEqual([]);
  });

  test("below a service are those whose tag or full name says so", () => {
    const host = "blue.svc.service.consul";
    const named = (name: string, ...tags: string[]) => instance({ meta: { "erlang-node": name }, tags });
    expect(listed([instance({ tags: ["n1.Blue", "n2.green", "n3", ".blue"] })], host)).toEqual([`n1@${host}:20001`]);
    const nodes = [named(`n4@${host}`), named("n5@10.0.0.1", "n5.blue"), named("n6@10.0.0.1", "n6")];
    expect(listed(nodes, host)).toEqual([`n4@${host}:20001`, "n5@10.0.0.1:20001"]);
  });
});

describe("the nodes alive here", () => {
  const machine = { names: new Set(["localhost"]), addresses: () => ["127.0.0.1"] };
  const asked = (host: string, over = config) => {
    const domains = new Domains(over, machine);
    return (aliveName: string) => domains.listedHost(aliveName, host);
  };
  const nodes = [registeredNode("node_a", 4711), registeredNode("web", 4712)];
  const config = serveConfig({ domain: ["node_*=svc", "*=demo.test"] });
  const alive = (host: string, over = config) =>
    nodesAlive(nodes, asked(host, over), ({ port }) => port).map(
      ({ aliveName, host: at, port }) => `${aliveName}@${at}:${port}`,
    );

  test("are those whose domain is asked for", () => {
    expect(alive(HOST)).toEqual([`node_a@${HOST}:4711`]);
    expect(alive("demo.test")).toEqual(["web@demo.test:4712"]);
    expect(alive("other.service.consul")).toEqual([]);
  });

  test("are not those that --publish leaves out, except by a name of this machine", () => {
    const narrow = serveConfig({ domain: ["svc"], publish: ["web"] });
    expect(alive(HOST, narrow)).toEqual([`web@${HOST}:4712`]);
    expect(alive("127.0.0.1", narrow)).toHaveLength(2);
  });

  test("are all of them for a name or an address of this machine, named as they were asked for", () => {
    expect(alive("127.0.0.1")).toEqual(["node_a@127.0.0.1:4711", "web@127.0.0.1:4712"]);
  });

  test("have the host of --node-host, and are found under it and under their service", () => {
    const hosted = serveConfig({ domain: ["svc"], nodeHost: "box1.example" });
    const named = ["node_a@box1.example:4711", "web@box1.example:4712"];
    expect(alive(HOST, hosted)).toEqual(named);
    expect(alive("box1.example", hosted)).toEqual(named);
    expect(alive(HOST, serveConfig({ service: "Svc", domain: ["demo.test"] }))).toEqual([
      "node_a@demo.test:4711",
      "web@demo.test:4712",
    ]);
    expect(alive("svc.service.dc2.consul", hosted)).toEqual([]);
  });

  test("whom nobody can reach, or whose names would break a line, are left out", () => {
    const odd = ["a @\nb", "a@b", "", "a.b"].map((name) => registeredNode(name, 1));
    expect(nodesAlive(odd, asked("127.0.0.1"), ({ port }) => port)).toEqual([]);
    expect(nodesAlive(nodes, asked(HOST), () => undefined)).toEqual([]);
  });
});

test("matching nodes are sorted, one line a full name, and the first list that has it gives its port", () => {
  const node = (aliveName: string, port: number, host = HOST) => ({ aliveName, host, port });
  const own = [node("node_b", 1)];
  const others = [node("node_b", 2), node("web", 3), node("node_a", 4), node("node_a", 5), node("node_a", 6, "x.y")];
  expect(matchNodes(parseGlob("node_?"), own, others)).toEqual([
    { name: `node_a@${HOST}`, port: 4 },
    { name: "node_a@x.y", port: 6 },
    { name: `node_b@${HOST}`, port: 1 },
  ]);
  expect(matchNodes(parseGlob("NODE_*"), own, others)).toEqual([]);
});

test.each([
  [0, 7, 7],
  [7, 7, 7],
  [7, 9, 9],
  [9, 7, 0],
  [7, 0, 0],
  [7, Number.NaN, 0],
])("after index %d and an answer with %d the next query has index %d", (before, answered, next) => {
  expect(nextIndex(before, answered)).toBe(next);
});

describe("the cluster", () => {
  const NOW = 1_700_000_100_000;
  const member = (over: Partial<ServiceMember>): ServiceMember => ({
    ...instance({ serviceId: "srv-epmd:box1:node_a", meta: { "erlang-node": `node_a@${HOST}` } }),
    ...{ health: "passing", address: "10.0.0.1", machine: "box1" },
    ...over,
  });
  const cluster = (glob: string, ...members: readonly ServiceMember[]) =>
    clusterNodes(
      members,
      { host: HOST, domain: { service: "svc", ...WHOLE, datacenter: undefined }, glob: parseGlob(glob) },
      NOW,
    );

  test("lists every instance of a matching name, critical ones too, sorted", () => {
    const nodes = cluster(
      "node_?",
      member({ serviceId: "srv-epmd:box2:node_a", machine: "box2", health: "critical", critical: true }),
      member({ meta: { "erlang-node": `node_a@${HOST}`, "srv-epmd-since": "1700000000" } }),
      member({ serviceId: "by-hand", meta: {}, tags: ["node_c", "other"] }),
    );
    expect(nodes.map(({ node, health, instance: name, age }) => [node, health, name, age])).toEqual([
      [`node_a@${HOST}`, "passing", "box1", 100],
      [`node_a@${HOST}`, "critical", "box2", undefined],
      [`node_c@${HOST}`, "passing", "by-hand", undefined],
    ]);
  });

  test("tells the check that keeps a node out, and that a node is hidden", () => {
    const obstacle = { kind: "tcp", check: "service:x:tcp", words: "its check is critical" } as const;
    const meta = { "erlang-node": `node_a@${HOST}`, "srv-epmd-node-type": "hidden" };
    expect(cluster("*", member({ obstacle }))).toMatchObject([{ obstacle }]);
    expect(cluster("*", member({ meta }))).toMatchObject([{ hidden: true }]);
    expect(Object.keys(cluster("*", member({}))[0] ?? {})).not.toEqual(expect.arrayContaining(["hidden", "obstacle"]));
    expect(cluster("*", member({ withdrawn: true }))).toMatchObject([{ withdrawn: true }]);
  });

  test.each([
    ["srv-epmd:box1:4370:node_a", "box1:4370"],
    ["srv-epmd:box1:node_a:6", "box1"],
    ["srv-epmd:node_a", "srv-epmd:node_a"],
    ["_nomad-task-1-node_a", "_nomad-task-1-node_a"],
  ])("takes the instance out of the id %s", (serviceId, name) => {
    expect(cluster("*", member({ serviceId }))[0]?.instance).toBe(name);
  });

  test.each(["", "soon", "-5", "1e9", "170000000000"])("has no age for the time %j", (since) => {
    const meta = { "erlang-node": `node_a@${HOST}`, "srv-epmd-since": since };
    expect(cluster("*", member({ meta }))[0]?.age).toBeUndefined();
  });
});

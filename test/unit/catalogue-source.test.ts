import { describe, expect, test } from "vitest";
import type { ServiceInstance } from "../../src/catalogue/core/instances.js";
import { consulQuestion } from "../../src/catalogue/core/question.js";
import type { ServiceView } from "../../src/catalogue/followed.js";
import { hostPort } from "../../src/net/ip.js";
import type { CatalogueSourceOptions } from "../../src/resolve/catalogue-source.js";
import { notFound, type Resolution, type TraceEvent, unavailable } from "../../src/resolve/core/resolution.js";
import type { LookupContext } from "../../src/resolve/source.js";
import { CONTEXT, instance, questionOf, sourceOver, viewOf } from "../support/catalogue.js";

const NODE = questionOf("node_a@svc.service.consul");

function lookUp(
  instances: readonly ServiceInstance[],
  question = NODE,
  over: Partial<CatalogueSourceOptions> = {},
  context: LookupContext = CONTEXT,
): Resolution {
  const result = sourceOver(viewOf(instances), over).source.lookUp(question, context);
  if (result instanceof Promise) throw new Error("a look-up from memory must make no promise");
  return result;
}

/** `address:port` of each endpoint, or the code of the reason. */
function places(...args: Parameters<typeof lookUp>): readonly string[] | string {
  const result = lookUp(...args);
  if (result.outcome === "found") return result.endpoints.map((endpoint) => hostPort(endpoint));
  return result.code;
}

describe("what a name asks Consul's catalogue for", () => {
  test.each([
    ["node_a.svc.service.consul", "svc", undefined, "node_a"],
    ["svc.service.consul", "svc", undefined, undefined],
    ["node_a.blue.svc.service.consul", "svc", undefined, "node_a.blue"],
    ["node_a.svc.service.dc1.consul", "svc", "dc1", "node_a"],
    ["node_a.svc.service.dc1.dc.consul", "svc", "dc1", "node_a"],
    ["node_a.service.service.consul", "service", undefined, "node_a"],
  ])("%s", (owner, service, datacenter, tag) => {
    expect(consulQuestion(owner, "consul")).toEqual({ query: { service, datacenter }, tag });
  });

  test.each([
    "node_a.db.example",
    "consul",
    "node_a.svc.consul",
    "node_a.box1.node.consul",
    "node_a.svc.connect.consul",
    "node_a.svc.query.consul",
    "_svc._node_a.service.consul",
    // Which of them is meant only the DNS of that Consul knows.
    "node_a.svc.service.part.ap.consul",
    "node_a.svc.service.part.ap.dc1.dc.consul",
    "node_a.svc.service.team.ns.consul",
    "node_a.svc.service.default.ns.consul",
    "node_a.svc.service.far.peer.consul",
    "node_a.svc.service.a.b.consul",
    "node_a.svc.service.consul.example",
  ])("%s: nothing", (owner) => {
    expect(consulQuestion(owner, "consul")).toBeUndefined();
  });

  test("another domain of Consul's", () => {
    expect(consulQuestion("a.svc.service.cluster.example", "cluster.example")?.query.service).toBe("svc");
    expect(consulQuestion("a.svc.service.consul", "cluster.example")).toBeUndefined();
  });
});

describe("the endpoints of a node", () => {
  test("are those of the instances with its tag, whatever its case, with the priority and weight of Consul's SRV", () => {
    const found = lookUp([
      instance({ tags: ["blue", "Node_A"], weight: 7, address: "10.0.0.2", port: 9 }),
      instance({ tags: ["node_b"], address: "10.0.0.3" }),
      instance({ tags: ["node_a.x"], address: "10.0.0.4" }),
    ]);
    expect(found).toEqual({
      outcome: "found",
      source: "catalogue",
      endpoints: [{ address: "10.0.0.2", port: 9, family: 4, priority: 1, weight: 7, target: "10.0.0.2" }],
      ttl: 0,
      stale: false,
    });
  });

  test("of a name without a tag are all of the service", () => {
    const instances = [instance(), instance({ tags: [], address: "10.0.0.2" })];
    const question = questionOf("web@svc.service.consul");
    const read = () => ({ query: { service: "svc" }, tag: undefined });
    expect(places(instances, question, { read })).toEqual(["10.0.0.1:20001", "10.0.0.2:20001"]);
  });

  test("a tag may have dots", () => {
    const dotted = instance({ tags: ["node_a.blue"], address: "10.0.0.7" });
    expect(places([instance(), dotted], questionOf("node_a@blue.svc.service.consul"))).toEqual(["10.0.0.7:20001"]);
  });

  test("critical ones and such without a port are left out, warning ones are not", () => {
    const instances = [
      instance({ critical: true, address: "10.0.0.2" }),
      ...[0, -1, 65_536, 1.5, Number.NaN].map((port) => instance({ port, address: "10.0.0.3" })),
      instance({ address: "10.0.0.4", weight: 3 }),
    ];
    expect(places(instances)).toEqual(["10.0.0.4:20001"]);
    expect(places([instance({ critical: true })])).toBe("CATALOGUE_NO_NODE");
    expect(places([instance({ port: 0 })])).toBe("CATALOGUE_NO_ADDRESS");
  });

  test("come in the order that the weights give, and one of weight 0 may come", () => {
    const instances = [1, 0, 60].map((weight, index) => instance({ weight, address: `10.0.0.${index + 1}` }));
    // A draw of 0 belongs to the records of weight 0, one of 0.99 to the heaviest (RFC 2782).
    expect(places(instances, NODE, { random: () => 0 })[0]).toBe("10.0.0.2:20001");
    expect(places(instances, NODE, { random: () => 0.99 })[0]).toBe("10.0.0.3:20001");
    expect(places(instances)).toHaveLength(3);
  });

  test("two instances at one place are one endpoint", () => {
    const twice = [instance(), instance({ serviceId: "other" }), instance({ address: "::ffff:10.0.0.1" })];
    expect(places(twice)).toEqual(["10.0.0.1:20001"]);
  });

  test("have the family that is asked for", () => {
    const both = [instance(), instance({ address: "FD00:0::1" }), instance({ address: "fe80::1" })];
    expect(places(both, questionOf("node_a@svc.service.consul/4"))).toEqual(["10.0.0.1:20001"]);
    expect(places(both, questionOf("node_a@svc.service.consul/6"))).toEqual(["[fd00::1]:20001"]);
    expect(places(both, NODE, { family: 6 })).toEqual(["[fd00::1]:20001"]);
    expect(places(both, questionOf("node_a@svc.service.consul/4"), { family: 6 })).toBe("CATALOGUE_NO_ADDRESS");
    expect(places(both)).toHaveLength(2);
    expect(places([instance({ address: "fe80::1" })])).toBe("CATALOGUE_NO_ADDRESS");
  });

  test("have the address that the host part was", () => {
    const two = [instance(), instance({ address: "10.0.0.2", port: 4 })];
    expect(places(two, { ...NODE, onlyAddress: "10.0.0.2" })).toEqual(["10.0.0.2:4"]);
    expect(places(two, { ...NODE, onlyAddress: "10.0.0.3" })).toBe("CATALOGUE_NO_ADDRESS");
  });

  test.each(["box1.example", "node_a.svc.service.consul", "fe80::1%eth0", "", "10.0.0", "localhost"])(
    "of which one is at %j, no address, are for DNS to say",
    (address) => {
      expect(places([instance(), instance({ address })])).toBe("CATALOGUE_NO_ADDRESS");
      // Of another node it does not matter.
      expect(places([instance(), instance({ address, tags: ["node_b"] })])).toEqual(["10.0.0.1:20001"]);
    },
  );

  test("are 32 instances at most, and the one at the dialled address is among them", () => {
    const many = Array.from({ length: 200 }, (_, index) => instance({ address: `10.0.${index}.1` }));
    const bare = { ...NODE, node: { ...NODE.node, form: "bare" as const } };
    const found = lookUp(many, bare, { random: () => 0 }, { ...CONTEXT, dialled: "10.0.199.1" });
    if (found.outcome !== "found") throw new Error(found.outcome);
    expect(found.endpoints).toHaveLength(32);
    expect(found.endpoints.map(({ address }) => address)).toContain("10.0.199.1");
    expect(found.leftOut).toEqual([{ what: "instances", count: 168, of: 200 }]);
  });

  test("that refused a connection are left out, and when none is left DNS is asked", () => {
    const [old, young] = [instance(), instance({ address: "10.0.0.2" })] as const;
    const withRefused = (refused: readonly ServiceInstance[]) => {
      const result = sourceOver(viewOf([old, young], { refused: new Set(refused) })).source.lookUp(NODE, CONTEXT);
      return result instanceof Promise || result.outcome !== "found"
        ? result
        : result.endpoints.map(({ address }) => address);
    };
    expect(withRefused([old])).toEqual(["10.0.0.2"]);
    expect(withRefused([old, young])).toMatchObject({ outcome: "not-found", code: "CATALOGUE_NO_ADDRESS" });
  });
});

describe("a catalogue that might have missed a change", () => {
  const broken = (over: Partial<ServiceView>) => sourceOver(viewOf([instance()], over)).source;
  const ABSENT = notFound("SRV_NXDOMAIN", "no");
  const SILENT = unavailable("DNS_TIMEOUT", "silent");

  test.each([
    ["broken", 1_000],
    ["behind", 61_000],
  ] as const)("(%s) answers nothing", (state, since) => {
    const result = broken({ state, broken: since }).lookUp(NODE, CONTEXT);
    expect(result).toMatchObject({ outcome: "not-found", code: "CATALOGUE_UNKNOWN" });
  });

  test("for a short time knows the node when no later source has it", () => {
    const source = broken({ state: "broken", broken: 1_000 });
    expect(source.lastGood?.(NODE, CONTEXT, ABSENT)).toMatchObject({ outcome: "found", stale: true });
    expect(source.lastGood?.(NODE, CONTEXT, SILENT)).toMatchObject({ outcome: "found", stale: true });
    expect(source.lastGood?.(questionOf("node_b@svc.service.consul"), CONTEXT, SILENT)).toBeUndefined();
  });

  test("for longer helps only when nobody answers, and no longer than --stale-ttl", () => {
    const source = broken({ state: "behind", broken: 61_000 });
    expect(source.lastGood?.(NODE, CONTEXT, ABSENT)).toBeUndefined();
    expect(source.lastGood?.(NODE, CONTEXT, SILENT)).toMatchObject({ outcome: "found", stale: true });
    expect(broken({ state: "behind", broken: 3_600_001 }).lastGood?.(NODE, CONTEXT, SILENT)).toBeUndefined();
  });

  test("and one that is current has said what it knows", () => {
    const { source } = sourceOver(viewOf([instance()]));
    expect(source.lastGood?.(NODE, CONTEXT, SILENT)).toBeUndefined();
  });
});

test("hosts that are no service of Consul's are not asked for", () => {
  const { source, asked } = sourceOver(viewOf([instance()]));
  const other = questionOf("node_a@db.example");
  expect(source.serves?.(other)).toBe(false);
  expect(source.serves?.(NODE)).toBe(true);
  expect(source.lookUp(other, CONTEXT)).toMatchObject({ outcome: "not-found" });
  expect(asked).toEqual([]);
});

test("the trace says what the catalogue told, and how old that is", () => {
  const steps: TraceEvent[] = [];
  const view = viewOf([instance(), instance({ tags: ["node_b"] })], { age: 1_500 });
  void sourceOver(view).source.lookUp(NODE, { ...CONTEXT, trace: (step) => steps.push(step) });
  expect(steps).toEqual([
    {
      step: "catalogue",
      ...{ title: "Consul", service: "svc", datacenter: undefined, tag: "node_a" },
      ...{ state: "current", ageMs: 1_500, instances: 2, held: [{ address: "10.0.0.1", port: 20001, weight: 1 }] },
    },
  ]);
});

test("a further look-up of a service of thousands looks at the instances of its node alone", () => {
  let looks = 0;
  const counted = (aliveName: string): ServiceInstance => {
    const { tags, ...rest } = instance({ tags: [aliveName], port: 20_001 });
    return {
      ...rest,
      get tags() {
        looks++;
        return tags;
      },
    };
  };
  const { source } = sourceOver(viewOf(Array.from({ length: 2_000 }, (_, index) => counted(`n${index}`))));
  const found = (name: string) => source.lookUp(questionOf(`${name}@svc.service.consul`), CONTEXT);
  expect(found("n1")).toMatchObject({ outcome: "found" });
  looks = 0;
  expect(found("N7")).toMatchObject({ outcome: "found" });
  expect(found("n2000")).toMatchObject({ outcome: "not-found" });
  expect(looks).toBeLessThan(10);
});

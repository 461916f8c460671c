import { describe, expect, test } from "vitest";
import type { ServiceMember } from "../../src/catalogue/core/instances.js";
import { knowledgeOf } from "../../src/dns/core/knowledge.js";
import type { Message } from "../../src/dns/wire/message.js";
import type { ResourceRecord } from "../../src/dns/wire/record.js";
import { CHECKS } from "../../src/doctor/checks.js";
import { type KnownOfNode, whyNoRecord } from "../../src/doctor/core/absent-node.js";
import {
  after,
  fail,
  ok,
  problemsOf,
  skip,
  softer,
  together,
  warn,
  withoutNodes,
} from "../../src/doctor/core/finding.js";
import { meantBy } from "../../src/doctor/core/misspelt.js";
import { reachability } from "../../src/doctor/local-epmd.js";
import { type LocalVm, unseenNames } from "../../src/doctor/local-vms.js";
import { listenersIn } from "../../src/os/core/tcp-table.js";
import type { Obstacle } from "../../src/publish/core/service-entry.js";
import { listed, nearest } from "../../src/text.js";

describe("findings of one kind together", () => {
  test("count as the worst of them, which is told first, and say the same advice once", () => {
    const all = [
      ok("a is well"),
      fail("VM_PORT_CLOSED", "b is not", "do x", "b"),
      warn("VM_ON_LOOPBACK", "c may be", "do y"),
      fail("VM_PORT_CLOSED", "d is not", "do x", "d"),
    ];
    const one = together(all, "none");
    expect(one).toMatchObject({ result: "fail", evidence: ["b is not", "d is not", "c may be", "a is well"] });
    expect(one).toMatchObject({ advice: ["do x", "do y"] });
    expect(problemsOf(one).map(({ code, result, about }) => [code, result, about])).toEqual([
      ["VM_PORT_CLOSED", "fail", "b"],
      ["VM_PORT_CLOSED", "fail", "d"],
      ["VM_ON_LOOPBACK", "warn", undefined],
    ]);
    expect(together([skip("s"), ok("a")], "none")).toEqual(ok(["a", "s"]));
    expect(together([], "none")).toEqual(skip("none"));
  });

  test("are not told all where there are many", () => {
    const many = Array.from({ length: 40 }, (_, n) => fail("VM_PORT_CLOSED", `n${n}`, `do ${n}`));
    expect(together(many, "none")).toMatchObject({
      ...{ result: "fail", evidence: ["n0", "n1", "n2", "n3", "and 36 more"] },
      advice: ["do 0", "do 1", "do 2", "do 3"],
    });
    expect([listed(["a", "b"]), listed(["a", "b", "c"], 2)]).toEqual(["a, b", "a, b, and 1 more"]);
  });
});

test.each([
  ["node_A", ["node_a", "node_b"], "node_a"],
  ["nodea", ["web", "node_a"], "node_a"],
  ["scv", ["svc", "consul"], "svc"],
  ["sv", ["svc"], "svc"],
  ["web", ["node_a", "db"], undefined],
  ["a", ["b"], "b"],
  ["ab", ["xy"], undefined],
  ["node_a", ["node_a"], undefined],
  ["x", [], undefined],
  // The nearest of several, whatever their order; two neighbours that are swapped are one mistake.
  ["node_a", ["node_xyz", "node_ab", "nobe_b"], "node_ab"],
  ["service", ["serviec", "serxyce"], "serviec"],
  ["abcd", ["badc", "abxy"], "badc"],
  ["abcdef", ["bxaxef", "abcxyz"], "abcxyz"],
  ["consul", ["c"], undefined],
])("of %s and %j what was probably meant is %s", (written, names, expected) => {
  expect(nearest(written, names)).toBe(expected);
});

test("what was found of a node that has ended since is no problem, and of others it stays", () => {
  const critical = (name: string) =>
    fail("REGISTRATION_NOT_PASSED", `${name} is critical`, "see that serve runs", name);
  const other = warn("REGISTRATION_DIFFERS", "b differs", "give the options", "b");
  expect(withoutNodes(["a"], critical("a"))).toEqual(
    skip("a left the EPMD here while this was looked at: its VM has ended"),
  );
  const rest = withoutNodes(["a"], together([critical("a"), other], ""));
  expect([rest.result, rest.evidence, problemsOf(rest).length]).toEqual(["warn", ["b differs"], 1]);
  for (const same of [critical("b"), ok("x"), warn("CLOCK_DIFFERS", "x", "y")]) {
    expect(withoutNodes(["a"], same)).toBe(same);
  }
});

test("the process of a VM that has ended is not one that this user may not read", () => {
  const vm = (probe: LocalVm["probe"]) => ({ node: { aliveName: "a" }, probe, process: undefined }) as LocalVm;
  expect(unseenNames([vm({ result: "refused", elapsedMs: 1 })])).toEqual([]);
  expect(unseenNames([vm({ result: "silent", stage: "handshake", elapsedMs: 1 })])).toEqual(["a"]);
});

test("a failure becomes a warning with its evidence and its code, and with evidence that comes first", () => {
  const failed = together([ok("a is well"), fail("PEER_REFUSED", "b is not", "do x")], "none");
  expect(softer(failed, ["or do nothing"])).toEqual({
    ...{ result: "warn", evidence: ["b is not", "a is well"], advice: ["or do nothing", "do x"] },
    problems: [{ ...problemsOf(failed)[0], result: "warn", advice: ["or do nothing", "do x"] }],
  });
  expect(softer(ok("a"))).toEqual(ok("a"));
  expect(after(["first"], fail("PEER_REFUSED", "b", "do x"))).toEqual(fail("PEER_REFUSED", ["first", "b"], "do x"));
  expect(after(["first"], ok("b"))).toEqual(ok(["first", "b"]));
});

describe("the kernel's table of sockets", () => {
  /** As /proc/net/tcp and tcp6 have it on a little-endian machine. */
  const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0000000000000000 100 0 0 10 0
   1: 00000000:2383 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1002 1 0000000000000000 100 0 0 10 0
   2: 0200000A:2384 0100000A:D431 01 00000000:00000000 00:00000000 00000000     0        0 1003 1 0000000000000000 20 4 30 10 -1
`;
  const TCP6 = `  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:2385 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:2386 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 000090FD000000000000000001000000:2387 00000000000000000000000000000000:0000 0A 00000000:00000000
   3: 0000000000000000FFFF00000100007F:2388 00000000000000000000000000000000:0000 0A 00000000:00000000
`;
  const all = [...listenersIn(TCP), ...listenersIn(TCP6)];

  test("gives those that listen", () => {
    expect(all).toEqual([
      { address: "127.0.0.1", port: 9090 },
      { address: "0.0.0.0", port: 9091 },
      { address: "::", port: 9093 },
      { address: "::1", port: 9094 },
      { address: "fd90::1", port: 9095 },
      { address: "127.0.0.1", port: 9096 },
    ]);
    expect(listenersIn("garbage\n\n1: 2: 3 0A")).toEqual([]);
    for (const local of [
      "x0100007F:2382",
      "0100007F:23820",
      "0100007:2382",
      "0100007g:2382",
      "0100007F:238",
      "0100007F:23xx",
    ]) {
      expect(listenersIn(`0: ${local} 00000000:0000 0A 0`), local).toEqual([]);
    }
  });

  test("a port that is open at one address is not on loopback alone", () => {
    const two = [
      { address: "127.0.0.1", port: 1 },
      { address: "10.0.0.1", port: 1 },
    ];
    expect(reachability(two, 1)).toEqual({ addresses: ["127.0.0.1", "10.0.0.1"], loopbackOnly: false });
  });

  test.each([
    [9090, true],
    [9091, false],
    [9093, false],
    [9094, true],
    [9095, false],
    [9999, false],
  ])("port %i: loopback alone %s", (port, loopbackOnly) => {
    expect(reachability(all, port).loopbackOnly).toBe(loopbackOnly);
  });
});

describe("a name server's answer to a question for the domain", () => {
  const soa = (owner: string): ResourceRecord => {
    const fixed = { mname: "", rname: "", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
    return { type: "SOA", owner, ttl: 0, ...fixed };
  };
  const answer = (over: Partial<Message>) =>
    knowledgeOf("svc.service.consul", { rcode: "NOERROR", answers: [], authorities: [], ...over } as Message).kind;

  test.each([
    [{ rcode: "REFUSED" } as const, "refuses"],
    [{ rcode: "SERVFAIL" } as const, "refuses"],
    [{ rcode: "NXDOMAIN", authorities: [soa("consul")] } as const, "knows"],
    [{ rcode: "NXDOMAIN", authorities: [soa("service.consul")] } as const, "knows"],
    [{ authorities: [soa("consul")] }, "knows"],
    [{ rcode: "NXDOMAIN", authorities: [soa("")] } as const, "foreign"],
    [{ rcode: "NXDOMAIN", authorities: [soa("example.com")] } as const, "foreign"],
    // `consul` is no ending of `xconsul`.
    [{ rcode: "NXDOMAIN", authorities: [soa("onsul")] } as const, "foreign"],
    [{ rcode: "NXDOMAIN" } as const, "vague"],
    [{}, "knows"],
    [{ answers: [{ type: "A", owner: "svc.service.consul", ttl: 0, address: "10.0.0.1" }] } as const, "knows"],
  ])("%j: %s", (over, expected) => {
    expect(answer(over)).toBe(expected);
  });
});

describe("why Consul has no SRV record for a node", () => {
  const asked = { full: "node_a@svc.service.consul", aliveName: "node_a", tag: "node_a", service: "svc" };
  const member = (over: Partial<ServiceMember>): ServiceMember => ({
    ...{ serviceId: "id", tags: ["node_b"], port: 9100, meta: {}, critical: false, health: "passing" },
    ...{ address: "10.0.0.1", machine: "box1", weight: 1, version: 0 },
    ...over,
  });
  const nothing: KnownOfNode = {
    ...{ isItsName: false, foundAt: undefined, here: [], agentHas: [], runsHere: false, wasHere: false },
  };
  const why = (
    members: readonly ServiceMember[],
    services: readonly string[] = [],
    known: Partial<KnownOfNode> = {},
    node = asked,
  ) => {
    const finding = whyNoRecord(node, members, { names: services, mayHideMore: false }, { ...nothing, ...known });
    if (finding.result !== "fail") throw new Error(finding.result);
    return [finding.evidence.join("; "), finding.advice.join("; ")] as const;
  };

  test("nothing is registered under the service", () => {
    expect(why([], ["consul"])[0]).toBe("nothing is registered in Consul as the service svc");
    expect(why([], ["consul"])[1]).toMatch(
      /srv-epmd serve --domain svc\.service\.consul; if it runs, run srv-epmd doctor/,
    );
    expect(why([], ["consul", "sv"])[1]).toMatch(
      /^was the service sv meant\?; if it runs, run srv-epmd doctor --all on its/,
    );
  });

  test("its service is the name of a machine: the node that was meant, or how those there are called", () => {
    const ka2 = { ...asked, full: "node_a@ka2.service.consul", service: "ka2" };
    const on = (...onMachine: readonly string[]) => {
      const finding = whyNoRecord(ka2, [], { names: ["svc", "ka1"], mayHideMore: false, onMachine }, nothing);
      if (finding.result !== "fail") throw new Error(finding.result);
      return [finding.evidence[0], finding.advice[0]];
    };
    const rule = "the part behind the @ is a service, not a machine";
    const evidence = "nothing is registered in Consul as the service ka2: ka2 is the name of a machine";
    expect(on("node_b@svc.service.consul", "node_a@svc.service.consul")).toEqual([
      evidence,
      `was node_a@svc.service.consul meant? It is on that machine, and ${rule}`,
    ]);
    expect(on("node_b@svc.service.consul")).toEqual([
      evidence,
      `${rule}: nodes there have names such as node_b@svc.service.consul`,
    ]);
    expect(on()).toEqual([evidence, `${rule}: srv-epmd names --cluster lists the nodes of a service`]);
  });

  test("its instance is critical", () => {
    const [evidence, advice] = why([member({ tags: ["Node_A"], critical: true })]);
    expect(evidence).toContain(
      "registered at 10.0.0.1:9100 on box1, and Consul's DNS leaves it out: its check is critical",
    );
    expect(advice).toMatch(
      /run srv-epmd doctor --all on box1: vm-listens says whether its VM runs there, registration/,
    );
  });

  test("its VM has left its srv-epmd: it is to be started again", () => {
    const [, advice] = why([member({ tags: ["node_a"], critical: true, withdrawn: true })]);
    expect(advice).toMatch(/^its VM has left its srv-epmd, .* start it on box1 again/);
  });

  test("its instance is critical and of the agent here: whether its VM runs", () => {
    const gone = [member({ tags: ["node_a"], critical: true })];
    expect(why(gone, [], { agentHas: ["id"] })[1]).toMatch(/no VM of that name runs here: start it/);
    expect(why(gone, [], { agentHas: ["id"], runsHere: true })[1]).toContain("registration says why");
  });

  test("another check than its own keeps it out, which is named", () => {
    const words = "the entry is in Consul's maintenance mode: disk full";
    const because = (own: Omit<Obstacle, "check">) =>
      why([member({ tags: ["node_a"], critical: true, obstacle: { ...own, check: "x" } })]);
    const [evidence, advice] = because({ kind: "maintenance", words, entry: "srv-epmd:box1:node_a" });
    expect(evidence).toMatch(/Consul's DNS leaves it out: the entry is in Consul's maintenance mode: disk full$/);
    expect(advice).toContain("run consul maint -disable -service=srv-epmd:box1:node_a on box1");
    expect(because({ kind: "maintenance", words })[1]).toContain("run consul maint -disable on box1");
    expect(because({ kind: "agent", words })[1]).toMatch(/do not reach the agent on box1: .* 8301/);
  });

  test("its instance passes, so DNS may not see it", () => {
    expect(why([member({ tags: ["node_a"] })])[1]).toContain("acl.tokens.default");
  });

  test("its instance has another tag, or none", () => {
    const meta = { "erlang-node": "node_a@svc.service.consul" };
    expect(why([member({ tags: ["v1", "v2"], meta })])[0]).toContain("has the tags v1, v2");
    expect(why([member({ tags: [], meta })])).toEqual([
      expect.stringContaining("has no tag: DNS finds it by its tag, which must be node_a"),
      expect.stringContaining("register it with the tag node_a"),
    ]);
  });

  test("another tag is near, or none is", () => {
    expect(why([member({ tags: ["nodea"] })])[1]).toMatch(
      /^was nodea@svc\.service\.consul meant\?.*; if it runs, run srv-epmd doctor --all on its machine/,
    );
    expect(why([member({ tags: ["web"] })])[1]).toContain(
      "start node_a beside a srv-epmd serve --domain svc.service.consul",
    );
    expect(why([member({ tags: [] })])[0]).toContain("none of them has a tag");
  });

  test("another member of the cluster, a node here, or a name that was found before is not what was meant", () => {
    const sibling = why([member({})])[1];
    expect(sibling).toMatch(
      /^start node_a beside .*; if it runs, run srv-epmd doctor --all on its machine: .*consul-leader/,
    );
    expect(why([member({ tags: ["nodea"] })], [], { here: ["nodea"] })[1]).toBe(sibling);
    const known = { isItsName: true, foundAt: "10.0.0.2:9100" };
    for (const [members, services] of [[[member({ tags: ["nodea"] })], []] as const, [[], ["sv"]] as const]) {
      expect(why(members, services, known)[1]).toMatch(
        /^run srv-epmd doctor --all on its machine \(a look-up found it at 10\.0\.0\.2:9100 before\): consul-agent .* registration .* consul-leader/,
      );
    }
    expect(why([], [], { ...known, wasHere: true })[1]).toMatch(/^its VM was here, at 10\.0\.0\.2:9100, .*: start it$/);
  });

  test("of the tags of a suffix those of the nodes here are left out too", () => {
    const node = { full: "node_a@x.svc.service.consul", aliveName: "node_a", tag: "node_a.x", service: "svc" };
    expect(why([member({ tags: ["nodea.x"] })], [], {}, node)[1]).toMatch(/^was nodea@x\.svc\.service\.consul meant/);
    expect(why([member({ tags: ["nodea.x"] })], [], { here: ["nodea"] }, node)[1]).not.toContain("meant");
  });
});

describe("the name that was meant by one that is not there", () => {
  test.each([
    ["node_A_", "node_a", "node_a"],
    ["ndoe_a", "node_a", "node_a"],
    ["chat_sevrer", "chat_server", "chat_server"],
    ["scv", "svc", "svc"],
    ["svc-dits", "svc-dist", "svc-dist"],
    // Members of one cluster.
    ["node_b", "node_a", undefined],
    ["node_bb", "node_a", undefined],
    ["mq1", "mq2", undefined],
    ["mq", "mq1", undefined],
    ["WEB1a", "web2a", undefined],
    ["nodea", "nodeb", undefined],
    ["web-eu-1", "web-us-1", undefined],
    ["node-east", "node-west", undefined],
  ])("%s beside %s: %s", (written, name, expected) => {
    expect(meantBy(written, [name])).toBe(expected);
  });
});

describe("the table of checks", () => {
  test("has ids that a script can rely on, each once, with a title", () => {
    const ids = CHECKS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id, title } of CHECKS) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(title).toMatch(/^\S.{15,}[^.]$/);
    }
  });
});

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { PROBLEM_CODES, problemsOf, RULES } from "../../src/admin/core/problems.js";
import type { ReadyCheck, Status } from "../../src/admin/core/status.js";
import type { LookUp } from "../../src/daemon/core/observations.js";
import { NOT_FOUND_CODES, UNAVAILABLE_CODES } from "../../src/resolve/core/resolution.js";
import {
  busyStatus,
  clusterNode,
  emptyStatus,
  failedLookUp,
  healthyStatus,
  linkedStatus,
  localNode,
  lookUp,
  NOW,
  toldLinks,
  troubledStatus,
  worstStatus,
} from "../support/status.js";

const codes = ({ problems }: Pick<Status, "problems">) => problems.map(({ code }) => code);
const told = (own: Partial<Status>) => emptyStatus(own).problems;
const asked = (...lookUps: LookUp[]) => told({ lookUps });
const listed = (...nodes: ReturnType<typeof clusterNode>[]): Partial<Status> => ({
  cluster: { outcome: "listed", patterns: ["*@svc.service.consul"], nodes },
});
const failed = (name: ReadyCheck["name"], reason?: string): Partial<Status> => ({
  readiness: { ready: false, checks: [{ name, ok: false, ...(reason !== undefined && { reason }) }] },
});

test("nothing is wrong where nothing is", () => {
  expect(codes(emptyStatus())).toEqual([]);
  expect(codes(healthyStatus())).toEqual([]);
});

test("each problem has a code that the manual has too, and says what is wrong and what to do in sentences", () => {
  const manual = readFileSync(new URL("../../src/help/status.md", import.meta.url), "utf8");
  const rows = Array.from(manual.matchAll(/^\| `([A-Z_]+)` \|/gm), ([, code]) => code);
  expect(rows).toEqual(PROBLEM_CODES);
  const consul = ["CONSUL_FILE", "CONSUL_LOGIN", "CONSUL_ERRORS"].map((code) =>
    emptyStatus({ consul: { ...emptyStatus().consul, answers: false, trouble: { code, reason: "it says so" } } }),
  );
  const others = [
    ...[failed("consul", "not asked yet"), { ...failed("nomad"), nomad: silentNomad }],
    { cluster: { outcome: "unavailable", cause: "Permission denied", code: "CONSUL_FORBIDDEN" } as const },
    { cluster: { outcome: "listed", patterns: [], nodes: [], missingPolicies: ["a policy"] } as const },
    { links: linkedStatus().links ?? [], nodes: linkedStatus().nodes, cluster: linkedStatus().cluster },
    { lookUps: [failedLookUp("unreachable", "no port is free", { way: "gateway" })] },
  ].map(emptyStatus);
  const all = [worstStatus(), troubledStatus(), ...consul, ...others].flatMap(({ problems }) => problems);
  expect(new Set(all.map(({ code }) => code))).toEqual(new Set(PROBLEM_CODES.filter((code) => code !== "NOT_READY")));
  for (const { sentence, advice } of all) {
    for (const text of [sentence, advice]) {
      expect(text).toMatch(/^[A-Za-z0-9].*[^.]\.$/s);
      expect(text).not.toMatch(/undefined|null|NaN|\[object| {2}/);
    }
  }
});

const silentNomad = {
  url: "http://127.0.0.1:4646",
  answers: false,
  trouble: { code: "NOMAD_SILENT", reason: "Nomad does not tell what its catalogue has: ECONNREFUSED" },
};

test("errors come before warnings", () => {
  const levels = worstStatus().problems.map(({ level }) => level);
  expect(levels).toContain("error");
  expect(levels).toContain("warning");
  expect(levels).toEqual(levels.toSorted());
});

describe("readiness", () => {
  const names: ReadyCheck["name"][] = ["stopping", "gateway", "node", "consul", "published", "nomad", "entry"];

  test.each(names)("is not lost by %s without a problem, whatever else is known", (name) => {
    const [first, ...more] = told(failed(name, "because"));
    expect(first?.code).toBeDefined();
    expect(more).toEqual([]);
  });

  test("the same reason is not told twice", () => {
    const reason = "Permission denied";
    const node = localNode({ publication: "not-in-consul", reason, code: "CONSUL_FORBIDDEN", serviceIds: [] });
    const found = told({ ...failed("published", `not in Consul's DNS: node_a (${reason})`), nodes: [node] });
    expect(codes({ problems: found })).toEqual(["NODE_NOT_IN_CONSUL"]);
    expect(found[0]).toMatchObject({
      level: "error",
      nodes: ["node_a"],
      advice: expect.stringContaining('policy = "write"'),
    });
  });

  test("a port other than 4369 is named where the VM must know it", () => {
    const epmd = { port: 4370, addresses: ["127.0.0.1:4370"] };
    expect(told({ ...failed("node", "no node"), epmd })[0]?.advice).toContain("ERL_EPMD_PORT=4370");
    expect(told(failed("node", "no node"))[0]?.advice).not.toContain("ERL_EPMD_PORT");
  });
});

describe("a silent agent", () => {
  test("is one problem, not four: nodes, cluster, catalogue and look-ups follow from it", () => {
    const status = troubledStatus({
      followed: [{ catalogue: "consul", service: "svc", state: "behind", instances: 3, brokenSeconds: 75 }],
      lookUps: [failedLookUp("unavailable", "no name server answers"), lookUp({ node: "old@svc", stale: true })],
    });
    expect(codes(status)).toEqual(["CONSUL_SILENT"]);
    expect(status.problems[0]?.sentence).toContain("connect ECONNREFUSED 127.0.0.1:8500");
  });

  test("hides nothing that has another cause", () => {
    const nodes = [localNode({ elsewhere: ["10.0.0.9:20002 on box2"] })];
    const lookUps = [failedLookUp("not-found", "no such node", { node: "x@svc", code: "SRV_NXDOMAIN" })];
    expect(codes(troubledStatus({ nodes, lookUps, cluster: { outcome: "unavailable", cause: "no" } }))).toEqual([
      "CONSUL_SILENT",
      "NODE_TWICE",
      "NOT_FOUND_LATELY",
    ]);
  });

  const silent = (own: object, url = "http://127.0.0.1:8500") => {
    const trouble = { code: "CONSUL_SILENT", reason: "it says so", ...own };
    const [found] = told({ consul: { url, publishes: true, answers: false, trouble } });
    return `${found?.sentence} ${found?.advice}`;
  };

  test("that runs and hangs is not to be started", () => {
    expect(silent({ fault: "timeout" })).toMatch(
      /^The Consul agent at http:\/\/127\.0\.0\.1:8500 does not answer: it says so\. See the log of the agent, which runs and does not answer: .*kill -CONT/,
    );
    for (const fault of ["refused", undefined]) {
      expect(silent({ fault })).toMatch(/ does not answer: it says so\. Start the agent of this machine \(systemctl/);
    }
  });

  test("of another machine is none of this one", () => {
    const there = "http://10.0.0.9:8500";
    expect(silent({ fault: "refused" }, there)).toContain("Start the agent at http://10.0.0.9:8500, or");
    expect(silent({ fault: "timeout" }, there)).toMatch(
      /See that the machine of \S+ runs, and that no firewall there or here drops/,
    );
    expect(silent({ fault: "no-way" }, there)).toMatch(/See that the machine of \S+ runs, and that this one has a way/);
    expect(silent({ fault: "timeout" }, "unix:///run/consul.sock")).toContain("kill -CONT");
  });

  test("that answers and reaches no server cannot tell of their leader", () => {
    const alone = silent({ code: "CONSUL_ERRORS", fault: "no-server", reason: "No known Consul servers" });
    expect(alone).toMatch(/ reaches no server of Consul's: No known Consul servers\. Run srv-epmd doctor here: /);
    expect(alone).not.toContain("raft");
    expect(silent({ code: "CONSUL_ERRORS", reason: "No cluster leader" })).toContain("consul operator raft list-peers");
  });

  test("of Nomad that hangs is told apart, too", () => {
    const hangs = { ...silentNomad, trouble: { ...silentNomad.trouble, fault: "timeout" as const } };
    const advice = (nomad: Status["nomad"]) => told({ nomad, ...failed("nomad") })[0]?.advice;
    expect([advice(hangs), advice(silentNomad)]).toEqual([
      expect.stringContaining("kill -CONT"),
      expect.stringContaining("a token for it"),
    ]);
  });

  test("of Nomad is Nomad's", () => {
    const found = told({ nomad: silentNomad, ...failed("nomad", silentNomad.trouble.reason) });
    expect(codes({ problems: found })).toEqual(["NOMAD_SILENT"]);
  });

  test("a refusal to list the nodes is no silence: it says which right is missing", () => {
    const refused = { outcome: "unavailable", cause: "Permission denied", code: "CONSUL_FORBIDDEN" } as const;
    expect(told({ cluster: refused })).toMatchObject([
      { code: "CLUSTER_UNKNOWN", advice: expect.stringContaining("node_prefix") },
    ]);
  });
});

describe("two nodes of one name", () => {
  const twin = clusterNode({ address: "10.1.2.9", instance: "box9", machine: "box9" });

  test("are told with both places", () => {
    expect(told(listed(clusterNode(), twin))).toMatchObject([
      {
        ...{ code: "NODE_TWICE", level: "error", nodes: ["node_a@svc.service.consul"] },
        sentence: expect.stringContaining("at 10.1.2.3:43183 on box1, 10.1.2.9:43183 on box9:"),
      },
    ]);
  });

  test("also where the case differs, and where Consul is silent now", () => {
    const other = { ...twin, node: "NODE_A@svc.service.consul" };
    expect(codes({ problems: told(listed(clusterNode(), other)) })).toEqual(["NODE_TWICE"]);
    const last = { at: new Date(NOW - 12_000).toISOString(), patterns: ["*@svc"], nodes: [clusterNode(), twin] };
    const cluster = { outcome: "unavailable", cause: "no", code: "CONSUL_UNAVAILABLE", last } as const;
    expect(codes(troubledStatus({ cluster, lookUps: [] }))).toEqual(["CONSUL_SILENT", "NODE_TWICE"]);
  });

  test.each([
    ["entries for two IP versions", clusterNode({ address: "fd00::3" })],
    ["an entry of Nomad for the same place", clusterNode({ instance: "_nomad-task-1", machine: "box1" })],
    ["one that DNS leaves out", { ...twin, health: "critical" as const }],
    ["a node of another host part", { ...twin, node: "node_a@other.service.consul" }],
  ])("are not %s", (_, other) => {
    expect(told(listed(clusterNode(), other))).toEqual([]);
  });

  test("have the links that are missing with them, each pair of names once", () => {
    const box = (index: number, own: object = {}) => {
      const machine = `box${index}`;
      return clusterNode({
        ...{ node: `n${index}@svc.service.consul`, port: 20_000 + index, instance: machine, machine },
        ...own,
      });
    };
    const four = { node: "n4@svc.service.consul" };
    const nodes = [box(1), box(2), box(4), box(5, four)];
    const own = { nodes: [localNode({ name: "n1", port: 20_001 })], links: [toldLinks("n1", [])] };
    const found = told({ ...own, ...listed(...nodes) });
    expect(found).toMatchObject([
      {
        code: "NODE_TWICE",
        sentence: expect.stringMatching(
          /: who dials that name reaches either\. Links that are missing meanwhile may follow from that .*: n1@svc\.service\.consul is not linked with n2@svc\.service\.consul, n4@svc\.service\.consul\.$/,
        ),
        advice: expect.stringMatching(/ A link that is missing a minute after that has another cause\.$/),
      },
    ]);
    // Without the second one they are a problem of their own.
    const alone = told({ ...own, ...listed(...nodes.slice(0, 3)) });
    expect(alone.map(({ code, sentence }) => [code, sentence])).toEqual([
      [
        "LINKS_MISSING",
        "2 links are missing: n1@svc.service.consul is not linked with n2@svc.service.consul, n4@svc.service.consul.",
      ],
    ]);
    // And where no link is missing nothing is said of links.
    const linked = told({ ...own, links: [toldLinks("n1", ["n2", "n4"])], ...listed(...nodes) });
    expect(linked.map(({ code, sentence }) => [code, sentence.includes("inks")])).toEqual([["NODE_TWICE", false]]);
  });

  test("are told once where the publication has seen them too", () => {
    const nodes = [localNode({ elsewhere: ["10.1.2.9:43183 on box9"] })];
    expect(codes({ problems: told({ nodes, ...listed(clusterNode(), twin) }) })).toEqual(["NODE_TWICE"]);
  });
});

test("a VM here that does not answer for its links is told after some seconds", () => {
  const silent = (name: string, secondsAgo: number) =>
    ({ name, hidden: false, state: "silent", at: new Date(NOW - secondsAgo * 1000).toISOString() }) as const;
  const at = (secondsAgo: number) => told({ nodes: [localNode({ name: "a" })], links: [silent("a", secondsAgo)] });
  expect(at(9)).toEqual([]);
  expect(at(11)).toMatchObject([{ code: "VM_SILENT", nodes: ["a"], advice: expect.stringContaining("kill -CONT") }]);
});

describe("nodes that nobody finds", () => {
  test("are one problem for each reason", () => {
    const node = (name: string, reason: string) =>
      localNode({ name, reason, publication: "not-in-consul", serviceIds: [] });
    const nodes = [node("a", "no port"), node("b", "maintenance"), node("c", "no port")];
    expect(told({ nodes }).map(({ nodes }) => nodes)).toEqual([["a", "c"], ["b"]]);
    const many = Array.from({ length: 9 }, (_, index) => node(`n${index}`, "no port"));
    expect(told({ nodes: many })[0]?.sentence).toContain("n0, n1, n2, n3, and 5 more are alive here");
  });

  test("that registered a moment ago, or are not meant to be found, are none", () => {
    const nodes = (["pending", "local", "off", "in-consul", "in-nomad"] as const).map((publication) =>
      localNode({ name: publication, publication }),
    );
    expect(told({ nodes })).toEqual([]);
  });

  test("critical ones are told, unless another instance of the name is well", () => {
    const critical = clusterNode({ node: "b@svc", health: "critical", instance: "old", address: "10.0.0.8" });
    expect(told(listed(clusterNode(), critical))).toMatchObject([{ code: "NODE_CRITICAL", nodes: ["b@svc"] }]);
    expect(told(listed(critical, clusterNode({ node: "b@svc", instance: "new" })))).toEqual([]);
  });

  test("one that is kept out here is one problem, and one of its name elsewhere another", () => {
    const { instance, hostName } = emptyStatus();
    const reason = "the machine is in Consul's maintenance mode";
    const here = localNode({ name: "a", reason, publication: "not-in-consul" });
    const obstacle = { kind: "maintenance", check: "_node_maintenance", words: reason } as const;
    const entry = (own: object) =>
      clusterNode({ node: "a@svc", health: "critical", machine: hostName, obstacle, ...own });
    const status = (...nodes: ReturnType<typeof clusterNode>[]) => told({ ...listed(...nodes), nodes: [here] });
    const ofHere = status(entry({ instance }));
    expect(ofHere).toMatchObject([
      {
        ...{ code: "NODE_NOT_IN_CONSUL", sentence: expect.stringContaining(reason) },
        advice: expect.stringMatching(/^When the work is done, run consul maint -disable on /),
      },
    ]);
    expect(status(entry({ instance: "other", machine: "box9" })).map(({ code }) => code)).toEqual([
      "NODE_NOT_IN_CONSUL",
      "NODE_CRITICAL",
    ]);
    // As long as the publication does not know of it.
    const unknown = { ...listed(entry({ instance })), nodes: [localNode({ name: "a" })] };
    expect(told(unknown)).toMatchObject([{ code: "NODE_CRITICAL" }]);
  });
});

describe("critical nodes are told with the check that is critical, and with what is to be done about it:", () => {
  const sick = (name: string, machine: string, own: object = {}) =>
    clusterNode({ node: `${name}@svc`, instance: machine, machine, health: "critical", ...own });
  const problems = (...nodes: ReturnType<typeof clusterNode>[]) =>
    told(listed(...nodes)).map(({ sentence, advice }) => `${sentence} ${advice}`);
  const check = (kind: "agent" | "maintenance" | "tcp" | "other", id: string, own: object = {}) => {
    return { obstacle: { kind, check: id, words: `the check ${id} is critical`, ...own } };
  };

  test("that of a machine whose agent Consul does not reach says nothing of VM and srv-epmd there", () => {
    const agent = check("agent", "serfHealth");
    const [found, ...more] = problems(sick("a", "box2", agent), sick("b", "box2", agent), sick("c", "box3", agent));
    expect(found).toMatch(
      /^a@svc, b@svc, c@svc are critical in Consul, so nobody finds them: the check serfHealth of box2, box3 is critical\. Consul's servers do not reach the agent on box2, box3: see that the machine is up, /,
    );
    expect([found?.includes("srv-epmd"), more]).toEqual([false, []]);
  });

  test("maintenance of a machine and of an entry", () => {
    const ofEntry = check("maintenance", "_service_maintenance:srv-epmd:box3:b", { entry: "srv-epmd:box3:b" });
    expect(problems(sick("a", "box2", check("maintenance", "_node_maintenance")), sick("b", "box3", ofEntry))).toEqual([
      expect.stringMatching(
        /finds it: box2 is in Consul's maintenance mode \(consul maint\)\. .*run consul maint -disable on box2:/,
      ),
      expect.stringMatching(
        /finds it: Consul has the entry srv-epmd:box3:b in .*run consul maint -disable -service=srv-epmd:box3:b on box3:/,
      ),
    ]);
  });

  test("the TCP check, and that of another program", () => {
    const tcp = (id: string) => check("tcp", `service:${id}:tcp`, { entry: id });
    const disk = check("other", "disk", { entry: "srv-epmd:box2:c" });
    expect(problems(sick("a", "box2", tcp("a")), sick("b", "box2", tcp("b")), sick("c", "box2", disk))).toEqual([
      expect.stringMatching(/^a@svc, b@svc are .*: the agent on box2 cannot connect to .* without --tcp-check\.$/),
      expect.stringMatching(
        /^c@svc is .*: the check disk of its entry on box2 is critical\. Put right what that check/,
      ),
    ]);
  });

  test("none but that of srv-epmd: its VM has left, or nobody refreshes it", () => {
    expect(problems(sick("a", "box2"), sick("b", "box3"), sick("c", "box2", { withdrawn: true }))).toEqual([
      expect.stringMatching(
        /^a@svc, b@svc are .*: no srv-epmd refreshes their TTL checks\. .* see on box2, box3 whether VM/,
      ),
      expect.stringMatching(
        /^c@svc is .*: its VM has left its srv-epmd, which removes the entry some seconds later\. /,
      ),
    ]);
  });
});

describe("look-ups", () => {
  const missed = (own: Partial<LookUp> = {}) =>
    failedLookUp("not-found", "no SRV record", { node: "x@svc.service.consul", code: "SRV_NXDOMAIN", ...own });

  test("a node that was asked for and not found is told with the time, for ten minutes", () => {
    expect(asked(missed())).toMatchObject([
      { code: "NOT_FOUND_LATELY", level: "warning", nodes: ["x@svc.service.consul"], at: NOW - 12_000 },
    ]);
    expect(asked(missed({ at: NOW - 599_000 }))).toHaveLength(1);
    expect(asked(missed({ at: NOW - 601_000 }))).toEqual([]);
  });

  test("one that was found afterwards is not, and one that was found before is", () => {
    const found = lookUp({ node: "x@svc.service.consul" });
    expect(asked(found, missed())).toEqual([]);
    expect(codes({ problems: asked(missed(), found) })).toEqual(["NOT_FOUND_LATELY"]);
  });

  test("one that has come since then is not", () => {
    const here = { nodes: [localNode({ name: "x" })], domains: ["svc.service.consul"], lookUps: [missed()] };
    expect(told(here)).toEqual([]);
    expect(told({ ...here, domains: [] })).toHaveLength(1);
  });

  test("one that Consul lists, or a VM here is linked with, is not, however long it has been published", () => {
    const node = (own: object) => clusterNode({ node: "X@svc.service.consul", age: 90, ...own });
    const lookUps = [missed({ at: NOW - 50_000 })];
    for (const health of ["passing", "warning", "unknown"] as const) {
      expect(told({ lookUps, ...listed(node({ health })) }).map(({ code }) => code)).toEqual([]);
    }
    expect(codes({ problems: told({ lookUps, ...listed(node({ health: "critical" })) }) })).toContain(
      "NOT_FOUND_LATELY",
    );
    expect(told({ lookUps, links: [toldLinks("a", ["x"])] })).toEqual([]);
    expect(told({ lookUps, links: [toldLinks("a", ["y"])] })).toHaveLength(1);
  });

  test("one problem for each reason, whatever strangers ask for", () => {
    const lookUps = Array.from({ length: 300 }, (_, index) => missed({ node: `x${index}@svc`, here: false }));
    const found = asked(...lookUps, missed({ node: "y@svc", code: "NAME_NO_SOURCE" }));
    expect(found.map(({ nodes }) => nodes.length)).toEqual([300, 1]);
    expect(found[0]?.sentence.length).toBeLessThan(200);
  });

  test("a VM without the module that dials the wrong address is told, and where it is", () => {
    const unreached = (own: Partial<LookUp>) =>
      failedLookUp("unreachable", "the node is at 10.0.0.9:20002, but this client would dial 127.0.0.1", {
        ...{ way: "host", node: "node_b" },
        ...own,
      });
    const found = asked(unreached({}), unreached({ here: false, asker: "10.0.0.7", node: "node_c" }));
    expect(found.map(({ code, nodes }) => [code, nodes])).toEqual([
      ["VM_WITHOUT_MODULE", ["node_b"]],
      ["VM_WITHOUT_MODULE", ["node_c"]],
    ]);
    expect(found[0]?.sentence).toMatch(/^A VM here asks by the name alone/);
    expect(found[1]?.sentence).toMatch(/^VMs on 10\.0\.0\.7 ask by the name alone/);
  });

  test("at the gateway it is the relay, and not the module", () => {
    const failedRelay = failedLookUp("unreachable", "no port of 61000-64999 is free", { way: "gateway" });
    expect(codes({ problems: asked(failedRelay) })).toEqual(["RELAY_FAILED"]);
    const silent = { ...failed("gateway", "the relay process does not answer"), lookUps: [failedRelay] };
    expect(codes({ problems: told(silent) })).toEqual(["RELAY_SILENT"]);
  });

  test("without an answer are told with the reason of the last one", () => {
    const silent = (node: string, at: number) =>
      failedLookUp("unavailable", `no name server answers for ${node}`, { node, at, code: "DNS_TIMEOUT" });
    expect(asked(silent("a@x.example", NOW - 1), silent("b@x.example", NOW - 2))).toMatchObject([
      {
        ...{ code: "LOOK_UP_FAILED", level: "error", nodes: ["a@x.example", "b@x.example"], at: NOW - 1 },
        sentence: "Look-ups of a@x.example, b@x.example had no answer lately: no name server answers for a@x.example.",
        advice: expect.stringContaining("srv-epmd resolve a@x.example --trace"),
      },
    ]);
  });

  test("without an answer, or with an old one, are over when the node is there and nobody asks for it again", () => {
    const of = (secondsAgo: number) => {
      const at = NOW - secondsAgo * 1000;
      const node = "b@svc.service.consul";
      const lookUps = [
        failedLookUp("unavailable", "no name server answers", { node, at, code: "DNS_TIMEOUT" }),
        lookUp({ node: "c@svc.service.consul", at, stale: true }),
      ];
      const there = [clusterNode({ node }), clusterNode({ node: "c@svc.service.consul" })];
      return [codes({ problems: told({ lookUps, ...listed(...there) }) }), codes({ problems: told({ lookUps }) })];
    };
    const both = ["LOOK_UP_FAILED", "OLD_ANSWERS"];
    expect(of(19)).toEqual([both, both]);
    expect(of(21)).toEqual([[], both]);
  });

  test("that were refused tell of the asker, and are no problem", () => {
    expect(asked(failedLookUp("refused", "a stranger", { here: false }))).toEqual([]);
  });

  test("no command to copy has a name in it that a shell would take for more than a name", () => {
    for (const node of ["a;reboot@svc", "$(reboot)@svc", "-x@svc", "a b@svc", "a`b`@svc", "a'@svc", "a\nb@svc"]) {
      const found = asked(
        missed({ node }),
        missed({ node, code: "DNS_TIMEOUT" }),
        lookUp({ node: `${node}.x`, stale: true }),
      );
      expect(found.length).toBeGreaterThan(0);
      for (const { advice, nodes } of found) {
        expect(advice).not.toContain(node);
        expect(nodes[0]).toContain(node);
      }
    }
  });

  test.each([...NOT_FOUND_CODES, ...UNAVAILABLE_CODES, "", "constructor", undefined])(
    "whatever the code is, something is to be done: %s",
    (code) => {
      const [found] = asked(missed({ code }));
      expect(found?.advice).toMatch(/^[A-Za-z].+\.$/);
    },
  );
});

test("a rule says something only of its own kind: busy daemons have the problems that they have", () => {
  expect(codes(busyStatus())).toEqual([
    "NODE_NOT_IN_CONSUL",
    "VM_WITHOUT_MODULE",
    "NODE_CRITICAL",
    "NOT_FOUND_LATELY",
    "OLD_ANSWERS",
  ]);
  expect(new Set(RULES.map(({ code }) => code)).size).toBe(RULES.length);
  expect(problemsOf({ status: emptyStatus(), lookUps: [], now: NOW, ageOf: () => 0 })).toEqual([]);
});

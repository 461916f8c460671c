import { describe, expect, test } from "vitest";
import { apart, type Finding, fail, ofNode, ok, skip, together, warn } from "../../src/doctor/core/finding.js";
import { NO_EPMD } from "../../src/doctor/core/problem-kind.js";
import { causesOf, PROBLEMS, type ProblemCode } from "../../src/doctor/core/problems.js";
import { causeOf, foundProblems, type Told, verdictOf } from "../../src/doctor/core/verdict.js";

const CODES = Object.keys(PROBLEMS) as ProblemCode[];

/** Findings of checks, in their order. */
const told = (findings: Readonly<Record<string, Finding>>): Told[] =>
  Object.entries(findings).map(([id, finding]) => ({ ...finding, id }));

/** Each problem by its check, with the checks of what follows from it. */
const shape = (findings: Readonly<Record<string, Finding>>) =>
  verdictOf(told(findings)).problems.map(({ check, effects }) => [check, effects.map((effect) => effect.check)]);

describe("the table of problems", () => {
  test("names kinds that there are as causes, and none of itself", () => {
    for (const code of CODES) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      for (const cause of causesOf(code)) expect(CODES, `${code} from ${cause}`).toContain(cause);
    }
  });

  test("has no circle: each kind follows from a root in the end", () => {
    const above = (code: ProblemCode, seen: readonly ProblemCode[]): void => {
      expect(seen, `${seen.join(" from ")} from ${code}`).not.toContain(code);
      for (const cause of causesOf(code)) above(cause, [...seen, code]);
    };
    for (const code of CODES) above(code, []);
  });
});

describe("a verdict", () => {
  const consulDown = {
    resolver: fail("RESOLVER_AGENT", "127.0.0.1:8600 does not answer", "ask another"),
    "consul-agent": fail("CONSUL_DOWN", "http://127.0.0.1:8500 does not answer", "start the agent"),
    "consul-leader": skip("Consul cannot be asked"),
    "registration-dns": fail("DNS_UNAVAILABLE", "node_a cannot be looked up", "give a name server"),
    "peer-records": fail("PEER_UNAVAILABLE", "node_b cannot be looked up", "give a name server"),
  };

  test("tells Consul that is down once, and what follows from it under it, at second hand too", () => {
    expect(shape(consulDown)).toEqual([["consul-agent", ["resolver", "registration-dns", "peer-records"]]]);
    const { counts } = verdictOf(told(consulDown));
    expect(counts).toEqual({ ok: 0, warn: 0, fail: 4, skip: 1 });
    const { "consul-agent": _, ...others } = consulDown;
    expect(shape(others)).toEqual([["resolver", ["registration-dns", "peer-records"]]]);
  });

  test("begins with the EPMD port where no srv-epmd tells its name servers, unless these were given by hand", () => {
    const nothing = fail("EPMD_NOTHING", "nothing listens on 127.0.0.1:4369", "start srv-epmd serve here");
    const dead = fail("RESOLVER_DEAD", "127.0.0.1:53 (resolv.conf) does not answer", "give --dns");
    const unavailable = fail("PEER_UNAVAILABLE", "node_b cannot be looked up", "give a name server");
    const found = (resolver: Finding) => shape({ "epmd-port": nothing, resolver, "peer-records": unavailable });
    expect(found(dead)).toEqual([["epmd-port", ["resolver", "peer-records"]]]);
    expect(found(apart(NO_EPMD, dead))).toEqual([
      ["resolver", ["peer-records"]],
      ["epmd-port", []],
    ]);
  });

  test("says of each problem what it follows from directly", () => {
    const all = foundProblems(told(consulDown));
    expect(all.map((problem) => [problem.code, causeOf(problem, all)?.code])).toEqual([
      ["RESOLVER_AGENT", "CONSUL_DOWN"],
      ["CONSUL_DOWN", undefined],
      ["DNS_UNAVAILABLE", "RESOLVER_AGENT"],
      ["PEER_UNAVAILABLE", "RESOLVER_AGENT"],
    ]);
  });

  test("begins with what keeps VMs from the node that was asked for, then failures, then warnings", () => {
    const findings = {
      domain: warn("DOMAIN_DOUBTFUL", "a doubt", "give another"),
      "vm-listens": fail("VM_ON_LOOPBACK", "a", "let it listen"),
      "peer-tcp": fail("PEER_REFUSED", "refused", "start it"),
      clock: ok("agrees"),
    };
    // Of the node asked for nothing says that it lives here.
    expect(shape({ ...findings, "vm-listens": fail("VM_DIST_PORT_UNUSED", "a", "b") })).toEqual([
      ["peer-tcp", []],
      ["vm-listens", []],
      ["domain", []],
    ]);
    expect(shape(findings)).toEqual([
      ["vm-listens", ["peer-tcp"]],
      ["domain", []],
    ]);
  });

  test("a warning from which a failure follows is told before other warnings", () => {
    const findings = {
      domain: warn("DOMAIN_DOUBTFUL", "a doubt", "give another"),
      "consul-agent": warn("CONSUL_DOWN", "does not answer", "start the agent"),
      "peer-records": fail("PEER_UNAVAILABLE", "cannot be looked up", "wait"),
    };
    expect(shape(findings)).toEqual([
      ["consul-agent", ["peer-records"]],
      ["domain", []],
    ]);
  });

  test("problems of two nodes do not follow from each other", () => {
    const closed = (name: string) => fail("VM_PORT_CLOSED", `${name} is closed`, "restart it", name);
    const unreached = (name: string) => fail("PUBLISHED_NOT_REACHED", `${name} is not reached`, "look", name);
    expect(shape({ "vm-listens": closed("a"), "published-endpoint": unreached("a") })).toEqual([
      ["vm-listens", ["published-endpoint"]],
    ]);
    expect(shape({ "vm-listens": closed("a"), "published-endpoint": unreached("b") })).toEqual([
      ["vm-listens", []],
      ["published-endpoint", []],
    ]);
  });

  test("what is wrong with another node here does not hide what is wrong with the one that was asked for", () => {
    const named = (name: string) => warn("HOST_DIFFERS", `${name} calls itself otherwise`, "one name", name);
    const asked = ofNode("sn", fail("PEER_OTHER_NAME", "is sn@box, not sn@svc", "short and long names never connect"));
    expect(shape({ "node-name": named("s1"), "peer-handshake": asked })).toEqual([
      ["peer-handshake", []],
      ["node-name", []],
    ]);
    expect(shape({ "node-name": named("sn"), "peer-handshake": asked })).toEqual([["node-name", ["peer-handshake"]]]);
    const silent = ofNode("sn", fail("PEER_SAYS_NOTHING", "sn is silent", "look there"));
    const stopped = fail("VM_STOPPED", "s1 is stopped", "continue it", "s1");
    expect(shape({ "vm-state": stopped, "peer-handshake": silent })).toEqual([
      ["peer-handshake", []],
      ["vm-state", []],
    ]);
    expect(ofNode("sn", ok("it is"))).toEqual(ok("it is"));
  });

  test("many nodes with one problem and one action are one; another action is another problem", () => {
    const closed = (name: string, advice: string) => fail("VM_PORT_CLOSED", `${name} is closed`, advice, name);
    const many = Array.from({ length: 9 }, (_, n) => closed(`n${n}`, "restart it"));
    const { problems } = verdictOf(told({ "vm-listens": together([...many, closed("x", "look at it")], "") }));
    expect(problems.map(({ evidence, advice }) => [evidence, advice])).toEqual([
      [["n0 is closed", "n1 is closed", "n2 is closed", "n3 is closed", "and 5 more"], ["restart it"]],
      [["x is closed"], ["look at it"]],
    ]);
  });

  test("of one check some problems may follow from another, and some not", () => {
    const findings = {
      "consul-agent": fail("CONSUL_NO_LEADER", "no leader", "bring back a majority"),
      registration: together(
        [
          fail("REGISTRATION_MISSING", "a is not there", "x", "a"),
          fail("REGISTRATION_MAINTENANCE", "b rests", "y", "b"),
        ],
        "",
      ),
    };
    expect(shape(findings)).toEqual([
      ["consul-agent", ["registration"]],
      ["registration", []],
    ]);
  });

  test("a problem that is known not to follow from a kind this time stands by itself", () => {
    const missing = fail("DNS_MISSING", "NXDOMAIN", "its default token", "node_a");
    const down = fail("CONSUL_DOWN", "does not answer", "give the other one");
    expect(shape({ "consul-agent": down, "registration-dns": missing })).toEqual([
      ["consul-agent", ["registration-dns"]],
    ]);
    expect(shape({ "consul-agent": down, "registration-dns": apart(["CONSUL_DOWN"], missing) })).toEqual([
      ["consul-agent", []],
      ["registration-dns", []],
    ]);
  });

  test("without a problem has the counts alone", () => {
    expect(verdictOf(told({ a: ok("x"), b: skip("y"), c: skip("z") }))).toEqual({
      problems: [],
      counts: { ok: 1, warn: 0, fail: 0, skip: 2 },
    });
  });
});

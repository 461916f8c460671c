import { beforeEach, describe, expect, test } from "vitest";
import { UnreadableFile } from "../../src/api/credential.js";
import { LoginRefused } from "../../src/consul/acl-api.js";
import { Servers } from "../../src/consul/core/servers.js";
import { AgentAnswer } from "../../src/consul/transport.js";
import { ConsulError } from "../../src/errors.js";
import { AgentState } from "../../src/publish/agent-state.js";
import { Presence, type Standing } from "../../src/publish/presence.js";
import { TIMINGS } from "../../src/publish/timing.js";
import { collectLog, type LogLines } from "../support/log-lines.js";

let now: number;
let told: LogLines;
let presence: Presence;

beforeEach(() => {
  now = 0;
  told = collectLog();
  presence = new Presence({ log: told.log, now: () => now, timings: TIMINGS });
});

const standing = (name: string, over: Partial<Standing> = {}): Standing => ({
  ...{ name, visible: [`id:${name}`], wanted: [`id:${name}`], isMissing: false, reason: undefined, isTold: false },
  ...over,
});
const missing = (name: string, over: Partial<Standing> = {}) =>
  standing(name, { visible: [], isMissing: true, reason: "status 503", ...over });
const NAMES = Array.from({ length: 40 }, (_, index) => `node_${index}`);

/** Looks once a second. @param of how a name stands, by its index */
function look(seconds: number, of: (name: string, index: number) => Standing): string[] {
  const before = told.lines.length;
  for (let second = 0; second < seconds; second++) {
    now += TIMINGS.look;
    presence.look(NAMES.map(of));
  }
  return told.lines.slice(before).map(({ msg }) => String(msg));
}

describe("nodes that fall out of DNS one by one, and return so,", () => {
  test("are told in a few lines, the names with them", () => {
    // As their TTLs run out, within a third of it.
    const start = now;
    const out = look(20, (name, index) => (now - start > index * 125 ? missing(name) : standing(name)));
    expect(out).toEqual([
      expect.stringMatching(/^\d+ nodes are not in Consul's DNS: status 503$/),
      expect.stringMatching(/^\d+ nodes are not in Consul's DNS: status 503$/),
    ]);
    const counts = told.lines.map(({ count, nodes }) => Number(count ?? (nodes as string[]).length));
    expect(counts.reduce((sum, one) => sum + one, 0)).toBe(40);
    const again = now;
    const back = look(20, (name, index) => (now - again > index * 125 ? standing(name) : missing(name)));
    expect(back).toEqual(["40 nodes are in Consul's DNS again"]);
    expect(told.lines.at(-1)).toMatchObject({ nodes: NAMES.slice(0, 8), count: 40 });
  });

  test("a second outage and its end are told like the first", () => {
    for (let round = 0; round < 3; round++) {
      expect(look(20, (name) => missing(name))).toEqual(["40 nodes are not in Consul's DNS: status 503"]);
      expect(look(40, (name) => standing(name))).toEqual(["40 nodes are in Consul's DNS again"]);
    }
  });

  test("a node that is out for long hides no other that goes later", () => {
    const first = look(20, (name, index) => (index === 0 ? missing(name) : standing(name)));
    expect(first).toEqual(["the node is not in Consul's DNS: status 503"]);
    expect(look(20, (name) => missing(name))).toEqual(["39 nodes are not in Consul's DNS: status 503"]);
    const one = (name: string, index: number) => (index === 0 ? missing(name) : standing(name));
    expect(look(60, one)).toEqual(["39 nodes are in Consul's DNS again"]);
  });

  test("one that is missing for a moment is not worth a word", () => {
    for (let round = 0; round < 20; round++) {
      expect(look(1, (name) => missing(name))).toEqual([]);
      expect(look(1, (name) => standing(name))).toEqual([]);
    }
  });

  test("what has been told already for all together is not told again", () => {
    expect(look(60, (name) => missing(name, { isTold: true }))).toEqual([]);
    expect(look(20, (name) => standing(name))).toEqual([]);
  });

  test("a node that waits for its turn has more time than one that failed", () => {
    expect(look(8, (name) => missing(name, { reason: undefined }))).toEqual([]);
    expect(look(8, (name) => missing(name, { reason: undefined }))).toEqual([
      "40 nodes are not in Consul's DNS: the Consul agent is slow",
    ]);
  });

  test("what comes and goes all the time does not fill the log", () => {
    let lines = 0;
    for (let minute = 0; minute < 10; minute++) {
      for (let round = 0; round < 6; round++) {
        lines += look(5, (name) => missing(name)).length + look(5, (name) => standing(name)).length;
      }
    }
    expect(lines).toBeGreaterThan(10);
    expect(lines).toBeLessThan(60);
  });
});

test("entries that the agent has forgotten are told in two lines, and that they are back in one", () => {
  for (const [index, name] of NAMES.entries()) {
    presence.forgotten(`id:${name}`);
    if (index === 2) look(1, (one) => standing(one, { visible: [] }));
  }
  look(10, (name) => standing(name, { visible: [] }));
  look(10, (name) => standing(name));
  expect(told.messages()).toEqual([
    "the Consul agent has forgotten 3 entries: registering again",
    "the Consul agent has forgotten 37 entries: registering again",
    "published again",
  ]);
});

test("ids that another daemon has are told in one line", () => {
  for (const name of NAMES) presence.evaded(`id:${name}`);
  expect(look(5, (name) => standing(name))).toEqual([
    "other running daemons already use 40 service ids; this daemon will use different ones (give one of the daemons another --instance)",
  ]);
});

describe("what is told of the agent", () => {
  const silent = () => new ConsulError("CONSUL_UNAVAILABLE", "ECONNREFUSED");
  const answer = (code: string, said: string) =>
    new ConsulError(code, `PUT /v1/agent: ${said}`, { cause: new AgentAnswer(403, said) });
  const stateOf = (hasTokenFile = true) => {
    let recovered = 0;
    const state = new AgentState({
      servers: new Servers(),
      log: told.log,
      now: () => now,
      recovered: () => recovered++,
      hasTokenFile,
      logsIn: false,
    });
    return { state, recovered: () => recovered };
  };
  const call = (over: object = {}) => ({ sentAt: now, service: "svc", action: "register", ...over }) as const;

  test("that comes and goes with every call does not fill the log", () => {
    const { state } = stateOf();
    for (let second = 0; second < 600; second++) {
      now += 1_000;
      state.failed(silent(), call());
      state.succeeded(call());
    }
    expect(told.messages().length).toBeGreaterThan(20);
    expect(told.messages().length).toBeLessThan(60);
  });

  test("is a cut from Consul's servers, whatever the agent itself lists, and the log has it once each way", () => {
    const servers = new Servers();
    const state = new AgentState({
      ...{ servers, log: told.log, now: () => now, recovered: () => {}, hasTokenFile: false, logsIn: false },
    });
    servers.answered(2_000);
    now = 9_000;
    state.succeeded({ sentAt: now });
    expect([state.trouble, state.answeredAt, state.isCutOff]).toEqual([undefined, 9_000, false]);
    for (const sentAt of [now, now + 1]) {
      servers.failed({ sentAt, endedAt: sentAt + 1, fault: "no-server", reason: "No known Consul servers" });
    }
    for (let look = 0; look < 3; look++) state.look();
    state.succeeded({ sentAt: now });
    expect(state.trouble).toBe("the Consul agent reaches no server of Consul's: No known Consul servers");
    expect([state.answeredAt, state.isCutOff, state.isSilent]).toEqual([2_000, true, false]);
    const said = { code: "CONSUL_ERRORS", fault: "no-server", reason: "No known Consul servers" };
    expect(state.troubleSaid).toEqual(said);
    // An agent that does not answer at all is another matter, and comes first.
    state.failed(silent(), call());
    expect([state.troubleSaid?.code, state.answeredAt, state.isCutOff]).toEqual(["CONSUL_SILENT", 9_000, false]);
    state.look();
    state.succeeded(call());
    servers.answered(now);
    for (let look = 0; look < 3; look++) state.look();
    expect([state.trouble, state.isCutOff]).toEqual([undefined, false]);
    expect(told.messages()).toEqual([
      expect.stringMatching(/^the Consul agent reaches no server of Consul's: it takes nodes, and other machines/),
      expect.stringMatching(/^the Consul agent does not answer/),
      "the Consul agent answers again",
      "Consul's servers answer the agent again",
    ]);
  });

  test("is no outage when what was asked later has been answered", () => {
    const { state } = stateOf();
    now = 5_000;
    state.succeeded(call());
    state.failed(silent(), call({ sentAt: 1_000 }));
    expect([state.trouble, told.messages()]).toEqual([undefined, []]);
  });

  test("is a token that nobody knows, which is another matter than a right that is missing", () => {
    for (const hasTokenFile of [true, false]) {
      const { state, recovered } = stateOf(hasTokenFile);
      state.failed(answer("CONSUL_FORBIDDEN", "ACL not found"), call());
      state.failed(answer("CONSUL_FORBIDDEN", "ACL not found"), call({ service: "other" }));
      state.succeeded(call());
      expect(recovered()).toBe(1);
    }
    const { state } = stateOf();
    state.failed(answer("CONSUL_FORBIDDEN", "Permission denied"), call());
    // Another kind of call: it was never refused.
    state.succeeded(call({ action: "pass" }));
    state.failed(answer("CONSUL_FORBIDDEN", "Permission denied"), call());
    state.succeeded(call());
    expect(told.messages()).toEqual([
      "Consul does not know the token (ACL not found), it was deleted or has expired: the token file is read again until it holds one that is known",
      "Consul knows the token",
      "Consul does not know the token (ACL not found), it was deleted or has expired: give serve another",
      "Consul knows the token",
      'Consul refuses the token (Permission denied): it needs the policy service "svc" { policy = "write" }',
      "Consul accepts the nodes of this service again",
    ]);
  });

  test("is a login that Consul refuses: why is told once, and until it gives a token", () => {
    let recovered = 0;
    const state = new AgentState({
      ...{ servers: new Servers(), log: told.log, now: () => now },
      ...{ recovered: () => recovered++, hasTokenFile: false, logsIn: true },
    });
    const refused = (why: string) =>
      new ConsulError("CONSUL_UNAVAILABLE", `cannot log in to Consul: ${why}`, { cause: new LoginRefused(why) });
    for (const name of NAMES) state.failed(refused(`no rule ${name === NAMES[0] ? 1 : 2}`), call());
    // The latest reason is shown, the first one is in the log.
    expect([state.trouble, state.isSilent]).toEqual(["cannot log in to Consul: no rule 2", true]);
    expect(state.troubleSaid).toEqual({ code: "CONSUL_LOGIN", reason: "cannot log in to Consul: no rule 2" });
    state.succeeded(call());
    expect([state.trouble, recovered]).toEqual([undefined, 1]);
    state.failed(answer("CONSUL_FORBIDDEN", "ACL not found"), call());
    expect(told.messages()).toEqual([
      "cannot log in to Consul: no rule 1; nodes are registered here and published later",
      "srv-epmd has logged in to Consul",
      "Consul does not know the token (ACL not found), it was deleted or has expired: srv-epmd logs in again",
    ]);
  });

  test("is trouble, too, when it does not say what it holds", () => {
    const { state } = stateOf();
    state.failed(answer("CONSUL_UNAVAILABLE", "status 503"), { sentAt: now });
    expect(state.trouble).toBe("the Consul agent does not list its services and checks: status 503");
    expect(state.troubleSaid).toEqual({ code: "CONSUL_ERRORS", reason: "status 503" });
    state.succeeded(call({ action: "pass" }));
    expect(state.trouble).toBeDefined();
    state.succeeded({ sentAt: now });
    expect(state.trouble).toBeUndefined();
    expect(told.messages()).toHaveLength(2);
  });

  test("is told apart: nothing listens, no answer comes in time, or the agent reaches no server", () => {
    const { state } = stateOf();
    const said = (error: ConsulError) => {
      state.failed(error, { sentAt: now });
      return [state.troubleSaid?.code, state.troubleSaid?.fault];
    };
    const unavailable = (own: object) =>
      new ConsulError("CONSUL_UNAVAILABLE", "no", { cause: Object.assign(new Error("no"), own) });
    const error = (words: string, status = 500) =>
      new ConsulError("CONSUL_UNAVAILABLE", words, { cause: new AgentAnswer(status, words) });
    expect(said(unavailable({ isTimeout: true }))).toEqual(["CONSUL_SILENT", "timeout"]);
    expect(said(unavailable({ code: "ECONNREFUSED" }))).toEqual(["CONSUL_SILENT", "refused"]);
    expect(said(unavailable({ code: "EHOSTUNREACH" }))).toEqual(["CONSUL_SILENT", "no-way"]);
    expect(said(unavailable({ code: "ECONNRESET" }))).toEqual(["CONSUL_SILENT", undefined]);
    state.succeeded({ sentAt: now });
    for (const words of [
      "No known Consul servers",
      "rpc error getting client: failed to get conn: dial tcp 10.0.0.1:8300: connect: connection refused",
      "rpc error making call: dial tcp <nil>->10.0.0.1:8300: connect: network is unreachable",
    ]) {
      expect(said(error(words))).toEqual(["CONSUL_ERRORS", "no-server"]);
    }
    expect(said(error("No cluster leader"))).toEqual(["CONSUL_ERRORS", undefined]);
    // A proxy before the agent, which has Go's words too.
    expect(said(error("dial tcp 127.0.0.1:8500: connect: connection refused", 502))).toEqual([
      ...["CONSUL_ERRORS", undefined],
    ]);
  });

  test("that was silent and answers with errors is silent no more, and is back when it answers as it should", () => {
    const { state, recovered } = stateOf();
    state.succeeded(call());
    state.failed(silent(), { sentAt: now });
    state.failed(answer("CONSUL_UNAVAILABLE", "No known Consul servers"), { sentAt: now });
    expect([state.troubleSaid?.code, state.isSilent, recovered()]).toEqual(["CONSUL_ERRORS", false, 0]);
    state.succeeded({ sentAt: now });
    expect([state.troubleSaid, recovered()]).toEqual([undefined, 1]);
    state.succeeded({ sentAt: now });
    expect(recovered()).toBe(1);
    expect(told.messages()).toEqual([
      "the Consul agent does not answer; nodes are registered here and published later",
      "the Consul agent answers again",
      "the Consul agent does not list its services and checks: entries cannot be compared until it does",
      "the Consul agent lists its services and checks again",
    ]);
  });

  test("has a code, what the last call said, and when one was answered last", () => {
    const { state } = stateOf();
    expect([state.troubleSaid, state.answeredAt]).toEqual([undefined, undefined]);
    now = 3_000;
    state.succeeded(call());
    now = 9_000;
    const unreadable = new UnreadableFile("cannot read the token: EACCES");
    state.failed(new ConsulError("CONSUL_UNAVAILABLE", unreadable.message, { cause: unreadable }), call());
    expect(state.troubleSaid).toEqual({ code: "CONSUL_FILE", reason: "cannot read the token: EACCES" });
    state.failed(silent(), call());
    expect(state.troubleSaid).toMatchObject({ code: "CONSUL_SILENT", reason: expect.stringContaining("ECONNREFUSED") });
    // A refusal is an answer of the agent, and no sign that it tells what it has.
    state.failed(answer("CONSUL_FORBIDDEN", "Permission denied"), call());
    expect(state.answeredAt).toBe(3_000);
    state.succeeded(call());
    expect([state.troubleSaid, state.answeredAt]).toEqual([undefined, 9_000]);
  });
});

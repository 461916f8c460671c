import { describe, expect, test } from "vitest";
import { parseServers, type ServerMember } from "../../src/consul/core/members.js";
import { explainLeaderless, explainWaiting } from "../../src/doctor/core/consul-servers.js";

const RULES = "nft list ruleset there (input) and here (output), security groups";
const server = (over: Partial<ServerMember> = {}): ServerMember => {
  return { name: "box1", address: "10.62.0.1", state: "alive", ...over };
};
const dial = (why: string) =>
  `rpc error getting client: failed to get conn: dial tcp 10.62.0.3:0->10.62.0.1:8300: ${why}`;
const NONE = "No known Consul servers";

test("members of an agent: servers, by their role, with what gossip says of them", () => {
  const member = (Name: string, Addr: string, Status: number, role: string) => ({ Name, Addr, Status, Tags: { role } });
  const all = [
    member("box1", "10.62.0.1", 4, "consul"),
    member("box2", "10.62.0.2", 3, "consul"),
    member("box3", "10.62.0.3", 1, "node"),
    member("box4", "fd00::4", 1, "consul"),
    member("box5", "10.62.0.5", 9, "consul"),
  ];
  expect(parseServers(all)).toEqual([
    { name: "box1", address: "10.62.0.1", state: "failed" },
    { name: "box2", address: "10.62.0.2", state: "left" },
    { name: "box4", address: "fd00::4", state: "alive" },
    { name: "box5", address: "10.62.0.5", state: "unknown" },
  ]);
  expect(parseServers([all[2]])).toEqual([]);
  // With ACLs: the agent does not show even itself.
  for (const hidden of [[], undefined, "No known Consul servers"]) expect(parseServers(hidden)).toBeUndefined();
});

describe("an agent that does not reach its server", () => {
  const explained = (why: string) => explainLeaderless({ said: dial(why), servers: [server()] });

  test.each([
    [
      "connect: network is unreachable",
      /^see the link and the routes of this machine: ip addr; ip route get 10\.62\.0\.1$/,
    ],
    [
      "connect: no route to host",
      /^see that box1 runs .*ping 10\.62\.0\.1; ip route get .* no firewall rejects or drops/,
    ],
    ["i/o timeout", /^see that box1 runs .* no firewall drops TCP port 8300: nft list ruleset there/],
    [
      "connect: connection refused",
      /^see that the Consul server runs on box1 .* no firewall rejects TCP port 8300: nft/,
    ],
  ])("(%s): the way to it, and not that the servers have no leader", (why, advice) => {
    const found = explained(why);
    expect(found).toMatchObject({
      code: "CONSUL_NO_SERVER",
      evidence: [
        `Consul's agent here does not reach its server box1 (10.62.0.1:8300): ${why.replace("connect: ", "")}; others may see everything, but not what is registered here now`,
      ],
    });
    expect(found.advice[0]).toMatch(advice);
    expect(found.advice[1]).toMatch(/^if the servers have no leader either/);
  });

  test("whose name is not known, or that has an IPv6 address", () => {
    expect(explainLeaderless({ said: dial("i/o timeout"), servers: undefined }).evidence[0]).toContain(
      "its server 10.62.0.1:8300: i/o timeout",
    );
    const six = "rpc error: dial tcp [fd00::3]:0->[fd00::1]:8300: connect: connection refused";
    expect(explainLeaderless({ said: six, servers: [server({ address: "fd00::1" })] }).evidence[0]).toContain(
      "its server box1 ([fd00::1]:8300): connection refused",
    );
  });
});

describe("an agent without a server", () => {
  const explained = (servers: readonly ServerMember[] | undefined) => explainLeaderless({ said: NONE, servers });

  test("that still lists those it had: whether these run and are reached, and no join", () => {
    const { code, evidence, advice } = explained([
      server({ name: "box2", address: "10.62.0.2", state: "left" }),
      server({ state: "failed" }),
    ]);
    expect([code, evidence]).toEqual([
      "CONSUL_NO_SERVER",
      [
        `Consul's agent here does not reach its servers: box2 (10.62.0.2) left, box1 (10.62.0.1) failed (${NONE}); others may see everything, but not what is registered here now`,
      ],
    ]);
    expect(advice.join()).not.toContain("consul join");
    expect(advice[0]).toMatch(
      /^see that the Consul server of box1 runs, .* reached from here: ping 10\.62\.0\.1; ip route/,
    );
  });

  test("whose servers have all left: to start one again, which may join by itself", () => {
    expect(explained([server({ state: "left" })]).advice[0]).toMatch(
      /^start the Consul server of box1 again; .* consul join 10\.62\.0\.1$/,
    );
  });

  test("that has never joined: to join", () => {
    expect(explained([]).advice).toEqual([expect.stringMatching(/^join it to a server that runs: consul join /)]);
  });

  test("or that has waited in vain for the connection of another call", () => {
    const said = "rpc error getting client: failed to get conn: rpc error: lead thread didn't get connection";
    expect(explainLeaderless({ said, servers: [server()] })).toMatchObject({
      code: "CONSUL_NO_SERVER",
      evidence: [
        `Consul's agent here does not reach its servers: box1 (10.62.0.1) alive (${said}); others may see everything, but not what is registered here now`,
      ],
      advice: [expect.stringMatching(/^see that the Consul server of box1 runs/), expect.any(String)],
    });
  });

  test("that does not show its members: both", () => {
    expect(explained(undefined).advice[0]).toMatch(/^consul members lists .*; where none is, join it to a server/);
  });
});

test("servers without a leader: a majority of them, and which are not alive", () => {
  const leaderless = (servers: readonly ServerMember[] | undefined) => explainLeaderless({ said: undefined, servers });
  for (const well of [[server()], undefined]) {
    expect(leaderless(well)).toMatchObject({
      code: "CONSUL_NO_LEADER",
      evidence: ["Consul's servers have no leader: nobody sees what is registered now"],
      advice: [expect.stringMatching(/^bring back a majority of the servers /), expect.any(String)],
    });
  }
  const two = [server(), server({ name: "box2", address: "10.62.0.2", state: "failed" })];
  expect(leaderless(two).evidence[1]).toBe(
    "the agent knows the servers box1 (10.62.0.1) alive, box2 (10.62.0.2) failed",
  );
  expect(explainLeaderless({ said: "rpc error making call: EOF", servers: undefined }).evidence[0]).toContain(
    "no leader, as far as the agent knows (rpc error making call: EOF): nobody",
  );
});

test("an agent that waits for its servers answers what it knows by itself: the way to them, and not its own log", () => {
  const found = explainWaiting("http://127.0.0.1:8500", "request timed out (3000ms)", [server()]);
  expect(found).toMatchObject({
    code: "CONSUL_NO_SERVER",
    evidence: [
      "http://127.0.0.1:8500 answers what the agent knows by itself, and not what it asks its servers: request timed out (3000ms)",
      "it knows the servers box1 (10.62.0.1) alive",
    ],
  });
  expect(found.advice[0]).toContain(`TCP port 8300, TCP and UDP port 8301 (${RULES})`);
  expect(explainWaiting("x", "timed out", []).advice[0]).toMatch(/^join it/);
});

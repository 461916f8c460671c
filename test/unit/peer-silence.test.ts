import { describe, expect, test } from "vitest";
import { type AgentThere, explainSilence, type Silence } from "../../src/doctor/core/peer-silence.js";

const endpoint = { address: "10.0.0.2", port: 9_100 };
const agent = (more: Partial<AgentThere> = {}): AgentThere => ({
  ...{ machine: "box2", address: "10.0.0.2", isReached: true, answers: undefined, ...more },
});
const explained = (answers: boolean, there?: AgentThere) => {
  const known: Silence = { endpoint, epmdPort: { port: 4_369, answers }, agent: there };
  const { evidence, advice } = explainSilence(known);
  const causes = advice.map((text) =>
    text.includes("firewall") ? "firewall" : text.includes("--advertise-address") ? "address" : "machine",
  );
  return { seen: evidence.slice(1), advice, causes };
};

describe("an endpoint that does not answer", () => {
  test("at a machine that answers: a firewall", () => {
    const { seen, advice, causes } = explained(true, agent());
    expect([seen, causes]).toEqual([["its machine answers, at 10.0.0.2:4369"], ["firewall", "address"]]);
    expect(advice[0]).toMatch(
      /^look for a firewall that drops TCP port 9100 of box2 \(10\.0\.0\.2\) for this machine: nft list ruleset there \(input\) and here \(output\)/,
    );
  });

  test("while the address of its Consul agent answers: the address that is published", () => {
    const { seen, causes } = explained(false, agent({ address: "10.1.0.2", answers: true }));
    expect(seen).toEqual(["its machine answers at 10.1.0.2, the address of its Consul agent"]);
    expect(causes).toEqual(["address", "firewall"]);
  });

  test("at a machine whose agent Consul does not reach: that machine", () => {
    expect(explained(false, agent({ isReached: false }))).toMatchObject({
      seen: ["nothing answers at 10.0.0.2:4369 either", "Consul's servers do not reach the agent of box2 either"],
      causes: ["machine", "firewall", "address"],
    });
  });

  test("at a machine whose agent Consul reaches: the way from here", () => {
    expect(explained(false, agent())).toMatchObject({
      seen: [
        "nothing answers at 10.0.0.2:4369 either",
        expect.stringMatching(/^Consul's servers reach the agent of box2, if /),
      ],
      causes: ["firewall", "machine"],
    });
    expect(explained(false, agent({ address: "10.1.0.2", answers: false })).causes).toEqual(["firewall", "address"]);
  });

  test("of which nothing is known: the machine, then the way, then the address", () => {
    expect(explained(false)).toMatchObject({
      seen: ["nothing answers at 10.0.0.2:4369 either"],
      causes: ["machine", "firewall", "address"],
    });
  });
});

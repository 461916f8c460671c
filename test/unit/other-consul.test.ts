import { expect, test } from "vitest";
import { howToAsk, type OtherConsul, otherWords } from "../../src/doctor/core/other-consul.js";

const OTHER: OtherConsul = {
  ...{ servers: ["10.0.0.1", "10.0.0.2"], datacenter: "fra1", asked: ["10.0.0.1", "10.0.0.2", "10.0.0.9"] },
  leader: undefined,
};

test("the other Consul is told by datacenter and leader, else by its servers and what was asked in vain", () => {
  expect(otherWords({ ...OTHER, leader: "10.0.0.2:8300" })).toBe(
    "the Consul of the name servers: the leader of fra1 is 10.0.0.2:8300",
  );
  expect(otherWords(OTHER)).toBe(
    "the Consul of the name servers: the servers of fra1 are 10.0.0.1, 10.0.0.2, by its DNS; which of them leads is not told here: no HTTP API on port 8500 of 10.0.0.1, 10.0.0.2, 10.0.0.9 tells it.",
  );
  expect(otherWords({ ...OTHER, servers: ["10.0.0.1"], datacenter: undefined })).toMatch(
    /: the only server is 10\.0\.0\.1, .* Its DNS does not tell the datacenter\.$/,
  );
});

test("where to ask it is one of its servers, with Consul's own commands", () => {
  expect(howToAsk(OTHER)).toMatch(/^on 10\.0\.0\.1, consul operator raft list-peers .*consul members -detailed/);
});

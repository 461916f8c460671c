import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { readToldSettings } from "../../src/config/told.js";
import { consulAgent } from "../../src/doctor/consul-agent.js";
import { judgeCluster } from "../../src/doctor/core/cluster-verdict.js";
import { otherUrl } from "../../src/doctor/core/url-of-serve.js";
import type { Examination } from "../../src/doctor/examination.js";
import { nomadApi } from "../../src/doctor/nomad-api.js";
import { ConsulError, NomadError } from "../../src/errors.js";

const ADVICE =
  "give --consul http://10.0.0.2:8500 too, which the srv-epmd here uses: your own credentials are sent to no address that it merely tells";

/** Beside a srv-epmd that told these settings, with a token given by hand. */
function besides(options: Record<string, unknown>, domain = "svc") {
  const daemon = readToldSettings({ version: "1", epmd: { port: 4369 }, options, withheld: [] }, "127.0.0.1:9369");
  if (!daemon) throw new Error("not read");
  const env = { CONSUL_HTTP_TOKEN: "x", NOMAD_TOKEN: "x" };
  return loadConfig({ command: "doctor", flags: { domain }, env, daemon }).config;
}

const config = besides({ consul: "http://10.0.0.2:8500" });

describe("a token is given by hand, and serve uses an API elsewhere", () => {
  test("which is told, unless it is the same one on this machine", () => {
    expect(otherUrl("consul", config.consul, config)).toEqual({
      ...{ evidence: "the srv-epmd here uses Consul at http://10.0.0.2:8500", advice: ADVICE },
    });
    for (const consul of ["http://localhost:8500", "http://127.0.0.2:8500", "http://[::1]:8500"]) {
      expect(otherUrl("consul", config.consul, besides({ consul }))).toBeUndefined();
    }
    for (const consul of ["http://localhost:8501", "https://localhost:8500"]) {
      expect(otherUrl("consul", config.consul, besides({ consul }))).toBeDefined();
    }
  });

  const daemon = async () => undefined;
  const consulFinds = (leader: Examination["leader"]) =>
    consulAgent.run({ config, asked: undefined, daemon, leader } as unknown as Examination);

  test("no Consul agent answers here: doctor begins with the address that serve has", async () => {
    const error = new ConsulError("CONSUL_UNAVAILABLE", "no", { cause: new Error("connect ECONNREFUSED") });
    const found = await consulFinds(() => Promise.reject(error));
    expect(found).toMatchObject({
      ...{ result: "fail", problems: [{ code: "CONSUL_DOWN" }] },
      evidence: [
        "http://127.0.0.1:8500 does not answer: connect ECONNREFUSED",
        "the srv-epmd here uses Consul at http://10.0.0.2:8500",
      ],
    });
    expect("advice" in found && found.advice.slice(0, 2)).toEqual([
      ADVICE,
      "start the agent, or give its address with --consul or CONSUL_HTTP_ADDR",
    ]);
  });

  test("another Consul agent answers here: doctor asks the wrong one", async () => {
    expect(
      await consulFinds(async () => ({ address: "10.0.0.1:8300", said: undefined, now: 0, askedAt: 0 })),
    ).toMatchObject({
      ...{ result: "warn", problems: [{ code: "CONSUL_OTHER" }], advice: [ADVICE] },
      evidence: ["http://127.0.0.1:8500 answers, and the srv-epmd here uses Consul at http://10.0.0.2:8500"],
    });
  });

  test("Nomad does not answer here", async () => {
    const nomad = besides({ "nomad-addr": "http://10.0.0.2:4646" }, "svc.service.nomad");
    const instancesInNomad = () => Promise.reject(new NomadError("NOMAD_UNAVAILABLE", "no answer"));
    const found = await nomadApi.run({
      config: nomad,
      asked: undefined,
      daemon,
      instancesInNomad,
    } as unknown as Examination);
    expect(found).toMatchObject({ evidence: ["no answer", "the srv-epmd here uses Nomad at http://10.0.0.2:4646"] });
    expect("advice" in found && found.advice[0]).toMatch(/^give --nomad-addr http:\/\/10\.0\.0\.2:4646 too, /);
  });

  test("a wrong address was given by hand: doctor begins with that which the status of serve tells", async () => {
    const flags = { domain: "svc", consul: "http://10.0.0.9:8500" };
    const byHand = loadConfig({ command: "doctor", flags, env: { CONSUL_HTTP_TOKEN: "x" } }).config;
    const leader = () => Promise.reject(new ConsulError("CONSUL_UNAVAILABLE", "no", { cause: new Error("timed out") }));
    const beside = (consul: object) =>
      consulAgent.run({
        ...{ config: byHand, asked: undefined, leader, daemon: async () => ({ consul }) },
      } as unknown as Examination);
    const found = await beside({ url: "http://10.0.0.2:8500", publishes: true });
    expect(found.evidence).toContain("the srv-epmd here uses Consul at http://10.0.0.2:8500");
    expect("advice" in found && found.advice[0]).toBe(
      "give --consul http://10.0.0.2:8500, which the srv-epmd here uses, in place of http://10.0.0.9:8500",
    );
    for (const same of [
      { url: "http://10.0.0.9:8500", publishes: true },
      // What answers to the wrong scheme says so.
      { url: "https://10.0.0.9:8500", publishes: true },
      { url: "http://10.0.0.2:8500", publishes: false },
    ]) {
      expect((await beside(same)).evidence).toHaveLength(1);
    }
  });

  test("of a cluster no node is found, or the catalogue does not answer", () => {
    expect(judgeCluster([], { elsewhere: ADVICE })).toMatchObject({
      ...{ summary: "0 nodes; no node matches", problems: [{ code: "NOT_FOUND", advice: ADVICE }] },
    });
    const fault = {
      text: "Consul does not list its nodes",
      brief: "no answer",
      code: "CONSUL_UNAVAILABLE",
      advice: ADVICE,
    };
    expect(judgeCluster([], { fault }).problems).toMatchObject([{ code: "NO_ANSWER", advice: ADVICE }]);
  });
});

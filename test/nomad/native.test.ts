import { expect, test } from "vitest";
import { problemsOf } from "../support/doctor.js";
import { examineInside } from "./lab/inside.js";
import { edited } from "./lab/job.js";
import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { useWay } from "./lab/way.js";

/** Nomad gives the task of a Connect-native service Consul's HTTP API, through a socket. */
const BY_SOCKET = [
  [/( *)name = "svc-epmd"\n/, '$&$1task = "srv-epmd"\n$1connect {\n$1  native = true\n$1}\n'],
  [/ *SRV_EPMD_CONSUL += .*\n/, ""],
  [/ *SRV_EPMD_DNS += .*\n/, ""],
] as const;

requireLab("consul", "mix")("the job of native ends of Consul Connect", () => {
  const way = useWay({ file: "native.nomad.hcl", hasModule: true });
  commonScenarios(way, {
    // Links live in the relay task, and the entries of nodes stay while it comes back.
    killed: { "srv-epmd": { fewest: 3 }, relay: { fewest: 3 }, svc: { fewest: 2 } },
    // /readyz says of both why.
    failing: [
      {
        what: "a label that no port has",
        changes: [[/(SRV_EPMD_PORT_LABEL +=) "dist"/, '$1 "dits"']],
        fails: "port-mapping",
      },
      { what: "a release whose VM is no node", release: "nameless" },
    ],
  });

  test("an update to the agent's socket, for which Consul needs no port on the client's address", async () => {
    const { lab, job, run, complete } = way();
    await run(3, "two", (text) => edited(text, ...BY_SOCKET));
    expect(await job.deployed()).toBe("successful");
    await complete(3, { version: "2.0.0" });
    for (const allocation of await job.running()) {
      const examined = await examineInside(lab, allocation);
      expect(problemsOf(examined)).toEqual([]);
      expect(examined.of("consul-agent").evidence).toContain("unix:///alloc/tmp/consul_http.sock");
    }
  });
});

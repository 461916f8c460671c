import { expect, test } from "vitest";
import { edited } from "./lab/job.js";
import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { DOMAIN, useWay } from "./lab/way.js";

/** A deployment waits until the node is linked with all others. */
const WAITS_FOR_CLUSTER = [/(path += ")\/readyz"/, `$1/readyz?cluster=*@${DOMAIN}"`] as const;
const OTHER_COOKIE = [/( *)RELEASE_DISTRIBUTION = .*\n/, '$&$1RELEASE_COOKIE = "another"\n'] as const;

requireLab("consul", "mix")("the sidecar job", () => {
  const way = useWay({ file: "sidecar.nomad.hcl", hasModule: true });
  commonScenarios(way, {
    // The VM registers again when srv-epmd is back: its entry stays. A VM that is killed is out of Consul at once.
    killed: { "srv-epmd": { fewest: 3 }, svc: { fewest: 2 } },
    // /readyz says of both why.
    failing: [
      // Its node is registered, and cannot be found.
      {
        what: "a label that no port has",
        changes: [[/(SRV_EPMD_PORT_LABEL +=) "dist"/, '$1 "dits"']],
        fails: "port-mapping",
      },
      { what: "a release whose VM is no node", release: "nameless" },
      // All that the first condition asks for holds.
      { what: "a cookie that the others do not have", changes: [WAITS_FOR_CLUSTER, OTHER_COOKIE] },
    ],
  });

  test("an update waits for the links of each node, and comes to its end", async () => {
    const { run, complete, job } = way();
    await run(3, "two", (text) => edited(text, WAITS_FOR_CLUSTER));
    expect(await job.deployed()).toBe("successful");
    await complete(3, { version: "2.0.0" });
  });
});

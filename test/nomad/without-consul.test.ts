import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { observeNomad } from "./lab/service.js";
import { useWay } from "./lab/way.js";

requireLab("mix")("the job without Consul, where Nomad has ACLs", () => {
  const way = useWay({
    file: "without-consul.nomad.hcl",
    hasModule: true,
    lab: { consul: false, nomadAcl: true },
    observe: (lab) => observeNomad(lab, "svc-dist"),
  });
  commonScenarios(way, {
    withoutConsul: true,
    // Nomad has an entry from the start of an allocation to its end, whether its VM lives or not.
    bounds: { dead: 90_000 },
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
    ],
  });
});

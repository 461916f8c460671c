import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { useWay } from "./lab/way.js";

requireLab("consul", "mix")("the sidecar job", () => {
  const way = useWay({ file: "sidecar.nomad.hcl", hasModule: true });
  commonScenarios(way, {
    // The VM registers again when srv-epmd is back: its entry stays. A VM that is killed is out of Consul at once.
    killed: { "srv-epmd": { fewest: 3 }, svc: { fewest: 2 } },
    // Its nodes are registered, and cannot be published: /readyz says so.
    failing: { what: "a label that no port has", changes: [[/(SRV_EPMD_PORT_LABEL +=) "dist"/, '$1 "dits"']] },
  });
});

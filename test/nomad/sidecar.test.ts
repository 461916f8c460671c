import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { useWay } from "./lab/way.js";

requireLab("consul", "mix")("the sidecar job", () => {
  const way = useWay({ file: "sidecar.nomad.hcl", hasModule: true });
  commonScenarios(way, {
    // The VM registers again when srv-epmd is back: its entry stays. A VM that is killed is out of Consul at once.
    killed: { "srv-epmd": { fewest: 3 }, svc: { fewest: 2 } },
    // /readyz says of both why.
    failing: [
      // Its node is registered, and cannot be found.
      { what: "a label that no port has", changes: [[/(SRV_EPMD_PORT_LABEL +=) "dist"/, '$1 "dits"']] },
      { what: "a release whose VM is no node", release: "nameless" },
    ],
  });
});

import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { useWay } from "./lab/way.js";

requireLab("consul", "mix")("the sidecar job", () => {
  const way = useWay({ file: "sidecar.nomad.hcl", hasModule: true });
  // The VM registers again when srv-epmd is back: its entry stays. A VM that is killed is out of Consul at once.
  commonScenarios(way, { killed: { "srv-epmd": { fewest: 3 }, svc: { fewest: 2 } } });
});

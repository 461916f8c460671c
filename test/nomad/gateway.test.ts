import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { useWay } from "./lab/way.js";

requireLab("consul", "mix")("the gateway job, with a release as it is", () => {
  const way = useWay({ file: "gateway.nomad.hcl", hasModule: false });
  commonScenarios(way, {
    // Links live in the relay, and come back when a node connects again. The entries do not depend on it.
    killed: { "srv-epmd": { fewest: 3 }, relay: { fewest: 3 }, svc: { fewest: 2 } },
    failing: [{ what: "a release that does not start", release: "broken" }],
  });
});

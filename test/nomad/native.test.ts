import { requireLab } from "./lab/needs.js";
import { commonScenarios } from "./lab/scenarios.js";
import { useWay } from "./lab/way.js";

requireLab("consul", "mix")("the job of native ends of Consul Connect", () => {
  const way = useWay({ file: "native.nomad.hcl", hasModule: true });
  commonScenarios(way, {
    // Links live in the relay task, and the entries of nodes stay while it comes back.
    killed: { "srv-epmd": { fewest: 3 }, relay: { fewest: 3 }, svc: { fewest: 2 } },
    // /readyz says of both why.
    failing: [
      { what: "a label that no port has", changes: [[/(SRV_EPMD_PORT_LABEL +=) "dist"/, '$1 "dits"']] },
      { what: "a release whose VM is no node", release: "nameless" },
    ],
  });
});

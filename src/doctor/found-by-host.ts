import { listed } from "../text.js";
import { type Finding, fail, ofVms, ok } from "./core/finding.js";
import type { Examination } from "./examination.js";
import type { AskedNode } from "./examined-node.js";
import { type AskedEpmd, epmdWords } from "./host-way.js";

/** Stock VMs need no record: the host part leads to the EPMD that knows the node. */
export async function foundByItsHost(
  { full }: AskedNode,
  epmds: readonly AskedEpmd[],
  { config, peersOfAsked }: Examination,
): Promise<Finding> {
  const vms = await peersOfAsked();
  const withModule = vms.filter(({ process }) => process?.hasModule).map(({ node }) => node.aliveName);
  const told = epmds.filter(({ port }) => port !== undefined).map((epmd) => epmdWords(epmd, config.port));
  const evidence = `${full}: no SRV record, and ${told.join(", ")}: stock VMs here find it so`;
  if (withModule.length === 0) return ok(evidence);
  const finding = fail(
    "PEER_NO_PORT",
    [evidence, `${listed(withModule)} here has the module, and asks the srv-epmd here, which does not`],
    "give serve --fallback epmd, or publish the node with an SRV record (--domain for the srv-epmd there)",
  );
  return ofVms(withModule, finding);
}

/** The host has addresses, and what stock VMs ask there does not know the node. */
export function untoldByItsHost(
  { full }: AskedNode,
  reason: string,
  epmds: readonly AskedEpmd[],
  epmdPort: number,
): Finding {
  const words = epmds.map((epmd) => epmdWords(epmd, epmdPort));
  const [first] = epmds;
  return fail(
    "PEER_NO_PORT",
    [`${full} is not found by its host: ${words.join(", ")}`, reason],
    [
      `see that ${first?.address} is its machine, that the node runs there, and that the EPMD there serves other machines (srv-epmd serve --listen ${first?.address})`,
      "or publish the node with an SRV record (a srv-epmd with --domain beside it does so), which leads VMs with the module to it, as serve --fallback epmd does",
    ],
  );
}
